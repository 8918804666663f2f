/**
 * Small pieces as larger ones: what has come while the last piece was on its way is given at once.
 * Clients send COPY a row at a time, and each piece crosses to the engine's thread by itself.
 */

/** Most bytes that wait; then the source is not read on. */
const heldBytesMax = 256 * 1024

/** Errors of the source come when all before them was given. */
export async function* gathered(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const held = new Held(source[Symbol.asyncIterator]())
  const reading = held.readAll()
  try {
    for (;;) {
      const bytes = await held.take()
      if (bytes === undefined) break
      yield bytes
    }
    await reading
  } finally {
    held.stop()
  }
}

class Held {
  readonly #source: AsyncIterator<Uint8Array>
  #pieces: Uint8Array[] = []
  #bytes = 0
  #hasEnded = false
  #isStopped = false
  #wakeReader: (() => void) | undefined
  #wakeTaker: (() => void) | undefined

  constructor(source: AsyncIterator<Uint8Array>) {
    this.#source = source
  }

  /** Does not reject before somebody can see it: `take` ends first. */
  readAll(): Promise<void> {
    const reading = this.#read().finally(() => {
      this.#hasEnded = true
      this.#wakeTaker?.()
    })
    reading.catch(() => undefined)
    return reading
  }

  /** All that is there, as soon as there is anything; undefined at the end. */
  async take(): Promise<Uint8Array | undefined> {
    while (this.#pieces.length === 0) {
      if (this.#hasEnded) return undefined
      await new Promise<void>((resolve) => (this.#wakeTaker = resolve))
    }
    const pieces = this.#pieces
    this.#pieces = []
    this.#bytes = 0
    this.#wakeReader?.()
    const [first] = pieces
    return pieces.length === 1 ? first : Buffer.concat(pieces)
  }

  /** The source is told at once, even while it waits: what comes next is no data any more. */
  stop(): void {
    this.#isStopped = true
    this.#wakeReader?.()
    if (!this.#hasEnded) void this.#source.return?.()
  }

  async #read(): Promise<void> {
    while (!this.#isStopped) {
      const next = await this.#source.next()
      if (next.done === true) return
      this.#pieces.push(next.value)
      this.#bytes += next.value.length
      this.#wakeTaker?.()
      if (this.#bytes >= heldBytesMax)
        await new Promise<void>((resolve) => (this.#wakeReader = resolve))
    }
  }
}
