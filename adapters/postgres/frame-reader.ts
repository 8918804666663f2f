/**
 * Bytes of a client, cut anywhere, as messages of the Postgres protocol (PostgreSQL docs, "Message
 * Formats"). A length is believed within its bound only, and no room is made for bytes that have not
 * come. What was given out stays as it is.
 */
import { DbError } from '../../src/errors.js'
import { frontendTag } from './frontend-tag.js'

/** The largest that is taken, and what says so. */
export interface FrameBound {
  readonly bytesMax: number
  /** `postgres_wire.message_bytes_max`. */
  readonly name: string
}

const nothing: Buffer = Buffer.alloc(0)
/** Of the first buffer that pieces of a message are put together in. */
const piecesBytesMin = 1024

export class FrameReader {
  #bytes: Buffer = nothing
  #start = 0
  #end = 0

  /** Bytes that were not given out yet. */
  get bufferedBytes(): number {
    return this.#end - this.#start
  }

  push(chunk: Buffer): void {
    if (this.#start === this.#end) {
      this.#bytes = chunk
      this.#start = 0
      this.#end = chunk.length
      return
    }
    this.#makeRoom(chunk.length)
    chunk.copy(this.#bytes, this.#end)
    this.#end += chunk.length
  }

  /** The first byte, which stays; undefined if none has come. */
  peek(): number | undefined {
    return this.#start === this.#end ? undefined : this.#bytes[this.#start]
  }

  /** Everything that was not given out. */
  rest(): Buffer {
    return this.#take(this.bufferedBytes)
  }

  /** What follows its length in a packet without a tag. Errors: BAD_REQUEST. */
  startupPacket({ bytesMax, name }: FrameBound): Buffer | undefined {
    if (this.bufferedBytes < lengthBytes) return undefined
    const length = this.#bytes.readUInt32BE(this.#start)
    if (length < startupBytesMin || length > bytesMax)
      throw new DbError('BAD_REQUEST', `invalid length of startup packet: ${length}`, {
        detail: `It has ${startupBytesMin} to ${bytesMax} bytes (${name}).`,
      })
    return this.bufferedBytes < length ? undefined : this.#take(length).subarray(lengthBytes)
  }

  /** A whole message with its tag and length. Errors: BAD_REQUEST, REQUEST_TOO_LARGE. */
  message({ bytesMax, name }: FrameBound): Buffer | undefined {
    const tag = this.peek()
    if (tag === undefined) return undefined
    if (!frontendTags.has(tag))
      throw new DbError('BAD_REQUEST', `invalid frontend message type ${tag}`)
    if (this.bufferedBytes < headBytes) return undefined
    const length = this.#bytes.readUInt32BE(this.#start + 1)
    if (length < lengthBytes) throw new DbError('BAD_REQUEST', `invalid message length ${length}`)
    if (length > bytesMax)
      throw new DbError('REQUEST_TOO_LARGE', `a message of ${length} bytes; ${name} is ${bytesMax}`)
    return this.bufferedBytes < 1 + length ? undefined : this.#take(1 + length)
  }

  #take(count: number): Buffer {
    const taken = this.#bytes.subarray(this.#start, this.#start + count)
    this.#start += count
    return taken
  }

  /** At the end, in a new buffer if need be: others hold parts of the old one. */
  #makeRoom(bytes: number): void {
    const needed = this.bufferedBytes + bytes
    if (this.#end + bytes <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, this.bufferedBytes * 2, piecesBytesMin))
    this.#bytes.copy(larger, 0, this.#start, this.#end)
    this.#end -= this.#start
    this.#start = 0
    this.#bytes = larger
  }
}

const lengthBytes = 4
const headBytes = 1 + lengthBytes
/** Length and version. */
const startupBytesMin = 8

const frontendTags: ReadonlySet<number> = new Set(Object.values(frontendTag))
