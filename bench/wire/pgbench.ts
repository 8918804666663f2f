/** Debian's pgbench against a server: one timed run, or the reason why there is none. */
import { spawn } from 'node:child_process'
import { nativeProgram } from '../../tests/support/native-postgres.js'

export interface Address {
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

/** `tpcb`: a transaction of five statements and a write to each table; `select`: one point read. */
export type Workload = 'select' | 'tpcb'

export type QueryMode = 'simple' | 'extended' | 'prepared'

export interface Load {
  readonly workload: Workload
  readonly mode: QueryMode
  readonly connections: number
}

/** How fast and how many transactions, or why pgbench gave up. */
export type Run =
  | { readonly kind: 'ran'; readonly tps: number; readonly transactions: number }
  | { readonly kind: 'failed'; readonly reason: string }

/** Undefined when there is none on this machine. */
export function findPgbench(): string | undefined {
  return nativeProgram('pgbench')
}

/**
 * pgbench's tables at scale 1, of 100,000 accounts. The rows are made by the server: some peers
 * cannot take them by COPY. Rejects with what pgbench said.
 */
export async function createTables(pgbench: string, address: Address): Promise<void> {
  const flags = ['--initialize', '--init-steps=dtGvp', '--scale=1']
  const { code, said } = await call({ pgbench, address, flags, deadlineMs: 60_000 })
  if (code !== 0) throw new Error(`pgbench -i: ${said.trim()}`)
}

/** A thread for each connection: those of one thread wait for each other's transactions. */
export async function runPgbench(
  pgbench: string,
  address: Address,
  { workload, mode, connections, seconds }: Load & { readonly seconds: number },
): Promise<Run> {
  const script = workload === 'tpcb' ? ['--builtin=tpcb-like'] : ['--select-only', '--no-vacuum']
  const flags = [
    ...[...script, `--protocol=${mode}`, `--client=${connections}`, `--jobs=${connections}`],
    `--time=${seconds}`,
  ]
  const deadlineMs = seconds * 1_000 + overrunMs
  const { code, said } = await call({ pgbench, address, flags, deadlineMs })
  const tps = Number(/^tps = ([\d.]+)/m.exec(said)?.[1] ?? NaN)
  const transactions = Number(/actually processed: (\d+)/.exec(said)?.[1] ?? NaN)
  const error = errorIn(said)
  if (code === 0 && error === undefined && tps > 0) return { kind: 'ran', tps, transactions }
  return { kind: 'failed', reason: error ?? (code === undefined ? 'hangs' : `exit code ${code}`) }
}

/** Connecting, a last slow transaction; after it a run is taken to hang. */
const overrunMs = 8_000

/** A run in which a client gave up ends well for pgbench, with fewer clients. */
function errorIn(said: string): string | undefined {
  const line = /^pgbench: error: (.*)$/m.exec(said)?.[1] ?? /^(.*ERROR:.*)$/m.exec(said)?.[1]
  return line?.slice(0, 100)
}

interface Call {
  readonly pgbench: string
  readonly address: Address
  readonly flags: readonly string[]
  readonly deadlineMs: number
}

/** What it said, on either stream. Without a code: it was ended at its deadline. */
function call({ pgbench, address, flags, deadlineMs }: Call): Promise<{
  readonly code: number | undefined
  readonly said: string
}> {
  const child = spawn(pgbench, [...flags, address.database], {
    env: {
      PATH: process.env['PATH'],
      PGHOST: '127.0.0.1',
      PGPORT: String(address.port),
      PGUSER: address.user,
      PGPASSWORD: address.password,
      PGSSLMODE: 'disable',
      PGCONNECT_TIMEOUT: '5',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  const read = (piece: Buffer) => (said += piece.toString())
  child.stdout.on('data', read)
  child.stderr.on('data', read)
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs)
    child.once('error', reject)
    child.once('close', (code) => {
      clearTimeout(timer)
      resolve({ code: code ?? undefined, said })
    })
  })
}
