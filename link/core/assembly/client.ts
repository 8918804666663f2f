/**
 * The connection, as the host's answers and the clock move it:
 *
 *   idle ──connect──▶ opening ──opened──▶ proving ──authenticated──▶ open
 *                      ▲   └───────┬─────────┘                        │
 *                      │           ▼ closed, silent, or a bad frame   ▼
 *                    waiting ◀─────┴──────────────────────────────────┘
 *                      └── the key is refused, attempts are used up, or the host says so ──▶ closed
 */
import { ascii } from './ascii'
import { isOneOf, keep } from './bytes'
import { emit, Kind, setMore, setText } from './events'
import {
  fail,
  failOver,
  forgetFailure,
  hasFailure,
  keepFailure,
  tellFailure,
  tellOther,
} from './failure'
import { putAuthenticate, putPing, putRequest, putUnsubscribe } from './messages'
import {
  block,
  blockLength,
  blockStart,
  breakFrame,
  byte,
  id,
  isBroken,
  read,
  varint,
} from './reader'
import {
  addRequest,
  cursorOf,
  dropRequest,
  dropStaged,
  findRequest,
  firstRequest,
  forgetDue,
  Phase,
  Request,
  setDue,
  soonestDue,
} from './request'
import * as settings from './settings'
import { clearSink, putByte, putJson, putText, sinkLength, tellSink } from './sink'
import { takeChanges, takeReady, takeReset, takeRows, takeSubscribed } from './subscription'

/** As the host is told them; ABI.md has them. */
const enum State {
  idle = 0,
  connecting = 1,
  connected = 2,
  reconnecting = 3,
  closed = 4,
}

const enum Step {
  idle = 0,
  opening = 1,
  proving = 2,
  open = 3,
  waiting = 4,
  closed = 5,
}

let step: Step = Step.idle
/** Names the socket; answers of others are of the past. */
let socket: u32 = 0
let now: f64 = 0
/** The moment at which the step has taken too long, or the wait is over. */
let stepDueAt: f64 = Infinity
let attempt: u32 = 0
let wasConnected: bool = false
let connectedAt: f64 = 0
let lastSignAt: f64 = 0
/** When an answer to a ping must have come; infinite: none is awaited. */
let pongDueAt: f64 = Infinity
let quietMs: f64 = 0
/** The server's bound on what it takes; its default until it has told it. */
let messageBytesMax: u32 = 1_048_576

/** A connection that held so long is a good one: the next attempts begin with short waits again. */
const steadyMs: f64 = 5_000
/** Doubling the wait more often changes nothing. */
const doublingsMax: u32 = 20
const closeNormally: i32 = 1000
const closeBroken: i32 = 4400
const closeSilent: i32 = 4408

// ---- Chance and time

let chance: u32 = 1

export function seedChance(seed: u32): void {
  chance = seed == 0 ? 1 : seed
}

/** From 0 to 1 (xorshift32). */
function random(): f64 {
  chance ^= chance << 13
  chance ^= chance >> 17
  chance ^= chance << 5
  return <f64>chance / 4_294_967_296.0
}

/** Half of the wait is chance, so that the clients of a server that is back do not come at once. */
function waitMs(doublings: u32): f64 {
  const whole = settings.reconnectMsMin() * <f64>(1 << min(doublings, doublingsMax))
  const bounded = min(whole, settings.reconnectMsMax())
  return bounded / 2 + (bounded / 2) * random()
}

/** Time does not go back. */
export function setNow(time: f64): void {
  if (time > now) now = time
}

/** When `tick` is due; infinite: never. */
export function dueAt(): f64 {
  const due = min(min(stepDueAt, pongDueAt), soonestDue)
  return step == Step.open && pongDueAt == Infinity ? min(due, lastSignAt + quietMs) : due
}

export function tick(): void {
  if (step == Step.waiting && now >= stepDueAt) openSocket()
  else if (now >= min(stepDueAt, pongDueAt)) {
    fail(ascii('TIMEOUT'), ascii('the server did not answer'))
    hangUp(closeSilent)
  } else if (step == Step.open && pongDueAt == Infinity && now - lastSignAt >= quietMs) ping()
  if (now >= soonestDue) serveDue()
}

