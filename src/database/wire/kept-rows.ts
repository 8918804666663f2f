/**
 * Rows of a portal that the client takes in portions: all of them were made at once, and wait here
 * for the client, while the engine is others' (ADR 0021).
 */
import { backendTag } from '../../engine/backend-messages.js'
import { DbError } from '../../errors.js'
import type { Spool } from '../spool.js'
import { commandComplete, portalSuspended } from './server-messages.js'

const headerBytes = 5

/** How a portion ended. */
export type PortionEnd = 'more' | 'complete' | 'failed'

type Say = (bytes: Uint8Array, following: number) => undefined | Promise<void>

export class KeptRows {
  readonly #spool: Spool
  readonly #pieces: AsyncIterator<Uint8Array>
  readonly #idleMsMax: number
  #expiry: NodeJS.Timeout | undefined
  #isExpired = false
  #last: Uint8Array | undefined
  #tag = ''
  /** What was read and not said: it begins with a message, or goes on with a long one. */
  #piece: Uint8Array = noBytes
  /** So much of a long row is still to come. */
  #bodyLeft = 0

  /** `idleMsMax`: longest that they are kept between two portions. */
  constructor(spool: Spool, idleMsMax: number) {
    this.#spool = spool
    this.#idleMsMax = idleMsMax
    this.#pieces = spool[Symbol.asyncIterator]()
  }

  /** Takes messages; `following`: so many bytes of the last one are still to come. Errors: OUT_OF_RESOURCES, DISK_FULL. */
  send(bytes: Uint8Array, following = 0): Promise<void> {
    return this.#spool.write(bytes, following)
  }

  /** Takes what ends with an error: no more comes, and there is always room for it. */
  sendLast(bytes: Uint8Array): undefined {
    this.#last = bytes
  }

  /** All is here. */
  end(): void {
    this.#spool.end()
  }

  /** Gives back what it takes. Safe twice. */
  close(): Promise<void> {
    clearTimeout(this.#expiry)
    return this.#spool.close()
  }

  /** Says up to so many rows, and what follows them. Errors: QUERY_REJECTED if they are gone. */
  async say(rowsMax: number, say: Say): Promise<PortionEnd> {
    clearTimeout(this.#expiry)
    if (this.#isExpired) throw expired(this.#idleMsMax)
    const end = await this.#say(rowsMax, say)
    this.#expiry = setTimeout(() => this.#expire(), this.#idleMsMax).unref()
    return end
  }

  async #say(rowsMax: number, say: Say): Promise<PortionEnd> {
    let rowsSaid = 0
    while (rowsSaid < rowsMax || this.#bodyLeft > 0) {
      if (this.#piece.length === 0 && !(await this.#readOn())) return this.#complete(0, say)
      const { rows, bytes, tag, hasFailed } = this.#scan(rowsMax - rowsSaid)
      rowsSaid += rows
      if (bytes > 0) await say(this.#take(bytes), this.#bodyLeft)
      if (hasFailed === true) return 'failed'
      if (tag === undefined) continue
      this.#tag = tag
      this.#piece = noBytes
      return this.#complete(rowsSaid, say)
    }
    await say(portalSuspended, 0)
    return 'more'
  }

  #expire(): void {
    this.#isExpired = true
    // A file that cannot be closed goes with the process.
    this.close().catch(() => undefined)
  }

  /** The tag counts what was said just now. */
  async #complete(rows: number, say: Say): Promise<PortionEnd> {
    await say(commandComplete(this.#tag.replace(/\d+$/, String(rows))), 0)
    return 'complete'
  }

  async #readOn(): Promise<boolean> {
    const next = await this.#pieces.next()
    const piece = next.done === true ? this.#last : next.value
    if (next.done === true) this.#last = undefined
    this.#piece = piece ?? noBytes
    return piece !== undefined
  }

  #take(bytes: number): Uint8Array {
    const taken = this.#piece.subarray(0, bytes)
    this.#piece = this.#piece.subarray(bytes)
    return taken
  }

  /** How much of the piece may be said. */
  #scan(rowsMax: number): Scanned {
    const piece = Buffer.from(this.#piece.buffer, this.#piece.byteOffset, this.#piece.length)
    let rows = 0
    let at = Math.min(this.#bodyLeft, piece.length)
    this.#bodyLeft -= at
    while (at < piece.length && rows < rowsMax) {
      const end = at + 1 + piece.readInt32BE(at + 1)
      if (piece[at] === backendTag.commandComplete)
        return { rows, bytes: at, tag: piece.toString('utf8', at + headerBytes, end - 1) }
      if (piece[at] === backendTag.error) return { rows, bytes: end, hasFailed: true }
      if (piece[at] === backendTag.dataRow) rows += 1
      this.#bodyLeft = Math.max(0, end - piece.length)
      at = Math.min(end, piece.length)
    }
    return { rows, bytes: at }
  }
}

function expired(idleMsMax: number): DbError {
  const message = `the rows of the portal are gone: none was taken for ${idleMsMax} ms`
  return new DbError('QUERY_REJECTED', message, {
    ...{ sqlState: '34000', hint: 'http.stream_idle_timeout_ms is the bound' },
  })
}

interface Scanned {
  readonly rows: number
  readonly bytes: number
  /** Of the command, if that ends here. */
  readonly tag?: string
  readonly hasFailed?: boolean
}

const noBytes = new Uint8Array(0)
