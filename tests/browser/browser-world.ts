/** One browser, one server and one site of pages, for all tests of an engine. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { openBrowser, type Browser, type Engine } from '../support/browsers/browser.js'
import { openSite, type PageOptions, type Site } from '../support/browsers/site.js'
import { openTestServer, type TestServer } from '../support/server.js'
import { within } from '../support/socket-client.js'

export interface BrowserWorld extends AsyncDisposable {
  readonly browser: Browser
  readonly server: TestServer
  /** From where the pages come. */
  readonly site: Site
  /** Shows a page. */
  readonly open: (options: PageOptions) => Promise<void>
  /** Calls a function of the page's `page`. */
  readonly call: (name: string, ...args: readonly unknown[]) => Promise<unknown>
  /** Keeps a picture of the page in test-output/browser. */
  readonly keepPicture: (name: string) => Promise<void>
}

const pictures = fileURLToPath(new URL('../../test-output/browser/', import.meta.url))

export async function openBrowserWorld(engine: Engine): Promise<BrowserWorld> {
  const site = await openSite()
  const [server, browser] = await Promise.all([
    openTestServer({
      settings: {
        'cors.allowed_origins': [site.origin],
        'socket.message_bytes_max': 4 * 1024 * 1024,
      },
    }),
    openBrowser(engine),
  ])
  mkdirSync(pictures, { recursive: true })
  return {
    browser,
    server,
    site,
    open: (options) => within('page', browser.open(site.page(options))),
    call: (name, ...args) => {
      const list = args.map((value) => JSON.stringify(value)).join(', ')
      return within(`answer of page.${name}`, browser.evaluate(`page.${name}(${list})`))
    },
    keepPicture: async (name) => {
      writeFileSync(`${pictures}${engine}-${name}.png`, await browser.screenshot())
    },
    [Symbol.asyncDispose]: async () => {
      await browser.close()
      await server.close()
      await site[Symbol.asyncDispose]()
    },
  }
}
