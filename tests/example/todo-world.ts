/** The built example in Chromium, its server as a process of its own, and a network between them. */
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BrowserContext, Page } from 'playwright-core'
import { build, preview } from 'vite'
import { openTabs } from '../support/browsers/browser.js'
import { kalam } from '../support/kalam.js'
import { openRelay, type Relay } from '../support/relay.js'
import { closePlace, endServer, openPlace, serve } from '../support/server-process.js'

export const exampleFolder = fileURLToPath(
  new URL('../../examples/simple-typescript/', import.meta.url),
)
const pictures = fileURLToPath(new URL('../../test-output/example/', import.meta.url))

export interface TodoWorld extends AsyncDisposable {
  readonly relay: Relay
  /** A tab of a browser that nobody has used; `sharing`: one more of the same browser. */
  open(options?: OpenOptions): Promise<Page>
  /** Runs SQL as the user of the app, over HTTP. */
  sql(text: string): Promise<void>
  killServer(): Promise<void>
  startServer(): Promise<void>
  keepPicture(page: Page, name: string): Promise<void>
}

export interface OpenOptions {
  readonly sharing?: Page
  /** Runs in the page before anything else. */
  readonly before?: () => void
  readonly dark?: boolean
}

export async function openTodoWorld(): Promise<TodoWorld> {
  const place = await openPlace()
  let server: ChildProcess = await serve(place)
  const relay = await openRelay(place.port)
  const { home, url } = place
  const asRoot = async (args: readonly string[]) => {
    const { exit, stdout, stderr } = await kalam(args, { home, env: { KALAM_URL: url } })
    if (exit !== 0) throw new Error(stderr)
    return stdout.trim()
  }
  await asRoot(['-q', '-f', join(exampleFolder, 'todo-app.sql')])
  const key = await asRoot(['-q', 'user', 'create', 'todo-app'])
  const site = await openSite({
    VITE_KALAM_URL: `http://127.0.0.1:${relay.port}`,
    VITE_KALAM_API_KEY: key,
  })
  const browser = await openTabs()
  mkdirSync(pictures, { recursive: true })
  return {
    relay,
    open: async ({ sharing, before, dark = false } = {}) => {
      const context: BrowserContext =
        sharing?.context() ??
        (await browser.newContext({
          viewport: { width: 640, height: 560 },
          colorScheme: dark ? 'dark' : 'light',
        }))
      const page = await context.newPage()
      if (before !== undefined) await page.addInitScript(before)
      await page.goto(site.url)
      return page
    },
    sql: async (text) => {
      const response = await fetch(`${url}/v1/api/sql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-api-key': key },
        body: JSON.stringify({ sql: text }),
      })
      if (!response.ok) throw new Error(await response.text())
    },
    killServer: () => endServer(server, 'SIGKILL'),
    startServer: async () => {
      server = await serve(place)
    },
    keepPicture: async (page, name) => {
      await page.screenshot({ path: join(pictures, `${name}.png`) })
    },
    [Symbol.asyncDispose]: async () => {
      await browser.close()
      await site.close()
      await relay[Symbol.asyncDispose]()
      await endServer(server, 'SIGTERM')
      closePlace(place)
    },
  }
}

/** Builds the app as its users do, and serves what came out. */
async function openSite(env: Readonly<Record<string, string>>) {
  const outDir = mkdtempSync(join(tmpdir(), 'kalam-example-'))
  Object.assign(process.env, env)
  const common = { root: exampleFolder, logLevel: 'error' } as const
  await build({ ...common, build: { outDir, emptyOutDir: true } })
  const site = await preview({ ...common, build: { outDir }, preview: { port: 0 } })
  return {
    url: site.resolvedUrls?.local[0] ?? '',
    close: async () => {
      await site.close()
      rmSync(outDir, { recursive: true, force: true })
    },
  }
}

/** Lines of TypeScript and Vue, tests apart. */
export function countLines(paths: readonly string[]): number {
  return paths.reduce(
    (sum, path) =>
      sum + readFileSync(join(exampleFolder, path), 'utf8').trimEnd().split('\n').length,
    0,
  )
}