function ping(): void {
  putPing()
  sendSink()
  pongDueAt = now + settings.pongMsMax()
}

/** The host thinks that the network is back, or that the machine has slept. */
export function wake(): void {
  if (step == Step.waiting) openSocket()
  else if (step == Step.open && pongDueAt == Infinity) ping()
}

// ---- The socket

export function connect(): void {
  if (settings.url.length == 0 || (step != Step.idle && step != Step.closed)) return
  attempt = 0
  forgetFailure()
  openSocket()
}

/** The host wants no connection. Subscriptions stay, for a `connect` to come. */
export function disconnect(): void {
  if (step == Step.closed || step == Step.idle) return
  fail(ascii('CLOSED'), ascii('the client was closed'))
  endSocket(closeNormally)
  loseRequests(false)
  forgetFailure()
  enterClosed()
}

function openSocket(): void {
  step = Step.opening
  socket += 1
  stepDueAt = now + settings.connectMsMax()
  tellState(wasConnected || attempt > 0 ? State.reconnecting : State.connecting, 0)
  const event = emit(Kind.open, 0)
  event.a = socket
  setText(event, settings.url.start, settings.url.length)
}

/** Whether this is a socket of the past. */
function isStale(from: u32): bool {
  return from != socket || step == Step.idle || step > Step.open
}

export function opened(from: u32): void {
  if (isStale(from) || step != Step.opening) return
  step = Step.proving
  putAuthenticate()
  sendSink()
}

export function closed(from: u32, code: u32, reason: usize, reasonLength: u32): void {
  if (isStale(from)) return
  // The server's last error says why it closed.
  if (!hasFailure()) {
    const message =
      reasonLength == 0 ? ascii('the connection was lost') : ascii('the connection was lost: %')
    failOver(ascii('CONNECTION_LOST'), message, reason, reasonLength)
  }
  step = Step.waiting
  lose(isFinal(code))
}

/**
 * A code of the server is 4000 + an HTTP status. Connecting again does not help against a caller's
 * mistake, but for a timeout, changed rights, a message too large, or too much at once.
 */
function isFinal(code: u32): bool {
  if (code < 4400 || code >= 4500) return false
  return code != 4408 && code != 4409 && code != 4413 && code != 4429
}

function hangUp(code: i32): void {
  endSocket(code)
  lose(false)
}

function endSocket(code: i32): void {
  const isThere = !isStale(socket)
  step = Step.waiting
  if (!isThere) return
  const event = emit(Kind.close, 0)
  event.a = socket
  event.b = code
}

function lose(forGood: bool): void {
  const isSteady = connectedAt != 0 && now - connectedAt >= steadyMs
  attempt = isSteady ? 1 : attempt + 1
  connectedAt = 0
  pongDueAt = Infinity
  const isOver = forGood || <f64>attempt > settings.attemptsMax()
  loseRequests(!isOver)
  if (isOver) {
    enterClosed()
    return
  }
  const wait = waitMs(attempt - 1)
  stepDueAt = now + wait
  tellState(State.reconnecting, <i32>Math.ceil(wait))
  forgetFailure()
}

function enterClosed(): void {
  step = Step.closed
  stepDueAt = Infinity
  pongDueAt = Infinity
  connectedAt = 0
  tellState(State.closed, 0)
}

function tellState(state: State, waitMs: i32): void {
  const event = emit(Kind.state, 0)
  event.a = state
  event.b = attempt
  event.c = waitMs
  event.d = wasConnected
  tellFailure(event)
}

function sendSink(): void {
  const event = emit(Kind.send, 0)
  event.a = socket
  tellSink(event)
}

// ---- Requests

/** How a lost or late query may have ended. */
const outcomeUnknown: i32 = 1

/** Whom an error is about. */
const aboutQuery: i32 = 1
const aboutSubscription: i32 = 2

