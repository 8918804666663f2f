/**
 * What a client of the Postgres protocol finds in PostgreSQL's catalogs. Tools ask them for "all
 * schemas", and believe the server to be one's own:
 *
 *   pg_namespace        without the schemas in which the system keeps its things
 *   pg_database         with the one database under its name, which current_database() says too
 *   pg_locks            with the sessions that have and that want advisory locks
 *   pg_event_trigger,   without the system's own
 *   pg_default_acl
 *   pg_class            to pg_dump, without the rights of the system's roles
 *   pg_backend_pid(),   of the session, where one backend serves all
 *
 * Only reading is edited, by splices; what is stored (views, functions) stays as it was written.
 */
import type { FuncCall, Node, RangeVar, SQLValueFunction, TypeCast } from 'libpg-query'
import { quoteIdentifier, type ComposedText } from './compose-text.js'
import type { Splice } from './plan.js'
import { Draft } from './rewrite/draft.js'
import { visitScoped, type Scope } from './rewrite/scoped-tree.js'
import { stripSchema } from './rewrite/strip-schema.js'
import { afterName, findToken, significantAt, walkTokens } from './rewrite/token-walk.js'
import { fieldsOf, stringsOf, visitTree, type Statement } from './syntax-tree.js'

/** The database that clients connect to; the engine's own is called as PGlite calls it. */
export const databaseName = 'kalamdb'

/** Whether `showCatalogs` may have something to do. */
export function mayAskCatalogs(text: string): boolean {
  return asking.test(text)
}

const asking =
  /kalamdb|tableoid|regclass|pg_namespace|pg_database|pg_locks|pg_event_trigger|pg_default_acl|current_(?:database|catalog)|pg_backend_pid|pg_tablespace_location/i

