/**
 * Takes JSON apart without evaluating it, so that every digit reaches the terminal as the server
 * wrote it: `JSON.parse` would turn 9007199254740993 inside a json column into another number.
 * The text must be valid JSON (it comes from the server); anything else throws.
 */

/** The source text of each element of a JSON array. */
export function elements(source: string): string[] {
  const found: string[] = []
  let index = after(source, 0, '[')
  if (source[index] === ']') return found
  for (;;) {
    const end = skipValue(source, index)
    found.push(source.slice(index, end))
    index = skipSpace(source, end)
    if (source[index] === ']') return found
    index = after(source, index, ',')
  }
}

/** The source text of each member's value of a JSON object, by name; of duplicates the last. */
export function members(source: string): Map<string, string> {
  const found = new Map<string, string>()
  let index = after(source, 0, '{')
  if (source[index] === '}') return found
  for (;;) {
    const nameEnd = skipValue(source, index)
    const name = readString(source.slice(index, nameEnd))
    index = after(source, nameEnd, ':')
    const end = skipValue(source, index)
    found.set(name, source.slice(index, end))
    index = skipSpace(source, end)
    if (source[index] === '}') return found
    index = after(source, index, ',')
  }
}

/** The string that a JSON string literal stands for. */
export function readString(source: string): string {
  const value: unknown = JSON.parse(source)
  if (typeof value !== 'string') throw new SyntaxError(`a JSON string is expected: ${source}`)
  return value
}

/** Index after `mark` and the white space behind it. */
function after(source: string, index: number, mark: string): number {
  const start = skipSpace(source, index)
  if (source[start] !== mark) throw new SyntaxError(`'${mark}' is expected at ${start}`)
  return skipSpace(source, start + 1)
}

function skipSpace(source: string, index: number): number {
  while (isSpace(source.charCodeAt(index))) index += 1
  return index
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
}

/** Index after the value that starts at `index`. */
function skipValue(source: string, index: number): number {
  const first = source[index]
  if (first === '"') return skipString(source, index)
  if (first === '{' || first === '[') return skipNested(source, index)
  const end = skipPlain(source, index)
  if (end === index) throw new SyntaxError(`a value is expected at ${index}`)
  return end
}

function skipString(source: string, index: number): number {
  for (;;) {
    const quote = source.indexOf('"', index + 1)
    if (quote < 0) throw new SyntaxError('the JSON ends inside a string')
    index = quote
    if (backslashesBefore(source, quote) % 2 === 0) return quote + 1
  }
}

function backslashesBefore(source: string, index: number): number {
  let count = 0
  while (source[index - 1 - count] === '\\') count += 1
  return count
}

function skipNested(source: string, index: number): number {
  let depth = 0
  for (let at = index; at < source.length; at += 1) {
    const char = source[at]
    if (char === '"') at = skipString(source, at) - 1
    else if (char === '{' || char === '[') depth += 1
    else if (char === '}' || char === ']') depth -= 1
    if (depth === 0) return at + 1
  }
  throw new SyntaxError('the JSON ends inside a value')
}

/** Numbers and the words true, false and null. */
function skipPlain(source: string, index: number): number {
  const plain = /[-+.\w]*/y
  plain.lastIndex = index
  return index + (plain.exec(source)?.[0].length ?? 0)
}