/** `mayWait`: until there is a connection; otherwise it ends at once if there is none. */
export function startQuery(texts: usize, length: u32, mayWait: bool): u32 {
  const query = addRequest(texts, length, null)
  const id = query.id
  if (settings.requestMsMax() > 0) setDue(query, now + settings.requestMsMax())
  if (step == Step.open) sendRequest(query)
  else if (!mayWait || step == Step.closed || step == Step.idle) {
    fail(ascii('NOT_CONNECTED'), ascii('the query was not sent'))
    endRequest(query, false)
    forgetFailure()
  }
  return id
}

/** Ends queries that took too long, and asks again for subscriptions that had to wait. */
function serveDue(): void {
  forgetDue()
  let request = firstRequest()
  while (request != null) {
    const next = request.next
    if (now < request.dueAt) setDue(request, request.dueAt)
    else if (request.set != null) sendRequest(request)
    else {
      fail(ascii('TIMEOUT'), ascii('the server did not answer the query'))
      endRequest(request, request.phase == Phase.sent)
      forgetFailure()
    }
    request = next
  }
}

export function startSubscription(request: Request): u32 {
  const id = request.id
  if (step == Step.open) sendRequest(request)
  return id
}

/** The server would end the socket for a message that is too large. */
function sendRequest(request: Request): void {
  putRequest(request)
  if (request.set != null) request.dueAt = Infinity
  if (sinkLength() > messageBytesMax) {
    fail(ascii('REQUEST_TOO_LARGE'), ascii('the message is larger than the server takes'))
    endRequest(request, false)
    forgetFailure()
    return
  }
  request.phase = Phase.sent
  sendSink()
}

/** Ends it with the failure. */
function endRequest(request: Request, isUnknown: bool): void {
  const event = emit(Kind.error, request.id)
  event.a = kindOf(request)
  event.b = isUnknown ? outcomeUnknown : 0
  tellFailure(event)
  dropRequest(request)
}

function kindOf(request: Request): i32 {
  return request.set == null ? aboutQuery : aboutSubscription
}

/** Nothing is told of it any more. False: there is none. */
export function unsubscribe(subscription: u32): bool {
  const request = findRequest(subscription)
  if (request == null || request.set == null) return false
  if (step == Step.open && request.phase != Phase.waiting) {
    putUnsubscribe(subscription)
    sendSink()
  }
  dropRequest(request)
  return true
}

/** Of queries that were sent nobody knows how they ended. Subscriptions wait for a connection. */
function loseRequests(mayComeBack: bool): void {
  let request = firstRequest()
  while (request != null) {
    const next = request.next
    const wasSent = request.phase != Phase.waiting
    if (request.set != null) suspend(request)
    else if (!mayComeBack) endRequest(request, wasSent)
    else if (wasSent) loseQuery(request)
    request = next
  }
}

function suspend(request: Request): void {
  request.phase = Phase.waiting
  request.dueAt = Infinity
  dropStaged(request)
  // Rows that cannot be compared cannot be resumed.
  if (request.isOther || request.areNew) keep(cursorOf(request), 0, 0)
}

function loseQuery(query: Request): void {
  const event = emit(Kind.error, query.id)
  event.a = aboutQuery
  event.b = outcomeUnknown
  tellOther(event, ascii('CONNECTION_LOST'), ascii('the connection was lost before the answer'))
  dropRequest(query)
}

// ---- Frames

const enum Tag {
  authenticated = 0x41,
  subscribed = 0x42,
  rows = 0x43,
  ready = 0x44,
  changes = 0x45,
  reset = 0x46,
  result = 0x48,
  error = 0x49,
  pong = 0x4a,
}

export function receive(from: u32, frame: usize, length: u32): void {
  if (isStale(from)) return
  lastSignAt = now
  pongDueAt = Infinity
  read(frame, length)
  const tag = byte()
  const isEarly = tag != Tag.authenticated && tag != Tag.error && tag != Tag.pong
  if (step != Step.open && isEarly) breakFrame()
  else take(tag)
  if (!isBroken()) return
  fail(ascii('PROTOCOL'), ascii('a message was broken or out of turn'))
  hangUp(closeBroken)
}

