/** Frames of kalam.v1.bin that a client sends; docs/protocol.md has their layout. */
import { cursorOf, Request, textsOf } from './request'
import * as settings from './settings'
import { clearSink, putBlock, putByte, putVarint } from './sink'
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
  clearSink()
  putByte(0x01)
  putByte(settings.hasUserId ? 1 : 0)
  putBlock(settings.key.start, settings.key.length)
  if (settings.hasUserId) putBlock(settings.userId.start, settings.userId.length)
}

/** Every text but the first may be left out: it has the flag of its place. */
export function putRequest(request: Request): void {
  const isQuery = request.set == null
  const count = isQuery ? queryTexts : subscribeTexts
  let flags: u32 = 0
  for (let index: u32 = 1; index < count; index++) {
    pickOf(request, index)
    if (isGiven) flags |= 1 << (index - 1)
  }
  clearSink()
  putByte(isQuery ? queryTag : subscribeTag)
  putByte(flags)
  putVarint(request.id)
  for (let index: u32 = 0; index < count; index++) {
    pickOf(request, index)
    if (isGiven && !(isQuery && index == transactionIndex)) putBlock(pickedStart, pickedLength)
  }
}

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
