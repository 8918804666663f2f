/**
 * PostgreSQL's own static variables in PGlite's memory. What it exports no function for is found by
 * what it does there: the places depend on the build alone, and each is proved when it is found.
 */
export interface ProgramMemory {
  readonly HEAPU8: Uint8Array
  stackSave(): number
  UTF8ToString(pointer: number, bytesMax?: number): string
}

const wordBytes = Int32Array.BYTES_PER_ELEMENT
/** PGlite's stack, which begins where static data ends and grows down to there. */
const stackBytes = 8 * 1024 * 1024

/** No record that is read is larger. */
const recordBytesMax = 1024

export class StaticMemory {
  readonly #module: ProgramMemory
  readonly #end: number
  readonly #heapStart: number
  #words: Uint32Array = new Uint32Array(0)
  #bytes: Buffer = Buffer.alloc(0)

  constructor(module: ProgramMemory) {
    this.#module = module
    const stackTop = module.stackSave() & -wordBytes
    this.#end = stackTop - stackBytes
    this.#heapStart = stackTop
  }

  /** The word at an address. */
  word(address: number): number {
    return this.#view()[address / wordBytes] ?? 0
  }

  setWord(address: number, value: number): void {
    this.#view()[address / wordBytes] = value
  }

  byte(address: number): number {
    return this.#module.HEAPU8[address] ?? 0
  }

  setByte(address: number, value: number): void {
    this.#module.HEAPU8[address] = value
  }

  /** At most so many bytes of it. */
  text(pointer: number, bytesMax?: number): string {
    return this.#module.UTF8ToString(pointer, bytesMax)
  }

  /** As `text`, of one that is short: it takes a fifth of the time. */
  shortText(pointer: number): string {
    const { buffer } = this.#module.HEAPU8
    if (this.#bytes.buffer !== buffer) this.#bytes = Buffer.from(buffer)
    return this.#bytes.toString('utf8', pointer, this.#bytes.indexOf(0, pointer))
  }

  /** Whether there is just this text; reading it takes longer. */
  hasText(pointer: number, text: string): boolean {
    const bytes = this.#module.HEAPU8
    // Not so for what is not ASCII, which is then read.
    for (let at = 0; at < text.length; at++)
      if (bytes[pointer + at] !== text.charCodeAt(at)) return false
    return bytes[pointer + text.length] === 0
  }

  isStatic(address: number): boolean {
    return address > 0 && address < this.#end
  }

  /** Whether an address may be of something that was allocated. */
  isHeap(address: number): boolean {
    return (
      address > this.#heapStart &&
      address < this.#module.HEAPU8.length - recordBytesMax &&
      address % wordBytes === 0
    )
  }

  /** A copy of all static words. */
  staticWords(): Uint32Array {
    return this.#view().slice(0, this.#end / wordBytes)
  }

  /** All static bytes, as they are now and later. */
  staticBytes(): Uint8Array {
    return this.#module.HEAPU8.subarray(0, this.#end)
  }

  /** Where static bytes with this value are. */
  *bytesWith(value: number): Generator<number> {
    const bytes = this.staticBytes()
    for (let at = bytes.indexOf(value); at >= 0; at = bytes.indexOf(value, at + 1)) yield at
  }

  /** Where static words are that point to something allocated. */
  *pointers(): Generator<number> {
    const end = this.#end
    for (let at = 0; at < end; at += wordBytes) if (this.isHeap(this.word(at))) yield at
  }

  /** Heads of PostgreSQL's doubly linked rings (ilist.h) that are not empty. */
  *ringHeads(): Generator<number> {
    for (const previousAt of this.pointers()) {
      const next = this.word(previousAt + wordBytes)
      const closes = this.word(this.word(previousAt) + wordBytes) === previousAt
      if (closes && this.isHeap(next) && this.word(next) === previousAt) yield previousAt
    }
  }

  /** Where static words with this value are. */
  *wordsWith(value: number): Generator<number> {
    const words = this.#view().subarray(0, this.#end / wordBytes)
    for (let at = words.indexOf(value); at >= 0; at = words.indexOf(value, at + 1))
      yield at * wordBytes
  }

  /** Where the static text is, also as the end of a longer one: compilers share them. */
  *textsOf(text: string): Generator<number> {
    const bytes = Buffer.from(this.#module.HEAPU8.buffer, 0, this.#end)
    const wanted = Buffer.from(`${text}\0`)
    for (let at = bytes.indexOf(wanted); at >= 0; at = bytes.indexOf(wanted, at + 1)) yield at
  }

  /** All words, by address / 4, until memory grows. */
  get words(): Uint32Array {
    return this.#view()
  }

  /** Memory that has grown is another buffer. */
  #view(): Uint32Array {
    const { buffer } = this.#module.HEAPU8
    if (this.#words.buffer !== buffer) this.#words = new Uint32Array(buffer)
    return this.#words
  }
}
