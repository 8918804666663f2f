/**
 * A live query on its way:
 *
 *   waiting ──sent──▶ sent ──subscribed──▶ loading ──ready──▶ live ◀──changes
 *      ▲               └──subscribed, resumed──────────────────▲│
 *      └──── connection lost, from anywhere      loading ◀─reset┘
 *
 * The first snapshot goes straight into the set. A later one is staged while the rows that are
 * there stay as they are, and becomes differences when it is complete.
 */
import { hashOf, isKept, isText, keep } from './bytes'
import { emit, Event, Kind } from './events'
import { elementLength, elementStart, isList, nextElement } from './json'
import {
  applyChanges,
  beginGather,
  changeCount,
  checkChanges,
  differenceCount,
  differences,
  endGather,
  gather,
  gathered,
  gatheredLength,
  link,
  LiveSet,
  replaceRows,
} from './live-set'
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
} from './reader'
import { ascii } from './ascii'
import {
  columnsOf,
  cursorOf,
  dropStaged,
  keyOf,
  Phase,
  releaseStaged,
  Request,
  stage,
} from './request'
import { countAt, chunkAt, findRank, foundChunk, foundIndex, insertAt, rowIn } from './row-list'
import { newRow, Row, textOf } from './row'
import { clearSink, putByte, putBytes, sinkLength, sinkStart } from './sink'

/** Bits of what `subscribed` tells the host. */
const isOrderedBit: i32 = 1
const isResumedBit: i32 = 2
const areNewBit: i32 = 4
const isEvaluatedBit: i32 = 8

// ---- subscribed

export function takeSubscribed(request: Request, flags: u32): void {
  block()
  const columns = blockStart
  const columnsLength = blockLength
  block()
  const keyText = blockStart
  const keyTextLength = blockLength
  block()
  const isEvaluated = isText(blockStart, blockLength, ascii('evaluated'))
  if (request.phase == Phase.waiting || !isList(keyText, keyTextLength)) breakFrame()
  if (isBroken()) return
  const isResumed = (flags & 2) != 0
  describe(request, columns, columnsLength, keyText, keyTextLength, (flags & 1) != 0)
  // Rows of another shape cannot go on: without their cursor the next connection brings new ones.
  if (isResumed && (request.isOther || request.areNew)) {
    breakFrame()
    return
  }
  request.attempts = 0
  const event = emit(Kind.subscribed, request.id)
  event.text = columnsOf(request).start
  event.textLength = columnsOf(request).length
  event.more = keyOf(request).start
  event.moreLength = keyOf(request).length
  if (request.set!.isOrdered) event.a |= isOrderedBit
  if (isResumed) event.a |= isResumedBit
  if (request.areNew) event.a |= areNewBit
  if (isEvaluated) event.a |= isEvaluatedBit
  if (isResumed) {
    request.phase = Phase.live
    tellReady(request, true)
  } else {
    beginLoading(request)
  }
}

/** Learns what its rows are, and whether that is other than before. */
export function describe(
  request: Request,
  columns: usize,
  columnsLength: u32,
  key: usize,
  keyLength: u32,
  isOrdered: bool,
): void {
  const set = request.set!
  if (keyOf(request).length != 0) {
    if (!isKept(columnsOf(request), columns, columnsLength)) request.areNew = true
    if (!isKept(keyOf(request), key, keyLength) || set.isOrdered != isOrdered)
      request.isOther = true
  }
  keep(columnsOf(request), columns, columnsLength)
  keep(keyOf(request), key, keyLength)
  // More than the brackets of a list.
  set.isKeyed = keyLength > 2
  set.isOrdered = isOrdered
}

// ---- reset, rows, ready

export function takeReset(request: Request): void {
  block()
  if (request.phase == Phase.waiting) breakFrame()
  if (isBroken()) return
  const event = emit(Kind.reset, request.id)
  event.text = blockStart
  event.textLength = blockLength
  beginLoading(request)
}

function beginLoading(request: Request): void {
  dropStaged(request)
  request.phase = Phase.loading
  // With a cursor, what there is stays true to it until the new rows are complete.
  request.isReplacing = request.set!.rows != 0 || cursorOf(request).length != 0
}

export function takeRows(request: Request): void {
  const rows = count()
  const start = place()
  let bytes: u32 = 0
  if (request.phase != Phase.loading) breakFrame()
  for (let index: u32 = 0; index < rows && !isBroken(); index++) {
    block()
    bytes += blockLength
    if (!isList(blockStart, blockLength) || !putKey(request, blockStart, blockLength)) breakFrame()
  }
  if (isBroken()) return
  rewind(start)
  if (request.isReplacing) stageRows(request, rows)
  else addRows(request, rows, bytes)
}

function stageRows(request: Request, rows: u32): void {
  for (let index: u32 = 0; index < rows; index++) {
    block()
    stage(request, rowOf(request, blockStart, blockLength))
  }
}

function addRows(request: Request, rows: u32, bytes: u32): void {
  const first = request.set!.rows
  beginGather(rows, bytes)
  for (let index: u32 = 0; index < rows; index++) {
    block()
    gather(blockStart, blockLength)
    addRow(request, blockStart, blockLength)
  }
  endGather()
  tellRows(request, first, rows)
}

