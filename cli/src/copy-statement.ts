/** `COPY … FROM STDIN` and `TO STDOUT` among SQL, and psql's `\copy` with a file of this machine. */
import { tokenAt, type Token } from '../../src/protocol/sql-text.js'
import { CliError } from './exit-code.js'

export type CopyDirection = 'from' | 'to'

/** A COPY as the server takes it, and where its data is here. */
export interface CopyTask {
  readonly sql: string
  readonly direction: CopyDirection
  /** Undefined: standard input or output. */
  readonly file: string | undefined
}

/** Which way the data of a statement goes; undefined for all others. */
export function readCopy(text: string): CopyDirection | undefined {
  const words = tokensOf(text)
  const start = words.findIndex(({ word }) => word === 'copy')
  // Inside EXECUTE AS 'alice' ( … ) it stands deeper.
  if (start !== 0 && !(words[0]?.word === 'execute' && words[start - 1]?.word === '(')) {
    return undefined
  }
  const place = findPlace(words.slice(start))
  if (place?.direction === 'from' && place.target.word === 'stdin') return 'from'
  return place?.direction === 'to' && place.target.word === 'stdout' ? 'to' : undefined
}

/** What stands behind `\copy`. Throws CliError `usage`. */
export function readMetaCopy(argument: string): CopyTask {
  const text = `COPY ${argument}`
  const place = findPlace(tokensOf(text))
  if (place === undefined) throw new CliError('usage', `usage: ${metaCopyUsage}`)
  const { direction, target } = place
  if (target.word === 'program') throw new CliError('usage', '\\copy takes no PROGRAM; use a pipe')
  const end = target.kind === 'string' ? target.end : wordEnd(text, target.start)
  const written = text.slice(target.start, end)
  const standard = direction === 'from' ? 'STDIN' : 'STDOUT'
  return {
    sql: `${text.slice(0, target.start)}${standard}${text.slice(end)}`,
    direction,
    file: fileOf(written, direction),
  }
}

export const metaCopyUsage = "\\copy table|(query) from|to 'file' [with (…)]"

interface WalkedToken extends Token {
  readonly word: string
  readonly depth: number
}

interface CopyPlace {
  readonly direction: CopyDirection
  /** What follows FROM or TO. */
  readonly target: WalkedToken
}

/** The first FROM or TO outside of the parentheses of a list or query. */
function findPlace(words: readonly WalkedToken[]): CopyPlace | undefined {
  const depth = words[0]?.depth ?? 0
  const index = words.findIndex(
    (token) => token.depth === depth && (token.word === 'from' || token.word === 'to'),
  )
  const target = words[index + 1]
  if (index < 0 || target === undefined) return undefined
  return { direction: words[index]?.word === 'from' ? 'from' : 'to', target }
}

function tokensOf(text: string): WalkedToken[] {
  const tokens: WalkedToken[] = []
  let depth = 0
  for (let index = 0; index < text.length;) {
    const token = tokenAt(text, index)
    index = token.end
    if (token.kind === 'space' || token.kind === 'comment') continue
    const word = text.slice(token.start, token.end).toLowerCase()
    if (word === ')') depth--
    tokens.push({ ...token, word, depth })
    if (word === '(') depth++
  }
  return tokens
}

/** A name of a file may stand without quotes, up to a blank. */
function wordEnd(text: string, start: number): number {
  const length = text.slice(start).search(/\s|$/u)
  return start + length
}

function fileOf(written: string, direction: CopyDirection): string | undefined {
  if (written.startsWith("'")) return written.slice(1, -1).replaceAll("''", "'")
  const names = direction === 'from' ? ['stdin', 'pstdin'] : ['stdout', 'pstdout']
  return names.includes(written.toLowerCase()) ? undefined : written
}
