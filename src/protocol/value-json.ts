/**
 * One value, PostgreSQL's text to JSON, byte to byte. What does not look as its type promises
 * becomes a JSON string of the same text, so that the output is valid JSON whatever comes in.
 *
 * Arguments are positional and indexes are passed around instead of views: this is the hottest
 * code of the server, and an object per value halves its speed (bench 2026-11-23).
 */
import type { ByteSink } from './byte-sink.js'
import { isJson, isJsonNumber } from './json-text.js'
import { encodeTimestamptz } from './timestamptz-json.js'
import type { TypeInfo } from './type-info.js'

/** Appends the value whose text is `source[start..end)`. */
export function encodeValue(
  type: TypeInfo,
  source: Uint8Array,
  start: number,
  end: number,
  out: ByteSink,
): void {
  switch (type.encoding) {
    case 'text':
      encodeText(source, start, end, out)
      break
    case 'number':
      if (isJsonNumber(source, start, end)) out.appendRange(source, start, end)
      else encodeText(source, start, end, out)
      break
    case 'boolean':
      encodeBoolean(source, start, end, out)
      break
    case 'json':
      if (isJson(source, start, end)) embedJson(source, start, end, out)
      else encodeText(source, start, end, out)
      break
    case 'timestamptz':
      if (!encodeTimestamptz(source, start, end, out)) encodeText(source, start, end, out)
      break
    case 'array':
      encodeArray(type, source, start, end, out)
  }
}

/** The longest text whose worst case (each byte as \u00XX) is reserved at once. */
const shortTextBytesMax = 256

function encodeText(source: Uint8Array, start: number, end: number, out: ByteSink): void {
  out.appendByte(quote)
  if (end - start <= shortTextBytesMax) escapeShort(source, start, end, out)
  else escapeLong(source, start, end, out)
  out.appendByte(quote)
}

function escapeShort(source: Uint8Array, start: number, end: number, out: ByteSink): void {
  const target = out.reserve((end - start) * escapedBytesMax)
  let length = out.length
  for (let at = start; at < end; at++) {
    const byte = source[at] ?? 0
    if (escapes[byte] === plain) target[length++] = byte
    else length = writeEscape(target, length, byte)
  }
  out.length = length
}

/** Copies the runs between escapes as they are. */
function escapeLong(source: Uint8Array, start: number, end: number, out: ByteSink): void {
  let runStart = start
  for (let at = start; at < end; at++) {
    const byte = source[at] ?? 0
    if (escapes[byte] === plain) continue
    out.appendRange(source, runStart, at)
    out.length = writeEscape(out.reserve(escapedBytesMax), out.length, byte)
    runStart = at + 1
  }
  out.appendRange(source, runStart, end)
}

function writeEscape(target: Uint8Array, at: number, byte: number): number {
  const letter = escapes[byte] ?? plain
  target[at] = backslash
  target[at + 1] = letter
  if (letter !== letterU) return at + 2
  target[at + 2] = digitZero
  target[at + 3] = digitZero
  target[at + 4] = hexDigit(byte >> 4)
  target[at + 5] = hexDigit(byte & 15)
  return at + escapedBytesMax
}

function hexDigit(value: number): number {
  return value < 10 ? digitZero + value : letterA + value - 10
}

function encodeBoolean(source: Uint8Array, start: number, end: number, out: ByteSink): void {
  const letter = end - start === 1 ? source[start] : undefined
  if (letter === letterT) out.append(trueText)
  else if (letter === letterF) out.append(falseText)
  else encodeText(source, start, end, out)
}

/** Line breaks can only stand between tokens; as spaces they keep a row on one line of NDJSON. */
function embedJson(source: Uint8Array, start: number, end: number, out: ByteSink): void {
  const target = out.reserve(end - start)
  let length = out.length
  for (let at = start; at < end; at++) {
    const byte = source[at] ?? 0
    target[length++] = byte === newline || byte === carriageReturn ? space : byte
  }
  out.length = length
}

/** PostgreSQL's MAXDIM. */
const arrayDepthMax = 6
const notAnArray = -1

function encodeArray(
  type: TypeInfo,
  source: Uint8Array,
  start: number,
  end: number,
  out: ByteSink,
): void {
  const mark = out.length
  const reader: ArrayReader = {
    element: type.element ?? textType,
    delimiter: (type.delimiter ?? ',').charCodeAt(0),
    source,
    end,
    out,
  }
  if (encodeDimension(reader, skipBounds(source, start, end), 1) === end) return
  out.length = mark
  encodeText(source, start, end, out)
}

