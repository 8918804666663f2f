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
import { ascii } from './ascii'
import { hashOf, isKept, isText, keep } from './bytes'
import { emit, Event, Kind } from './events'
import { elementLength, elementStart, isList, nextElement } from './json'
import {
  applyChanges,
  beginGather,
  checkChanges,
  differenceCount,
  differences,
  endGather,
  gather,
  link,
  readList,
  replaceRows,
} from './live-set'
import { release } from './memory'
import {
  block,
  blockLength,
  blockStart,
  breakFrame,
  count,
  isBroken,
  place,
  rewind,
} from './reader'
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
import { flatten, insertAt } from './row-list'
import { newRow, Row, textOf } from './row'
import { clearSink, putByte, putBytes, sinkLength, sinkStart, tellSink } from './sink'

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
  // What was ordered and resumed on the wire, that the columns are others, that it is evaluated.
  event.a = (flags & 3) | ((<u32>request.areNew) << 2) | ((<u32>isEvaluated) << 3)
  event.text = columnsOf(request).start
  event.textLength = columnsOf(request).length
  event.more = keyOf(request).start
  event.moreLength = keyOf(request).length
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
  if (request.phase != Phase.loading) breakFrame()
  for (let left = count(); left > 0 && !isBroken(); left--) {
    readList()
    if (!stageRow(request, blockStart, blockLength)) breakFrame()
  }
  // What is staged of a broken frame goes with the connection.
  if (!isBroken() && !request.isReplacing) tellWindow(request, addStaged(request), u32.MAX_VALUE)
}

/** Keeps a row for later; false if it has not got its key. */
function stageRow(request: Request, text: usize, length: u32): bool {
  if (!putKey(request, text, length)) return false
  const hash = hashOf(sinkStart(), sinkLength())
  stage(request, newRow(sinkStart(), sinkLength(), text, length, hash))
  return true
}

/** Puts what is staged at the end of the set, and gives the index of the first of them. */
function addStaged(request: Request): u32 {
  const set = request.set!
  const first = set.rows
  for (let index: u32 = 0; index < request.stagedCount; index++) {
    const row = load<Row>(request.staged + ((<usize>index) << 2))
    link(set, row)
    insertAt(set, set.rows, row)
  }
  releaseStaged(request)
  return first
}

export function takeReady(request: Request): void {
  block()
  if (request.phase != Phase.loading) breakFrame()
  if (isBroken()) return
  request.phase = Phase.live
  keep(cursorOf(request), blockStart, blockLength)
  if (request.isReplacing) {
    replaceRows(request.set!, request.staged, request.stagedCount, !request.isOther, request.areNew)
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
  checkChanges()
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
  event.more = differences
  event.moreLength = differenceCount * 12
  tellSink(event)
  tellCursor(request, event)
}

// ---- Rows

/**
 * Puts the key of a row into the sink, as `changes` write it: the elements that the list of column
 * numbers names, or all. False: the row has not got them.
 */
function putKey(request: Request, text: usize, length: u32): bool {
  clearSink()
  if (!request.set!.isKeyed) {
    putBytes(text, length)
    return true
  }
  let at = keyOf(request).start
  do {
    // The bracket, or the comma before the next one.
    putByte(load<u8>(at++))
    let column: u32 = 0
    for (; load<u8>(at) - 0x30 < 10; at++) column = column * 10 + load<u8>(at) - 0x30
    if (!findColumn(text, length, column)) return false
    putBytes(elementStart, elementLength)
  } while (load<u8>(at) == 0x2c)
  putByte(0x5d)
  return true
}

function findColumn(text: usize, length: u32, column: u32): bool {
  const end = text + length
  let at = nextElement(text, end)
  for (let skipped: u32 = 0; skipped < column && at != 0; skipped++) at = nextElement(at, end)
  return at != 0
}

/** Fills the set with rows that the host has kept, a JSON list; false if they are none. */
export function seedRows(request: Request, text: usize, length: u32): bool {
  const end = text + length
  let areRows = isList(text, length)
  for (let at = nextElement(text, end); at != 0 && areRows; at = nextElement(at, end)) {
    const row = elementStart
    areRows = isList(row, elementLength) && stageRow(request, row, elementLength)
  }
  addStaged(request)
  return areRows
}

/** Tells rows of the set from `first` on. */
export function tellWindow(request: Request, first: u32, rowsMax: u32): void {
  const set = request.set!
  const rows = flatten(set)
  const from = min(first, set.rows)
  const count = min(rowsMax, set.rows - from)
  beginGather()
  for (let index = from; index < from + count; index++) {
    const row = load<Row>(rows + ((<usize>index) << 2))
    gather(textOf(row), row.length)
  }
  endGather()
  release(rows)
  const event = emit(Kind.rows, request.id)
  event.a = from
  event.b = count
  tellSink(event)
}
