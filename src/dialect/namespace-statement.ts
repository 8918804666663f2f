import type { Splice } from './plan.js'
import type { TokenReader } from './token-reader.js'

/**
 * CREATE and DROP NAMESPACE are PostgreSQL's CREATE and DROP SCHEMA; everything after the word is
 * PostgreSQL's. None if the statement is another one.
 */
export function readNamespaceSplices(reader: TokenReader): Splice[] {
  const isNamespace = reader.isNext('create', 'namespace') || reader.isNext('drop', 'namespace')
  const word = reader.peek(1)
  if (!isNamespace || word === undefined) return []
  return [{ start: word.start, end: word.end, text: 'schema' }]
}
