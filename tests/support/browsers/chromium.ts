/** Chromium, driven by playwright-core; the browser itself is the machine's. */
import { chromium, type Browser as ChromiumBrowser } from 'playwright-core'
import type { Browser } from './browser.js'

/** What it would ask of the network by itself fails, or takes time, on machines without one. */
const quiet = [
  '--disable-background-networking',
  '--disable-component-update',
  // Containers have little of it.
  '--disable-dev-shm-usage',
  '--disable-gpu',
  '--disable-quic',
  '--disable-sync',
  '--no-first-run',
]

export function launchChromium([executablePath = '']: readonly string[]): Promise<ChromiumBrowser> {
  // Root has no sandbox; only pages of these tests are opened.
  return chromium.launch({ executablePath, args: quiet, chromiumSandbox: false })
}

export async function openChromium(binaries: readonly string[]): Promise<Browser> {
  const browser = await launchChromium(binaries)
  const page = await browser.newPage()
  return {
    name: `Chromium ${browser.version()}`,
    open: async (url) => {
      await page.goto(url)
    },
    evaluate: (expression) => page.evaluate(expression),
    screenshot: () => page.screenshot(),
    close: () => browser.close(),
    [Symbol.asyncDispose]: () => browser.close(),
  }
}
