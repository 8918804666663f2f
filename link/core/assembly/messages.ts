/** Frames of kalam.v1.bin that a client sends; docs/protocol.md has their layout. */
import { cursorOf, Request, textsOf } from './request'
import * as settings from './settings'
import { clearSink, putBlock, putByte, putVarint, sinkStart } from './sink'
import { isGiven, pick, pickedLength, pickedStart, pickText } from './texts'

const subscribeTag: u32 = 0x02
const queryTag: u32 = 0x04

/** Texts: sql, params, namespace, from, from_id. Where it is complete stands in place of `from`. */
export const subscribeTexts: u32 = 5
const fromIndex: u32 = 3

/** Texts: sql, params, namespace, rows, transaction, idempotency_key. */
const queryTexts: u32 = 6
/** Only a flag on the wire. */
const transactionIndex: u32 = 4

export function putAuthenticate(): void {
  const hasUser = settings.userId.length != 0
  clearSink()
  putByte(0x01)
  putByte(hasUser ? 1 : 0)
  putBlock(settings.key.start, settings.key.length)
  if (hasUser) putBlock(settings.userId.start, settings.userId.length)
}

/** Every text but the first may be left out: it has the flag of its place. */
export function putRequest(request: Request): void {
  const isQuery = request.set == null
  const count = isQuery ? queryTexts : subscribeTexts
  let flags: u32 = 0
  clearSink()
  putByte(isQuery ? queryTag : subscribeTag)
  putByte(0)
  putVarint(request.id)
  for (let index: u32 = 0; index < count; index++) {
    pickOf(request, index)
    if (!isGiven) continue
    // Of the first the bit falls out.
    flags |= (1 << index) >> 1
    if (!isQuery || index != transactionIndex) putBlock(pickedStart, pickedLength)
  }
  store<u8>(sinkStart() + flagsAt, flags)
}

const flagsAt: u32 = 1

function pickOf(request: Request, index: u32): void {
  const cursor = cursorOf(request)
  const texts = textsOf(request)
  if (request.set != null && index == fromIndex)
    pickText(cursor.start, cursor.length, cursor.length != 0)
  else pick(texts.start, texts.length, index)
}

export function putUnsubscribe(id: u32): void {
  clearSink()
  putByte(0x03)
  putVarint(id)
}

/** Without an id: any answer is a sign of life. */
export function putPing(): void {
  clearSink()
  putByte(0x05)
  putByte(0)
}
