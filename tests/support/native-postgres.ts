/**
 * A throw-away PostgreSQL from the machine's own packages (Debian: `postgresql`), for comparing
 * with. Unix socket only, no durability, no autovacuum; the first start in a machine's life runs
 * initdb into a template in the temporary folder, later ones copy it.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

export interface NativePostgres {
  /** What `pg` takes as `host`: the folder of the socket. */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly database: string
  /** `15.18`. */
  readonly version: string
  close(): Promise<void>
}

export interface NativePostgresOptions {
  /** `postgresql.conf` settings on top of ours. */
  readonly settings?: Readonly<Record<string, string>>
}

/**
 * Why there is none to start, in one line; `undefined` when there is. With `CI` set a missing one
 * is not excused: opening it then fails, and with it the test.
 */
export function nativePostgresMissing(): string | undefined {
  if (process.env['CI'] !== undefined || findBinaries() !== undefined) return undefined
  return 'no native PostgreSQL on this machine (Debian: apt-get install postgresql)'
}

/** `15.18`; undefined when there is none. */
export function nativePostgresVersion(): string | undefined {
  const binaries = findBinaries()
  return binaries && versionOf(binaries)
}

/** The program of Debian's packages; undefined when there are none. */
export function nativeProgram(name: string): string | undefined {
  const binaries = findBinaries()
  const path = binaries && join(binaries, name)
  return path !== undefined && existsSync(path) ? path : undefined
}

/** Starts one. The caller closes it; if the caller dies, it ends by itself. */
export async function openNativePostgres(
  options: NativePostgresOptions = {},
): Promise<NativePostgres> {
  const binaries = findBinaries()
  if (binaries === undefined)
    throw new Error('no native PostgreSQL; install the package postgresql')
  const owner = serverAccount()
  const version = versionOf(binaries)
  const folder = temporaryFolder('kalamdb-native-', owner)
  copyTemplate({ binaries, version, owner, target: join(folder, 'data') })
  const server = startServer({ binaries, folder, owner, settings: options.settings ?? {} })
  await acceptsConnections(server)
  return {
    host: folder,
    port: Number(options.settings?.['port'] ?? socketPort),
    user: 'postgres',
    database: 'postgres',
    version,
    close: () => stopServer(server),
  }
}

/** Only part of the socket's name: each server has its own folder. */
const socketPort = 5432

/** Ends with its starter: when stdin closes, the server is killed and the folder removed. */
const guardScript =
  'folder=$1; shift; "$@" & server=$!; cat >/dev/null; kill -QUIT $server; wait $server; rm -rf "$folder"'

/** A settings list for a server whose data nobody will miss. */
const throwAwaySettings = {
  listen_addresses: '',
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  autovacuum: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  max_connections: '100',
}

/** The account that runs the server; PostgreSQL refuses to run as root. */
interface Account {
  readonly uid: number
  readonly gid: number
}

/** The folder that holds initdb and postgres: the newest of Debian's, else the one on PATH. */
function findBinaries(): string | undefined {
  const debian = '/usr/lib/postgresql'
  const majors = existsSync(debian) ? readdirSync(debian) : []
  const folders = [
    ...majors.sort((a, b) => Number(b) - Number(a)).map((major) => join(debian, major, 'bin')),
    ...(process.env['PATH'] ?? '').split(delimiter),
  ]
  return folders.find((folder) => existsSync(join(folder, 'initdb')))
}

function versionOf(binaries: string): string {
  const text = execFileSync(join(binaries, 'postgres'), ['--version'], { encoding: 'utf8' })
  return /\d+(\.\d+)*/.exec(text)?.[0] ?? 'unknown'
}

function serverAccount(): Account {
  const uid = process.getuid?.() ?? 0
  if (uid !== 0) return { uid, gid: process.getgid?.() ?? 0 }
  return { uid: accountNumber('-u'), gid: accountNumber('-g') }
}

function accountNumber(which: '-u' | '-g'): number {
  return Number(execFileSync('id', [which, 'postgres'], { encoding: 'utf8' }))
}

function temporaryFolder(prefix: string, owner: Account): string {
  const folder = mkdtempSync(join(tmpdir(), prefix))
  chownSync(folder, owner.uid, owner.gid)
  return folder
}

interface CopyOptions {
  readonly binaries: string
  readonly version: string
  readonly owner: Account
  readonly target: string
}

function copyTemplate({ binaries, version, owner, target }: CopyOptions): void {
  const template = join(tmpdir(), `kalamdb-initdb-${version}-${owner.uid}`)
  if (!existsSync(template)) makeTemplate({ binaries, template, owner })
  // The name can be guessed: a folder that somebody else put there is not ours to run.
  if (statSync(template).uid !== owner.uid) throw new Error(`${template} belongs to someone else`)
  execFileSync('cp', ['-a', template, target], { ...owner, stdio: 'pipe' })
}

/** initdb with PGlite's locale (its database is C / C.UTF-8), so that texts sort alike. */
function makeTemplate(at: { binaries: string; template: string; owner: Account }): void {
  const work = temporaryFolder('kalamdb-initdb-', at.owner)
  const fresh = join(work, 'data')
  const flags = ['--auth=trust', '--username=postgres', '--encoding=UTF8', '--no-sync']
  const locale = ['--locale=C.UTF-8', '--lc-collate=C', '--lc-messages=C']
  execFileSync(join(at.binaries, 'initdb'), ['-D', fresh, ...flags, ...locale], {
    ...at.owner,
    cwd: work,
    stdio: 'pipe',
  })
  try {
    renameSync(fresh, at.template)
  } catch (error) {
    // Another process made it first: theirs is as good.
    if (!existsSync(at.template)) throw error
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

interface StartOptions {
  readonly binaries: string
  readonly folder: string
  readonly owner: Account
  readonly settings: Readonly<Record<string, string>>
}

function startServer({ binaries, folder, owner, settings }: StartOptions): ChildProcess {
  const all = { ...throwAwaySettings, unix_socket_directories: folder, ...settings }
  const flags = Object.entries(all).flatMap(([key, value]) => ['-c', `${key}=${value}`])
  const command = [join(binaries, 'postgres'), '-D', join(folder, 'data'), ...flags]
  return spawn('sh', ['-c', guardScript, 'guard', folder, ...command], {
    ...owner,
    cwd: folder,
    detached: true,
    stdio: ['pipe', 'ignore', 'pipe'],
  })
}

const startDeadlineMs = 30_000

/** Waits for the log line that says so. */
async function acceptsConnections(server: ChildProcess): Promise<void> {
  const deadline = AbortSignal.timeout(startDeadlineMs)
  let log = ''
  while (!log.includes('database system is ready to accept connections')) {
    if (server.exitCode !== null || server.stderr === null) throw new Error(`it ended:\n${log}`)
    const read = once(server.stderr, 'data', { signal: deadline })
    const ended = once(server, 'exit', { signal: deadline }).then(() => [''])
    const [piece]: unknown[] = await Promise.race([read, ended]).catch((cause: unknown) => {
      throw new Error(`native PostgreSQL did not start:\n${log}`, { cause })
    })
    log += String(piece)
  }
  server.stderr?.resume()
}

async function stopServer(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null) return
  const ended = once(server, 'exit')
  server.stdin?.end()
  await ended
}
