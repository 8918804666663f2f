/** Errors that the core itself finds: JSON like the server's, `{"code":…,"message":…}`. */
import { ascii } from './ascii'
import { keep, Text } from './bytes'
import { Event } from './events'
import {
  clearSink,
  putByte,
  putBytes,
  putEscaped,
  putText,
  sinkLength,
  sinkStart,
  tellSink,
} from './sink'

const percent: u8 = 0x25

const kept = changetype<Text>(memory.data(8))

export function hasFailure(): bool {
  return kept.length != 0
}

export function forgetFailure(): void {
  kept.length = 0
}

/** Keeps an error that came as JSON. */
export function keepFailure(from: usize, bytes: u32): void {
  keep(kept, from, bytes)
}

/** Writes one and keeps it. */
export function fail(code: usize, message: usize): void {
  failOver(code, message, 0, 0)
}

/** The same; `%` in the message stands for the bytes of `what`. */
export function failOver(code: usize, message: usize, what: usize, whatLength: u32): void {
  putFailure(code, message, what, whatLength)
  keepFailure(sinkStart(), sinkLength())
}

/** Longest part of what was given that a message repeats. */
const whatMax: u32 = 200

function putFailure(code: usize, message: usize, what: usize, whatLength: u32): void {
  clearSink()
  putText(ascii('{"code":"'))
  putText(code)
  putText(ascii('","message":"'))
  for (let at = message; load<u8>(at) != 0; at++) {
    const character = load<u8>(at)
    if (character == percent) putEscaped(what, min(whatLength, whatMax))
    else putByte(character)
  }
  putText(ascii('"}'))
}

/** Puts the error that is kept into an event. */
export function tellFailure(event: Event): void {
  clearSink()
  putBytes(kept.start, kept.length)
  tellSink(event)
}

/** Puts an error into an event without keeping it. */
export function tellOther(event: Event, code: usize, message: usize): void {
  putFailure(code, message, 0, 0)
  tellSink(event)
}
