/** Texts of live queries: which are the same query, and one whose table is something else. */
import { tokenize, type Token } from '../protocol/sql-text.js'
import { indexOfByte } from '../protocol/text-position.js'
import { quoteIdentifier } from './compose-text.js'
import type { SingleTable } from './live-analysis.js'

/** The same for texts that differ in spaces, comments and the case of words alone; of ASCII letters, as PostgreSQL folds. */
export function normalisedText(text: string): string {
  return significantTokens(text)
    .map((token) => {
      const written = text.slice(token.start, token.end)
      return token.kind === 'word'
        ? written.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase())
        : written
    })
    .join(' ')
}

/** The query with `replacement`, a sub-query without parentheses, in place of its table. */
export function withTableReplaced(text: string, table: SingleTable, replacement: string): string {
  const start = indexOfByte(text, table.byte)
  const end = tableEnd(text, start, table.hasAlias)
  const alias = quoteIdentifier(table.relation.alias)
  return `${text.slice(0, start)}(${replacement}) ${alias}${text.slice(end)}`
}

/** `schema.name`, `*` if it is there, and the alias. */
function tableEnd(text: string, start: number, hasAlias: boolean): number {
  const rest = text.slice(start)
  const tokens = significantTokens(rest)
  const textAt = (at: number) => rest.slice(tokens[at]?.start, tokens[at]?.end)
  let last = 0
  while (textAt(last + 1) === '.') last += 2
  if (textAt(last + 1) === '*') last += 1
  if (textAt(last + 1).toLowerCase() === 'as') last += 2
  else if (hasAlias) last += 1
  return start + (tokens[last]?.end ?? 0)
}

function significantTokens(text: string): Token[] {
  return tokenize(text).filter(({ kind }) => kind !== 'space' && kind !== 'comment')
}
