/**
 * PostgreSQL's own static variables in PGlite's memory. What it exports no function for is found by
 * what it does there: the places depend on the build alone, and each is proved when it is found.
 */
export interface ProgramMemory {
  readonly HEAPU8: Uint8Array
  stackSave(): number
  UTF8ToString(pointer: number): string
}

const wordBytes = Int32Array.BYTES_PER_ELEMENT

export class StaticMemory {
  readonly #module: ProgramMemory
  /** Static data ends where the stack does, which lies above it. */
  readonly #end: number
  #words: Uint32Array = new Uint32Array(0)

  constructor(module: ProgramMemory) {
    this.#module = module
    this.#end = module.stackSave() & -wordBytes
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

  text(pointer: number): string {
    return this.#module.UTF8ToString(pointer)
  }

  isStatic(address: number): boolean {
    return address > 0 && address < this.#end
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

  /** Memory that has grown is another buffer. */
  #view(): Uint32Array {
    const { buffer } = this.#module.HEAPU8
    if (this.#words.buffer !== buffer) this.#words = new Uint32Array(buffer)
    return this.#words
  }
}
