/**
 * The rows of a live query: found by key, kept in order, changed by the server's lists of changes.
 * Each step is told as a difference (operation, from, to) that holds for the list as it is just
 * then, so that a host can apply one after the other to an array.
 */
import { hashOf, isSame } from './bytes'
import { reserve } from './events'
import {
  block,
  blockLength,
  blockStart,
  breakFrame,
  byte,
  count,
  isBroken,
  place,
  rewind,
  varint,
} from './reader'
import { isList } from './json'
import { allocate, allocateEmpty, release } from './memory'
import {
  chunkAt,
  countAt,
  insertAt,
  isBefore,
  markGhost,
  rankBehind,
  rankOf,
  removeFound,
  removeFrom,
  replaceFound,
  RowList,
  rowIn,
  unmarkGhost,
} from './row-list'
import { freeRow, ghost, hasKey, kept, newRow, ordinalMask, Row, textOf } from './row'

@unmanaged
export class LiveSet extends RowList {
  buckets: usize
  bucketCount: u32
  /** Rows have a key of their own; otherwise a row is its key, and equal rows are so many rows. */
  isKeyed: bool
  /** Rows have places that the server names. */
  isOrdered: bool
}

export const enum Operation {
  insert = 1,
  update = 2,
  remove = 3,
}

export function newSet(): LiveSet {
  return changetype<LiveSet>(allocateEmpty(offsetof<LiveSet>()))
}

export function freeSet(set: LiveSet): void {
  for (let at: u32 = 0; at < set.length; at++) {
    const chunk = chunkAt(set, at)
    for (let index: u32 = 0; index < countAt(set, at); index++) freeRow(rowIn(chunk, index))
    release(changetype<usize>(chunk))
  }
  release(set.chunks)
  release(set.buckets)
  release(changetype<usize>(set))
}

// ---- Rows by key

function bucketOf(set: LiveSet, hash: u32): usize {
  return set.buckets + ((<usize>(hash & (set.bucketCount - 1))) << 2)
}

/** The first row of that key. */
function find(set: LiveSet, hash: u32, key: usize, length: u32): Row | null {
  if (set.bucketCount == 0) return null
  let first: Row | null = null
  let row = load<Row | null>(bucketOf(set, hash))
  while (row != null) {
    if (hasKey(row, hash, key, length)) {
      // Without places, equal rows are alike.
      if (!set.isOrdered) return row
      if (first == null || isBefore(row, first)) first = row
    }
    row = row.next
  }
  return first
}

export function link(set: LiveSet, row: Row): void {
  if (set.rows >= set.bucketCount) moreBuckets(set)
  const bucket = bucketOf(set, row.hash)
  row.next = load<Row | null>(bucket)
  store<Row | null>(bucket, row)
}

function unlink(set: LiveSet, row: Row): void {
  let slot = bucketOf(set, row.hash)
  // `next` is a row's first word: a row's address is that of the pointer to the one after it.
  while (load<usize>(slot) != changetype<usize>(row)) slot = load<usize>(slot)
  store<Row | null>(slot, row.next)
}

function moreBuckets(set: LiveSet): void {
  const old = set.buckets
  const oldCount = set.bucketCount
  set.bucketCount = oldCount == 0 ? 16 : oldCount * 2
  set.buckets = allocateEmpty(set.bucketCount << 2)
  for (let at: u32 = 0; at < oldCount; at++) {
    let row = load<Row | null>(old + ((<usize>at) << 2))
    while (row != null) {
      const next = row.next
      const bucket = bucketOf(set, row.hash)
      row.next = load<Row | null>(bucket)
      store<Row | null>(bucket, row)
      row = next
    }
  }
  release(old)
}

// ---- What is told

/** Differences, three words each, and the texts of their rows as one JSON set. */
export let differences: usize = 0
export let differenceCount: u32 = 0
export let gathered: usize = 0
let gatherAt: usize = 0

export function gatheredLength(): u32 {
  return <u32>(gatherAt - gathered)
}

/** Begins to tell at most so many differences, with texts of at most so many bytes. */
export function beginTelling(count: u32, textBytes: u32): void {
  differences = reserve(count * 12)
  differenceCount = 0
  beginGather(count, textBytes)
}

export function beginGather(count: u32, textBytes: u32): void {
  gathered = reserve(textBytes + count + 2)
  store<u8>(gathered, 0x5b)
  gatherAt = gathered + 1
}

export function gather(text: usize, length: u32): void {
  if (gatherAt != gathered + 1) {
    store<u8>(gatherAt, 0x2c)
    gatherAt += 1
  }
  memory.copy(gatherAt, text, length)
  gatherAt += length
}

export function endGather(): void {
  store<u8>(gatherAt, 0x5d)
  gatherAt += 1
}

function tell(operation: Operation, from: i32, to: i32): void {
  const at = differences + <usize>differenceCount * 12
  store<i32>(at, operation)
  store<i32>(at, from, 4)
  store<i32>(at, to, 8)
  differenceCount += 1
}

// ---- Changes of a frame

