/**
 * The folder's lock as the thread that writes sees it. An owner that stood still (a paused container)
 * may have lost it to a server in another one, before its heart beats again. So it looks at each
 * sync, before anything is answered, and before a write if it has not looked for a while: what it
 * has answered was on the disk before another could open the folder.
 */
import * as fs from 'node:fs'
import type { Disk } from './disk.js'

/** Shorter than an owner must stand still to lose its lock. */
const lookAgainMs = 1_000

export class HeldLock {
  readonly #file: string
  /** Stays open, so that no other file can have its number. */
  readonly #inode: number
  readonly #now: () => number
  #heldAtMs: number

  /** `now` in ms, of a clock that nobody sets. Errors: Error if the lock is another's. */
  constructor(
    { file, ownerId }: { readonly file: string; readonly ownerId: string },
    now: () => number,
  ) {
    const fd = fs.openSync(file, 'r')
    const owner = JSON.parse(fs.readFileSync(fd, 'utf8')) as { readonly id: string }
    if (owner.id !== ownerId) throw lockLost()
    this.#file = file
    this.#inode = fs.fstatSync(fd).ino
    this.#now = now
    this.#heldAtMs = now()
  }

  /** Costs a look at the file, 2 µs. */
  isHeld(): boolean {
    const nowMs = this.#now()
    if (fs.statSync(this.#file, { throwIfNoEntry: false })?.ino !== this.#inode) return false
    this.#heldAtMs = nowMs
    return true
  }

  /** Looks only if that was not done for so long that another may have taken it. */
  wasHeldLately(): boolean {
    return this.#now() - this.#heldAtMs < lookAgainMs || this.isHeld()
  }
}

/** A disk that writes, and tells of what is durable, only for who holds the lock. */
export function lockedDisk(disk: Disk, lock: HeldLock): Disk {
  return {
    write: (file, buffer, offset, length, position) => {
      if (!lock.wasHeldLately()) throw lockLost()
      return disk.write(file, buffer, offset, length, position)
    },
    datasync: (file, done) => {
      disk.datasync(file, (error) => done(error ?? (lock.isHeld() ? null : lockLost())))
    },
    datasyncSync: (file) => {
      disk.datasyncSync(file)
      if (!lock.isHeld()) throw lockLost()
    },
    syncSync: (file) => disk.syncSync(file),
    truncated: (path, sizeBytes) => disk.truncated(path, sizeBytes),
    renamed: (from, to) => disk.renamed(from, to),
    removed: (path) => disk.removed(path),
    created: (path, isFolder) => disk.created(path, isFolder),
  }
}

/** As a disk that fails: PostgreSQL ends the transaction, and the engine itself. */
function lockLost(): Error {
  return Object.assign(new Error('EIO: the folder lock was lost'), { code: 'EIO' })
}
