import type { DbError } from '../errors.js'
import { tokenize, type Token } from '../protocol/sql-text.js'
import { errorAt, type Source } from './source.js'

/**
 * Reads a statement's tokens one by one, spaces and comments left out, for KalamDB's own
 * statements. What it throws is SYNTAX_ERROR with a position and what was expected there.
 */
export class TokenReader {
  readonly source: Source
  readonly #tokens: readonly Token[]
  #next = 0

  constructor(source: Source) {
    this.source = source
    this.#tokens = tokenize(source.text).filter(isSignificant)
  }

  /** Back to the first token. */
  rewind(): this {
    this.#next = 0
    return this
  }

  /** The next token, or one further ahead; nothing past the end. */
  peek(ahead = 0): Token | undefined {
    return this.#tokens[this.#next + ahead]
  }

  /** The next token, which is then read. */
  take(): Token | undefined {
    const token = this.peek()
    if (token !== undefined) this.#next++
    return token
  }

  textOf(token: Token | undefined): string {
    return token === undefined ? '' : this.source.text.slice(token.start, token.end)
  }

  /** Whether these keywords or marks come next. */
  isNext(...texts: string[]): boolean {
    return texts.every((text, ahead) => this.#isText(this.peek(ahead), text))
  }

  /** Reads these keywords or marks if they come next, all of them or none. */
  skip(...texts: string[]): boolean {
    if (!this.isNext(...texts)) return false
    this.#next += texts.length
    return true
  }

  expect(...texts: string[]): void {
    for (const text of texts) {
      if (!this.skip(text)) throw this.expected(text.toUpperCase())
    }
  }

  expectEnd(expected = 'the end of the statement'): void {
    if (this.peek() !== undefined) throw this.expected(expected)
  }

  /** A name in single quotes, in double quotes, or a plain word, which is folded to lower case. */
  expectName(what: string): string {
    const name = this.nameOf(this.peek())
    if (name === undefined) throw this.expected(`${what} such as 'alice'`)
    this.#next++
    return name
  }

  /** A text in single quotes. */
  expectText(what: string): string {
    const token = this.peek()
    const text = this.textOf(token)
    if (token?.kind !== 'string' || !text.startsWith("'")) throw this.expected(what)
    this.#next++
    return unquote(text)
  }

  /** What a token names, or nothing if it is no name. */
  nameOf(token: Token | undefined): string | undefined {
    const text = this.textOf(token)
    if (token?.kind === 'word') return text.toLowerCase()
    const isPlain = text.startsWith("'") || text.startsWith('"')
    const isQuoted = token?.kind === 'string' || token?.kind === 'quoted-word'
    return isQuoted && isPlain ? unquote(text) : undefined
  }

  /** Index of the next token, or of the statement's end. */
  get index(): number {
    return this.peek()?.start ?? this.source.text.length
  }

  /** The error for a next token that does not fit. */
  expected(what: string): DbError {
    const found = this.textOf(this.peek())
    const message =
      found === ''
        ? `expected ${what} at the end of the statement`
        : `expected ${what}, found ${shorten(found)}`
    return errorAt(this.source, this.index, 'SYNTAX_ERROR', message)
  }

  #isText(token: Token | undefined, text: string): boolean {
    if (token === undefined || token.end - token.start !== text.length) return false
    return this.textOf(token).toLowerCase() === text
  }
}

/** Characters of the caller's text that a message repeats. */
const foundLengthMax = 40

function shorten(found: string): string {
  return found.length > foundLengthMax ? `${found.slice(0, foundLengthMax)}…` : found
}

function isSignificant(token: Token): boolean {
  return token.kind !== 'space' && token.kind !== 'comment'
}

function unquote(text: string): string {
  const quote = text.charAt(0)
  return text.slice(1, -1).replaceAll(quote + quote, quote)
}