/** The change that `readChange` read. */
let operation: u32 = 0
let key: usize = 0
let keyLength: u32 = 0
let row: usize = 0
let rowLength: u32 = 0
/** -1: none. */
let at: i32 = -1

const hasPlace: u32 = 0x80

function readChange(isKeyed: bool): void {
  const code = byte()
  operation = code & ~hasPlace
  if (operation < <u32>Operation.insert || operation > <u32>Operation.remove) breakFrame()
  block()
  key = blockStart
  keyLength = blockLength
  if (!isList(key, keyLength)) breakFrame()
  else if (isKeyed) {
    key += 1
    keyLength -= 2
    // A key of no values would be no key.
    if (keyLength == 0) breakFrame()
  }
  rowLength = 0
  if (operation != Operation.remove) {
    block()
    row = blockStart
    rowLength = blockLength
    if (!isList(row, rowLength)) breakFrame()
  }
  at = -1
  if ((code & hasPlace) != 0) at = <i32>min<u64>(varint(), 0x7fffffff)
}

/** What `checkChanges` found. */
export let changeCount: u32 = 0
let textBytes: u32 = 0
let hasPlaces: bool = false

/** Reads the whole list: a frame is applied whole or not at all. Broken frames say so themselves. */
export function checkChanges(isKeyed: bool): void {
  changeCount = count()
  textBytes = 0
  hasPlaces = false
  for (let index: u32 = 0; index < changeCount && !isBroken(); index++) {
    readChange(isKeyed)
    textBytes += rowLength
    if (at >= 0) hasPlaces = true
  }
}

/** Applies the list that has been checked; the reader is at its start again. */
export function applyChanges(set: LiveSet): void {
  const start = place()
  beginTelling(changeCount, textBytes)
  if (hasPlaces) {
    // What goes or moves is taken out before anything is put in.
    count()
    for (let index: u32 = 0; index < changeCount; index++) {
      readChange(set.isKeyed)
      if (operation == Operation.remove) applyChange(set)
      else if (operation == Operation.update && at >= 0) markMoving(set)
    }
    rewind(start)
  }
  count()
  for (let index: u32 = 0; index < changeCount; index++) {
    readChange(set.isKeyed)
    if (operation != Operation.remove || !hasPlaces) applyChange(set)
  }
  endGather()
}

function markMoving(set: LiveSet): void {
  const known = find(set, hashOf(key, keyLength), key, keyLength)
  if (known != null) markGhost(set, known)
}

function applyChange(set: LiveSet): void {
  const hash = hashOf(key, keyLength)
  const isAnother = operation == Operation.insert && !set.isKeyed
  const known: Row | null = isAnother ? changetype<Row | null>(0) : find(set, hash, key, keyLength)
  if (operation == Operation.remove) {
    if (known != null) remove(set, known)
    return
  }
  gather(row, rowLength)
  if (known != null) update(set, known)
  else if (set.isKeyed) insert(set, newRow(key, keyLength, row, rowLength, hash))
  else insert(set, newRow(0, 0, row, rowLength, hashOf(row, rowLength)))
}

function remove(set: LiveSet, known: Row): void {
  const from = rankOf(set, known)
  removeFound(set)
  unlink(set, known)
  freeRow(known)
  tell(Operation.remove, from, -1)
}

function insert(set: LiveSet, made: Row): void {
  const to = at < 0 ? set.rows : rankBehind(set, at)
  link(set, made)
  insertAt(set, to, made)
  tell(Operation.insert, -1, to)
}

function update(set: LiveSet, known: Row): void {
  const from = rankOf(set, known)
  const now = rewrite(set, known)
  let to = from
  if (at >= 0) {
    removeFound(set)
    to = rankBehind(set, at)
    insertAt(set, to, now)
  }
  tell(Operation.update, from, to)
}

/** Gives the row, which was found, its new text; in another block if this one is too small. */
function rewrite(set: LiveSet, known: Row): Row {
  if (set.isKeyed && rowLength <= known.room) {
    memory.copy(textOf(known), row, rowLength)
    known.length = rowLength
    return known
  }
  const hash = set.isKeyed ? known.hash : hashOf(row, rowLength)
  const made = newRow(
    changetype<usize>(known) + offsetof<Row>(),
    known.keyLength,
    row,
    rowLength,
    hash,
  )
  exchange(set, known, made)
  unlink(set, known)
  link(set, made)
  freeRow(known)
  return made
}

/** Puts `made` where `known` was found. */
function exchange(set: LiveSet, known: Row, made: Row): void {
  const moves = (known.mark & ghost) != 0
  unmarkGhost(set, known)
  replaceFound(set, made)
  if (moves) markGhost(set, made)
}

// ---- A whole new result

/** Rows of the result to come, in its order. They are in no list yet. */
let next: usize = 0
let nextCount: u32 = 0

/**
 * Turns the set into the rows at `rows`, which become its own, and tells the differences.
 * `areAlike`: the old rows' keys can be compared with the new ones; `areNew`: rows are told again
 * even if their text is the same, for its columns mean something else.
 */
