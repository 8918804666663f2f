/**
 * The lexical structure of PostgreSQL's SQL (PG docs 4.1, scan.l), over UTF-16 indices: enough to
 * find where statements end, to recognise KalamDB's own statements and to splice text in, never to
 * judge. Any text is accepted: what PostgreSQL would refuse becomes an `other` or `unterminated`
 * token. Time is linear in the text.
 */

import { positionAfter, textStart, type TextPosition } from './text-position.js'

export type TokenKind =
  | 'space'
  | 'comment'
  /** An identifier or keyword without quotes. */
  | 'word'
  /** `"…"` or `U&"…"`. */
  | 'quoted-word'
  /** `'…'` with its prefix if it has one (E, B, X, N, U&), or `$tag$…$tag$`. */
  | 'string'
  | 'number'
  /** `$1`. */
  | 'parameter'
  | 'operator'
  /** One of `( ) [ ] , ; : .` */
  | 'punctuation'
  /** A quote or comment whose end is missing; it reaches to the end of the text. */
  | 'unterminated'
  /** One character that starts nothing in PostgreSQL's SQL. */
  | 'other'

/** The text from `start` up to, not including, `end`. */
export interface Token {
  readonly kind: TokenKind
  readonly start: number
  readonly end: number
}

/** Where a statement stands: UTF-16 indices, without its semicolon, surrounding spaces and comments. */
export interface StatementPlace {
  readonly start: number
  readonly end: number
}

/** Both from 1; columns count characters (code points). */
export interface LineAndColumn {
  readonly line: number
  readonly column: number
}

/** All tokens of the text, one after the other without gaps. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = []
  for (let index = 0; index < text.length;) {
    const token = tokenAt(text, index)
    tokens.push(token)
    index = token.end
  }
  return tokens
}

/**
 * The statements of a text, split at each `;` outside of quotes, comments, parentheses and
 * BEGIN … END bodies of functions, as psql does. Empty ones are left out.
 */
export function splitStatements(text: string): StatementPlace[] {
  const places: StatementPlace[] = []
  const boundary = new StatementBoundary()
  for (let index = 0; index < text.length;) {
    const token = tokenAt(text, index)
    index = token.end
    if (boundary.endsWith(text, token)) takePlace(boundary, places)
  }
  takePlace(boundary, places)
  return places
}

/** The token that starts at `index`, which must be inside the text. */
export function tokenAt(text: string, index: number): Token {
  const code = text.charCodeAt(index)
  if (isSpace(code)) return token('space', index, match(spaces, text, index))
  if (isWordStart(code)) return wordAt(text, index)
  if (isDigit(code)) return token('number', index, match(numbers, text, index))
  switch (text.charAt(index)) {
    case "'":
      return quotedAt(text, index, index, 'string')
    case '"':
      return quotedAt(text, index, index, 'quoted-word')
    case '$':
      return dollarAt(text, index)
    case '.':
      return isDigit(text.charCodeAt(index + 1))
        ? token('number', index, match(numbers, text, index))
        : token('punctuation', index, index + 1)
    case '-':
      return text[index + 1] === '-' ? lineComment(text, index) : operatorAt(text, index)
    case '/':
      return text[index + 1] === '*' ? blockComment(text, index) : operatorAt(text, index)
    case '(':
    case ')':
    case '[':
    case ']':
    case ',':
    case ';':
    case ':':
      return token('punctuation', index, index + 1)
    default:
      return operatorAt(text, index)
  }
}

/**
 * The same splitting for text that arrives in pieces, cut anywhere: a file of any size, lines
 * typed into a shell. Holds no more than the statement that is not yet complete.
 */
export class StatementSplitter {
  /** What has not been looked at; it starts inside the file at `#base`. */
  #text = ''
  #base = 0
  #position: TextPosition = textStart
  /** Text shorter than this cannot complete the token it starts with. */
  #lengthNeeded = 0
  #boundary = new StatementBoundary()
  /** The text of the statement so far, and where it starts. */
  #held: string[] = []
  #heldFrom: TextPosition = textStart

  /** The statements that this piece completes. */
  push(piece: string): FoundStatement[] {
    this.#text += piece
    return this.#text.length < this.#lengthNeeded ? [] : this.#scan(false)
  }

  /** The last statement, which needs no semicolon. */
  end(): FoundStatement[] {
    const found = this.#scan(true)
    return this.#boundary.isInside ? [...found, this.#take()] : found
  }

  /** Whether something was pushed that is neither complete nor only spaces and comments. */
  get isInside(): boolean {
    return this.#boundary.isInside || this.#text.trim() !== ''
  }

