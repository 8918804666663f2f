/** Who takes part in the `live` bench: servers, their clients' processes, the same table in each. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { nativePostgresMissing, openNativePostgres } from '../../tests/support/native-postgres.js'
import {
  createUser,
  end,
  freePort,
  pollEveryMs,
  repository,
  startDeadlineMs,
  startKalam,
  type KalamServer,
} from '../load/kalam-server.js'
import { WorkerProcess } from '../load/worker-process.js'
import type { BenchOptions } from '../result.js'
import type { LiveAnswer, LiveOrder } from './live-process.js'
import { setupStatements, type Form } from './live-system.js'

export interface Contestant {
  readonly name: string
  readonly forms: readonly Form[]
  /** More live queries would take this one minutes. */
  readonly queriesMax: number
  ask(order: LiveOrder): Promise<LiveAnswer>
  /** Processor time that its server has used; NaN where it is not one process of its own. */
  processorMs(): number
  close(): Promise<void>
}

export const kalamName = 'kalamdb'

export interface OpenOptions {
  /** Owners in the table. */
  readonly owners: number
  readonly profileFolder: string | undefined
}

/** Opens one after the other: a free port must not go to two. Those that cannot run here are named and left out. */
export async function openContestants(
  open: OpenOptions,
  { say }: Pick<BenchOptions, 'say'>,
): Promise<readonly Contestant[]> {
  const opened: Contestant[] = []
  for (const openOne of [openKalam, openPgliteLive, openZero]) {
    const contestant = await openOne(open)
    if (typeof contestant === 'string') say(`skipped: ${contestant}`)
    else opened.push(contestant)
  }
  return opened
}

async function openKalam({ owners, profileFolder }: OpenOptions): Promise<Contestant> {
  const { server, apiKey } = await startLiveKalam(owners, profileFolder)
  const args = [String(server.port), apiKey]
  const clients = startClients(new URL('kalam-clients.js', import.meta.url), args)
  return {
    name: kalamName,
    forms: ['evaluated', 'follow'],
    queriesMax: Infinity,
    ask: (order) => clients.ask(order),
    processorMs: () => server.processorMs(),
    close: async () => {
      await clients.close()
      await server.close()
    },
  }
}

/** The server as shipped, with the bench's table, and the key of an ordinary user. */
export async function startLiveKalam(
  owners: number,
  profileFolder?: string,
): Promise<{ readonly server: KalamServer; readonly apiKey: string }> {
  const server = await startKalam({ durability: 'fsync', profileFolder })
  for (const sql of setupStatements(owners)) await server.ask(sql)
  const apiKey = await createUser(server, 'bench')
  await server.ask('GRANT SELECT, INSERT ON todo TO user')
  return { server, apiKey }
}

type Clients = WorkerProcess<LiveOrder, LiveAnswer>

function startClients(script: URL, args: readonly string[], execPath?: string): Clients {
  return WorkerProcess.start(script, execPath === undefined ? { args } : { args, execPath })
}

function openPgliteLive({ owners }: OpenOptions): Promise<Contestant> {
  const clients = startClients(new URL('pglite-live.js', import.meta.url), [String(owners)])
  return Promise.resolve({
    name: 'PGlite live (in process)',
    forms: ['evaluated'],
    queriesMax: 1_000,
    ask: (order) => clients.ask(order),
    processorMs: () => NaN,
    close: () => clients.close(),
  })
}

/** Zero over Debian's PostgreSQL: a string says why it is missing. */
async function openZero({ owners }: OpenOptions): Promise<Contestant | string> {
  const missing = nativePostgresMissing()
  if (missing !== undefined) return `Zero: ${missing}`
  const folder = installZero()
  if (folder === undefined) return 'Zero could not be installed (bench/peers/zero)'
  const postgresPort = await freePort()
  const postgres = await openNativePostgres({
    settings: {
      wal_level: 'logical',
      listen_addresses: '127.0.0.1',
      port: String(postgresPort),
      fsync: 'on',
      full_page_writes: 'on',
      synchronous_commit: 'on',
      autovacuum: 'on',
    },
  })
  await prepareZero(postgresPort, owners)
  const cache = await startZeroCache(folder, postgresPort)
  const args = [String(cache.port), String(postgresPort)]
  const clients = startClients(urlIn(folder, 'client.js'), args, nodeIn(folder))
  return {
    name: 'Zero',
    forms: ['evaluated'],
    queriesMax: 1_000,
    ask: (order) => clients.ask(order),
    processorMs: () => NaN,
    close: async () => {
      await clients.close()
      await cache.close()
      await postgres.close()
    },
  }
}

