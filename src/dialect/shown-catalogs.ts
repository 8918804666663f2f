/**
 * What a client of the Postgres protocol finds in PostgreSQL's catalogs. Tools ask them for "all
 * schemas", and believe the server to be one's own:
 *
 *   pg_namespace, …      see shown-tables.ts
 *   current_database()   the one database under its name
 *   pg_backend_pid()     of the session, where one backend serves all
 *   pg_…_size(),         to users, in a way that tells nothing of others
 *   set_config(), …
 *
 * Only reading is edited, by splices; what is stored (views, functions) stays as it was written.
 */
import type { ColumnRef, FuncCall, Node, RangeVar, SQLValueFunction, TypeCast } from 'libpg-query'
import { databaseName } from '../protocol/database-name.js'
import { quoteIdentifier, type ComposedText } from './compose-text.js'
import type { Splice } from './plan.js'
import { Draft } from './rewrite/draft.js'
import { visitScoped, type Scope } from './rewrite/scoped-tree.js'
import { stripSchema } from './rewrite/strip-schema.js'
import {
  afterName,
  findToken,
  significantAt,
  walkTokens,
  type WalkedToken,
} from './rewrite/token-walk.js'
import type { Role } from './roles.js'
import { shownTable, type Reader, type Shown, type ShownView } from './shown-tables.js'
import { fieldsOf, stringsOf, visitTree, type Statement } from './syntax-tree.js'

/** Whether `showCatalogs` may have something to do. */
export function mayAskCatalogs(text: string): boolean {
  return asking.test(text)
}

const asking =
  /kalamdb|tableoid|regclass|pg_(?:namespace|database|collation|class|locks|event_trigger|default_acl|polic(?:y|ies)|roles|group)|(?:att|pro|typ)acl|indkey|con(?:f?)key|information_schema|current_(?:database|catalog)|has_database_privilege|pg_backend_pid|pg_tablespace_location|pg_\w+_size|pg_stat_get_numscans|set_config|pg_get_sequence_data|pg_get_constraintdef/i

/** Splices for a statement of a caller with this role, as it was composed. */
export function showCatalogs(
  { kind, node }: Statement,
  { composed, role }: { readonly composed: ComposedText; readonly role: Role },
): readonly Splice[] {
  const isReading = readingStatements.has(kind)
  const isRunning = isReading || changingStatements.has(kind)
  const draft = new Draft(composed)
  const { columns, schemas } = namesIn(node)
  const reader: Reader = {
    role,
    isDump: columns.has('tableoid') || columns.has('initprivs'),
    readsKeys: ['indkey', 'conkey', 'confkey'].some((column) => columns.has(column)),
    readsRights: ['attacl', 'proacl', 'typacl'].some((column) => columns.has(column)),
    readsInformationSchema: schemas.has('information_schema'),
  }
  const calls: Splice[] = []
  visitScoped(node, (key, fields, scope) => {
    // The keys name the types.
    if (key === 'RangeVar' && isReading)
      showTable(fields, { root: node, draft, scope, columns, reader })
    if (fields['catalogname'] === databaseName) dropDatabase(fields, draft)
    if (!isRunning) return
    if (key === 'FuncCall') calls.push(...showCall(fields, draft, reader))
    if (key === 'SQLValueFunction') nameCatalog(fields, draft)
    if (key === 'TypeCast') lookUpLocally(fields, draft)
  })
  return [...draft.splices, ...calls]
}

/** What is stored, such as a view, is stored as it was written. */
const readingStatements = new Set([
  ...['SelectStmt', 'DeclareCursorStmt', 'CopyStmt', 'PrepareStmt', 'ExplainStmt'],
])
const changingStatements = new Set([
  ...['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt', 'CallStmt'],
])

/** What a row of a view has not, and a statement may ask for by name. */
const rowColumns = ['tableoid', 'xmin', 'ctid']

interface TableContext {
  readonly root: Node
  readonly draft: Draft
  readonly scope: Scope
  /** Of the whole statement. */
  readonly columns: ReadonlySet<string>
  readonly reader: Reader
}

function showTable(table: RangeVar, { root, draft, scope, columns, reader }: TableContext): void {
  const { schemaname, relname = '', location, inh, alias } = table
  const shown = shownTable(relname, reader)
  if (shown === undefined || inh !== true || location === undefined) return
  if (schemaname !== undefined && schemaname !== 'pg_catalog') return
  if (schemaname === undefined && scope.names.has(relname)) return
  const start = draft.indexOf(location)
  const name = alias === undefined ? ` as ${quoteIdentifier(relname)}` : ''
  spellOut(start, draft)
  draft.replace(start, afterName(draft.text, start), subselect(relname, shown, columns) + name)
  stripSchema(root, { table, schema: 'pg_catalog' }, draft)
}

/** `TABLE pg_class` takes nothing but a name. */
function spellOut(start: number, draft: Draft): void {
  let before: WalkedToken | undefined
  for (const token of walkTokens(draft.text, 0)) {
    if (token.start >= start) break
    before = token
  }
  if (before?.kind === 'word' && before.word === 'table')
    draft.replace(before.start, before.end, 'select * from')
}

