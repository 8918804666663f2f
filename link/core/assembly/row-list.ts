/**
 * Rows in their order: chunks of pointers, and an array of the chunks with their counts. Finding a
 * place adds up the counts, finding a row's place looks through its chunk: both take a fraction of
 * a microsecond at 100,000 rows.
 */
import { allocate, grown, release } from './memory'
import { Chunk, ghost, Row } from './row'

const rowsMax: u32 = 256

@unmanaged
export class RowList {
  /** For each chunk a pointer to it and how many rows it has. */
  chunks: usize
  length: u32
  rows: u32
  ghosts: u32
}

/** What `rankOf` found. */
export let foundChunk: u32 = 0
export let foundIndex: u32 = 0

export function chunkAt(list: RowList, index: u32): Chunk {
  return changetype<Chunk>(load<usize>(list.chunks + ((<usize>index) << 3)))
}

export function countAt(list: RowList, index: u32): u32 {
  return load<u32>(list.chunks + ((<usize>index) << 3), 4)
}

function setCount(list: RowList, index: u32, count: u32): void {
  store<u32>(list.chunks + ((<usize>index) << 3), count, 4)
}

function slot(chunk: Chunk, index: u32): usize {
  return changetype<usize>(chunk) + offsetof<Chunk>() + ((<usize>index) << 2)
}

export function rowIn(chunk: Chunk, index: u32): Row {
  return changetype<Row>(load<usize>(slot(chunk, index)))
}

/** Where the row is in the list; also in `foundChunk` and `foundIndex`. */
export function rankOf(list: RowList, row: Row): u32 {
  const chunk = row.chunk!
  foundChunk = chunk.index
  foundIndex = indexIn(chunk, row)
  let rank = foundIndex
  for (let at: u32 = 0; at < foundChunk; at++) rank += countAt(list, at)
  return rank
}

function indexIn(chunk: Chunk, row: Row): u32 {
  let index: u32 = 0
  while (load<usize>(slot(chunk, index)) != changetype<usize>(row)) index += 1
  return index
}

/** All rows as one array of pointers; `release` it. */
export function flatten(list: RowList): usize {
  const rows = allocate(list.rows << 2)
  let to = rows
  for (let at: u32 = 0; at < list.length; at++) {
    const bytes = (<usize>countAt(list, at)) << 2
    memory.copy(to, slot(chunkAt(list, at), 0), bytes)
    to += bytes
  }
  return rows
}

export function freeList(list: RowList): void {
  for (let at: u32 = 0; at < list.length; at++) release(changetype<usize>(chunkAt(list, at)))
  release(list.chunks)
}

/** Gives the rank at which so many rows that stay where they are come before. */
export function rankBehind(list: RowList, rows: u32): u32 {
  if (list.ghosts == 0) return min(rows, list.rows)
  let rest = rows
  let rank: u32 = 0
  for (let at: u32 = 0; at < list.length; at++) {
    const count = countAt(list, at)
    const solid = count - chunkAt(list, at).ghosts
    if (rest < solid) return rank + indexBehind(chunkAt(list, at), rest)
    rest -= solid
    rank += count
  }
  return rank
}

function indexBehind(chunk: Chunk, rows: u32): u32 {
  let rest = rows
  let index: u32 = 0
  for (; rest > 0; index++) if ((rowIn(chunk, index).mark & ghost) == 0) rest -= 1
  return index
}

export function insertAt(list: RowList, rank: u32, row: Row): void {
  let rest = rank
  let at: u32 = 0
  if (list.length == 0) addChunk(list, 0)
  if (rank == list.rows) {
    // Most rows come at the end.
    at = list.length - 1
    rest = countAt(list, at)
  }
  for (; at + 1 < list.length && rest >= countAt(list, at); at++) rest -= countAt(list, at)
  const count = countAt(list, at)
  if (count == rowsMax) {
    addChunk(list, at + 1)
    // At the end of all nothing is split, so that appending fills chunks.
    if (rest < count) splitInto(list, at)
    insertAt(list, rank, row)
    return
  }
  const chunk = chunkAt(list, at)
  const from = slot(chunk, rest)
  memory.copy(from + 4, from, (<usize>(count - rest)) << 2)
  store<usize>(from, changetype<usize>(row))
  setCount(list, at, count + 1)
  row.chunk = chunk
  list.rows += 1
}

/** Takes out the row that was found. */
export function removeFound(list: RowList): void {
  const from = slot(chunkAt(list, foundChunk), foundIndex)
  const row = load<Row>(from)
  setGhost(list, row, 0)
  const count = countAt(list, foundChunk) - 1
  memory.copy(from, from + 4, (<usize>(count - foundIndex)) << 2)
  setCount(list, foundChunk, count)
  list.rows -= 1
  if (count == 0) dropChunk(list, foundChunk)
}

/** Puts another row in the place that was found. */
export function replaceFound(list: RowList, row: Row): void {
  const chunk = chunkAt(list, foundChunk)
  setGhost(list, rowIn(chunk, foundIndex), 0)
  store<Row>(slot(chunk, foundIndex), row)
  row.chunk = chunk
}

/** `mark`: `ghost`, or 0 for a row that stays where it is. */
export function setGhost(list: RowList, row: Row, mark: u32): void {
  if ((row.mark & ghost) == mark) return
  row.mark ^= ghost
  const more: u32 = mark == 0 ? -1 : 1
  row.chunk!.ghosts += more
  list.ghosts += more
}

function addChunk(list: RowList, index: u32): void {
  list.chunks = grown(list.chunks, (list.length + 1) << 3)
  const chunk = changetype<Chunk>(allocate(offsetof<Chunk>() + (rowsMax << 2)))
  chunk.ghosts = 0
  const at = list.chunks + ((<usize>index) << 3)
  memory.copy(at + 8, at, (<usize>(list.length - index)) << 3)
  store<u64>(at, changetype<usize>(chunk))
  list.length += 1
  renumber(list, index)
}

function dropChunk(list: RowList, index: u32): void {
  release(changetype<usize>(chunkAt(list, index)))
  list.length -= 1
  const at = list.chunks + ((<usize>index) << 3)
  memory.copy(at, at + 8, (<usize>(list.length - index)) << 3)
  renumber(list, index)
}

function renumber(list: RowList, from: u32): void {
  for (let at = from; at < list.length; at++) chunkAt(list, at).index = at
}

/** Moves the second half of a full chunk into the empty one after it. */
function splitInto(list: RowList, index: u32): void {
  const chunk = chunkAt(list, index)
  const next = chunkAt(list, index + 1)
  const half = rowsMax >> 1
  memory.copy(slot(next, 0), slot(chunk, half), (<usize>(rowsMax - half)) << 2)
  setCount(list, index, half)
  setCount(list, index + 1, rowsMax - half)
  for (let at: u32 = 0; at < rowsMax - half; at++) {
    const row = rowIn(next, at)
    const isGhost = (row.mark & ghost) >> 31
    row.chunk = next
    chunk.ghosts -= isGhost
    next.ghosts += isGhost
  }
}