/** Its own role, so that its book-keeping need not wait for the disk; the bench's inserts do. */
async function prepareZero(port: number, owners: number): Promise<void> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' })
  await client.connect()
  for (const sql of setupStatements(owners)) await client.query(sql)
  await client.query(
    'CREATE ROLE zero SUPERUSER LOGIN; ALTER ROLE zero SET synchronous_commit = off',
  )
  await client.end()
}

/** Installs the peer, and the Node it asks for, when the bench first needs them. */
function installZero(): URL | undefined {
  const folder = new URL('bench/peers/zero/', repository)
  if (existsSync(nodeIn(folder))) return folder
  try {
    const flags = ['ci', '--ignore-scripts', '--no-audit', '--no-fund']
    execFileSync('npm', flags, { cwd: folder, stdio: 'pipe' })
    return existsSync(nodeIn(folder)) ? folder : undefined
  } catch {
    return undefined
  }
}

/** Zero asks for Node 22. The package is optional: it exists for x64 and arm64 Linux only. */
const nodeFolder = `node_modules/node-linux-${process.arch}/bin`

function nodeIn(folder: URL): string {
  return fileURLToPath(urlIn(folder, `${nodeFolder}/node`))
}

function urlIn(folder: URL, path: string): URL {
  return new URL(path, folder)
}

interface ZeroCache {
  readonly port: number
  close(): Promise<void>
}

async function startZeroCache(folder: URL, postgresPort: number): Promise<ZeroCache> {
  const data = mkdtempSync(join(tmpdir(), 'kalamdb-bench-zero-'))
  const port = await freePort()
  const env = {
    ...process.env,
    PATH: `${fileURLToPath(urlIn(folder, nodeFolder))}:${process.env['PATH'] ?? ''}`,
    NODE_ENV: 'production',
    DO_NOT_TRACK: '1',
    ZERO_UPSTREAM_DB: `postgresql://zero@127.0.0.1:${postgresPort}/postgres`,
    ZERO_REPLICA_FILE: join(data, 'replica.db'),
    ZERO_PORT: String(port),
    // By default the next one, which may be taken.
    ZERO_CHANGE_STREAMER_PORT: String(await freePort()),
    ZERO_ADMIN_PASSWORD: 'bench',
    ZERO_LOG_LEVEL: 'error',
    ZERO_ENABLE_TELEMETRY: 'false',
  }
  const bin = (name: string) => fileURLToPath(urlIn(folder, `node_modules/.bin/${name}`))
  const schema = fileURLToPath(urlIn(folder, 'schema.js'))
  execFileSync(bin('zero-deploy-permissions'), ['-p', schema], { env, stdio: 'pipe' })
  const server = spawn(bin('zero-cache'), { env, stdio: ['ignore', 2, 2] })
  // Not SIGKILL: its workers are processes in groups of their own, and only it ends them.
  process.once('exit', () => server.kill('SIGTERM'))
  await answers(server, port)
  return {
    port,
    close: async () => {
      await end(server)
      rmSync(data, { recursive: true, force: true })
    },
  }
}

async function answers(server: ChildProcess, port: number): Promise<void> {
  const deadline = performance.now() + startDeadlineMs
  while (performance.now() < deadline && server.exitCode === null) {
    const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined)
    if (answer?.ok === true) return
    await new Promise((resolve) => setTimeout(resolve, pollEveryMs))
  }
  throw new Error('zero-cache did not answer')
}
