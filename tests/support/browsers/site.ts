/** A web server for the pages of tests/browser: the repository's files, and a page around each module. */
import { readFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { repositoryRoot } from '../repository-root.js'

export interface Site extends AsyncDisposable {
  /** `http://127.0.0.1:…`: what `cors.allowed_origins` has to name. */
  readonly origin: string
  /** The address of a page. */
  page(options: PageOptions): string
}

export interface PageOptions {
  /** Where its script is in the repository. */
  readonly module: string
  readonly title: string
  /** The page's Content-Security-Policy. */
  readonly policy?: string
  /** A script that runs before the module, to make the browser another one. */
  readonly before?: string
}

const root = fileURLToPath(repositoryRoot)

/** What pages may load. */
const served = /^\/(?:link|tests\/browser\/pages|dist\/(?:bench|tests))\/[\w/.-]+$/u

const types: Readonly<Record<string, string>> = {
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
}

export async function openSite(): Promise<Site> {
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://site')
    if (pathname === '/') sendPage(response, Object.fromEntries(searchParams) as never)
    else sendFile(response, pathname)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  const origin = `http://127.0.0.1:${port}`
  return {
    origin,
    page: (options) => `${origin}/?${new URLSearchParams({ ...options }).toString()}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function sendPage(response: ServerResponse, { module, title, policy, before }: PageOptions): void {
  response.setHeader('content-type', 'text/html; charset=utf-8')
  // Pages that nothing else can look into have a finer clock.
  response.setHeader('cross-origin-opener-policy', 'same-origin')
  response.setHeader('cross-origin-embedder-policy', 'require-corp')
  if (policy !== undefined) response.setHeader('content-security-policy', policy)
  response.end(`<!doctype html>
    <title>${title}</title>
    <link rel="icon" href="data:,">
    <h1>${title}</h1>
    <ol id="log"></ol>
    <footer></footer>
    ${before === undefined ? '' : `<script>${before}</script>`}
    <script type="module" src="/${module}"></script>`)
}

function sendFile(response: ServerResponse, path: string): void {
  const type = types[extname(path)]
  try {
    if (!served.test(path) || path.includes('..') || type === undefined) throw new Error('not here')
    const bytes = readFileSync(root + path.slice(1))
    response.setHeader('content-type', type)
    response.end(bytes)
  } catch {
    response.statusCode = 404
    response.end()
  }
}
