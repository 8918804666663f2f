import { CliError } from './exit-code.js'
import { tokenAt } from '../../src/protocol/sql-text.js'

/** What a `SUBSCRIBE TO …` asks for. */
export interface SubscribeStatement {
  readonly sql: string
  /** Characters that stand before the query in the statement, less those put before it here. */
  readonly shift: number
}

/**
 * `SUBSCRIBE TO SELECT …`, or `SUBSCRIBE TO app.todos [WHERE …]`, which is short for `SELECT * FROM`.
 * Undefined for any other statement. Throws CliError `usage` when nothing follows TO.
 */
export function readSubscribe(text: string): SubscribeStatement | undefined {
  const words = wordsOf(text)
  if (words[0]?.word !== 'subscribe' || words[1]?.word !== 'to') return undefined
  const query = words[2]
  if (query === undefined) {
    throw new CliError('usage', 'SUBSCRIBE TO needs a query: SUBSCRIBE TO SELECT … or a table')
  }
  const sql = text.slice(query.start)
  if (queryWords.has(query.word)) return { sql, shift: query.start }
  return { sql: `${tableQuery}${sql}`, shift: query.start - tableQuery.length }
}

const tableQuery = 'SELECT * FROM '
const queryWords = new Set(['select', 'with', 'values', 'table', '('])

/** The first three words, and where they start. */
function wordsOf(text: string): { readonly word: string; readonly start: number }[] {
  const words: { word: string; start: number }[] = []
  for (let index = 0; index < text.length && words.length < 3;) {
    const { kind, start, end } = tokenAt(text, index)
    index = end
    if (kind === 'space' || kind === 'comment') continue
    words.push({ word: text.slice(start, end).toLowerCase(), start })
  }
  return words
}