function addRow(request: Request, text: usize, length: u32): void {
  const set = request.set!
  const row = rowOf(request, text, length)
  link(set, row)
  insertAt(set, set.rows, row)
}

function tellRows(request: Request, first: u32, rows: u32): void {
  const event = emit(Kind.rows, request.id)
  event.a = first
  event.b = rows
  event.text = gathered
  event.textLength = gatheredLength()
}

export function takeReady(request: Request): void {
  block()
  if (request.phase < Phase.loading) breakFrame()
  if (isBroken()) return
  const isLoaded = request.phase == Phase.loading
  request.phase = Phase.live
  keep(cursorOf(request), blockStart, blockLength)
  if (isLoaded && request.isReplacing) {
    replaceRows(
      request.set!,
      request.staged,
      request.stagedCount,
      request.stagedBytes,
      !request.isOther,
      request.areNew,
    )
    releaseStaged(request)
    tellChanges(request)
  }
  request.isReplacing = false
  request.isOther = false
  request.areNew = false
  tellReady(request, false)
}

function tellReady(request: Request, isResumed: bool): void {
  const event = emit(Kind.ready, request.id)
  event.a = isResumed
  tellCursor(request, event)
}

function tellCursor(request: Request, event: Event): void {
  event.cursor = cursorOf(request).start
  event.cursorLength = cursorOf(request).length
}

// ---- changes

export function takeChanges(request: Request): void {
  block()
  const cursor = blockStart
  const cursorLength = blockLength
  if (request.phase != Phase.live) breakFrame()
  const start = place()
  checkChanges(request.set!.isKeyed)
  // All changes up to a cursor come in one message: the same cursor again brings nothing new.
  if (isBroken() || isKept(cursorOf(request), cursor, cursorLength)) return
  rewind(start)
  applyChanges(request.set!)
  keep(cursorOf(request), cursor, cursorLength)
  tellChanges(request)
}

function tellChanges(request: Request): void {
  const event = emit(Kind.changes, request.id)
  event.a = differenceCount
  event.text = gathered
  event.textLength = gatheredLength()
  event.more = differences
  event.moreLength = differenceCount * 12
  tellCursor(request, event)
}

// ---- Rows

/**
 * Puts the key of a row into the sink, as `changes` write it between their brackets: the elements
 * that the list of column numbers names. False: the row has not got them.
 */
function putKey(request: Request, text: usize, length: u32): bool {
  clearSink()
  if (!request.set!.isKeyed) return true
  let at = keyOf(request).start
  do {
    let column: u32 = 0
    for (at++; load<u8>(at) >= 0x30; at++) {
      const digit = <u32>load<u8>(at) - 0x30
      if (digit > 9) break
      column = column * 10 + digit
    }
    if (!findColumn(text, length, column)) return false
    if (sinkLength() != 0) putByte(0x2c)
    putBytes(elementStart, elementLength)
  } while (load<u8>(at) == 0x2c)
  return true
}

function findColumn(text: usize, length: u32, column: u32): bool {
  const end = text + length
  let at = nextElement(text, end)
  for (let skipped: u32 = 0; skipped < column && at != 0; skipped++) at = nextElement(at, end)
  return at != 0
}

function rowOf(request: Request, text: usize, length: u32): Row {
  putKey(request, text, length)
  const keyLength = sinkLength()
  return keyLength == 0
    ? newRow(0, 0, text, length, hashOf(text, length))
    : newRow(sinkStart(), keyLength, text, length, hashOf(sinkStart(), keyLength))
}

/** Fills the set with rows that the host has kept, a JSON list; false if they are none. */
export function seedRows(request: Request, text: usize, length: u32): bool {
  const end = text + length
  if (!isList(text, length)) return false
  for (let at = nextElement(text, end); at != 0; at = nextElement(at, end)) {
    const row = elementStart
    const rowLength = elementLength
    if (!isList(row, rowLength) || !putKey(request, row, rowLength)) return false
    addRow(request, row, rowLength)
  }
  return true
}

/** Tells rows of the set from `first` on. */
export function tellWindow(request: Request, first: u32, rowsMax: u32): void {
  const list = request.set!
  const from = min(first, list.rows)
  const rows = min(rowsMax, list.rows - from)
  const bytes = walk(request, from, rows, false)
  beginGather(rows, bytes)
  walk(request, from, rows, true)
  endGather()
  tellRows(request, from, rows)
}

/** Adds up the bytes of rows, and gathers them. */
function walk(request: Request, from: u32, rows: u32, isGathered: bool): u32 {
  const list = request.set!
  findRank(list, from)
  let chunk = foundChunk
  let index = foundIndex
  let bytes: u32 = 0
  for (let left = rows; left > 0; left--) {
    while (index >= countAt(list, chunk)) {
      chunk += 1
      index = 0
    }
    const row = rowIn(chunkAt(list, chunk), index)
    if (isGathered) gather(textOf(row), row.length)
    bytes += row.length
    index += 1
  }
  return bytes
}
