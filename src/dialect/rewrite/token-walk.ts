/** Reading tokens forward from a place that the syntax tree names; spaces and comments are left out. */
import { tokenAt, type Token } from '../../protocol/sql-text.js'

/** The first token at or after an index; nothing at the text's end. */
export function significantAt(text: string, index: number): Token | undefined {
  for (let next = index; next < text.length;) {
    const token = tokenAt(text, next)
    if (token.kind !== 'space' && token.kind !== 'comment') return token
    next = token.end
  }
  return undefined
}

/** A token's text in lower case; empty for none. */
export function wordOf(text: string, token: Token | undefined): string {
  return token === undefined ? '' : text.slice(token.start, token.end).toLowerCase()
}

/** The index after a qualified name that starts at or after `index`. */
export function afterName(text: string, index: number): number {
  let end = afterPart(text, index)
  for (
    let dot = significantAt(text, end);
    wordOf(text, dot) === '.';
    dot = significantAt(text, end)
  )
    end = afterPart(text, dot?.end ?? end)
  return end
}

/** `U&"…" UESCAPE '!'` is one name. */
function afterPart(text: string, index: number): number {
  const token = significantAt(text, index)
  if (token === undefined) return index
  const next = significantAt(text, token.end)
  if (token.kind !== 'quoted-word' || wordOf(text, next) !== 'uescape') return token.end
  return significantAt(text, next?.end ?? token.end)?.end ?? token.end
}

/** The index after `[AS] alias`. */
export function afterAliasName(text: string, index: number): number {
  const first = significantAt(text, index)
  return afterName(text, wordOf(text, first) === 'as' ? (first?.end ?? index) : index)
}

/** The index after `[AS] alias [(columns)]`. */
export function afterAlias(text: string, index: number): number {
  const end = afterAliasName(text, index)
  const list = significantAt(text, end)
  return list !== undefined && wordOf(text, list) === '(' ? closingAt(text, list.start) + 1 : end
}

/** A token and how deep in parentheses it stands, counted from the walk's start. */
export interface WalkedToken extends Token {
  /** In lower case. */
  readonly word: string
  readonly depth: number
}

/**
 * The tokens from `index` on. A parenthesis has the depth of what is outside of it; the walk ends
 * before one that closes what was open at its start.
 */
export function* walkTokens(text: string, index: number): Generator<WalkedToken> {
  let depth = 0
  for (let token = significantAt(text, index); token !== undefined;) {
    const word = wordOf(text, token)
    if (token.kind === 'punctuation' && (word === ')' || word === ']')) depth--
    if (depth < 0) return
    yield { ...token, word, depth }
    if (token.kind === 'punctuation' && (word === '(' || word === '[')) depth++
    token = significantAt(text, token.end)
  }
}

/** The first token from `index` on that stands in no parentheses and reads so. */
export function findToken(
  text: string,
  index: number,
  ...words: readonly string[]
): WalkedToken | undefined {
  for (const token of walkTokens(text, index))
    if (token.depth === 0 && words.includes(token.word)) return token
  return undefined
}

/** The index of the parenthesis that closes the one at `open`. */
export function closingAt(text: string, open: number): number {
  let end = open + 1
  for (const token of walkTokens(text, open + 1)) end = token.end
  return significantAt(text, end)?.start ?? text.length
}
