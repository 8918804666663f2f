/** WebKitGTK's MiniBrowser, driven over WebDriver by WebKitWebDriver, on a screen that nobody sees. */
import { freePort } from '../free-port.js'
import type { Browser } from './browser.js'
import { startDriver } from './driver-process.js'

const screenFlags = ['-displayfd', '1', '-screen', '0', '1280x720x24', '-nolisten', 'tcp']

export async function openWebKit([
  driverPath = '',
  xvfbPath = '',
]: readonly string[]): Promise<Browser> {
  const screen = startDriver([xvfbPath, ...screenFlags], {})
  const port = await freePort()
  const display = await screen.said(/^(\d+)$/mu)
  const driver = startDriver([driverPath, `--port=${port}`], {
    DISPLAY: `:${display}`,
    GDK_BACKEND: 'x11',
  })
  const end = async () => {
    await driver.end()
    await screen.end()
  }
  try {
    return await openPage(`http://127.0.0.1:${port}`, end)
  } catch (error) {
    await end()
    throw error
  }
}

async function openPage(driver: string, end: () => Promise<void>): Promise<Browser> {
  await until(() => isListening(driver))
  const asked = { capabilities: { alwaysMatch: {} } }
  const { sessionId, capabilities } = (await command('POST', `${driver}/session`, asked)) as {
    readonly sessionId: string
    readonly capabilities: { readonly browserVersion: string }
  }
  const session = `${driver}/session/${sessionId}`
  const close = async () => {
    // The browser is a child of the driver, which ends it when it is told so and not otherwise.
    await command('DELETE', session).catch(() => undefined)
    await end()
  }
  return {
    name: `WebKitGTK ${capabilities.browserVersion}`,
    open: async (url) => {
      await command('POST', `${session}/url`, { url })
      await until(() => isShown(session, url))
    },
    evaluate: async (expression) => {
      const answer = await command('POST', `${session}/execute/async`, askedFor(expression))
      const { value, error } = answer as { readonly value?: string; readonly error?: string }
      if (error !== undefined) throw new Error(error)
      return value === undefined ? undefined : (JSON.parse(value) as unknown)
    },
    screenshot: async () => {
      const png = await command('GET', `${session}/screenshot`)
      return Buffer.from(String(png), 'base64')
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

function askedFor(expression: string): object {
  const script = `
    const done = arguments[0]
    new Promise((resolve) => resolve(${expression})).then(
      (value) => done({ value: JSON.stringify(value) }),
      (error) => done({ error: String(error) }),
    )`
  return { script, args: [] }
}

async function command(method: string, url: string, body?: object): Promise<unknown> {
  const response = await fetch(url, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const { value } = (await response.json()) as { readonly value: unknown }
  if (!response.ok) throw new Error(`${method} ${url}: ${JSON.stringify(value)}`)
  return value
}

const waitMsMax = 20_000

/** WebKitWebDriver says nothing when it listens. */
async function isListening(driver: string): Promise<boolean> {
  const status = await command('GET', `${driver}/status`).catch(() => undefined)
  return status !== undefined
}

/** The driver may answer when the empty page of the start was loaded instead. */
async function isShown(session: string, url: string): Promise<boolean> {
  const script = 'return document.readyState === "complete" && location.href'
  return (await command('POST', `${session}/execute/sync`, { script, args: [] })) === url
}

async function until(check: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + waitMsMax
  while (!(await check())) {
    if (performance.now() > deadlineMs) throw new Error(`it did not happen in ${waitMsMax} ms`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
