/**
 * One server per data folder. Two PGlites on one folder silently lose rows (facts: PGlite writes a
 * pid file and never reads it), so a lock file is taken before anything is opened.
 *
 * The file holds who has it: pid, the process's start time (a pid alone is used again), host and
 * pid namespace. In the same namespace that decides. From another container or host the pid means
 * nothing; there the owner's heartbeat, the file's modification time, decides.
 * An owner that stood still for longer is taken for dead: `held-lock.ts` keeps it from going on.
 */
import * as fs from 'node:fs'
import { randomUUID } from 'node:crypto'
import * as os from 'node:os'
import * as path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { DbError } from '../../errors.js'
import { bootId } from './boot-id.js'

const lockName = 'kalam.lock'
const heartbeatMs = 1_000
/** An owner that another container cannot see is alive if its heart beats within this time. */
const foreignPatienceMs = 3_500
/** How long a process that was killed may take to be gone. */
const dyingPatienceMs = 500

interface Owner {
  readonly id: string
  readonly pid: number
  readonly startedAt: string
  readonly host: string
  readonly pidNamespace: string
}

export interface FolderLock {
  readonly file: string
  /** Who has it, as the file says. */
  readonly ownerId: string
  /** Looks now; `onLost` is told as well if not. */
  isHeld(): boolean
  /** Frees the folder. Safe twice. */
  release(): void
}

/**
 * Locks `folder` or says who has it. `onLost`: the file was taken away or replaced; the holder must
 * stop using the folder at once. Errors: DATA_FOLDER.
 */
export async function lockFolder(folder: string, onLost: () => void): Promise<FolderLock> {
  const file = path.join(folder, lockName)
  const owner = thisOwner()
  for (let tries = 0; ; tries++) {
    if (createLock(file, owner)) break
    const present = readOwner(file)
    if (present === undefined && tries < 10) continue
    if (present === undefined || (await isAlive(file, present))) throw lockedError(folder, present)
    takeAway(file, present)
  }
  return holdLock(file, owner, onLost)
}

function holdLock(file: string, owner: Owner, onLost: () => void): FolderLock {
  let held = true
  const isHeld = (): boolean => {
    if (!held || keepsLock(file, owner)) return held
    clearInterval(beat)
    held = false
    onLost()
    return false
  }
  const beat = setInterval(isHeld, heartbeatMs)
  beat.unref()
  return {
    ...{ file, ownerId: owner.id, isHeld },
    release() {
      if (!held) return
      held = false
      clearInterval(beat)
      if (readOwner(file)?.id === owner.id) fs.rmSync(file, { force: true })
    },
  }
}

/** Lets the heart beat. False if the file is gone or another's; that it cannot be read says nothing. */
function keepsLock(file: string, owner: Owner): boolean {
  try {
    const present = JSON.parse(fs.readFileSync(file, 'utf8')) as Owner
    if (present.id !== owner.id) return false
  } catch (cause) {
    // Without free descriptors (EMFILE) nothing can be read for a while.
    if (cause instanceof SyntaxError || isMissing(cause)) return false
  }
  try {
    const now = new Date()
    fs.utimesSync(file, now, now)
    return true
  } catch (cause) {
    return !isMissing(cause)
  }
}

function isMissing(cause: unknown): boolean {
  return (cause as NodeJS.ErrnoException).code === 'ENOENT'
}

/** Written whole and then linked, so that nobody reads half an owner. */
function createLock(file: string, owner: Owner): boolean {
  const draft = `${file}.${owner.id}`
  fs.writeFileSync(draft, JSON.stringify(owner), { flag: 'wx', mode: 0o600 })
  try {
    fs.linkSync(draft, file)
    return true
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw cause
  } finally {
    fs.rmSync(draft, { force: true })
  }
}

/** Moves a dead owner's lock aside; if someone was quicker, theirs is put back. */
function takeAway(file: string, dead: Owner): void {
  const aside = `${file}.${dead.id}.stale`
  try {
    fs.renameSync(file, aside)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return
    throw cause
  }
  if (readOwner(aside)?.id !== dead.id) fs.linkSync(aside, file)
  fs.rmSync(aside, { force: true })
}

async function isAlive(file: string, owner: Owner): Promise<boolean> {
  const here = thisOwner()
  if (owner.host === here.host && owner.pidNamespace === here.pidNamespace) return runsOn(owner)
  const before = modifiedAt(file)
  await wait(foreignPatienceMs)
  return modifiedAt(file) !== before
}

/** A killed process is there for a moment longer: a supervisor may be quicker than its end. */
async function runsOn(owner: Owner): Promise<boolean> {
  const until = performance.now() + dyingPatienceMs
  while (startTime(owner.pid) === owner.startedAt) {
    if (performance.now() > until) return true
    await wait(20)
  }
  return false
}

function modifiedAt(file: string): number {
  return fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

function readOwner(file: string): Owner | undefined {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')) as Owner
  } catch {
    return undefined
  }
}

function thisOwner(): Owner {
  return {
    id: randomUUID(),
    pid: process.pid,
    startedAt: startTime(process.pid) ?? '',
    host: `${os.hostname()} ${bootId()}`,
    pidNamespace: linkTarget('/proc/self/ns/pid'),
  }
}

/** When a process began, as the system counts it; undefined if there is no such process. */
function startTime(pid: number): string | undefined {
  try {
    // proc(5): the state is field 3, the start time field 22; they follow the name in parentheses.
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
  } catch {
    return fs.existsSync('/proc/self/stat') ? undefined : aliveWithoutProc(pid)
  }
}

function aliveWithoutProc(pid: number): string | undefined {
  try {
    process.kill(pid, 0)
    return 'unknown'
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM' ? 'unknown' : undefined
  }
}

function linkTarget(file: string): string {
  try {
    return fs.readlinkSync(file)
  } catch {
    return ''
  }
}

function lockedError(folder: string, owner: Owner | undefined): DbError {
  const by =
    owner === undefined ? 'another server' : `a server with pid ${owner.pid} on ${owner.host}`
  return new DbError('DATA_FOLDER', `the data folder ${folder} is in use by ${by}`, {
    hint: 'stop that server, or choose another folder with server.data_dir',
  })
}
