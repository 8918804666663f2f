/**
 * The rows of a live query: found by key, kept in order, changed by the server's lists of changes.
 * Each step is told as a difference (operation, from, to) that holds for the list as it is just
 * then, so that a host can apply one after the other to an array.
 */
import { hashOf, isSame } from './bytes'
import { reserve } from './events'
import { isList } from './json'
import { allocate, allocateEmpty, release } from './memory'
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
import {
  flatten,
  freeList,
  insertAt,
  rankBehind,
  rankOf,
  removeFound,
  replaceFound,
  RowList,
  setGhost,
} from './row-list'
import { freeRow, ghost, hasKey, newRow, Row } from './row'
import { clearSink, putByte, putBytes, sinkLength } from './sink'

@unmanaged
export class LiveSet extends RowList {
  buckets: usize
  bucketCount: u32
  /** Rows have a key of their own; otherwise a row is its key, and equal rows are so many rows. */
  isKeyed: bool
  /** Its key is its first column, as it mostly is: its text begins with that of its key. */
  isKeyFirst: bool
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
  const rows = flatten(set)
  for (let index: u32 = 0; index < set.rows; index++) freeRow(rowAt(rows, index))
  release(rows)
  freeShell(set)
}

/** Leaves the rows to whom they belong now. */
function freeShell(set: LiveSet): void {
  freeList(set)
  release(set.buckets)
  release(changetype<usize>(set))
}

/** A row of an array of pointers; there may be none. */
function rowAt(rows: usize, index: u32): Row {
  return load<Row>(rows + ((<usize>index) << 2))
}

// ---- Rows by key

function bucketOf(set: LiveSet, hash: u32): usize {
  return set.buckets + ((<usize>(hash & (set.bucketCount - 1))) << 2)
}

/** A row of that key; the first of them if `isFirst`. */
function find(set: LiveSet, hash: u32, key: usize, length: u32, isFirst: bool): Row | null {
  if (set.bucketCount == 0) return null
  let first: Row | null = null
  let row = load<Row | null>(bucketOf(set, hash))
  while (row != null) {
    if (hasKey(row, hash, key, length)) {
      if (!isFirst) return row
      if (first == null || rankOf(set, row) < rankOf(set, first)) first = row
    }
    row = row.next
  }
  return first
}

/** Puts a row that is new at the end. */
export function append(set: LiveSet, row: Row): void {
  link(set, row)
  insertAt(set, set.rows, row)
}

function link(set: LiveSet, row: Row): void {
  if (set.rows >= set.bucketCount) moreBuckets(set)
  linkInto(set, row)
}

function linkInto(set: LiveSet, row: Row): void {
  const bucket = bucketOf(set, row.hash)
  row.next = load<Row | null>(bucket)
  store<Row>(bucket, row)
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
  set.bucketCount = max(oldCount * 4, 16)
  set.buckets = allocateEmpty(set.bucketCount << 2)
  for (let at: u32 = 0; at < oldCount; at++) {
    let row = load<Row | null>(old + ((<usize>at) << 2))
    while (row != null) {
      const next = row.next
      linkInto(set, row)
      row = next
    }
  }
  release(old)
}

// ---- What is told

/** Differences, three words each; the texts of their rows are in the sink, as one JSON list. */
export let differences: usize = 0
export let differenceCount: u32 = 0

function beginTelling(countMax: u32): void {
  differences = reserve(countMax * 12)
  differenceCount = 0
  beginGather()
}

export function beginGather(): void {
  clearSink()
  putByte(0x5b)
}

export function gather(text: usize, length: u32): void {
  if (sinkLength() != 1) putByte(0x2c)
  putBytes(text, length)
}

export function endGather(): void {
  putByte(0x5d)
}

function tell(operation: Operation, from: i32, to: i32): void {
  const at = differences + <usize>differenceCount * 12
  store<i32>(at, operation)
  store<i32>(at, from, 4)
  store<i32>(at, to, 8)
  differenceCount += 1
}

function remove(set: LiveSet, known: Row): void {
  tell(Operation.remove, rankOf(set, known), -1)
  removeFound(set)
  unlink(set, known)
  freeRow(known)
}

/** `at`: where the server puts it; below 0: at the end. */
function insert(set: LiveSet, made: Row, at: i32): void {
  const to = at < 0 ? set.rows : rankBehind(set, at)
  link(set, made)
  insertAt(set, to, made)
  gather(made.text, made.length)
  tell(Operation.insert, -1, to)
}

/** Puts `made` in place of `known`, which is in no bucket. `at`: as above; below 0: it stays. */
function update(set: LiveSet, known: Row, made: Row, at: i32, isTold: bool): void {
  const from = rankOf(set, known)
  let to = from
  link(set, made)
  if (at < 0) replaceFound(set, made)
  else {
    removeFound(set)
    to = rankBehind(set, at)
    insertAt(set, to, made)
  }
  freeRow(known)
  if (!isTold) return
  gather(made.text, made.length)
  tell(Operation.update, from, to)
}

// ---- Changes of a frame

/** The change that `readChange` read; the key is without its closing bracket, as in rows. */
let operation: u32 = 0
let key: usize = 0
let keyLength: u32 = 0
let row: usize = 0
let rowLength: u32 = 0
/** -1: none. */
let at: i32 = -1

const hasPlace: u32 = 0x80

function readChange(): void {
  const code = byte()
  operation = code & ~hasPlace
  // From 1 to 3; below is far above.
  if (operation - 1 > 2) breakFrame()
  readList()
  key = blockStart
  keyLength = blockLength - 1
  if (operation != Operation.remove) readList()
  row = blockStart
  rowLength = blockLength
  at = -1
  if ((code & hasPlace) != 0) at = <i32>min(varint(), 0x7fffffff)
}

