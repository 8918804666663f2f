// Copied from src/protocol/byte-sink.ts by scripts/link-protocol.js: change it there.
/**
 * A growing buffer that encoders append to without making objects. One sink serves many results,
 * one after another: `clear` keeps the memory, up to a bound.
 */
export class ByteSink {
  /** Valid up to `length`. Replaced when it grows: read it anew after each `reserve`. */
  bytes: Uint8Array
  length = 0
  readonly #keptBytesMax: number

  /** `keptBytesMax`: largest memory that `clear` keeps. */
  constructor(firstBytes = 64 * 1024, keptBytesMax = 4 * 1024 * 1024) {
    this.bytes = new Uint8Array(firstBytes)
    this.#keptBytesMax = keptBytesMax
  }

  /** Makes room for `count` more bytes and gives the buffer to write them to, from `length` on. */
  reserve(count: number): Uint8Array {
    if (this.length + count > this.bytes.length) this.#grow(this.length + count)
    return this.bytes
  }

  append(part: Uint8Array): void {
    this.reserve(part.length).set(part, this.length)
    this.length += part.length
  }

  appendRange(source: Uint8Array, start: number, end: number): void {
    const count = end - start
    const target = this.reserve(count)
    // Below this a loop beats the call into `set` with its new view (bench 2026-11-23).
    if (count <= 48)
      for (let i = 0; i < count; i++) target[this.length + i] = source[start + i] ?? 0
    else target.set(source.subarray(start, end), this.length)
    this.length += count
  }

  appendByte(byte: number): void {
    this.reserve(1)[this.length] = byte
    this.length += 1
  }

  appendText(text: string): void {
    // A UTF-16 unit is three bytes at most.
    const target = this.reserve(text.length * 3)
    if (text.length > shortTextMax || !this.#appendAscii(text, target)) {
      this.length += encoder.encodeInto(text, target.subarray(this.length)).written
    }
  }

  /** What was written; a view that the next write may change. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }

  clear(): void {
    this.length = 0
    if (this.bytes.length > this.#keptBytesMax) {
      this.bytes = new Uint8Array(this.#keptBytesMax)
    }
  }

  /** False, and nothing appended, if the text is not all ASCII. */
  #appendAscii(text: string, target: Uint8Array): boolean {
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code > 0x7f) return false
      target[this.length + i] = code
    }
    this.length += text.length
    return true
  }

  #grow(needed: number): void {
    const bytes = new Uint8Array(Math.max(needed, this.bytes.length * 2))
    bytes.set(this.bytes.subarray(0, this.length))
    this.bytes = bytes
  }
}

/** Up to here a loop beats the encoder. */
const shortTextMax = 64
const encoder = new TextEncoder()
