/**
 * Bytes on their way between a caller and the engine, at two paces: written as fast as they come,
 * read as fast as they go, in memory up to a bound and past it in a file without a name. So that
 * nobody who is slow holds the engine, which serves one at a time.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, open, unlink, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { DbError } from '../errors.js'

/** What a spool keeps in memory before it begins a file. */
const memoryBytesMax = 1024 * 1024
/** Read from the file at a time. */
const readBytes = 256 * 1024

export interface SpoolsOptions {
  /** Made when the first file is. */
  readonly folder: string
  /** Disk that all spools may take together. */
  readonly diskBytesMax: number
}

/** All spools of a server, which share the disk. */
export class Spools {
  readonly #options: SpoolsOptions
  #diskBytes = 0

  constructor(options: SpoolsOptions) {
    this.#options = options
  }

  /** Disk that is taken now. */
  get diskBytes(): number {
    return this.#diskBytes
  }

  open(): Spool {
    return new Spool(this)
  }

  /** Errors: OUT_OF_RESOURCES. */
  reserve(bytes: number): void {
    const { diskBytesMax } = this.#options
    if (this.#diskBytes + bytes > diskBytesMax)
      throw new DbError(
        'OUT_OF_RESOURCES',
        // As PostgreSQL says it of temp_file_limit.
        `temporary file size exceeds "http.copy_spool_bytes_max" (${Math.floor(diskBytesMax / 1024)}kB)`,
        { sqlState: '53400', hint: 'It bounds what waits for slow clients of all connections.' },
      )
    this.#diskBytes += bytes
  }

  release(bytes: number): void {
    this.#diskBytes -= bytes
  }

  /** A file that goes with its descriptor, whenever the process does. */
  async openFile(): Promise<FileHandle> {
    const { folder } = this.#options
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const path = join(folder, randomBytes(16).toString('hex'))
    const file = await open(path, 'wx+', 0o600)
    await unlink(path)
    return file
  }
}

export class Spool {
  readonly #spools: Spools
  /** Older than all that is in the file. */
  readonly #memory: Uint8Array[] = []
  #memoryBytes = 0
  #file: FileHandle | undefined
  #fileReadAt = 0
  #fileWrittenAt = 0
  /** Of what is in the file and not read: how long each write was, from `#nextLength` on. */
  #lengths: number[] = []
  #nextLength = 0
  #reserved = 0
  #ending: { readonly failure?: { readonly cause: unknown } } | undefined
  #isClosed = false
  /** Writes and the end of the file, one after the other. */
  #working: Promise<void> = Promise.resolve()
  #onChange: (() => void) | undefined

  constructor(spools: Spools) {
    this.#spools = spools
  }

  /**
   * Takes the bytes, which are its own from now on. One writer. `following`: so many more belong to
   * them, and there is room for all or none. Errors: OUT_OF_RESOURCES, DISK_FULL, CANCELLED when it is closed.
   */
  async write(bytes: Uint8Array, following = 0): Promise<void> {
    if (this.#isClosed) throw new DbError('CANCELLED', 'nobody reads this any more')
    const isInMemory =
      !this.#hasUnreadFile && this.#memoryBytes + bytes.length + following <= memoryBytesMax
    if (isInMemory) {
      this.#memory.push(bytes)
      this.#memoryBytes += bytes.length
    } else await this.#inTurn(() => this.#writeFile(bytes, following))
    this.#onChange?.()
  }

  /** All has been written. */
  end(): void {
    this.#ending ??= {}
    this.#onChange?.()
  }

  /** Whoever reads gets the error, before what they have not read yet. */
  fail(cause: unknown): void {
    this.#ending = { failure: { cause } }
    this.#onChange?.()
  }

  /**
   * What was written, in order, until `end`: what was written together stays together. One reader.
   * Throws what `fail` was told.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const change = this.#nextChange()
      const ending = this.#ending
      if (ending?.failure !== undefined) throw ending.failure.cause
      const piece = await this.#next()
      if (piece !== undefined) yield piece
      else if (this.#isClosed || ending !== undefined) return
      else await change
    }
  }

  /** Gives back all it holds. Safe twice. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#memory.length = 0
    this.#lengths = []
    this.#onChange?.()
    await this.#inTurn(async () => {
      this.#spools.release(this.#reserved)
      this.#reserved = 0
      await this.#file?.close()
      this.#file = undefined
    })
  }

  get #hasUnreadFile(): boolean {
    return this.#fileReadAt < this.#fileWrittenAt
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => {
      this.#onChange = resolve
    })
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#working.then(work)
    this.#working = done.then(
      () => undefined,
      () => undefined,
    )
    return done
  }

  async #writeFile(bytes: Uint8Array, following: number): Promise<void> {
    if (this.#isClosed) throw new DbError('CANCELLED', 'nobody reads this any more')
    const end = this.#fileWrittenAt + bytes.length
    if (end + following > this.#reserved) {
      this.#spools.reserve(end + following - this.#reserved)
      this.#reserved = end + following
    }
    try {
      this.#file ??= await this.#spools.openFile()
      for (let at = 0; at < bytes.length;) {
        const { bytesWritten } = await this.#file.write(
          bytes.subarray(at),
          0,
          null,
          this.#fileWrittenAt + at,
        )
        at += bytesWritten
      }
    } catch (cause) {
      throw diskError(cause)
    }
    this.#fileWrittenAt = end
    this.#lengths.push(bytes.length)
  }

  async #next(): Promise<Uint8Array | undefined> {
    const piece = this.#memory.shift()
    if (piece !== undefined) {
      this.#memoryBytes -= piece.length
      return piece
    }
    return this.#hasUnreadFile ? this.#inTurn(() => this.#readFile()) : undefined
  }

  async #readFile(): Promise<Uint8Array | undefined> {
    const file = this.#file
    if (file === undefined) return undefined
    const length = this.#takeLengths()
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length;) {
      const { bytesRead } = await file.read(bytes, at, length - at, this.#fileReadAt + at)
      if (bytesRead === 0) throw new Error('assertion failed: what was written can be read')
      at += bytesRead
    }
    this.#fileReadAt += length
    // All is read: the next bytes go over the old ones.
    if (!this.#hasUnreadFile) this.#fileReadAt = this.#fileWrittenAt = 0
    return bytes
  }

  /** How long the next piece is: whole writes, one at least. */
  #takeLengths(): number {
    let bytes = 0
    while (this.#nextLength < this.#lengths.length) {
      const length = this.#lengths[this.#nextLength] ?? 0
      if (bytes > 0 && bytes + length > readBytes) break
      bytes += length
      this.#nextLength += 1
    }
    if (this.#nextLength === this.#lengths.length) {
      this.#lengths = []
      this.#nextLength = 0
    }
    return bytes
  }
}

function diskError(cause: unknown): DbError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new DbError(
      'DISK_FULL',
      'could not write to file: No space left on device',
      {},
      { cause },
    )
  return new DbError('INTERNAL', 'the spool file cannot be written', {}, { cause })
}
