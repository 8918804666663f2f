/** The servers that pgbench is pointed at, each in a process and, but for one, on the disk. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { nativePostgresMissing, openNativePostgres } from '../../tests/support/native-postgres.js'
import {
  end,
  endWithBench,
  freePort,
  pollEveryMs,
  processorMsOf,
  startDeadlineMs,
  startKalam,
  type Durability,
} from '../load/kalam-server.js'
import { installPgliteSocket } from '../load/pglite-socket.js'
import type { BenchOptions } from '../result.js'
import { createTables, type Address } from './pgbench.js'

export interface Contestant {
  readonly name: string
  readonly address: Address
  /** Processor time that the server has used; NaN where it is many processes. */
  processorMs(): number
  /** Drops what prepared statements a connection has left behind, where they outlive it. */
  forgetPrepared(): Promise<void>
  close(): Promise<void>
}

/** Opens it anew, with pgbench's tables. Rejects if it does not start. */
export type OpenContestant = () => Promise<Contestant>

export const kalamName = 'kalamdb'
/** As little safe as pglite-socket: a power cut may cost what was answered. */
export const unsyncedName = 'kalamdb, durability os'
export const socketName = 'pglite-socket'

/** Those that can be had here, KalamDB first; who is left out is told. */
export function contestants(
  pgbench: string,
  options: BenchOptions,
): ReadonlyMap<string, OpenContestant> {
  const { profileFolder, quick } = options
  const all = new Map<string, OpenContestant>()
  const add = (name: string, start: () => Promise<Started>) =>
    all.set(name, () => openWithTables(name, pgbench, start))
  add(kalamName, () => startWire('fsync', profileFolder))
  if (!quick) add(unsyncedName, () => startWire('os', undefined))
  const script = installPgliteSocket()
  if (script === undefined) options.say('left out: pglite-socket cannot be installed')
  else {
    add(socketName, () => startSocket(script, 'memory'))
    // As safe as in memory, and slower: of interest once.
    if (!quick) add(`${socketName}, files`, () => startSocket(script, 'files'))
  }
  const missing = nativePostgresMissing()
  if (missing === undefined) add('postgresql', startNative)
  else options.say(`left out: ${missing}`)
  return all
}

type Started = Omit<Contestant, 'name'>

async function openWithTables(
  name: string,
  pgbench: string,
  start: () => Promise<Started>,
): Promise<Contestant> {
  const started = await start()
  try {
    await createTables(pgbench, started.address)
    return { name, ...started }
  } catch (error) {
    await started.close()
    throw error
  }
}

/** `kalam serve` as shipped, with the wire on. */
async function startWire(
  durability: Durability,
  profileFolder: string | undefined,
): Promise<Started> {
  const port = await freePort()
  const server = await startKalam({
    ...{ durability, profileFolder },
    variables: {
      KALAMDB_POSTGRES_WIRE_ENABLED: 'true',
      KALAMDB_POSTGRES_WIRE_PORT: String(port),
    },
  })
  const address = { port, user: 'root', password: server.adminKey, database: 'kalamdb' }
  return {
    address,
    processorMs: () => server.processorMs(),
    forgetPrepared: () => Promise.resolve(),
    close: () => server.close(),
  }
}

/** PGlite's own socket server. In memory or in files, it syncs nothing. */
async function startSocket(script: string, kind: 'memory' | 'files'): Promise<Started> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-bench-pglite-'))
  const database = kind === 'memory' ? 'memory://' : join(folder, 'data')
  const flags = [`--db=${database}`, `--port=${port}`, '--host=127.0.0.1', '--max-connections=40']
  const server = spawn(process.execPath, [script, ...flags], { stdio: ['ignore', 'ignore', 2] })
  endWithBench(server)
  await takesConnections(port, server)
  const address = { port, user: 'postgres', password: 'postgres', database: 'postgres' }
  return {
    address,
    processorMs: () => processorMsOf(server),
    forgetPrepared: async () => {
      const client = new pg.Client({ ...address, host: '127.0.0.1' })
      await client.connect()
      await client.query('DEALLOCATE ALL')
      await client.end()
    },
    close: async () => {
      // It may be stuck.
      server.kill('SIGKILL')
      await end(server)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Debian's, as its package sets it up: synced, on the same disk. */
async function startNative(): Promise<Started> {
  const port = await freePort()
  const server = await openNativePostgres({
    settings: {
      ...{ listen_addresses: '127.0.0.1', port: String(port) },
      ...{ fsync: 'on', full_page_writes: 'on', synchronous_commit: 'on', autovacuum: 'on' },
    },
  })
  const { user, database } = server
  return {
    address: { port, user, database, password: '' },
    processorMs: () => NaN,
    forgetPrepared: () => Promise.resolve(),
    close: () => server.close(),
  }
}

async function takesConnections(port: number, server: ChildProcess): Promise<void> {
  const deadline = performance.now() + startDeadlineMs
  while (!(await canConnect(port))) {
    if (server.exitCode !== null || performance.now() > deadline)
      throw new Error('it did not start')
    await new Promise((resolve) => setTimeout(resolve, pollEveryMs))
  }
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
