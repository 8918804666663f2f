// Copied from src/protocol/json-source.ts by scripts/link-protocol.js: change it there.
/**
 * Where values stand in JSON text, so that numbers keep every digit and objects every space.
 * Works on text that JSON.parse has accepted: it looks for ends, it does not check.
 */

/** The source of the value under `name` in the object `text`; the last of several, as in JSON.parse. */
export function fieldSource(text: string, name: string): string | undefined {
  let found: string | undefined
  let at = skipSpace(text, skipSpace(text, 0) + 1)
  while (text[at] === '"') {
    const keyEnd = skipString(text, at)
    const valueStart = skipSpace(text, skipSpace(text, keyEnd) + 1)
    const valueEnd = skipValue(text, valueStart)
    if (JSON.parse(text.slice(at, keyEnd)) === name) found = text.slice(valueStart, valueEnd)
    at = skipSeparator(text, valueEnd)
  }
  return found
}

/** The sources of the values of the object `text`, by name; of two with one name the last. */
export function memberSources(text: string): ReadonlyMap<string, string> {
  const sources = new Map<string, string>()
  let at = skipSpace(text, skipSpace(text, 0) + 1)
  while (text[at] === '"') {
    const keyEnd = skipString(text, at)
    const valueStart = skipSpace(text, skipSpace(text, keyEnd) + 1)
    const valueEnd = skipValue(text, valueStart)
    sources.set(String(JSON.parse(text.slice(at, keyEnd))), text.slice(valueStart, valueEnd))
    at = skipSeparator(text, valueEnd)
  }
  return sources
}

/** The sources of the elements of the array `text`. */
export function elementSources(text: string): string[] {
  const sources: string[] = []
  let at = skipSpace(text, skipSpace(text, 0) + 1)
  while (at < text.length && text[at] !== ']') {
    const end = skipValue(text, at)
    sources.push(text.slice(at, end))
    at = skipSeparator(text, end)
  }
  return sources
}

function skipSeparator(text: string, start: number): number {
  const at = skipSpace(text, start)
  return text[at] === ',' ? skipSpace(text, at + 1) : at
}

function skipValue(text: string, start: number): number {
  if (text[start] === '"') return skipString(text, start)
  if (text[start] === '{' || text[start] === '[') return skipBrackets(text, start)
  let at = start
  while (at < text.length && !isAfterScalar(text.charCodeAt(at))) at += 1
  return at
}

function skipBrackets(text: string, start: number): number {
  let depth = 0
  let at = start
  do {
    const character = text[at]
    if (character === '"') {
      at = skipString(text, at)
      continue
    }
    if (character === '{' || character === '[') depth += 1
    if (character === '}' || character === ']') depth -= 1
    at += 1
  } while (depth > 0)
  return at
}

/** From the opening quote to after the closing one, which has an even number of backslashes before it. */
function skipString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (backslashesBefore(text, end) % 2 === 1) end = text.indexOf('"', end + 1)
  return end + 1
}

function backslashesBefore(text: string, end: number): number {
  let start = end
  while (text[start - 1] === '\\') start -= 1
  return end - start
}

function skipSpace(text: string, start: number): number {
  let at = start
  while (isSpace(text.charCodeAt(at))) at += 1
  return at
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
}

/** `,`, `]`, `}` or white space. */
function isAfterScalar(code: number): boolean {
  return code === 0x2c || code === 0x5d || code === 0x7d || isSpace(code)
}