  #scan(isLast: boolean): FoundStatement[] {
    const found: FoundStatement[] = []
    let scanned = 0
    this.#lengthNeeded = 0
    while (scanned < this.#text.length) {
      const next = tokenAt(this.#text, scanned)
      if (!isLast && mayGrow(this.#text, next)) {
        this.#waitFor(next)
        break
      }
      if (this.#endsWith(next)) found.push(this.#take())
      scanned = next.end
    }
    this.#text = this.#text.slice(scanned)
    this.#base += scanned
    return found
  }

  /** Takes one more token into the statement; true if a statement ends here. */
  #endsWith(next: Token): boolean {
    const wasInside = this.#boundary.isInside
    const ends = this.#boundary.endsWith(this.#text, next, this.#base)
    if (!wasInside) this.#heldFrom = this.#position
    if (this.#boundary.isInside) this.#held.push(this.#text.slice(next.start, next.end))
    this.#position = positionAfter(this.#position, this.#text, next.start, next.end)
    return ends && wasInside
  }

  /** The finished statement; what was held after its last token was space. */
  #take(): FoundStatement {
    const place = this.#boundary.take()
    const length = place === undefined ? 0 : place.end - place.start
    const text = this.#held.join('').slice(0, length)
    this.#held = []
    return { text, line: this.#heldFrom.line, column: this.#heldFrom.column }
  }

  /**
   * A long quote that goes on over many pieces is only looked at again when the text has doubled,
   * so that the whole stays linear; a short one at once, for people who type.
   */
  #waitFor(unfinished: Token): void {
    const length = unfinished.end - unfinished.start
    if (length > longTokenLength) this.#lengthNeeded = length * 2
  }
}

export interface FoundStatement extends LineAndColumn {
  /** Without the semicolon, and without spaces and comments around it. */
  readonly text: string
}

/** UTF-16 units from which a token counts as long; see `StatementSplitter`. */
const longTokenLength = 256 * 1024

/**
 * Follows the tokens of one statement at a time. Like psql (psqlscan.l), it looks at the first
 * words to know whether BEGIN opens a function body.
 */
class StatementBoundary {
  #start: number | undefined
  #end = 0
  #parentheses = 0
  #begins = 0
  #words: string[] = []

  get isInside(): boolean {
    return this.#start !== undefined
  }

