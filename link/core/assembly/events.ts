/**
 * What a call has for its host: records of twelve words, and the texts they point to. All of it
 * stands until the next call. ABI.md explains each kind.
 */

import { allocate, grown, release } from './memory'

export const enum Kind {
  open = 1,
  send = 2,
  close = 3,
  state = 4,
  welcome = 5,
  result = 6,
  error = 7,
  subscribed = 8,
  rows = 9,
  changes = 10,
  ready = 11,
  reset = 12,
  ended = 13,
}

@unmanaged
export class Event {
  kind: u32
  id: u32
  a: i32
  b: i32
  text: usize
  textLength: u32
  more: usize
  moreLength: u32
  cursor: usize
  cursorLength: u32
  c: i32
  d: i32
}

let records: usize = 0
let recordCount: u32 = 0

/** Texts: one block, and those that were too small, kept because records point into them. */
let block: usize = 0
let blockBytes: u32 = 0
let blockUsed: u32 = 0
let older: usize = 0

/** In front of each block: the one before it. */
const linkBytes: u32 = 8
const firstBlockBytes: u32 = 4096

export function eventsStart(): usize {
  return records
}

export function eventsCount(): u32 {
  return recordCount
}

/** Forgets what the call before had. */
export function clearEvents(): void {
  recordCount = 0
  blockUsed = linkBytes
  while (older != 0) {
    const next = load<usize>(older)
    release(older)
    older = next
  }
}

export function emit(kind: Kind, id: u32): Event {
  const at = recordCount * offsetof<Event>()
  records = grown(records, at + offsetof<Event>())
  recordCount += 1
  const event = changetype<Event>(records + at)
  memory.fill(records + at, 0, offsetof<Event>())
  event.kind = kind
  event.id = id
  return event
}

/** Room for a text of the event to come. */
export function reserve(length: u32): usize {
  const bytes = (length + 7) & ~7
  if (blockUsed + bytes > blockBytes) nextBlock(bytes)
  const at = block + blockUsed
  blockUsed += bytes
  return at
}

function nextBlock(bytes: u32): void {
  if (block != 0) {
    store<usize>(block, older)
    older = block
  }
  blockBytes = max(max(blockBytes * 2, firstBlockBytes), bytes + linkBytes)
  block = allocate(blockBytes)
  blockUsed = linkBytes
}
