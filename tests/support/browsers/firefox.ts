/** Firefox, driven over WebDriver BiDi (https://w3c.github.io/webdriver-bidi): a WebSocket and JSON. */
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import type { Browser } from './browser.js'
import { startDriver } from './driver-process.js'

/** What it would ask of the network by itself. */
const quiet = {
  'app.normandy.enabled': false,
  'app.update.disabledForTesting': true,
  'browser.newtabpage.enabled': false,
  'browser.region.network.url': '',
  'browser.safebrowsing.update.enabled': false,
  'browser.startup.homepage_override.mstone': 'ignore',
  'datareporting.policy.dataSubmissionEnabled': false,
  'extensions.getAddons.cache.enabled': false,
  'extensions.systemAddon.update.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': 'data:,#remote-settings-dummy/v1',
  'toolkit.telemetry.server': '',
}

export async function openFirefox([binary = '']: readonly string[]): Promise<Browser> {
  const profile = mkdtempSync(join(tmpdir(), 'kalam-firefox-'))
  const preferences = Object.entries(quiet).map(
    ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
  )
  writeFileSync(join(profile, 'user.js'), preferences.join(''))
  const flags = ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0']
  // It writes into its home besides the profile.
  const firefox = startDriver([binary, ...flags, 'about:blank'], { HOME: profile })
  const close = async () => {
    await firefox.end()
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
  }
  try {
    const address = await firefox.said(/BiDi listening on (\S+)/u)
    return await openPage(`${address}/session`, close)
  } catch (error) {
    await close()
    throw error
  }
}

type Command = (method: string, params: object) => Promise<Readonly<Record<string, unknown>>>

async function openPage(address: string, close: () => Promise<void>): Promise<Browser> {
  const command = await openBidi(address)
  const { capabilities } = (await command('session.new', { capabilities: {} })) as {
    readonly capabilities: { readonly browserVersion: string }
  }
  const { contexts } = (await command('browsingContext.getTree', {})) as {
    readonly contexts: readonly { readonly context: string }[]
  }
  const context = contexts[0]?.context
  return {
    name: `Firefox ${capabilities.browserVersion}`,
    open: async (url) => {
      await command('browsingContext.navigate', { context, url, wait: 'complete' })
    },
    evaluate: async (expression) => jsonOf(await command('script.evaluate', asked(expression))),
    screenshot: async () => {
      const { data } = await command('browsingContext.captureScreenshot', { context })
      return Buffer.from(String(data), 'base64')
    },
    close,
    [Symbol.asyncDispose]: close,
  }

  function asked(expression: string): object {
    return {
      expression: `Promise.resolve(${expression}).then((value) => JSON.stringify(value))`,
      target: { context },
      awaitPromise: true,
    }
  }
}

function jsonOf(answer: Readonly<Record<string, unknown>>): unknown {
  // By the specification, for an expression that gives a text or nothing.
  const { result, exceptionDetails } = answer as {
    readonly result?: { readonly value?: string }
    readonly exceptionDetails?: { readonly text: string }
  }
  if (exceptionDetails !== undefined) throw new Error(exceptionDetails.text)
  return result?.value === undefined ? undefined : JSON.parse(result.value)
}

async function openBidi(address: string): Promise<Command> {
  const socket = new WebSocket(address)
  await once(socket, 'open')
  const waiting = new Map<number, (answer: BidiAnswer) => void>()
  socket.on('message', (bytes: Buffer) => {
    const answer = JSON.parse(bytes.toString()) as BidiAnswer
    waiting.get(answer.id)?.(answer)
    waiting.delete(answer.id)
  })
  let last = 0
  return async (method, params) => {
    const id = ++last
    const answered = new Promise<BidiAnswer>((resolve) => waiting.set(id, resolve))
    socket.send(JSON.stringify({ id, method, params }))
    const { type, message, result } = await answered
    if (type === 'error') throw new Error(`${method}: ${message}`)
    return result
  }
}

interface BidiAnswer {
  readonly type: 'success' | 'error'
  readonly id: number
  readonly message: string
  readonly result: Readonly<Record<string, unknown>>
}