/** Splices for a statement whose text was composed with these `splices`. */
export function showCatalogs({ kind, node }: Statement, composed: ComposedText): readonly Splice[] {
  const isReading = readingStatements.has(kind)
  const isRunning = isReading || changingStatements.has(kind)
  const draft = new Draft(composed)
  const isDump = namesColumn(node, 'tableoid')
  const calls: Splice[] = []
  visitScoped(node, (key, fields, scope) => {
    // The keys name the types.
    if (key === 'RangeVar' && isReading) showTable(fields, { root: node, draft, scope, isDump })
    if (fields['catalogname'] === databaseName) dropDatabase(fields, draft)
    if (!isRunning) return
    if (key === 'FuncCall') calls.push(...showCall(fields, draft))
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

interface Shown {
  readonly columns: readonly string[]
  /** Expressions in the place of columns. */
  readonly instead?: Readonly<Record<string, string>>
  readonly where?: string
}

const ofSystem = `('kalam', 'kalam_deleted')`

const shownAs: Readonly<Record<string, Shown>> = {
  pg_namespace: {
    columns: ['oid', 'nspname', 'nspowner', 'nspacl'],
    where: `nspname not in ${ofSystem}`,
  },
  pg_database: {
    columns: [
      ...['oid', 'datname', 'datdba', 'encoding', 'datlocprovider', 'datistemplate'],
      ...['datallowconn', 'dathasloginevt', 'datconnlimit', 'datfrozenxid', 'datminmxid'],
      ...['dattablespace', 'datcollate', 'datctype', 'datlocale', 'daticurules'],
      ...['datcollversion', 'datacl'],
    ],
    instead: {
      datname: `case when oid = 5 then '${databaseName}' else datname end::pg_catalog.name`,
    },
  },
  pg_locks: {
    columns: [
      ...['locktype', 'database', 'relation', 'page', 'tuple', 'virtualxid', 'transactionid'],
      ...['classid', 'objid', 'objsubid', 'virtualtransaction', 'pid', 'mode', 'granted'],
      ...['fastpath', 'waitstart'],
    ],
    // Advisory ones as 0010-waiting-locks has them.
    instead: {
      pid: `case locktype when 'advisory' then classid::int8::int4 else kalam.session() end`,
      granted: `granted and (locktype <> 'advisory' or objsubid = 2)`,
    },
  },
  pg_event_trigger: {
    columns: [...['oid', 'evtname', 'evtevent', 'evtowner', 'evtfoid', 'evtenabled', 'evttags']],
    where: `evtname !~ '^kalam_'`,
  },
  pg_default_acl: {
    columns: ['oid', 'defaclrole', 'defaclnamespace', 'defaclobjtype', 'defaclacl'],
    where: `pg_catalog.pg_get_userbyid(defaclrole) <> 'kalam_everything'`,
  },
}

/** Rights that every server gives to the system's roles, and on `public` to admins. */
const systemRight = '(kalam_(sys|reaper)=|kalam_admin=[^/]*/pg_database_owner)'

function withoutSystem(acl: string): string {
  return (
    `case when ${acl}::text ~ '${systemRight}' then array(select item ` +
    `from pg_catalog.unnest(${acl}) item where item::text !~ '^${systemRight}') else ${acl} end`
  )
}

/**
 * pg_dump must find the schema of every table that it finds, and leaves out those that begin with
 * `pg_`: PostgreSQL's way to say that a schema is the system's. Only dumps ask for `tableoid`.
 */
const dumpedAs: Readonly<Record<string, Shown>> = {
  ...shownAs,
  pg_namespace: {
    columns: ['oid', 'nspname', 'nspowner', 'nspacl'],
    instead: {
      nspname:
        `case when nspname in ('system', 'kalam', 'kalam_deleted') ` +
        `then 'pg_' || nspname else nspname end::pg_catalog.name`,
      nspacl: withoutSystem('nspacl'),
    },
  },
  pg_class: {
    columns: [
      ...['oid', 'relname', 'relnamespace', 'reltype', 'reloftype', 'relowner', 'relam'],
      ...['relfilenode', 'reltablespace', 'relpages', 'reltuples', 'relallvisible'],
      ...['relallfrozen', 'reltoastrelid', 'relhasindex', 'relisshared', 'relpersistence'],
      ...['relkind', 'relnatts', 'relchecks', 'relhasrules', 'relhastriggers'],
      ...['relhassubclass', 'relrowsecurity', 'relforcerowsecurity', 'relispopulated'],
      ...['relreplident', 'relispartition', 'relrewrite', 'relfrozenxid', 'relminmxid'],
      ...['relacl', 'reloptions', 'relpartbound'],
    ],
    instead: { relacl: withoutSystem('relacl') },
  },
}

/** What a row of a view has not, and a statement may ask for by name. */
const rowColumns = ['tableoid', 'xmin', 'ctid']

interface TableContext {
  readonly root: Node
  readonly draft: Draft
  readonly scope: Scope
  readonly isDump: boolean
}

function showTable(table: RangeVar, { root, draft, scope, isDump }: TableContext): void {
  const { schemaname, relname = '', location, inh, alias } = table
  const shown = (isDump ? dumpedAs : shownAs)[relname]
  if (shown === undefined || inh !== true || location === undefined) return
  if (schemaname !== undefined && schemaname !== 'pg_catalog') return
  if (schemaname === undefined && scope.names.has(relname)) return
  const start = draft.indexOf(location)
  const name = alias === undefined ? ` as ${quoteIdentifier(relname)}` : ''
  draft.replace(start, afterName(draft.text, start), subselect(relname, shown, root) + name)
  stripSchema(root, { table, schema: 'pg_catalog' }, draft)
}

function subselect(name: string, { columns, instead = {}, where }: Shown, root: Node): string {
  const asked = rowColumns.filter((column) => namesColumn(root, column))
  const list = [...asked, ...columns].map((column) => {
    const expression = instead[column]
    return expression === undefined ? column : `${expression} as ${column}`
  })
  const condition = where === undefined ? '' : ` where ${where}`
  return `(select ${list.join(', ')} from pg_catalog.${name}${condition})`
}

function namesColumn(root: Node, column: string): boolean {
  let found = false
  visitTree(root, (key, fields) => {
    if (key !== 'ColumnRef') return
    // The key names the type.
    found ||= stringsOf((fields as { fields?: readonly Node[] }).fields).at(-1) === column
  })
  return found
}

/** Functions of `kalam` under the name of PostgreSQL's; `ofSession` get its number before all else. */
const ownFunctions = {
  named: /^(current_database|pg_tablespace_location)$/,
  ofSession: /^pg_backend_pid$/,
}

function showCall({ funcname, args, location }: FuncCall, draft: Draft): Splice[] {
  const [first = '', second] = stringsOf(funcname)
  const name = second ?? first
  if (location === undefined || (second !== undefined && first !== 'pg_catalog')) return []
  const isOfSession = ownFunctions.ofSession.test(name)
  if (!isOfSession && !ownFunctions.named.test(name)) return []
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
