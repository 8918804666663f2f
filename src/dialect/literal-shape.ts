/**
 * A text without the values of its literals. Clients of the simple protocol write values into the
 * text, so that each text comes once, but its shape again and again: what a SELECT, INSERT, UPDATE or
 * DELETE may do, and what it names, does not depend on the values.
 *
 *   SELECT name FROM t WHERE id = 417 AND kind = 'a'   →   SELECT name FROM t WHERE id = 0 AND kind = ''
 */

/** Integers of up to so many digits are one kind of token to PostgreSQL's grammar. */
const digitsMax = 9

/** Undefined for other statements, and for texts with quoting or comments beyond the plainest. */
export function literalShape(sql: string): string | undefined {
  if (!startsAsRows.test(sql)) return undefined
  let shape = ''
  let copiedTo = 0
  for (let at = 0; at < sql.length;) {
    const code = sql.charCodeAt(at)
    if (isWord(code)) {
      at = skipWord(sql, at)
      continue
    }
    const end =
      code === quote ? endOfString(sql, at) : isDigit(code) ? endOfInteger(sql, at) : at + 1
    if (end === undefined || isBeyond(sql, at, code)) return undefined
    if (end > at + 1 || isDigit(code)) {
      shape += sql.slice(copiedTo, at) + (code === quote ? "''" : '0')
      copiedTo = end
    }
    at = end
  }
  return shape + sql.slice(copiedTo)
}

const startsAsRows = /^\s*(?:select|insert|update|delete|values|with)\b/i

const quote = 0x27
const dot = 0x2e
const underscore = 0x5f

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

/** What an unquoted name may start with. Halves of surrogate pairs are left to `isBeyond`. */
function isWord(code: number): boolean {
  const letter = code | 0x20
  const isLetter = (letter >= 0x61 && letter <= 0x7a) || code === underscore
  return isLetter || (code > 0x7f && !isSurrogate(code))
}

function isSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdfff
}

/** The index after a name; a quote right behind it would make it the prefix of a string. */
function skipWord(sql: string, start: number): number {
  let at = start + 1
  while (at < sql.length && (isWord(sql.charCodeAt(at)) || isDigit(sql.charCodeAt(at)))) at++
  return at
}

/** Undefined if it has a quote inside, has a prefix, or does not end. */
function endOfString(sql: string, start: number): number | undefined {
  const before = start === 0 ? 0 : sql.charCodeAt(start - 1)
  if (isWord(before) || isDigit(before) || before === ampersand || before === quote)
    return undefined
  const end = sql.indexOf("'", start + 1)
  return end < 0 || sql.charCodeAt(end + 1) === quote ? undefined : end + 1
}

const ampersand = 0x26

/** Undefined for all other numbers. */
function endOfInteger(sql: string, start: number): number | undefined {
  if (start > 0 && sql.charCodeAt(start - 1) === dot) return undefined
  let end = start + 1
  while (end < sql.length && isDigit(sql.charCodeAt(end))) end++
  const after = end < sql.length ? sql.charCodeAt(end) : 0
  return end - start > digitsMax || after === dot || isWord(after) ? undefined : end
}

/** Comments, quoted names, parameters, dollar quotes, and what no text of PostgreSQL can hold. */
function isBeyond(sql: string, at: number, code: number): boolean {
  switch (code) {
    case 0x00:
    case 0x22: // "
    case 0x24: // $
    case 0x5c: // \
      return true
    case 0x2d: // -
      return sql.charCodeAt(at + 1) === 0x2d
    case 0x2f: // /
      return sql.charCodeAt(at + 1) === 0x2a
    default:
      return isSurrogate(code)
  }
}