function take(tag: u32): void {
  switch (tag) {
    case Tag.authenticated:
      takeAuthenticated()
      return
    case Tag.result:
      takeResult()
      return
    case Tag.error:
      takeError()
      return
    case Tag.pong:
      return
    default:
      // `unsubscribed` tells nothing new, and what this version does not know is passed over.
      if (tag >= <u32>Tag.subscribed && tag <= <u32>Tag.reset) takeLive(tag)
  }
}

function takeLive(tag: u32): void {
  const flags = tag == Tag.subscribed ? byte() : 0
  const request = findRequest(id())
  // Of a subscription that is over, something may still be on its way.
  if (isBroken() || request == null || request.set == null) return
  switch (tag) {
    case Tag.subscribed:
      takeSubscribed(request, flags)
      return
    case Tag.rows:
      takeRows(request)
      return
    case Tag.ready:
      takeReady(request)
      return
    case Tag.changes:
      takeChanges(request)
      return
    default:
      takeReset(request)
  }
}

function takeAuthenticated(): void {
  const isReadOnly = (byte() & 1) != 0
  if (step != Step.proving) breakFrame()
  clearSink()
  for (let at = welcome; load<u8>(at) != 0; at++)
    if (load<u8>(at) == percent) putNext()
    else putByte(load<u8>(at))
  putText(isReadOnly ? ascii('true}') : ascii('false}'))
  const bytesMax = varint()
  varint() // subscriptions_max: the server says so itself when there are too many
  const idleMs = <f64>varint()
  if (isBroken()) return
  tellSink(emit(Kind.welcome, 0))
  messageBytesMax = bytesMax
  // The server waits so long for a sign; three of ours fit in.
  quietMs = min(settings.quietMsMax(), idleMs / 3)
  step = Step.open
  stepDueAt = Infinity
  connectedAt = now
  wasConnected = true
  tellState(State.connected, 0)
  sendHeld()
}

const welcome = ascii('{"user_id":%,"name":%,"role":%,"version":%,"read_only":')
const percent: u8 = 0x25

function putNext(): void {
  block()
  putJson(blockStart, blockLength)
}

function sendHeld(): void {
  let request = firstRequest()
  while (request != null) {
    const next = request.next
    sendRequest(request)
    request = next
  }
}

function takeResult(): void {
  const isReplayed = byte() & 1
  const query = findRequest(id())
  block()
  const tookStart = blockStart
  const tookLength = blockLength
  block()
  // One that came too late has been told already.
  if (isBroken() || query == null || query.set != null) return
  const event = emit(Kind.result, query.id)
  event.a = isReplayed
  setText(event, blockStart, blockLength)
  setMore(event, tookStart, tookLength)
  dropRequest(query)
}

function takeError(): void {
  const hasId = (byte() & 1) != 0
  // No request has the id 0.
  const about = hasId ? id() : 0
  block()
  if (isBroken()) return
  const request = findRequest(about)
  if (request == null) {
    // The server closes the socket after an error that names nobody.
    if (!hasId) keepFailure(blockStart, blockLength)
    return
  }
  if (request.set != null && isPassing(blockStart, blockLength)) {
    suspend(request)
    setDue(request, now + waitMs(request.attempts++))
    return
  }
  const event = emit(Kind.error, about)
  event.a = kindOf(request)
  setText(event, blockStart, blockLength)
  dropRequest(request)
}

/** Whether it helps to ask again a little later. */
function isPassing(error: usize, length: u32): bool {
  const start = error + codeAt
  if (length <= codeAt) return false
  let end: u32 = codeAt
  while (end < length && load<u8>(error + end) != 0x22) end += 1
  const code = end - codeAt
  return isOneOf(start, code, passing)
}

const passing = ascii('RATE_LIMITED OVERLOADED LEASE_TIMEOUT ENGINE_RESTARTED UNAVAILABLE')

/** Length of `{"code":"`, with which the server's errors begin. */
const codeAt: u32 = 9
