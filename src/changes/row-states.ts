/**
 * How a transaction that may go on in the next batch has left its rows so far: 64 bits of digest for
 * a row's key and 64 for its text, in a table of numbers. A transaction may have a million rows: that
 * is 32 MB so, and hundreds with the texts themselves.
 *
 * Two keys with one digest would have their table told anew in vain; two texts with one would hide
 * that a row's changes came in another order. The first is 1 in 18 million of a million rows.
 */
export class RowStates {
  /** Open addressing. Of a slot: the key's digest, then the text's; an empty one is all zeros. */
  #slots = new Uint32Array(slotsMin * slotWords)
  #count = 0
  /** Of the text that was digested last. */
  #high = 0
  #low = 0

  get size(): number {
    return this.#count
  }

  /** Of its memory. */
  get bytes(): number {
    return this.#slots.byteLength
  }

  has(key: string): boolean {
    if (this.#count === 0) return false
    this.#digest(key)
    return this.#slots[this.#find(this.#high, this.#low)] !== 0
  }

  /** Whether the row was left as this text, null for no row; undefined if it was not touched. */
  isLeftAs(key: string, text: string | null): boolean | undefined {
    if (this.#count === 0) return undefined
    this.#digest(key)
    const at = this.#find(this.#high, this.#low)
    if (this.#slots[at] === 0) return undefined
    this.#digest(text ?? '')
    return this.#slots[at + 2] === this.#high && this.#slots[at + 3] === this.#low
  }

  set(key: string, text: string | null): void {
    this.#digest(key)
    const at = this.#find(this.#high, this.#low)
    if (this.#slots[at] === 0) {
      this.#slots[at] = this.#high
      this.#slots[at + 1] = this.#low
      this.#count += 1
    }
    this.#digest(text ?? '')
    this.#slots[at + 2] = this.#high
    this.#slots[at + 3] = this.#low
    if (this.#count * slotWords > this.#slots.length * loadMax) this.#grow()
  }

  /** Where the key is, or is to be. */
  #find(high: number, low: number): number {
    const slots = this.#slots
    const mask = slots.length - 1
    let at = (low * slotWords) & mask
    while (slots[at] !== 0 && (slots[at] !== high || slots[at + 1] !== low))
      at = (at + slotWords) & mask
    return at
  }

  #grow(): void {
    const before = this.#slots
    this.#slots = new Uint32Array(before.length * 2)
    for (let from = 0; from < before.length; from += slotWords) {
      const high = before[from] ?? 0
      if (high === 0) continue
      const at = this.#find(high, before[from + 1] ?? 0)
      for (let word = 0; word < slotWords; word++) this.#slots[at + word] = before[from + word] ?? 0
    }
  }

  /** Two lanes as of FNV-1a, with a multiplier each, mixed in the end. `high` is never 0. */
  #digest(text: string): void {
    let high = 0x811c9dc5
    let low = 0x2f0b4c47
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index)
      high = Math.imul(high ^ unit, 0x01000193)
      low = Math.imul(low ^ unit, 0x85ebca6b)
    }
    this.#high = (mixed(high ^ (low >>> 15)) | 1) >>> 0
    this.#low = mixed(low ^ (high >>> 13)) >>> 0
  }
}

/** A power of two. */
const slotsMin = 16
const slotWords = 4
/** How full the table may be. */
const loadMax = 0.75

/** Every bit has a say in every other: the low ones tell the slot. */
function mixed(bits: number): number {
  const once = Math.imul(bits ^ (bits >>> 16), 0x7feb352d)
  const twice = Math.imul(once ^ (once >>> 15), 0x846ca68b)
  return twice ^ (twice >>> 16)
}