function subselect(name: string, shown: Shown, named: ReadonlySet<string>): string {
  const marks = rowColumns.filter((each) => named.has(each))
  if ('view' in shown) return viewWith(marks, name, shown)
  const { columns, instead = {}, onDemand = {}, where } = shown
  const asked = [...marks, ...Object.keys(onDemand).filter((each) => named.has(each))]
  const list = [...asked, ...columns].map((column) => {
    const expression = instead[column] ?? onDemand[column]
    return expression === undefined ? column : `${expression} as ${column}`
  })
  const condition = where === undefined ? '' : ` where ${where}`
  return `(select ${list.join(', ')} from pg_catalog.${name}${condition})`
}

/** DataGrip asks of each constraint which transaction made it. */
function viewWith(marks: readonly string[], name: string, { view, key }: ShownView): string {
  if (marks.length === 0) return `kalam.${view}`
  const list = ['shown.*', ...marks.map((mark) => `kept.${mark}`)].join(', ')
  return `(select ${list} from kalam.${view} shown join pg_catalog.${name} kept using (${key}))`
}

/** Names of columns, and of schemas of relations, that occur anywhere. */
function namesIn(root: Node): { columns: ReadonlySet<string>; schemas: ReadonlySet<string> } {
  const columns = new Set<string>()
  const schemas = new Set<string>()
  visitTree(root, (key, fields) => {
    const schema = fields['schemaname']
    if (typeof schema === 'string') schemas.add(schema)
    if (key !== 'ColumnRef') return
    // The key names the type.
    const name = stringsOf((fields as ColumnRef).fields).at(-1)
    if (name !== undefined) columns.add(name)
  })
  return { columns, schemas }
}

/** Functions of `kalam` under the name of PostgreSQL's; `ofSession` get its number before all else. */
const ownFunctions = {
  named: /^(current_database|has_database_privilege|pg_database_size|pg_tablespace_location)$/,
  ofUsers:
    /^(pg_(table|relation|indexes|total_relation|tablespace)_size|pg_stat_get_numscans|pg_get_sequence_data|set_config)$/,
  ofSession: /^pg_backend_pid$/,
}

function isOwn(name: string, { role, readsKeys, isDump }: Reader): boolean {
  if (name === 'pg_get_indexdef') return readsKeys && !isDump
  if (name === 'pg_get_constraintdef') return !isDump
  return ownFunctions.named.test(name) || (role !== 'admin' && ownFunctions.ofUsers.test(name))
}

function showCall({ funcname, args, location }: FuncCall, draft: Draft, reader: Reader): Splice[] {
  const [first = '', second] = stringsOf(funcname)
  const name = second ?? first
  if (location === undefined || (second !== undefined && first !== 'pg_catalog')) return []
  const isOfSession = ownFunctions.ofSession.test(name)
  if (!isOfSession && !isOwn(name, reader)) return []
  const start = draft.indexOf(location)
  const end = afterName(draft.text, start)
  const open = significantAt(draft.text, end)
  const own = { start, end, text: `kalam.${quoteIdentifier(name)}` }
  if (!isOfSession || open === undefined) return [own]
  const at = { start: open.end, end: open.end }
  const comma = args === undefined ? [] : [{ ...at, text: ', ' }]
  return [own, { ...at, text: { processId: true } }, ...comma]
}

function nameCatalog({ op, location }: SQLValueFunction, draft: Draft): void {
  if (op !== 'SVFOP_CURRENT_CATALOG' || location === undefined) return
  const start = draft.indexOf(location)
  const end = significantAt(draft.text, start)?.end ?? start
  draft.replace(start, end, 'kalam.current_catalog()')
}

/** `kalamdb.app.todos` is `app.todos`, as PostgreSQL takes the name of the database at hand. */
function dropDatabase({ location }: RangeVar, draft: Draft): void {
  if (location === undefined) return
  const start = draft.indexOf(location)
  const dot = findToken(draft.text, start, '.')
  if (dot !== undefined) draft.replace(start, dot.end, '')
}

/**
 * `(table_catalog || '.' || table_schema || …)::regclass`, with names from the information schema:
 * PostgreSQL knows no relation by its database's name here.
 */
function lookUpLocally({ arg, typeName, location }: TypeCast, draft: Draft): void {
  const isName = stringsOf(typeName?.names).at(-1) === 'regclass'
  if (!isName || location === undefined || fieldsOf(arg, 'A_Expr') === undefined) return
  const open = openingBefore(draft.text, draft.indexOf(location))
  if (open !== undefined) draft.insert(open, 'kalam.local_name')
}

/** The parenthesis whose pair ends right before `index`. */
function openingBefore(text: string, index: number): number | undefined {
  const open: number[] = []
  let closed: number | undefined
  for (const { start, word, kind } of walkTokens(text, 0)) {
    if (start >= index) return closed
    closed = undefined
    if (kind !== 'punctuation') continue
    if (word === '(') open.push(start)
    if (word === ')') closed = open.pop()
  }
  return closed
}
