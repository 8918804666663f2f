/**
 * Is this text JSON? RFC 8259, on bytes, without building anything. PostgreSQL has checked what it
 * calls json, so this is the belt to its braces: one byte it lets through, and a whole response
 * could not be read.
 */

/** True if `source[start..end)` is one JSON value, with white space around it or not. */
export function isJson(source: Uint8Array, start: number, end: number): boolean {
  // The brackets that are open. Not recursion: PostgreSQL nests deeper than our stack.
  const open: number[] = []
  let at = skipSpace(source, start, end)
  for (;;) {
    const first = at < end ? source[at] : undefined
    if (first === leftBrace || first === leftBracket) {
      at = skipSpace(source, at + 1, end)
      if (at >= end) return false
      if (source[at] !== closing(first)) {
        open.push(first)
        if (first === leftBrace) at = skipKey(source, at, end)
        if (at === wrong) return false
        continue
      }
      at += 1
    } else {
      at = skipScalar(source, at, end)
      if (at === wrong) return false
    }
    at = skipClosed(source, at, end, open)
    if (open.length === 0) return at === end
    if (at >= end || source[at] !== comma) return false
    at = skipSpace(source, at + 1, end)
    if (open[open.length - 1] === leftBrace) at = skipKey(source, at, end)
    if (at === wrong) return false
  }
}

/** True if `source[start..end)` is a JSON number and nothing else. */
export function isJsonNumber(source: Uint8Array, start: number, end: number): boolean {
  return start < end && skipNumber(source, start, end) === end
}

const wrong = -1

function closing(bracket: number): number {
  return bracket === leftBrace ? rightBrace : rightBracket
}

/** After a value: closes what closes, up to the comma before the next value, or the end. */
function skipClosed(source: Uint8Array, start: number, end: number, open: number[]): number {
  let at = skipSpace(source, start, end)
  let last = open[open.length - 1]
  while (last !== undefined && at < end && source[at] === closing(last)) {
    open.pop()
    last = open[open.length - 1]
    at = skipSpace(source, at + 1, end)
  }
  return at
}

/** `"key" :` and the space after it. */
function skipKey(source: Uint8Array, start: number, end: number): number {
  if (start >= end || source[start] !== quote) return wrong
  const afterKey = skipString(source, start + 1, end)
  if (afterKey === wrong) return wrong
  const at = skipSpace(source, afterKey, end)
  if (at >= end || source[at] !== colon) return wrong
  return skipSpace(source, at + 1, end)
}

function skipScalar(source: Uint8Array, at: number, end: number): number {
  if (at >= end) return wrong
  const first = source[at]
  if (first === quote) return skipString(source, at + 1, end)
  if (first === letterT) return skipWord(source, at, end, trueText)
  if (first === letterF) return skipWord(source, at, end, falseText)
  if (first === letterN) return skipWord(source, at, end, nullText)
  return skipNumber(source, at, end)
}

function skipWord(source: Uint8Array, start: number, end: number, word: Uint8Array): number {
  if (start + word.length > end) return wrong
  for (let i = 0; i < word.length; i++) if (source[start + i] !== word[i]) return wrong
  return start + word.length
}

/** From after the opening quote to after the closing one. */
function skipString(source: Uint8Array, start: number, end: number): number {
  let at = start
  while (at < end) {
    const byte = source[at] ?? 0
    if (byte === quote) return at + 1
    if (byte < space) return wrong
    if (byte === backslash) {
      at = skipEscape(source, at + 1, end)
      if (at === wrong) return wrong
    } else {
      at += 1
    }
  }
  return wrong
}

function skipEscape(source: Uint8Array, at: number, end: number): number {
  if (at >= end) return wrong
  const letter = source[at] ?? 0
  if (letter !== letterU) return simpleEscapes.includes(letter) ? at + 1 : wrong
  if (at + 5 > end) return wrong
  for (let i = 1; i <= 4; i++) if (!isHexDigit(source[at + i] ?? 0)) return wrong
  return at + 5
}

/** `-? (0 | [1-9] digits) (. digits)? ([eE] [+-]? digits)?` */
function skipNumber(source: Uint8Array, start: number, end: number): number {
  let at = source[start] === minus ? start + 1 : start
  const whole = skipDigits(source, at, end)
  if (whole === at || (source[at] === digitZero && whole > at + 1)) return wrong
  at = whole
  if (at < end && source[at] === point) {
    const fraction = skipDigits(source, at + 1, end)
    if (fraction === at + 1) return wrong
    at = fraction
  }
  if (at < end && (source[at] === letterE || source[at] === letterCapitalE)) {
    return skipExponent(source, at + 1, end)
  }
  return at
}

function skipExponent(source: Uint8Array, start: number, end: number): number {
  const isSigned = start < end && (source[start] === minus || source[start] === plus)
  const digits = isSigned ? start + 1 : start
  const at = skipDigits(source, digits, end)
  return at === digits ? wrong : at
}

function skipDigits(source: Uint8Array, start: number, end: number): number {
  let at = start
  while (at < end && isDigit(source[at] ?? 0)) at += 1
  return at
}

function skipSpace(source: Uint8Array, start: number, end: number): number {
  let at = start
  while (at < end && isSpace(source[at] ?? 0)) at += 1
  return at
}

function isDigit(byte: number): boolean {
  return byte >= digitZero && byte <= digitNine
}

function isHexDigit(byte: number): boolean {
  const lowerCase = byte | 0x20
  return isDigit(byte) || (lowerCase >= letterA && lowerCase <= letterF)
}

function isSpace(byte: number): boolean {
  return byte === space || byte === newline || byte === carriageReturn || byte === tab
}

const utf8 = new TextEncoder()
const trueText = utf8.encode('true')
const falseText = utf8.encode('false')
const nullText = utf8.encode('null')
const simpleEscapes = utf8.encode('"\\/bfnrt')

const space = 0x20
const tab = 0x09
const newline = 0x0a
const carriageReturn = 0x0d
const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const plus = 0x2b
const minus = 0x2d
const point = 0x2e
const leftBrace = 0x7b
const rightBrace = 0x7d
const leftBracket = 0x5b
const rightBracket = 0x5d
const digitZero = 0x30
const digitNine = 0x39
const letterA = 0x61
const letterE = 0x65
const letterF = 0x66
const letterN = 0x6e
const letterT = 0x74
const letterU = 0x75
const letterCapitalE = 0x45
