/** What was asked and is not over: queries and subscriptions, in one space of ids. */
import { keep, Text } from './bytes'
import { freeSet, LiveSet } from './live-set'
import { allocateEmpty, release } from './memory'

export const enum Phase {
  /** Not sent, or sent on a connection that is gone. */
  waiting = 0,
  sent = 1,
  /** A snapshot is coming. */
  loading = 2,
  live = 3,
}

@unmanaged
export class Request {
  /** First, so that a request's address is that of the pointer to the one after it. */
  next: Request | null
  id: u32
  phase: Phase
  /** A query's last moment, or when a refused subscription is asked again; infinite: never. */
  dueAt: f64
  /** Only subscriptions have one. */
  set: LiveSet | null
  attempts: u32
  // Four texts, each its start and its length.
  texts0: u32
  texts1: u32
  cursor0: u32
  cursor1: u32
  columns0: u32
  columns1: u32
  key0: u32
  key1: u32
  isKnown: bool
  /** The snapshot that comes replaces rows; they are staged until it is complete. */
  isReplacing: bool
  /** Of that snapshot: rows cannot be compared with those there are; or mean something else. */
  isOther: bool
  areNew: bool
  staged: LiveSet | null
}

/** The word that points to the first request, as `next` points to the one after. */
const head = memory.data(4)
let nextId: u32 = 1

export function firstRequest(): Request | null {
  return load<Request | null>(head)
}

/** The texts it was asked with. */
export function textsOf(request: Request): Text {
  return changetype<Text>(changetype<usize>(request) + offsetof<Request>('texts0'))
}

/** Up to where its rows are complete. */
export function cursorOf(request: Request): Text {
  return changetype<Text>(changetype<usize>(request) + offsetof<Request>('cursor0'))
}

/** What its rows are, as the server told it. */
export function columnsOf(request: Request): Text {
  return changetype<Text>(changetype<usize>(request) + offsetof<Request>('columns0'))
}

/** Which columns are its rows' key: a JSON list. */
export function keyOf(request: Request): Text {
  return changetype<Text>(changetype<usize>(request) + offsetof<Request>('key0'))
}

export function addRequest(texts: usize, length: u32, set: LiveSet | null): Request {
  const request = changetype<Request>(allocateEmpty(offsetof<Request>()))
  request.id = nextId++
  keep(textsOf(request), texts, length)
  request.set = set
  request.dueAt = Infinity
  store<Request>(pointerTo(null), request)
  return request
}

/** Where the pointer to that request stands; the last one points to null. */
function pointerTo(request: Request | null): usize {
  let pointer: usize = head
  while (load<usize>(pointer) != changetype<usize>(request)) pointer = load<usize>(pointer)
  return pointer
}

/** Goes through all: a socket has at most some hundreds, and looking at one takes a nanosecond. */
export function findRequest(id: u32): Request | null {
  let request = firstRequest()
  while (request != null && request.id != id) request = request.next
  return request
}

export function dropRequest(request: Request): void {
  store<Request | null>(pointerTo(request), request.next)
  dropStaged(request)
  if (request.set != null) freeSet(request.set!)
  release(textsOf(request).start)
  release(cursorOf(request).start)
  release(columnsOf(request).start)
  release(keyOf(request).start)
  release(changetype<usize>(request))
}

/** Nothing is due before it. */
export let soonestDue: f64 = Infinity

export function setDue(request: Request, at: f64): void {
  request.dueAt = at
  soonestDue = min(soonestDue, at)
}

/** Before all that is due is looked through, and what is left is set again. */
export function forgetDue(): void {
  soonestDue = Infinity
}

/** Forgets the rows that are staged. */
export function dropStaged(request: Request): void {
  if (request.staged != null) freeSet(request.staged!)
  request.staged = null
}