interface ArrayReader {
  readonly element: TypeInfo
  readonly delimiter: number
  readonly source: Uint8Array
  readonly end: number
  readonly out: ByteSink
}

/** Arrays that do not begin at 1 start with `[0:2]=`, which JSON cannot tell. */
function skipBounds(source: Uint8Array, start: number, end: number): number {
  if (source[start] !== leftBracket) return start
  let at = start
  while (at < end && source[at] !== equalsSign && source[at] !== leftBrace) at++
  return source[at] === equalsSign ? at + 1 : start
}

/** Appends `{…}` at `at` as `[…]`. Returns the index after it, or `notAnArray`. */
function encodeDimension(reader: ArrayReader, start: number, depth: number): number {
  const { source, end, out, delimiter } = reader
  if (depth > arrayDepthMax || start >= end || source[start] !== leftBrace) return notAnArray
  out.appendByte(leftBracket)
  let at = start + 1
  if (at < end && source[at] === rightBrace) {
    out.appendByte(rightBracket)
    return at + 1
  }
  for (;;) {
    at = encodeElement(reader, at, depth)
    if (at === notAnArray || at >= end) return notAnArray
    if (source[at] === rightBrace) break
    if (source[at] !== delimiter) return notAnArray
    out.appendByte(comma)
    at += 1
  }
  out.appendByte(rightBracket)
  return at + 1
}

function encodeElement(reader: ArrayReader, at: number, depth: number): number {
  if (at >= reader.end) return notAnArray
  if (reader.source[at] === leftBrace) return encodeDimension(reader, at, depth + 1)
  if (reader.source[at] === quote) return encodeQuoted(reader, at + 1)
  return encodeUnquoted(reader, at)
}

function encodeUnquoted(reader: ArrayReader, start: number): number {
  const { source, end, out, delimiter, element } = reader
  let at = start
  while (at < end && source[at] !== delimiter && source[at] !== rightBrace) {
    if (source[at] === quote || source[at] === backslash || source[at] === leftBrace) {
      return notAnArray
    }
    at += 1
  }
  if (at === start) return notAnArray
  if (isNull(source, start, at)) out.append(nullText)
  else encodeValue(element, source, start, at, out)
  return at
}

function encodeQuoted(reader: ArrayReader, start: number): number {
  const { source, end, out, element } = reader
  let escapeCount = 0
  let at = start
  while (at < end && source[at] !== quote) {
    if (source[at] === backslash) {
      escapeCount += 1
      at += 1
    }
    at += 1
  }
  if (at >= end) return notAnArray
  if (escapeCount === 0) {
    encodeValue(element, source, start, at, out)
  } else {
    const text = unescaped(source, start, at, escapeCount)
    encodeValue(element, text, 0, text.length, out)
  }
  return at + 1
}

function unescaped(
  source: Uint8Array,
  start: number,
  end: number,
  escapeCount: number,
): Uint8Array {
  const text = new Uint8Array(end - start - escapeCount)
  let length = 0
  for (let at = start; at < end; at++) {
    if (source[at] === backslash) at += 1
    text[length++] = source[at] ?? 0
  }
  return text
}

function isNull(source: Uint8Array, start: number, end: number): boolean {
  return (
    end - start === 4 &&
    source[start] === letterCapitalN &&
    source[start + 1] === letterCapitalU &&
    source[start + 2] === letterCapitalL &&
    source[start + 3] === letterCapitalL
  )
}

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const space = 0x20
const newline = 0x0a
const carriageReturn = 0x0d
const equalsSign = 0x3d
const leftBrace = 0x7b
const rightBrace = 0x7d
const leftBracket = 0x5b
const rightBracket = 0x5d
const digitZero = 0x30
const letterA = 0x61
const letterF = 0x66
const letterT = 0x74
const letterU = 0x75
const letterCapitalL = 0x4c
const letterCapitalN = 0x4e
const letterCapitalU = 0x55

const textType: TypeInfo = { name: 'text', encoding: 'text' }
const utf8 = new TextEncoder()
const trueText = utf8.encode('true')
const falseText = utf8.encode('false')
const nullText = utf8.encode('null')

/** The letter after the backslash for bytes that a JSON string cannot hold as they are. */
const plain = 0
const escapedBytesMax = 6
const escapes = new Uint8Array(256)
escapes.fill(letterU, 0, space)
for (const [byte, letter] of [
  [0x08, 'b'],
  [0x09, 't'],
  [newline, 'n'],
  [0x0c, 'f'],
  [carriageReturn, 'r'],
  [quote, '"'],
  [backslash, '\\'],
] as const) {
  escapes[byte] = letter.charCodeAt(0)
}
