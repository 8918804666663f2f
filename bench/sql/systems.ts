/** Starts the systems under test, each in processes of its own, with the same tables and rows. */
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { nativePostgresMissing, openNativePostgres } from '../../tests/support/native-postgres.js'
import {
  createUser,
  end,
  endWithBench,
  pollEveryMs,
  startDeadlineMs,
  startKalam,
  type Durability,
  type KalamOptions,
} from '../load/kalam-server.js'
import { installPgliteSocket } from '../load/pglite-socket.js'
import type { PeerOptions } from './peer-server.js'
import { setupStatements } from './workloads.js'

export interface HttpSystem {
  readonly port: number
  readonly apiKey: string
  close(): Promise<void>
}

/** `kalam serve` as shipped, read and written by an ordinary user. */
export async function openKalam(options: KalamOptions): Promise<HttpSystem> {
  const server = await startKalam(options)
  for (const sql of setupStatements) await server.ask(sql)
  const apiKey = await createUser(server, 'bench')
  await server.ask('GRANT SELECT, UPDATE ON todo TO user')
  await server.ask('GRANT INSERT ON entry TO user')
  return { port: server.port, apiKey, close: () => server.close() }
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

async function appears(file: string, server: ChildProcess): Promise<void> {
  const deadline = performance.now() + startDeadlineMs
  while (!existsSync(file)) {
    if (server.exitCode !== null || performance.now() > deadline) throw new Error(`no ${file}`)
    await new Promise((resolve) => setTimeout(resolve, pollEveryMs))
  }
}
