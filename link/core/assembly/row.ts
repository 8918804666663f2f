/** A row as one block of memory: this head, the text of its key, its own text. */
import { isSame } from './bytes'
import { allocate, release } from './memory'

/** Rows that stand together in a list; row-list.ts has the rest. */
@unmanaged
export class Chunk {
  /** Place among the chunks. */
  index: u32
  ghosts: u32
  // Pointers to rows follow.
}

@unmanaged
export class Row {
  /** The next of its bucket. */
  next: Row | null
  hash: u32
  /** Where in the list it is; null: in none. */
  chunk: Chunk | null
  /** While a result is compared with the one before: its place there. */
  mark: u32
  keyLength: u32
  length: u32
}

/** Of a mark: the row moves and will be put in elsewhere; places that the server names leave it out. */
export const ghost: u32 = 0x80000000

export function newRow(key: usize, keyLength: u32, text: usize, length: u32, hash: u32): Row {
  const row = changetype<Row>(allocate(<u32>offsetof<Row>() + keyLength + length))
  row.next = null
  row.hash = hash
  row.chunk = null
  row.mark = 0
  row.keyLength = keyLength
  row.length = length
  memory.copy(keyOf(row), key, keyLength)
  memory.copy(textOf(row), text, length)
  return row
}

export function freeRow(row: Row): void {
  release(changetype<usize>(row))
}

/** As the server writes it: the list of the key's values, or of all. */
export function keyOf(row: Row): usize {
  return changetype<usize>(row) + offsetof<Row>()
}

export function textOf(row: Row): usize {
  return keyOf(row) + row.keyLength
}

export function hasKey(row: Row, hash: u32, key: usize, length: u32): bool {
  return row.hash == hash && row.keyLength == length && isSame(keyOf(row), key, length)
}
