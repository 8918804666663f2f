/** Copies, comparisons and hashes of bytes in linear memory. */
import { allocate, release } from './memory'

/** A copy in memory of its own; 0 for no bytes. `release` it. */
export function copyOf(from: usize, length: u32): usize {
  if (length == 0) return 0
  const copy = allocate(length)
  memory.copy(copy, from, length)
  return copy
}

export function isSame(left: usize, right: usize, length: u32): bool {
  for (let at: u32 = 0; at < length; at++)
    if (load<u8>(left + at) != load<u8>(right + at)) return false
  return true
}

/** A text that is kept in memory of its own. */
@unmanaged
export class Text {
  start: usize
  length: u32
}

/** Keeps a copy in place of what was kept there. */
export function keep(text: Text, from: usize, length: u32): void {
  const copy = copyOf(from, length)
  release(text.start)
  text.start = copy
  text.length = length
}

export function isKept(text: Text, from: usize, length: u32): bool {
  return text.length == length && isSame(text.start, from, length)
}

export function isAmong(byte: u32, text: usize): bool {
  for (let at = text; load<u8>(at) != 0; at++) if (load<u8>(at) == byte) return true
  return false
}

/** Whether these bytes are one of those words, which have spaces between them. */
export function isOneOf(pointer: usize, length: u32, words: usize): bool {
  let end = words
  do {
    const word = end
    while (load<u8>(end) > 0x20) end += 1
    if (end - word == length && isSame(pointer, word, length)) return true
  } while (load<u8>(end++) != 0)
  return false
}

let hashSeed: u32 = 0

/** Hashes of different clients differ, so that nobody can prepare keys that collide in all. */
export function seedHashes(seed: u32): void {
  hashSeed = seed
}

/** FNV-1a. */
export function hashOf(pointer: usize, length: u32): u32 {
  let hash: u32 = 0x811c9dc5 ^ hashSeed
  for (let at: u32 = 0; at < length; at++) hash = (hash ^ load<u8>(pointer + at)) * 0x01000193
  return hash ^ (hash >> 15)
}
