import { DbError } from '../errors.js'
import { ByteSink } from '../protocol/byte-sink.js'

/**
 * Past the limit a body is read on for this many bytes, and thrown away, so that its sender gets
 * to read our answer. Who sends still more meets an answer in the middle of sending.
 */
export const drainedBytesMax = 32 * 1024 * 1024
const firstBytesMin = 64 * 1024

/** Puts a body together from its chunks. A body of one chunk, the usual case, is not copied. */
export class BodyCollector {
  readonly #bytesMax: number
  #bytes = 0
  #sink: ByteSink | undefined
  #isDone = false

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** The body, once complete; or why there is none. Valid only until the caller returns. */
  take(chunk: Buffer, isLast: boolean): Buffer | DbError | undefined {
    if (this.#isDone) return undefined
    this.#bytes += chunk.length
    if (this.#bytes > this.#bytesMax) return this.#refuse(isLast)
    if (isLast && this.#sink === undefined) return this.#complete(chunk)
    this.#sink ??= new ByteSink(Math.max(firstBytesMin, chunk.length * 2))
    this.#sink.append(chunk)
    return isLast ? this.#complete(this.#sink.view()) : undefined
  }

  #complete(body: Uint8Array): Buffer {
    this.#isDone = true
    return Buffer.from(body.buffer, body.byteOffset, body.length)
  }

  #refuse(isLast: boolean): DbError | undefined {
    this.#sink = undefined
    if (!isLast && this.#bytes < this.#bytesMax + drainedBytesMax) return undefined
    this.#isDone = true
    return new DbError(
      'REQUEST_TOO_LARGE',
      `the body is larger than http.body_bytes_max, ${this.#bytesMax} bytes`,
    )
  }
}
