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
import { copyOf, isKept, isOneOf, keep } from './bytes'
import { emit, Event, Kind, setMore, setText } from './events'
import { elementLength, elementStart, isList, nextElement } from './json'
import {
  append,
  applyChanges,
  beginGather,
  checkChanges,
  differenceCount,
  differences,
  endGather,
  gather,
  newSet,
  readList,
  replaceRows,
} from './live-set'
import { enterFrame, leaveFrame } from './input'
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
import { columnsOf, cursorOf, dropStaged, keyOf, Phase, Request } from './request'
import { flatten } from './row-list'
import { freeRow, newRow, Row } from './row'
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
  const isEvaluated = isOneOf(blockStart, blockLength, ascii('evaluated'))
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
  setText(event, columnsOf(request).start, columnsOf(request).length)
  setMore(event, keyOf(request).start, keyOf(request).length)
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
  // That is [0]: two and more are put together.
  set.isKeyFirst = keyLength == 3 && load<u8>(key + 1) == 0x30
  set.isOrdered = isOrdered
}

// ---- reset, rows, ready

export function takeReset(request: Request): void {
  block()
  if (request.phase == Phase.waiting) breakFrame()
  if (isBroken()) return
  const event = emit(Kind.reset, request.id)
  setText(event, blockStart, blockLength)
  beginLoading(request)
}

function beginLoading(request: Request): void {
  dropStaged(request)
  request.phase = Phase.loading
  // With a cursor, what there is stays true to it until the new rows are complete.
  request.isReplacing = request.set!.rows != 0 || cursorOf(request).length != 0
  if (request.isReplacing) request.staged = newSet()
}

/**
 * Rows stay in the frame that brought them, and it becomes the list that is told: the bracket and
 * the commas take the place of the lengths, and rows move up to them.
 */
export function takeRows(request: Request): void {
  const rows = count()
  if (request.phase != Phase.loading) breakFrame()
  if (isBroken() || rows == 0) return
  const frame = enterFrame()
  const list = place()
  let to = list
  let slot: usize = chain
  for (let left = rows; left > 0; left--) {
    readList()
    const length = blockLength
    store<u8>(to++, 0x2c)
    if (to != blockStart) memory.copy(to, blockStart, length)
    if (isBroken() || !findKey(request, to, length)) {
      breakFrame()
      break
    }
    if (keyStart != to) keyStart = copyOf(keyStart, keyLength)
    const row = newRow(keyStart, keyLength, to, length, frame)
    store<Row>(slot, row)
    slot = changetype<usize>(row)
    to += length
  }
  store<Row | null>(slot, null)
  const set = request.isReplacing ? request.staged! : request.set!
  const first = set.rows
  let row = load<Row | null>(chain)
  while (row != null) {
    const next = row.next
    if (isBroken()) freeRow(row)
    else append(set, row)
    row = next
  }
  leaveFrame(frame)
  if (isBroken() || request.isReplacing) return
  store<u8>(list, 0x5b)
  store<u8>(to, 0x5d)
  const event = emit(Kind.rows, request.id)
  event.a = first
  event.b = rows
  setText(event, list, <u32>(to + 1 - list))
}

/** Points to the first row that is read, as `next` of each points to the one after. */
const chain = memory.data(4)

export function takeReady(request: Request): void {
  block()
  if (request.phase != Phase.loading) breakFrame()
  if (isBroken()) return
  request.phase = Phase.live
  keep(cursorOf(request), blockStart, blockLength)
  if (request.isReplacing) {
    replaceRows(request.set!, request.staged!, !request.isOther, request.areNew)
    request.staged = null
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
  setMore(event, differences, differenceCount * 12)
  tellSink(event)
  tellCursor(request, event)
}

// ---- Rows

/** The key that `findKey` found: bytes of the row, or in the sink. */
let keyStart: usize = 0
let keyLength: u32 = 0

/**
 * Finds the key of a row as `changes` write it but for the closing bracket: the elements that the
 * list of column numbers names, or all. False: the row has not got them.
 */
function findKey(request: Request, text: usize, length: u32): bool {
  const set = request.set!
  keyStart = text
  keyLength = length - 1
  if (!set.isKeyed) return true
  if (set.isKeyFirst) {
    const end = nextElement(text, text + length)
    keyLength = <u32>(end - text)
    return end != 0
  }
  clearSink()
  let at = keyOf(request).start
  do {
    // The bracket, or the comma before the next one.
    putByte(load<u8>(at++))
    let column: u32 = 0
    for (; load<u8>(at) - 0x30 < 10; at++) column = column * 10 + load<u8>(at) - 0x30
    if (!findColumn(text, length, column)) return false
    putBytes(elementStart, elementLength)
  } while (load<u8>(at) == 0x2c)
  keyStart = sinkStart()
  keyLength = sinkLength()
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
  if (!isList(text, length)) return false
  for (let at = nextElement(text, end); at != 0; at = nextElement(at, end)) {
    const row = elementStart
    const rowLength = elementLength
    if (!isList(row, rowLength) || !findKey(request, row, rowLength)) return false
    append(request.set!, newRow(keyStart, keyLength, row, rowLength, null))
  }
  return true
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
    gather(row.text, row.length)
  }
  endGather()
  release(rows)
  const event = emit(Kind.rows, request.id)
  event.a = from
  event.b = count
  tellSink(event)
}
