/** A real server on a port of its own and a folder of its own, for one test file or one test. */
import { cpSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, inject } from 'vitest'
import { adapters } from '#adapters/adapters.js'
import { loadConfig } from '#src/config/load-config.js'
import { startServer, type Server } from '#src/server.js'
import { makeScratchFolder } from './scratch-folder.js'

export interface TestServerOptions {
  /** Settings by key: `{ 'http.body_bytes_max': 2048 }`. */
  readonly settings?: Readonly<Record<string, string | number | boolean | readonly string[]>>
  /** Starts on this folder and leaves it; else on a fresh copy of the template. */
  readonly folder?: string
  /** A first start from nothing, initdb included: 4 s. */
  readonly fromNothing?: boolean
  /** Module that exports `disk`, in place of the real one. */
  readonly diskModule?: string
}

export interface TestServer extends AsyncDisposable {
  readonly url: string
  readonly port: number
  /** Of the Postgres wire; 0 if it is not enabled. */
  readonly wirePort: number
  readonly folder: string
  /** Home in which the CLI finds the local token. */
  readonly home: string
  /** The local token: a key of root. */
  readonly adminKey: string
  /** What the doors call. */
  readonly database: Server['database']
  /** Runs SQL over HTTP, as root unless `key` says otherwise; throws on any error. */
  sql(sql: string, options?: SqlOptions): Promise<SqlAnswer>
  /** The same, with whatever the server answers. */
  request(sql: string, options?: SqlOptions): Promise<{ status: number; body: SqlBody }>
  /** Makes a user and answers their key. */
  createUser(name: string, role?: 'user' | 'service' | 'admin'): Promise<string>
  /** Stops in good order; the folder stays until `close`. */
  stop(): Promise<void>
  close(): Promise<void>
}

export interface SqlOptions {
  readonly key?: string
  readonly params?: readonly unknown[]
  readonly namespace?: string
  readonly transaction?: boolean
  readonly rows?: 'object' | 'array'
  readonly headers?: Readonly<Record<string, string>>
}

export interface SqlAnswer {
  readonly status: 'success'
  readonly results: readonly SqlResult[]
  /** Rows of the last result. */
  readonly rows: readonly Record<string, unknown>[]
  readonly replayed?: boolean
}

export interface SqlResult {
  readonly command: string
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly rows: readonly Record<string, unknown>[]
  readonly row_count: number
}

export interface SqlBody {
  readonly status: 'success' | 'error'
  readonly results?: readonly SqlResult[]
  readonly replayed?: boolean
  readonly took_ms?: number
  readonly error?: {
    readonly code: string
    readonly message: string
    readonly sqlstate?: string
    readonly position?: number
    readonly line?: number
    readonly column?: number
    readonly statement?: number
    readonly hint?: string
    readonly detail?: string
  }
}

/**
 * Those that their tests have not closed yet: where a hook ran out of time. A thread that ends with
 * sockets of uWebSockets.js open takes the whole process along (libuv: "open handles").
 */
const left = new Set<Promise<Server>>()
afterAll(async () => {
  for (const starting of left)
    await starting.then((server) => server.close()).catch(() => undefined)
})

export async function openTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const home = makeScratchFolder('kalam-test-')
  const folder = options.folder ?? join(home, 'data')
  if (options.folder === undefined && options.fromNothing !== true)
    cpSync(inject('dataTemplate'), folder, { recursive: true })
  const starting = startServer({
    loaded: loadConfig({
      env: {},
      flags: flagsOf({ ...options.settings, 'server.data_dir': folder }),
    }),
    version: '0.0.0-test',
    home,
    adapters,
    ...(options.diskModule === undefined ? {} : { diskModule: options.diskModule }),
  })
  left.add(starting)
  const server = await starting
  const close = async (): Promise<void> => {
    await server.close()
    left.delete(starting)
  }
  return testServer(
    { ...server, close },
    {
      home,
      folder,
      token: join(home, '.kalam', 'servers', `${server.port}.token`),
    },
  )
}

function flagsOf(settings: NonNullable<TestServerOptions['settings']>) {
  const all = {
    'server.port': 0,
    'postgres_wire.port': 0,
    'log.level': 'silent',
    // A busy machine may stop for longer than a second between two statements, and for several in all.
    'engine.idle_transaction_timeout_ms': 5_000,
    'engine.transaction_timeout_ms': 30_000,
    ...settings,
  }
  return Object.entries(all).map(([key, value]) => ({
    flag: '--set',
    key,
    value: Array.isArray(value) ? value.join(',') : String(value),
  }))
}

function wirePortOf({ adapterAddresses }: Server): number {
  const address = adapterAddresses.find((text) => text.startsWith('postgres:'))
  return address === undefined ? 0 : Number(new URL(address).port)
}

function testServer(
  server: Server,
  place: { readonly home: string; readonly folder: string; readonly token: string },
): TestServer {
  const { url, port } = server
  const adminKey = readFileSync(place.token, 'utf8')
  const request: TestServer['request'] = async (sql, { key = adminKey, headers, ...body } = {}) => {
    const response = await fetch(`${url}/v1/api/sql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-api-key': key, ...headers },
      body: JSON.stringify({ sql, ...body }),
    })
    return { status: response.status, body: (await response.json()) as SqlBody }
  }
  const sql: TestServer['sql'] = async (text, sqlOptions) => {
    const { status, body } = await request(text, sqlOptions)
    if (status !== 200 || body.results === undefined)
      throw new Error(`${status} ${JSON.stringify(body.error)} for ${text.slice(0, 200)}`)
    return {
      ...body,
      status: 'success',
      results: body.results,
      rows: body.results.at(-1)?.rows ?? [],
    }
  }
  const close = async (): Promise<void> => {
    await server.close()
    rmSync(place.home, { recursive: true, force: true })
  }
  return {
    url,
    port,
    wirePort: wirePortOf(server),
    folder: place.folder,
    home: place.home,
    adminKey,
    database: server.database,
    sql,
    request,
    createUser: async (name, role = 'user') => {
      const { rows } = await sql(`CREATE USER '${name}' ROLE ${role}`)
      return String(rows[0]?.['apikey'])
    },
    stop: () => server.close(),
    close,
    [Symbol.asyncDispose]: close,
  }
}
