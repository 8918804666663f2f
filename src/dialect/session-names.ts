/**
 * Where a statement names a cursor or a prepared statement. One backend serves all sessions, so each
 * session's names become others there; the tree does not say where they stand.
 */
import type { Token } from '../protocol/sql-text.js'
import type { Splice } from './plan.js'
import type { TokenReader } from './token-reader.js'

/** The splices that make the names a session's own. Errors: SYNTAX_ERROR. */
export function readSessionNames(reader: TokenReader): Splice[] {
  const splices: Splice[] = []
  const first = reader.textOf(reader.peek()).toLowerCase()
  const name = nameOfStatement(reader, first)
  if (name !== undefined) splices.push(spliceOf(reader, name))
  if (mayUseCursor.has(first)) splices.push(...currentRows(reader.rewind()))
  return splices
}

/** The name that the statement is about, for those that are about one. */
function nameOfStatement(reader: TokenReader, first: string): Token | undefined {
  switch (first) {
    case 'prepare':
      // Followed by a string it is two-phase commit, which is refused by name.
      return reader.peek(2)?.kind === 'string' ? undefined : reader.peek(1)
    case 'execute':
    case 'declare':
      return reader.peek(1)
    case 'fetch':
    case 'move':
      return lastOf(reader)
    case 'close':
    case 'deallocate':
      return reader.textOf(lastOf(reader)).toLowerCase() === 'all' ? undefined : lastOf(reader)
    case 'create':
      return executed(reader)
    case 'explain':
      skipExplain(reader)
      return reader.isNext('execute') ? reader.peek(1) : executed(reader)
    default:
      return undefined
  }
}

const mayUseCursor = new Set(['update', 'delete', 'with', 'explain', 'prepare'])

function lastOf(reader: TokenReader): Token | undefined {
  let last: Token | undefined
  for (let ahead = 0; ; ahead++) {
    const token = reader.peek(ahead)
    if (token === undefined) return last
    last = token
  }
}

/** Of CREATE TABLE … AS EXECUTE name: it is the first AS of the statement. */
function executed(reader: TokenReader): Token | undefined {
  if (!reader.isNext('create')) return undefined
  for (; reader.peek() !== undefined; reader.take())
    if (reader.isNext('as')) return reader.isNext('as', 'execute') ? reader.peek(2) : undefined
  return undefined
}

/** EXPLAIN with its options, in parentheses or not. */
function skipExplain(reader: TokenReader): void {
  reader.take()
  while (reader.skip('analyze') || reader.skip('verbose'));
  if (!reader.isNext('(')) return
  while (reader.peek() !== undefined && !reader.skip(')')) reader.take()
}

/** WHERE CURRENT OF name. */
function currentRows(reader: TokenReader): Splice[] {
  const splices: Splice[] = []
  for (; reader.peek() !== undefined; reader.take()) {
    if (!reader.isNext('where', 'current', 'of')) continue
    const token = reader.peek(3)
    if (token !== undefined) splices.push(spliceOf(reader, token))
  }
  return splices
}

/** Errors: SYNTAX_ERROR for a spelling, such as U&"…", in which the name could be another's. */
function spliceOf(reader: TokenReader, token: Token): Splice {
  const name = token.kind === 'string' ? undefined : reader.nameOf(token)
  // What is no name at all is PostgreSQL's to refuse.
  if (name === undefined && token.kind === 'quoted-word')
    throw reader.expected('the name of a cursor or prepared statement')
  const text = name === undefined ? reader.textOf(token) : { sessionName: name }
  return { start: token.start, end: token.end, text }
}
