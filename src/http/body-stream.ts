import { DbError } from '../errors.js'

/** What waits for its reader; past it the sender does. */
const waitingBytesMax = 1024 * 1024

/** Stops and continues what comes from the sender. */
export interface BodySource {
  pause(): void
  resume(): void
}

/** A body as it comes, at the pace of who reads it. One reader. */
export class BodyStream {
  readonly #source: BodySource
  readonly #pieces: Uint8Array[] = []
  #waitingBytes = 0
  #isPaused = false
  #isComplete = false
  #isGone = false
  #isDraining = false
  #drainedBytes = 0
  #onChange: (() => void) | undefined

  constructor(source: BodySource) {
    this.#source = source
  }

  /** Takes the next piece, whose bytes are its own. */
  push(piece: Uint8Array, isLast: boolean): void {
    this.#isComplete ||= isLast
    if (this.#isDraining) this.#drainedBytes += piece.length
    else if (piece.length > 0) this.#keep(piece)
    if (!isLast && !this.#isPaused && this.#waitingBytes > waitingBytesMax) {
      this.#isPaused = true
      this.#source.pause()
    }
    this.#onChange?.()
  }

  /** The sender went away. */
  leave(): void {
    this.#isGone = true
    this.#onChange?.()
  }

  /** Errors: CANCELLED if the sender goes away before the end. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = await this.#next()
      if (piece === undefined) return
      yield piece
    }
  }

  /**
   * Reads on and throws away, so that the sender gets to read our answer; who sends more than so
   * many bytes meets it in the middle of sending.
   */
  async drain(bytesMax: number): Promise<void> {
    this.#isDraining = true
    this.#pieces.length = 0
    this.#waitingBytes = 0
    while (!this.#isComplete && !this.#isGone && this.#drainedBytes <= bytesMax)
      await this.#changed()
  }

  #keep(piece: Uint8Array): void {
    this.#pieces.push(piece)
    this.#waitingBytes += piece.length
  }

  async #next(): Promise<Uint8Array | undefined> {
    for (;;) {
      if (this.#isGone) throw new DbError('CANCELLED', 'the caller went away')
      const piece = this.#pieces.shift()
      if (piece !== undefined) {
        this.#waitingBytes -= piece.length
        return piece
      }
      if (this.#isComplete) return undefined
      await this.#changed()
    }
  }

  /** Waits for more, which may come now. */
  async #changed(): Promise<void> {
    const change = new Promise<void>((resolve) => {
      this.#onChange = resolve
    })
    this.#continue()
    await change
  }

  #continue(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#source.resume()
  }
}
