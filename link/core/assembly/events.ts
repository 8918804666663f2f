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

/** The last block of texts; in front of each is the one before it. */
let texts: usize = 0
const linkBytes: u32 = 4

export function eventsStart(): usize {
  return records
}

export function eventsCount(): u32 {
  return recordCount
}

/** Forgets what the call before had. */
export function clearEvents(): void {
  recordCount = 0
  while (texts != 0) {
    const before = load<usize>(texts)
    release(texts)
    texts = before
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

export function setText(event: Event, start: usize, length: u32): void {
  event.text = start
  event.textLength = length
}

export function setMore(event: Event, start: usize, length: u32): void {
  event.more = start
  event.moreLength = length
}

/** Room for a text of the event to come. */
export function reserve(length: u32): usize {
  const block = allocate(length + linkBytes)
  store<usize>(block, texts)
  texts = block
  return block + linkBytes
}
