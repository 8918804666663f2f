/** Texts that a host gives: one after the other, each behind its length in four bytes. */

/** Length of a text that is left out. */
const leftOut: u32 = 0xffffffff

/** The text that `pick` picked; not given: no bytes. */
export let pickedStart: usize = 0
export let pickedLength: u32 = 0
export let isGiven: bool = false

/** Picks the text at an index; one that is cut off, or behind the last, is left out. */
export function pick(texts: usize, bytes: u32, index: u32): void {
  let at: u32 = 0
  isGiven = false
  pickedLength = 0
  for (let skipped: u32 = 0; at + 4 <= bytes; skipped++) {
    const length = load<u32>(texts + at)
    at += 4
    const room: u32 = length == leftOut ? 0 : length
    if (room > bytes - at) return
    if (skipped == index) {
      pickedStart = texts + at
      pickedLength = room
      isGiven = length != leftOut
      return
    }
    at += room
  }
}

/** Picks a text of the core's own. */
export function pickText(start: usize, length: u32, isThere: bool): void {
  pickedStart = start
  pickedLength = length
  isGiven = isThere
}

/** Bytes that the first so many texts take. */
export function lengthOf(texts: usize, bytes: u32, count: u32): u32 {
  pick(texts, bytes, count - 1)
  return isGiven ? <u32>(pickedStart + pickedLength - texts) : bytes
}
