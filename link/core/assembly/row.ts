/**
 * A row: a head, the text of its key without the closing bracket, its own text. A row of a snapshot
 * stands in the frame that brought it, all others are copied into blocks of their own.
 */
import { hashOf, isSame } from './bytes'
import { Frame, leaveFrame } from './input'
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
  key: usize
  keyLength: u32
  text: usize
  length: u32
  /** null: its texts are behind this head. */
  frame: Frame | null
}

/** Of a mark: the row moves and will be put in elsewhere; places that the server names leave it out. */
export const ghost: u32 = 0x80000000

/** `frame`: where its text stands, and its key or a copy that is the row's; null: both are copied. */
export function newRow(
  key: usize,
  keyLength: u32,
  text: usize,
  length: u32,
  frame: Frame | null,
): Row {
  const more: u32 = frame == null ? keyLength + length : 0
  const row = changetype<Row>(allocate(<u32>offsetof<Row>() + more))
  row.hash = hashOf(key, keyLength)
  row.mark = 0
  row.key = key
  row.keyLength = keyLength
  row.text = text
  row.length = length
  row.frame = frame
  if (frame != null) frame.rows += 1
  else {
    row.key = changetype<usize>(row) + offsetof<Row>()
    row.text = row.key + keyLength
    memory.copy(row.key, key, keyLength)
    memory.copy(row.text, text, length)
  }
  return row
}

export function freeRow(row: Row): void {
  const frame = row.frame
  if (frame != null) {
    if (row.key != row.text) release(row.key)
    leaveFrame(frame)
  }
  release(changetype<usize>(row))
}

export function hasKey(row: Row, hash: u32, key: usize, length: u32): bool {
  return row.hash == hash && row.keyLength == length && isSame(row.key, key, length)
}