  /** Takes one more token of a text that starts at `base`; true if a semicolon ends the statement. */
  endsWith(text: string, next: Token, base = 0): boolean {
    if (next.kind === 'space' || next.kind === 'comment') return false
    const isSemicolon = next.kind === 'punctuation' && text[next.start] === ';'
    if (isSemicolon && this.#parentheses === 0 && this.#begins === 0) return true
    this.#start ??= base + next.start
    this.#end = base + next.end
    if (next.kind === 'word') this.#countWord(text.slice(next.start, next.end).toLowerCase())
    if (next.kind === 'punctuation') this.#countParenthesis(text[next.start])
    return false
  }

  /** The place of the statement so far, or nothing if there is none; then starts the next. */
  take(): StatementPlace | undefined {
    const start = this.#start
    const end = this.#end
    this.#start = undefined
    this.#parentheses = 0
    this.#begins = 0
    this.#words = []
    return start === undefined ? undefined : { start, end }
  }

  #countParenthesis(mark: string | undefined): void {
    if (mark === '(') this.#parentheses++
    if (mark === ')' && this.#parentheses > 0) this.#parentheses--
  }

  #countWord(word: string): void {
    if (this.#words.length < routineHeadLength) this.#words.push(word)
    if (this.#parentheses > 0 || !this.#makesRoutine()) return
    if (word === 'begin' || (word === 'case' && this.#begins > 0)) this.#begins++
    if (word === 'end' && this.#begins > 0) this.#begins--
  }

  #makesRoutine(): boolean {
    const [first, second, third, fourth] = this.#words
    if (first !== 'create') return false
    return (
      isRoutineWord(second) || (second === 'or' && third === 'replace' && isRoutineWord(fourth))
    )
  }
}

/** `CREATE OR REPLACE FUNCTION`: where a routine shows itself, in words. */
const routineHeadLength = 4

function isRoutineWord(word: string | undefined): boolean {
  return word === 'function' || word === 'procedure'
}

function takePlace(boundary: StatementBoundary, places: StatementPlace[]): void {
  const place = boundary.take()
  if (place !== undefined) places.push(place)
}

/** Whether more text could make this token another one. Brackets, commas and semicolons never grow. */
function mayGrow(text: string, last: Token): boolean {
  if (last.kind === 'punctuation' && text[last.start] !== '.') return false
  if (last.end === text.length) return true
  return isEscapeString(text, last) && afterLineBreak(text, last.end) === text.length
}

function isEscapeString(text: string, string: Token): boolean {
  const first = text[string.start]
  return string.kind === 'string' && (first === 'e' || first === 'E')
}

const spaces = /[ \t\n\r\f\v]+/y
const words = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y
const numbers =
  /0[xX](?:_?[0-9A-Fa-f])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|(?:\d(?:_?\d)*(?:\.(?!\.)(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?/y
const operators = /[~!@#^&|`?+\-*/%<>=]+/y
const parameters = /\$\d+/y
/** The opening of a dollar quote, or one that the end of the text cuts off. */
const dollarTags = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?(?:\$|$)/y

function token(kind: TokenKind, start: number, end: number): Token {
  return { kind, start, end }
}

/** The end of a sticky pattern's match at `index`; `index` itself if it does not match. */
function match(pattern: RegExp, text: string, index: number): number {
  pattern.lastIndex = index
  return pattern.test(text) ? pattern.lastIndex : index
}

function wordAt(text: string, start: number): Token {
  const end = match(words, text, start)
  if (end - start !== 1) return token('word', start, end)
  const prefix = text[start]?.toLowerCase() ?? ''
  const next = text[end]
  if (next === "'" && 'ebxn'.includes(prefix)) {
    return prefix === 'e' ? escapeStringAt(text, start) : quotedAt(text, start, end, 'string')
  }
  if (prefix === 'u' && next === '&') {
    if (text[end + 1] === "'") return quotedAt(text, start, end + 1, 'string')
    if (text[end + 1] === '"') return quotedAt(text, start, end + 1, 'quoted-word')
  }
  return token('word', start, end)
}

/** A quoted token whose quote opens at `open`. A doubled quote stands for itself. */
function quotedAt(text: string, start: number, open: number, kind: TokenKind): Token {
  const quote = text[open] ?? ''
  for (let from = open + 1; ;) {
    const close = text.indexOf(quote, from)
    if (close < 0) return token('unterminated', start, text.length)
    if (text[close + 1] !== quote) return token(kind, start, close + 1)
    from = close + 2
  }
}

/** `E'…'`, with the parts that continue it after a line break: backslashes count in them too. */
function escapeStringAt(text: string, start: number): Token {
  for (let open = start + 1; ;) {
    const end = escapedEnd(text, open)
    if (end < 0) return token('unterminated', start, text.length)
    const next = afterLineBreak(text, end)
    if (text[next] !== "'" || next === end) return token('string', start, end)
    open = next
  }
}

/** The index after the quote that closes the part opened at `open`, or -1. */
function escapedEnd(text: string, open: number): number {
  for (let index = open + 1; index < text.length; index++) {
    if (text[index] === '\\') index++
    else if (text[index] === "'") {
      if (text[index + 1] !== "'") return index + 1
      index++
    }
  }
  return -1
}

/**
 * Where a string that ended at `index` may go on: after spaces and line comments with a line break
 * among them. `index` itself if there is no line break.
 */
function afterLineBreak(text: string, index: number): number {
  let next = index
  while (next < text.length) {
    if (isSpace(text.charCodeAt(next))) next++
    else if (text.startsWith('--', next)) next = lineComment(text, next).end
    else break
  }
  return next === text.length || /[\n\r]/.test(text.slice(index, next)) ? next : index
}

function dollarAt(text: string, start: number): Token {
  const parameterEnd = match(parameters, text, start)
  if (parameterEnd > start) return token('parameter', start, parameterEnd)
  const bodyStart = match(dollarTags, text, start)
  if (bodyStart === start) return token('other', start, start + 1)
  const tag = text.slice(start, bodyStart)
  if (tag.length === 1 || !tag.endsWith('$')) return token('other', start, bodyStart)
  const close = text.indexOf(tag, bodyStart)
  if (close < 0) return token('unterminated', start, text.length)
  return token('string', start, close + tag.length)
}

function lineComment(text: string, start: number): Token {
  lineEnds.lastIndex = start
  return token('comment', start, lineEnds.exec(text)?.index ?? text.length)
}

const lineEnds = /[\n\r]/g

/** Comments in C style nest (PG docs 4.1.5). */
function blockComment(text: string, start: number): Token {
  commentMarks.lastIndex = start + 2
  for (let depth = 1; depth > 0;) {
    const mark = commentMarks.exec(text)
    if (mark === null) return token('unterminated', start, text.length)
    depth += mark[0] === '/*' ? 1 : -1
  }
  return token('comment', start, commentMarks.lastIndex)
}

const commentMarks = /\/\*|\*\//g

/** A run of operator characters; a comment ends it. */
function operatorAt(text: string, start: number): Token {
  const runEnd = match(operators, text, start)
  if (runEnd === start) return token('other', start, start + 1)
  const comment = text.slice(start + 1, runEnd).search(/--|\/\*/)
  return token('operator', start, comment < 0 ? runEnd : start + 1 + comment)
}

function isSpace(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13)
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57
}

function isWordStart(code: number): boolean {
  const letter = code | 32
  return (letter >= 97 && letter <= 122) || code === 95 || code >= 128
}