export function readList(): void {
  block()
  if (!isList(blockStart, blockLength)) breakFrame()
}

/** What `checkChanges` found. */
let hasPlaces: bool = false

/** Reads the whole list: a frame is applied whole or not at all. Broken frames say so themselves. */
export function checkChanges(): void {
  hasPlaces = false
  for (let left = count(); left > 0 && !isBroken(); left--) {
    readChange()
    if (at >= 0) hasPlaces = true
  }
}

/** Applies the list that has been checked; the reader is at its start again. */
export function applyChanges(set: LiveSet): void {
  const start = place()
  // What moves is out of the way before anything is put in.
  const changes = count()
  beginTelling(changes)
  for (let left = hasPlaces ? changes : 0; left > 0; left--) {
    readChange()
    if (operation == Operation.update && at >= 0) applyChange(set, true)
  }
  rewind(start)
  for (let left = count(); left > 0; left--) {
    readChange()
    applyChange(set, false)
  }
  endGather()
}

function applyChange(set: LiveSet, isOnlyMarked: bool): void {
  const hash = hashOf(key, keyLength)
  let known: Row | null = null
  // Without a key, an inserted row is one more, whatever there is.
  if (operation != Operation.insert || set.isKeyed)
    known = find(set, hash, key, keyLength, set.isOrdered)
  if (operation == Operation.remove) {
    if (known != null) remove(set, known)
    return
  }
  if (isOnlyMarked) {
    if (known != null) setGhost(set, known, ghost)
    return
  }
  const made = newRow(key, keyLength, row, rowLength, null)
  if (known == null) insert(set, made, at)
  else {
    unlink(set, known)
    update(set, known, made, at, true)
  }
}

// ---- A whole new result

/**
 * Turns the set into the rows of `other`, of which nothing is left, and tells the differences.
 * `areAlike`: the old rows' keys can be compared with the new ones; `areNew`: rows are told again
 * even if their text is the same, for its columns mean something else.
 */
export function replaceRows(set: LiveSet, other: LiveSet, areAlike: bool, areNew: bool): void {
  const rows = flatten(other)
  const rowCount = other.rows
  freeShell(other)
  beginTelling(set.rows + rowCount)
  const sources = allocateEmpty(rowCount << 2)
  const old = flatten(set)
  const oldCount = set.rows
  for (let index: u32 = 0; index < oldCount; index++) rowAt(old, index).mark = index
  if (areAlike) pairRows(set, rows, rowCount, sources)
  // From the end, so that what is before keeps its place.
  for (let index = oldCount; index-- > 0;) {
    const known = rowAt(old, index)
    if ((known.mark & paired) == 0) remove(set, known)
  }
  release(old)
  if (set.isOrdered) markMovers(set, sources, rowCount)
  for (let index: u32 = 0; index < rowCount; index++)
    placeRow(set, rowAt(rows, index), rowAt(sources, index), index, areNew)
  release(sources)
  release(rows)
  endGather()
}

/** Of a mark: the new result has the row as well. */
const paired: u32 = 0x40000000
const ordinalMask: u32 = 0x3fffffff

/** Finds for each new row the old one, which is in no bucket then. */
function pairRows(set: LiveSet, rows: usize, rowCount: u32, sources: usize): void {
  // From the last, as buckets have the last first: equal rows keep their order.
  for (let index = rowCount; index-- > 0;) {
    const made = rowAt(rows, index)
    const known = find(set, made.hash, made.key, made.keyLength, false)
    if (known == null) continue
    unlink(set, known)
    known.mark |= paired
    store<Row>(sources + ((<usize>index) << 2), known)
  }
}

/** Those that are not on a longest run of rows in the old order move. */
function markMovers(set: LiveSet, sources: usize, rowCount: u32): void {
  // tails[n]: index of the row with the lowest ordinal that a run of n can end in.
  const tails = allocate((rowCount + 1) << 2)
  const before = allocate(rowCount << 2)
  let longest: u32 = 0
  store<i32>(tails, -1)
  for (let index: u32 = 0; index < rowCount; index++) {
    const known = load<Row | null>(sources + ((<usize>index) << 2))
    if (known == null) continue
    setGhost(set, known, ghost)
    const length = runsBelow(tails, longest, sources, known.mark & ordinalMask)
    store<i32>(before + ((<usize>index) << 2), load<i32>(tails + ((<usize>length) << 2)))
    store<u32>(tails + ((<usize>length) << 2), index, 4)
    longest = max(longest, length + 1)
  }
  let index = load<i32>(tails + ((<usize>longest) << 2))
  for (; index >= 0; index = load<i32>(before + ((<usize>index) << 2)))
    setGhost(set, rowAt(sources, index), 0)
  release(tails)
  release(before)
}

/** How many of the runs end below that ordinal. */
function runsBelow(tails: usize, longest: u32, sources: usize, ordinal: u32): u32 {
  let low: u32 = 0
  let high = longest
  while (low < high) {
    const middle = (low + high) >> 1
    const known = rowAt(sources, load<u32>(tails + ((<usize>middle) << 2), 4))
    if ((known.mark & ordinalMask) < ordinal) low = middle + 1
    else high = middle
  }
  return low
}

function placeRow(set: LiveSet, made: Row, known: Row | null, index: u32, areNew: bool): void {
  if (known == null) {
    insert(set, made, set.isOrdered ? <i32>index : -1)
    return
  }
  const moves = (known.mark & ghost) != 0
  const isSameText = made.length == known.length && isSame(made.text, known.text, made.length)
  update(set, known, made, moves ? <i32>index : -1, moves || areNew || !isSameText)
}
