/**
 * Records from one thread to another through shared memory: one thread writes, one reads, and
 * neither waits for the other. A record is a number and bytes that lie together:
 *
 *   … length │ number │ payload │ length │ number │ payload …       positions only grow; they are
 *            ▲ read                               ▲ written          places modulo the capacity
 */

/** Bytes that all records which are not read yet may take; a power of two. */
const capacityBytes = 1 << 20
/** Larger records are not worth a copy. */
export const recordBytesMax = 1 << 16

const word = {
  /** How far the reader is, and the writer; on lines of the cache of their own. */
  read: 0,
  written: 16,
  /** 1 while the reader sleeps; whoever clears it wakes it. */
  asleep: 32,
  /** Messages that were posted beside the records, modulo 2^32. */
  posted: 48,
  /** Records that were read, modulo 2^32; beside `read`, whose writer writes it too. */
  taken: 1,
  count: 64,
} as const

const wordBytes = Int32Array.BYTES_PER_ELEMENT
const headBytes = word.count * wordBytes
const mask = capacityBytes - 1
/** Length and number; payloads begin at multiples of it. */
const recordHeadBytes = 2 * wordBytes
/** In place of a length: the rest up to the end is not used. */
const skipped = -1

export class Ring {
  readonly buffer: SharedArrayBuffer
  /** The places of payloads. */
  readonly bytes: Buffer
  readonly ints: Int32Array
  readonly doubles: Float64Array
  readonly #words: Int32Array
  #claimedUpTo = 0
  #committed = 0

  constructor(buffer = new SharedArrayBuffer(headBytes + capacityBytes)) {
    this.buffer = buffer
    this.bytes = Buffer.from(buffer, headBytes, capacityBytes)
    this.ints = new Int32Array(buffer, headBytes, capacityBytes / wordBytes)
    this.doubles = new Float64Array(buffer, headBytes, capacityBytes / 8)
    this.#words = new Int32Array(buffer, 0, word.count)
  }

  /**
   * Writer: the place of a payload in `bytes`, a multiple of 8; undefined if there is no room.
   * Nothing of it is seen before `commit`.
   */
  claim(number: number, payloadBytes: number): number | undefined {
    const needed = recordHeadBytes + Math.ceil(payloadBytes / recordHeadBytes) * recordHeadBytes
    const written = this.#words[word.written] ?? 0
    const room = capacityBytes - ((written - Atomics.load(this.#words, word.read)) | 0)
    let place = written & mask
    const toEnd = capacityBytes - place
    const skips = toEnd < needed ? toEnd : 0
    if (payloadBytes > recordBytesMax || skips + needed > room) return undefined
    if (skips > 0) {
      this.ints[place / wordBytes] = skipped
      place = 0
    }
    this.ints[place / wordBytes] = needed
    this.ints[place / wordBytes + 1] = number
    this.#claimedUpTo = (written + skips + needed) | 0
    return place + recordHeadBytes
  }

  /** Writer: the reader may see what was claimed last. */
  commit(): void {
    Atomics.store(this.#words, word.written, this.#claimedUpTo)
    this.#committed = (this.#committed + 1) | 0
  }

  /** Writer: how many records the reader has not read. */
  get unread(): number {
    return (this.#committed - Atomics.load(this.#words, word.taken)) | 0
  }

  /** Reader: the place of the oldest payload; undefined if there is none. */
  peek(): number | undefined {
    const read = this.#words[word.read] ?? 0
    if (read === Atomics.load(this.#words, word.written)) return undefined
    const place = read & mask
    return (this.ints[place / wordBytes] === skipped ? 0 : place) + recordHeadBytes
  }

  /** Reader: the number of the record whose payload is there. */
  numberAt(place: number): number {
    return this.ints[place / wordBytes - 1] ?? 0
  }

  /** Reader: the oldest, which is there, is done with, and its place may be written again. */
  shift(): void {
    const read = this.#words[word.read] ?? 0
    const place = read & mask
    const length = this.ints[place / wordBytes] ?? 0
    const passed = length === skipped ? capacityBytes - place + (this.ints[0] ?? 0) : length
    Atomics.store(this.#words, word.read, (read + passed) | 0)
    Atomics.add(this.#words, word.taken, 1)
  }

  /** Reader: true if it may sleep, and will be woken; false if something has come. */
  fallAsleep(): boolean {
    Atomics.store(this.#words, word.asleep, 1)
    if (this.peek() === undefined) return true
    this.wakeUp()
    return false
  }

  /** Reader: it looks by itself from now on. */
  wakeUp(): void {
    Atomics.store(this.#words, word.asleep, 0)
  }

  /** Writer: true if the reader slept and is to be woken now. */
  mustWake(): boolean {
    return Atomics.exchange(this.#words, word.asleep, 0) === 1
  }

  /** Writer: a message was posted. */
  countPosted(): void {
    Atomics.add(this.#words, word.posted, 1)
  }

  get posted(): number {
    return Atomics.load(this.#words, word.posted)
  }
}
