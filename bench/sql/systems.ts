/** Starts the systems under test, each in processes of its own, with the same tables and rows. */
import { execFileSync, fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { nativePostgresMissing, openNativePostgres } from '../../tests/support/native-postgres.js'
import type { PeerOptions } from './peer-server.js'
import { setupStatements } from './workloads.js'

/** When a write is acknowledged: `fsync` after it survives a power cut, `os` after the write call. */
export type Durability = 'fsync' | 'os'

export interface HttpSystem {
  readonly port: number
  readonly apiKey: string
  close(): Promise<void>
}

const repository = new URL('../../../', import.meta.url)

export interface KalamOptions {
  readonly durability: Durability
  /** Where the server writes its CPU profiles at its end. */
  readonly profileFolder?: string | undefined
}

/** `kalam serve` as shipped, read and written by an ordinary user. */
export async function openKalam(options: KalamOptions): Promise<HttpSystem> {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-bench-'))
  const port = await freePort()
  const server = spawnKalam(folder, port, options)
  await answersReady(server, port)
  const token = readFileSync(join(folder, 'data', 'admin.token'), 'utf8').trim()
  const apiKey = await prepareKalam(port, token)
  return {
    port,
    apiKey,
    close: async () => {
      await end(server)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function spawnKalam(folder: string, port: number, options: KalamOptions): ChildProcess {
  const profile = options.profileFolder
  const flags = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]
  const kalam = fileURLToPath(new URL('cli/bin/kalam.js', repository))
  const server = spawn(process.execPath, [...flags, kalam, 'serve'], {
    cwd: folder,
    env: {
      ...process.env,
      HOME: folder,
      KALAMDB_SERVER_PORT: String(port),
      KALAMDB_SERVER_DATA_DIR: join(folder, 'data'),
      KALAMDB_ENGINE_DURABILITY: options.durability,
      KALAMDB_LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 2, 2],
  })
  endWithBench(server)
  return server
}

/** A bench that fails half-way leaves nobody behind. */
function endWithBench(child: ChildProcess): void {
  process.once('exit', () => child.kill('SIGKILL'))
}

async function prepareKalam(port: number, token: string): Promise<string> {
  for (const sql of setupStatements) await askKalam(port, token, sql)
  const created = await askKalam(port, token, "CREATE USER 'bench' ROLE user")
  await askKalam(port, token, 'GRANT SELECT, UPDATE ON todo TO user')
  await askKalam(port, token, 'GRANT INSERT ON entry TO user')
  const apiKey = created.results[0]?.rows[0]?.['apikey']
  if (typeof apiKey !== 'string') throw new Error('CREATE USER returned no key')
  return apiKey
}

interface KalamAnswer {
  readonly results: readonly { readonly rows: readonly Readonly<Record<string, unknown>>[] }[]
}

async function askKalam(port: number, key: string, sql: string): Promise<KalamAnswer> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/api/sql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': key },
    body: JSON.stringify({ sql }),
  })
  if (!response.ok) throw new Error(`HTTP ${response.status}: ${await response.text()}`)
  return (await response.json()) as KalamAnswer
}

const startDeadlineMs = 60_000
const pollEveryMs = 50

async function answersReady(server: ChildProcess, port: number): Promise<void> {
  const deadline = performance.now() + startDeadlineMs
  while (performance.now() < deadline && server.exitCode === null) {
    const ready = await fetch(`http://127.0.0.1:${port}/ready`).catch(() => undefined)
    if (ready?.ok === true) return
    await new Promise((resolve) => setTimeout(resolve, pollEveryMs))
  }
  throw new Error('kalam serve did not become ready')
}

/** Debian's PostgreSQL behind node:http and `pg`; `undefined` when there is none here. */
export async function openNative(durability: Durability): Promise<HttpSystem | undefined> {
  if (nativePostgresMissing() !== undefined) return undefined
  const sync = durability === 'fsync' ? 'on' : 'off'
  const server = await openNativePostgres({
    settings: { fsync: sync, full_page_writes: 'on', synchronous_commit: 'on', autovacuum: 'on' },
  })
  const { host, user, database } = server
  return openPeer({ host, user, database, poolSize: 16, prepared: true }, () => server.close())
}

/**
 * PGlite's own socket server behind node:http and `pg`. It has no fsync, and no prepared
 * statements for more than one connection. `undefined` when it cannot be installed.
 */
export async function openPgliteSocket(): Promise<HttpSystem | undefined> {
  const script = installPgliteSocket()
  if (script === undefined) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-bench-pglite-'))
  const socket = join(folder, '.s.PGSQL.5432')
  const flags = [`--db=${join(folder, 'data')}`, `--path=${socket}`, '--max-connections=2']
  const server = spawn(process.execPath, [script, ...flags], { stdio: ['ignore', 'ignore', 2] })
  endWithBench(server)
  const close = async () => {
    await end(server)
    rmSync(folder, { recursive: true, force: true })
  }
  await appears(socket, server)
  const reach = { host: folder, user: 'postgres', database: 'postgres' }
  return openPeer({ ...reach, poolSize: 1, prepared: true }, close)
}

/** Installs the peer when a bench first needs it; it is no dependency of the project. */
function installPgliteSocket(): string | undefined {
  const folder = fileURLToPath(new URL('bench/peers/', repository))
  const script = join(folder, 'node_modules/@electric-sql/pglite-socket/dist/scripts/server.js')
  if (existsSync(script)) return script
  try {
    const flags = ['ci', '--ignore-scripts', '--no-audit', '--no-fund']
    execFileSync('npm', flags, { cwd: folder, stdio: 'pipe' })
    return script
  } catch {
    return undefined
  }
}

type Reach = Omit<PeerOptions, 'apiKey'>

async function openPeer(reach: Reach, closeServer: () => Promise<void>): Promise<HttpSystem> {
  await prepare(reach)
  const apiKey = 'bench'
  const script = fileURLToPath(new URL('peer-server.js', import.meta.url))
  const options: PeerOptions = { ...reach, apiKey }
  const child = fork(script, [JSON.stringify(options)], { stdio: ['ignore', 2, 2, 'ipc'] })
  const [port] = (await once(child, 'message')) as [number]
  return {
    port,
    apiKey,
    close: async () => {
      await end(child)
      await closeServer()
    },
  }
}

async function prepare({ host, user, database }: Reach): Promise<void> {
  const client = new pg.Client({ host, user, database })
  await client.connect()
  for (const sql of setupStatements) await client.query(sql)
  await client.end()
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
}

async function appears(file: string, server: ChildProcess): Promise<void> {
  const deadline = performance.now() + startDeadlineMs
  while (!existsSync(file)) {
    if (server.exitCode !== null || performance.now() > deadline) throw new Error(`no ${file}`)
    await new Promise((resolve) => setTimeout(resolve, pollEveryMs))
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
