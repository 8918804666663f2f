/**
 * Group commit. PostgreSQL asks for an fsync of the WAL at each commit; doing it there would block
 * the one backend for a disk's latency each time. Instead the request is noted, the answers of all
 * units that depend on it are held back, and one fdatasync off the thread covers them all.
 *
 *   mark ──► dirty ──► (start) syncing ──► synced: answers up to that mark may leave
 *
 * Two rules keep PostgreSQL's contract: no byte of a data file is written while WAL that PostgreSQL
 * believes synced is not (WAL before data), and an error of a sync is final: after it the kernel
 * may have dropped the pages (fsyncgate), so nothing is tried again and the engine dies.
 */
import type { Disk, OpenFile } from './disk.js'

export interface WalSyncEvents {
  /** Everything marked up to `mark` is durable. */
  synced(mark: number, micros: number): void
  failed(cause: Error): void
}

export class WalSync {
  readonly #disk: Disk
  readonly #events: WalSyncEvents
  readonly #open: (path: string) => number
  readonly #close: (fd: number) => void
  /** Our own descriptors: PostgreSQL closes its segment while a sync may still run on it. */
  readonly #segments = new Map<string, Segment>()
  readonly #dirty = new Set<Segment>()
  #mark = 0
  #syncedMark = 0
  #syncing = false
  #failed = false

  constructor(options: {
    disk: Disk
    events: WalSyncEvents
    open: (path: string) => number
    close: (fd: number) => void
  }) {
    this.#disk = options.disk
    this.#events = options.events
    this.#open = options.open
    this.#close = options.close
  }

  /** The newest mark: what is answered now depends on all up to it. */
  get mark(): number {
    return this.#mark
  }

  get syncedMark(): number {
    return this.#syncedMark
  }

  get isDirty(): boolean {
    return this.#dirty.size > 0
  }

  /** PostgreSQL asked to sync this WAL segment. */
  request(path: string): void {
    this.#dirty.add(this.#segment(path))
    this.#mark += 1
  }

  /** Starts a sync of all that is dirty, unless one runs; `events` tells of its end. */
  start(): void {
    if (this.#syncing || this.#failed || this.#dirty.size === 0) return
    this.#syncing = true
    const mark = this.#mark
    const segments = [...this.#dirty]
    this.#dirty.clear()
    const startedAt = performance.now()
    let left = segments.length
    for (const segment of segments) {
      segment.users += 1
      this.#disk.datasync(segment.file, (error) => {
        this.#release(segment)
        if (error !== null) this.#fail(error)
        if (--left > 0) return
        this.#syncing = false
        if (this.#failed) return
        this.#syncedMark = Math.max(this.#syncedMark, mark)
        this.#events.synced(this.#syncedMark, (performance.now() - startedAt) * 1000)
      })
    }
  }

  /**
   * Makes all marked WAL durable now, blocking: before a data file is written or a segment goes.
   * What an asynchronous sync has under way is synced again, since its end is not known yet.
   */
  flushNow(): void {
    if (this.#syncedMark === this.#mark) return
    const inFlight = [...this.#segments.values()].filter((segment) => segment.users > 1)
    try {
      for (const segment of new Set([...this.#dirty, ...inFlight]))
        this.#disk.datasyncSync(segment.file)
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause))
      this.#fail(error)
      throw error
    }
    this.#dirty.clear()
    this.#syncedMark = this.#mark
  }

  /** The segment is renamed or removed: sync it, then forget our descriptor. */
  forget(path: string): void {
    const segment = this.#segments.get(path)
    if (segment === undefined) return
    if (this.#dirty.has(segment) || segment.users > 1) this.flushNow()
    this.#segments.delete(path)
    this.#release(segment)
  }

  closeAll(): void {
    this.flushNow()
    for (const path of [...this.#segments.keys()]) this.forget(path)
  }

  #segment(path: string): Segment {
    const known = this.#segments.get(path)
    if (known !== undefined) return known
    // PostgreSQL writes one segment at a time; older ones are only kept while they are dirty.
    for (const [oldPath, old] of this.#segments)
      if (!this.#dirty.has(old) && old.users === 1) this.forget(oldPath)
    const segment = { file: { fd: this.#open(path), path }, users: 1 }
    this.#segments.set(path, segment)
    return segment
  }

  #release(segment: Segment): void {
    segment.users -= 1
    if (segment.users === 0) this.#close(segment.file.fd)
  }

  #fail(error: Error): void {
    if (this.#failed) return
    this.#failed = true
    this.#events.failed(error)
  }
}

interface Segment {
  readonly file: OpenFile
  /** One for the map, one for each sync under way. */
  users: number
}
