/**
 * The data folder: what is in it, and its first making. PGlite's initdb runs in a process of its
 * own (it takes 800 MB once) into a folder that gets its name only when all of it is on the disk,
 * so a crash leaves nothing half made.
 */
import { execFile } from 'node:child_process'
import * as fs from 'node:fs'
import * as path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { DbError } from '../../errors.js'
import { syncPath, syncTree } from './sync-tree.js'

const databaseName = 'pgdata'
/** Major version of the PostgreSQL inside PGlite 0.5. */
const postgresMajor = '18'
const initialiseTimeoutMs = 120_000

/** Made if it is not there, and then on the disk by its name. Errors: DATA_FOLDER. */
export async function createDataFolder(folder: string): Promise<void> {
  try {
    const outermost = fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
    if (outermost !== undefined) await syncNames(path.resolve(folder), path.resolve(outermost))
    fs.accessSync(folder, neededAccess)
    const database = path.join(folder, databaseName)
    if (fs.existsSync(database)) fs.accessSync(database, neededAccess)
  } catch (cause) {
    throw folderError(folder, cause)
  }
}

/** A folder that was made is there after a power cut if those that list it, and those outside, are. */
async function syncNames(folder: string, outermost: string): Promise<void> {
  for (let made = folder; made.length >= outermost.length; made = path.dirname(made))
    await syncPath(path.dirname(made)).catch(passUnreadable)
}

/** A folder that one may write to and not read cannot be synced. */
function passUnreadable(cause: unknown): void {
  if ((cause as NodeJS.ErrnoException).code !== 'EACCES') throw cause
}

const neededAccess = fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK

/** The database inside `folder`, made if it is not there. The folder must be locked. Errors: DATA_FOLDER. */
export async function openDatabaseFolder(folder: string): Promise<string> {
  const database = path.join(folder, databaseName)
  removeUnfinished(folder)
  if (!fs.existsSync(database)) await initialise(folder, database)
  const major = fs.readFileSync(path.join(database, 'PG_VERSION'), 'utf8').trim()
  if (major !== postgresMajor)
    throw new DbError(
      'DATA_FOLDER',
      `${database} was made by PostgreSQL ${major}; this server brings ${postgresMajor}`,
      { hint: 'export it with the server that made it and import it here' },
    )
  return database
}

/**
 * Removes what an ended engine left: files of sorts and streams, which PostgreSQL's postmaster would, and PGlite has
 * none; and PostgreSQL's own lock. Who was killed while writing that left it empty, and with such a one
 * PostgreSQL never starts. Nothing may have the database open.
 */
export function removeLeftovers(database: string): void {
  fs.rmSync(path.join(database, 'base', 'pgsql_tmp'), { recursive: true, force: true })
  fs.rmSync(path.join(database, 'postmaster.pid'), { force: true })
}

async function initialise(folder: string, database: string): Promise<void> {
  const unfinished = path.join(folder, `${databaseName}.new-${process.pid}`)
  const script = fileURLToPath(new URL('./initialise.js', import.meta.url))
  try {
    await promisify(execFile)(process.execPath, [script, unfinished], {
      timeout: initialiseTimeoutMs,
    })
    await syncTree(unfinished)
    fs.renameSync(unfinished, database)
    await syncPath(folder)
  } catch (cause) {
    fs.rmSync(unfinished, { recursive: true, force: true })
    throw folderError(folder, cause)
  }
}

function removeUnfinished(folder: string): void {
  for (const name of fs.readdirSync(folder))
    if (name.startsWith(`${databaseName}.new-`))
      fs.rmSync(path.join(folder, name), { recursive: true, force: true })
}

function folderError(folder: string, cause: unknown): DbError {
  if (cause instanceof DbError) return cause
  const refusal = refusalOf(folder)
  if (refusal !== undefined)
    return new DbError(
      'DATA_FOLDER',
      `the data folder ${folder} cannot be written: ${refusal}`,
      { hint: 'chown or chmod it, or choose another folder with server.data_dir' },
      { cause },
    )
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new DbError(
    'DATA_FOLDER',
    `the data folder ${folder} cannot be prepared: ${reason}`,
    {},
    { cause },
  )
}

/** What is in the way: the folder, the database in it, or the nearest folder above that is there. */
function refusalOf(folder: string): string | undefined {
  const places = [path.join(folder, databaseName), ...withParents(path.resolve(folder))]
  const place = places.find((each) => fs.existsSync(each)) ?? folder
  // Asked anew: of a file system that is read-only, mkdir may say that something is missing.
  for (const each of new Set([place, folder])) {
    const code = accessCode(each)
    if (code === 'EROFS') return `the file system of ${each} is read-only (EROFS)`
    if (code === 'EACCES' || code === 'EPERM') return refusedBy(each, code)
  }
  return undefined
}

function withParents(folder: string): readonly string[] {
  const parent = path.dirname(folder)
  return parent === folder ? [folder] : [folder, ...withParents(parent)]
}

function accessCode(place: string): string | undefined {
  try {
    fs.accessSync(place, neededAccess)
    return undefined
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code
  }
}

function refusedBy(place: string, code: string): string {
  const { uid, gid, mode } = fs.statSync(place)
  const owner = `belongs to uid ${uid}, gid ${gid} and has mode ${(mode & 0o777).toString(8)}`
  const caller = `uid ${process.getuid?.() ?? '?'}`
  return `${place} ${owner} (${code}); ${caller} needs read, write and search permission there`
}