export function replaceRows(
  set: LiveSet,
  rows: usize,
  rowCount: u32,
  bytes: u32,
  areAlike: bool,
  areNew: bool,
): void {
  next = rows
  nextCount = rowCount
  beginTelling(set.rows + rowCount, bytes)
  const sources = allocate(rowCount << 2)
  numberRows(set)
  pairRows(set, sources, areAlike)
  removeOthers(set)
  if (set.isOrdered) markMovers(set, sources)
  placeRows(set, sources, areNew)
  release(sources)
  endGather()
}

function nextRow(index: u32): Row {
  return changetype<Row>(load<usize>(next + ((<usize>index) << 2)))
}

function sourceOf(sources: usize, index: u32): Row | null {
  return load<Row | null>(sources + ((<usize>index) << 2))
}

function numberRows(set: LiveSet): void {
  let ordinal: u32 = 0
  for (let at: u32 = 0; at < set.length; at++)
    for (let index: u32 = 0; index < countAt(set, at); index++)
      rowIn(chunkAt(set, at), index).mark = ordinal++
}

/** Finds for each new row the old one; those are out of their buckets then. */
function pairRows(set: LiveSet, sources: usize, areAlike: bool): void {
  // From the last, as buckets have the last first: equal rows keep their order.
  for (let index = nextCount; index-- > 0;) {
    const known = areAlike ? takeEqual(set, nextRow(index)) : null
    store<Row | null>(sources + ((<usize>index) << 2), known)
    if (known != null) known.mark |= kept
  }
}

function takeEqual(set: LiveSet, row: Row): Row | null {
  if (set.bucketCount == 0) return null
  const key = row.keyLength == 0 ? textOf(row) : changetype<usize>(row) + offsetof<Row>()
  const length = row.keyLength == 0 ? row.length : row.keyLength
  let slot = bucketOf(set, row.hash)
  let known = load<Row | null>(slot)
  while (known != null) {
    if (hasKey(known, row.hash, key, length)) {
      store<Row | null>(slot, known.next)
      return known
    }
    slot = changetype<usize>(known)
    known = load<Row | null>(slot)
  }
  return null
}

/** Takes out what the new result has not, from the end. */
function removeOthers(set: LiveSet): void {
  let rank = set.rows
  for (let at = set.length; at-- > 0;)
    for (let index = countAt(set, at); index-- > 0;) {
      rank -= 1
      const known = rowIn(chunkAt(set, at), index)
      if ((known.mark & kept) != 0) continue
      removeFrom(set, at, index)
      unlink(set, known)
      freeRow(known)
      tell(Operation.remove, rank, -1)
    }
}

/** Those that are not on a longest run of rows in the old order move. */
function markMovers(set: LiveSet, sources: usize): void {
  // tails[n]: index of the row with the lowest ordinal that a run of n + 1 can end in.
  const tails = allocate(nextCount << 2)
  const before = allocate(nextCount << 2)
  let longest: u32 = 0
  for (let index: u32 = 0; index < nextCount; index++) {
    const known = sourceOf(sources, index)
    if (known == null) continue
    markGhost(set, known)
    const length = runsBelow(tails, longest, sources, known.mark & ordinalMask)
    store<i32>(
      before + ((<usize>index) << 2),
      length == 0 ? -1 : load<i32>(tails + ((<usize>(length - 1)) << 2)),
    )
    store<u32>(tails + ((<usize>length) << 2), index)
    if (length == longest) longest += 1
  }
  let index = longest == 0 ? -1 : load<i32>(tails + ((<usize>(longest - 1)) << 2))
  for (; index >= 0; index = load<i32>(before + ((<usize>index) << 2)))
    unmarkGhost(set, sourceOf(sources, index)!)
  release(tails)
  release(before)
}

/** How many of the runs end below that ordinal. */
function runsBelow(tails: usize, longest: u32, sources: usize, ordinal: u32): u32 {
  let low: u32 = 0
  let high = longest
  while (low < high) {
    const middle = (low + high) >> 1
    const known = sourceOf(sources, load<u32>(tails + ((<usize>middle) << 2)))!
    if ((known.mark & ordinalMask) < ordinal) low = middle + 1
    else high = middle
  }
  return low
}

function placeRows(set: LiveSet, sources: usize, areNew: bool): void {
  for (let index: u32 = 0; index < nextCount; index++) {
    const known = sourceOf(sources, index)
    const made = nextRow(index)
    at = set.isOrdered ? <i32>index : -1
    if (known == null) {
      gather(textOf(made), made.length)
      insert(set, made)
    } else placeKnown(set, known, made, areNew)
  }
}

function placeKnown(set: LiveSet, known: Row, made: Row, areNew: bool): void {
  const moves = (known.mark & ghost) != 0
  const isSameText = made.length == known.length && isSame(textOf(made), textOf(known), made.length)
  const from = rankOf(set, known)
  exchange(set, known, made)
  freeRow(known)
  let to = from
  if (moves) {
    removeFound(set)
    to = rankBehind(set, at)
    insertAt(set, to, made)
  }
  made.mark = 0
  link(set, made)
  if (!moves && isSameText && !areNew) return
  gather(textOf(made), made.length)
  tell(Operation.update, from, to)
}
