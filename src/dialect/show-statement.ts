/**
 * KalamDB's SHOW and DESCRIBE become SELECTs over the views in schema `system`, by splices, so that
 * they are ordinary queries for everything after: rights, types, streaming.
 */
import type { Splice } from './plan.js'
import type { TokenReader } from './token-reader.js'

/** The splices; none if the statement is PostgreSQL's. Errors: SYNTAX_ERROR, STATEMENT_REFUSED. */
export function readShowSplices(reader: TokenReader): Splice[] {
  if (reader.skip('describe')) return readDescribe(reader)
  if (reader.skip('show', 'tables')) return readShowTables(reader)
  if (reader.skip('show', 'live', 'queries')) return wholeStatement(reader, selectLiveQueries)
  for (const { word, select } of lists) {
    if (reader.skip('show', word)) return wholeStatement(reader, select)
  }
  return []
}

/** What SHOW takes, and the SELECT that it is. */
const lists = [
  { word: 'namespaces', select: 'select * from system.namespaces order by name' },
  { word: 'users', select: 'select * from system.users order by name' },
  { word: 'apikeys', select: 'select * from system.apikeys order by name, created_at, id' },
  { word: 'config', select: 'select * from system.config' },
] as const

const selectLiveQueries = 'select * from system.live_queries order by opened_at, id'

function readShowTables(reader: TokenReader): Splice[] {
  const namespace = reader.skip('in') ? reader.expectName('the name of a namespace') : undefined
  const where = namespace === undefined ? '' : `where namespace = ${quoteLiteral(namespace)} `
  return wholeStatement(reader, `select * from system.tables ${where}order by namespace, name`)
}

function wholeStatement(reader: TokenReader, text: string): Splice[] {
  reader.expectEnd()
  return [{ start: 0, end: reader.source.text.length, text }]
}

/**
 * The name becomes a literal that is cast to regclass: so the table is found as in any statement,
 * along the search path, and one that does not exist is PostgreSQL's own error at the name.
 */
function readDescribe(reader: TokenReader): Splice[] {
  reader.skip('table')
  const start = reader.index
  const end = readTableName(reader)
  reader.expectEnd('. or the end of the statement')
  const name = reader.source.text.slice(start, end)
  return [
    { start: 0, end: start, text: describeStart },
    { start, end, text: quoteLiteral(name) },
    { start: end, end: reader.source.text.length, text: describeEnd },
  ]
}

const describeStart = `select c.position, c.name, c.type, c.nullable, c.primary_key, c.default_value, c.comment
  from system.columns c, pg_catalog.pg_class t, pg_catalog.pg_namespace n
 where c.namespace = n.nspname and c.table_name = t.relname and n.oid = t.relnamespace and t.oid = `
const describeEnd = '::pg_catalog.regclass order by c.position'

/** Reads `name` or `namespace.name`; returns the index after it. */
function readTableName(reader: TokenReader): number {
  const last = readWord(reader)
  return reader.skip('.') ? readWord(reader) : last
}

function readWord(reader: TokenReader): number {
  const word = reader.peek()
  const isName = word?.kind === 'word' || word?.kind === 'quoted-word'
  if (!isName) throw reader.expected('the name of a table')
  reader.take()
  return word.end
}

function quoteLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
