/** Bytes on their way out: frames, and JSON that the core itself writes. */
import { Event, reserve } from './events'
import { grown } from './memory'

let bytes: usize = 0
let used: u32 = 0

export function clearSink(): void {
  used = 0
}

/** Stands until something more is put. */
export function sinkStart(): usize {
  return bytes
}

export function sinkLength(): u32 {
  return used
}

/** Makes what was put the text of an event. */
export function tellSink(event: Event): void {
  event.text = reserve(used)
  event.textLength = used
  memory.copy(event.text, bytes, used)
}

function grow(more: u32): void {
  bytes = grown(bytes, used + more)
}

export function putByte(byte: u32): void {
  grow(1)
  store<u8>(bytes + used, byte)
  used += 1
}

export function putBytes(from: usize, length: u32): void {
  grow(length)
  memory.copy(bytes + used, from, length)
  used += length
}

/** A text of the core's own. */
export function putText(text: usize): void {
  for (let at = text; load<u8>(at) != 0; at++) putByte(load<u8>(at))
}

/** 32 bits are enough for ids and lengths. */
export function putVarint(value: u32): void {
  let rest = value
  for (; rest >= 0x80; rest >>= 7) putByte((rest & 0x7f) | 0x80)
  putByte(rest)
}

export function putBlock(from: usize, length: u32): void {
  putVarint(length)
  putBytes(from, length)
}

export function putNumber(value: u32): void {
  if (value >= 10) putNumber(value / 10)
  putByte(0x30 + (value % 10))
}

/** A JSON string, with its quotes. */
export function putJson(from: usize, length: u32): void {
  putByte(0x22)
  putEscaped(from, length)
  putByte(0x22)
}

/** Control characters become spaces: there are none in what the core writes about. */
export function putEscaped(from: usize, length: u32): void {
  for (let at: u32 = 0; at < length; at++) {
    const byte = <u32>load<u8>(from + at)
    if (byte == 0x22 || byte == 0x5c) putByte(0x5c)
    putByte(max(byte, 0x20))
  }
}
