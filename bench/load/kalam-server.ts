/** `kalam serve` as shipped, in a process and a folder of its own. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** When a write is acknowledged: `fsync` after it survives a power cut, `os` after the write call. */
export type Durability = 'fsync' | 'os'

export interface KalamOptions {
  readonly durability: Durability
  /** Where the server writes its CPU profiles at its end. */
  readonly profileFolder?: string | undefined
  /** Other settings, as variables. */
  readonly variables?: Readonly<Record<string, string>>
}

export interface KalamServer {
  readonly port: number
  /** Of an admin. */
  readonly adminKey: string
  /** Runs SQL and rejects with the server's own words. */
  ask(sql: string, key?: string): Promise<KalamAnswer>
  /** Resident memory of the process, in bytes. */
  residentBytes(): number
  /** Processor time that the process has used. */
  processorMs(): number
  close(): Promise<void>
}

export interface KalamAnswer {
  readonly results: readonly { readonly rows: readonly Readonly<Record<string, unknown>>[] }[]
}

export const repository = new URL('../../../', import.meta.url)

export async function startKalam(options: KalamOptions): Promise<KalamServer> {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-bench-'))
  const port = await freePort()
  const server = spawnKalam(folder, port, options)
  await answersReady(server, port)
  const adminKey = readFileSync(join(folder, 'data', 'admin.token'), 'utf8').trim()
  return {
    port,
    adminKey,
    ask: (sql, key = adminKey) => askKalam(port, key, sql),
    residentBytes: () => residentBytesOf(server),
    processorMs: () => processorMsOf(server),
    close: async () => {
      await end(server)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A new user of the role `user`; returns the API key. */
export async function createUser(server: KalamServer, name: string): Promise<string> {
  const created = await server.ask(`CREATE USER '${name}' ROLE user`)
  const apiKey = created.results[0]?.rows[0]?.['apikey']
  if (typeof apiKey !== 'string') throw new Error('CREATE USER returned no key')
  return apiKey
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
      ...options.variables,
    },
    stdio: ['ignore', 2, 2],
  })
  endWithBench(server)
  return server
}

/** A bench that fails half-way leaves nobody behind. */
export function endWithBench(child: ChildProcess): void {
  process.once('exit', () => child.kill('SIGKILL'))
}

async function askKalam(port: number, key: string, sql: string): Promise<KalamAnswer> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/api/sql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': key },
    body: JSON.stringify({ sql }),
  })
  if (!response.ok) throw new Error(`HTTP ${response.status}: ${await response.text()}\n${sql}`)
  return (await response.json()) as KalamAnswer
}

export const startDeadlineMs = 60_000
export const pollEveryMs = 50

async function answersReady(server: ChildProcess, port: number): Promise<void> {
  const deadline = performance.now() + startDeadlineMs
  while (performance.now() < deadline && server.exitCode === null) {
    const ready = await fetch(`http://127.0.0.1:${port}/ready`).catch(() => undefined)
    if (ready?.ok === true) return
    await new Promise((resolve) => setTimeout(resolve, pollEveryMs))
  }
  throw new Error('kalam serve did not become ready')
}

/** Linux only: elsewhere there is no cheap way, and NaN says so. */
function residentBytesOf({ pid }: ChildProcess): number {
  if (process.platform !== 'linux' || pid === undefined) return NaN
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024
}

/** Linux only, as above: user and system time, in ticks of 10 ms. */
export function processorMsOf({ pid }: ChildProcess): number {
  if (process.platform !== 'linux' || pid === undefined) return NaN
  const status = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = status.slice(status.lastIndexOf(') ') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
