/** A row as one block of memory: this head, the text of its key unless the row is its own, its text. */
import { isSame } from './bytes'
import { allocate, release, roomOf } from './memory'

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
  /** Bytes that its text may have in this block. */
  room: u32
}

/** Of a mark: the row moves and will be put in elsewhere; places that the server names leave it out. */
export const ghost: u32 = 0x80000000
/** Of a mark: the new result has the row as well. */
export const kept: u32 = 0x40000000

export const ordinalMask: u32 = 0x3fffffff

export function newRow(key: usize, keyLength: u32, text: usize, length: u32, hash: u32): Row {
  const head = <u32>offsetof<Row>() + keyLength
  const block = allocate(head + length)
  const row = changetype<Row>(block)
  row.next = null
  row.hash = hash
  row.chunk = null
  row.mark = 0
  row.keyLength = keyLength
  row.length = length
  // What the block has over is room to grow.
  row.room = roomOf(block) - head
  memory.copy(changetype<usize>(row) + offsetof<Row>(), key, keyLength)
  memory.copy(textOf(row), text, length)
  return row
}

export function freeRow(row: Row): void {
  release(changetype<usize>(row))
}

export function textOf(row: Row): usize {
  return changetype<usize>(row) + offsetof<Row>() + row.keyLength
}

export function hasKey(row: Row, hash: u32, key: usize, length: u32): bool {
  if (row.hash != hash) return false
  if (row.keyLength == 0) return row.length == length && isSame(textOf(row), key, length)
  return row.keyLength == length && isSame(changetype<usize>(row) + offsetof<Row>(), key, length)
}
