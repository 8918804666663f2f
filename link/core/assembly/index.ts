/** The functions of the module, by ABI.md. Each forgets first what the call before had to tell. */
import { keep, seedHashes } from './bytes'
import * as client from './client'
import { clearEvents, emit, eventsCount, eventsStart, Kind } from './events'
import { tellFailure } from './failure'
import { input, makeInput } from './input'
import { isList } from './json'
import { newSet } from './live-set'
import { subscribeTexts } from './messages'
import { addRequest, cursorOf, dropRequest, findRequest } from './request'
import { changeSetting, expectUser, forgetUrl, setKey, setUrl } from './settings'
import { describe, seedRows, tellWindow } from './subscription'
import { isGiven, lengthOf, pick, pickedLength, pickedStart } from './texts'

export function abiVersion(): u32 {
  return 1
}

/** Room for what the host gives next. */
export function inputRoom(length: u32): usize {
  return makeInput(length)
}

export function events(): usize {
  return eventsStart()
}

export function eventCount(): u32 {
  return eventsCount()
}

/** When `tick` is due; Infinity: never. */
export function dueAt(): f64 {
  return client.dueAt()
}

export function seed(value: u32): void {
  client.seedChance(value)
  seedHashes(value)
}

export function setting(name: u32, value: f64): bool {
  return changeSetting(name, value)
}

/** Texts: url, apiKey, userId. False: an error event says what is wrong. */
export function configure(length: u32): bool {
  begin(0)
  pick(input, length, 0)
  let isGood = setUrl(pickedStart, pickedLength)
  if (isGood) {
    pick(input, length, 1)
    isGood = setKey(pickedStart, pickedLength)
  }
  if (isGood) {
    pick(input, length, 2)
    expectUser(pickedStart, pickedLength)
  } else {
    forgetUrl()
    tellFailure(emit(Kind.error, 0))
  }
  return isGood
}

export function connect(now: f64): void {
  begin(now)
  client.connect()
}

export function disconnect(now: f64): void {
  begin(now)
  client.disconnect()
}

export function opened(socket: u32, now: f64): void {
  begin(now)
  client.opened(socket)
}

/** The input has the reason. */
export function closed(socket: u32, code: u32, length: u32, now: f64): void {
  begin(now)
  client.closed(socket, code, input, length)
}

/** The input has a frame. */
export function receive(socket: u32, length: u32, now: f64): void {
  begin(now)
  client.receive(socket, input, length)
}

export function tick(now: f64): void {
  begin(now)
  client.tick()
}

export function wake(now: f64): void {
  begin(now)
  client.wake()
}

/**
 * Texts: sql, params, namespace, rows, transaction (given, with no bytes: yes), idempotency_key.
 * Gives the query's id.
 */
export function query(length: u32, mayWait: bool, now: f64): u32 {
  begin(now)
  return client.startQuery(input, length, mayWait)
}

/**
 * Texts: sql, params, namespace, from, from_id; of rows that the host has kept: columns, key, rows.
 * Gives the subscription's id; 0 if the rows are none.
 */
export function subscribe(length: u32, isOrdered: bool, now: f64): u32 {
  begin(now)
  const request = addRequest(input, lengthOf(input, length, subscribeTexts), newSet())
  pick(input, length, 3)
  keep(cursorOf(request), pickedStart, pickedLength)
  pick(input, length, 5)
  const columns = pickedStart
  const columnsLength = pickedLength
  pick(input, length, 6)
  if (isGiven) {
    describe(request, columns, columnsLength, pickedStart, pickedLength, isOrdered)
    const isKey = isList(pickedStart, pickedLength)
    pick(input, length, 7)
    if (!isKey || !seedRows(request, pickedStart, pickedLength)) {
      dropRequest(request)
      return 0
    }
  }
  return client.startSubscription(request)
}

/** Nothing is told of it any more. */
export function unsubscribe(id: u32, now: f64): bool {
  begin(now)
  return client.unsubscribe(id)
}

/** How many rows a subscription has now. */
export function rowCount(id: u32): u32 {
  const request = findRequest(id)
  return request == null || request.set == null ? 0 : request.set!.rows
}

/** Tells rows of a subscription: a `rows` event. */
export function readRows(id: u32, first: u32, rowsMax: u32): void {
  clearEvents()
  const request = findRequest(id)
  if (request != null && request.set != null) tellWindow(request, first, rowsMax)
}

function begin(now: f64): void {
  clearEvents()
  client.setNow(now)
}
