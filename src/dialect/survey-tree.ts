import type { FuncCall, IntoClause, Node, RangeVar } from 'libpg-query'
import { rowMarkOf } from './row-mark.js'
import { isStatementKind, stringsOf, visitTree, type Statement } from './syntax-tree.js'

/** What occurs anywhere in a statement. */
export interface Survey {
  /** The statement itself and those inside it: CTEs, bodies of functions and rules. */
  readonly statements: readonly Statement[]
  /** Inserts, updates, deletes or merges. */
  readonly writes: boolean
  /** The table of SELECT … INTO; in a UNION it hides in the first part. */
  readonly into: RangeVar | undefined
  /** FOR UPDATE and its like. */
  readonly locks: boolean
  /** Makes or names something temporary. */
  readonly temporary: boolean
  /** Last parts of the names of called functions. */
  readonly calls: ReadonlySet<string>
  /** Where transaction numbers of rows are asked for, as byte offsets. */
  readonly rowVersions: readonly number[]
  /** Relations of the schemas kalam_…, as byte offsets. */
  readonly hidden: readonly number[]
  /** Calls of the functions that stand for PostgreSQL's own at the Postgres door, as byte offsets. */
  readonly ownCalls: readonly number[]
  /** Names of cursors. */
  readonly cursors: readonly string[]
  /** The highest `$n`. */
  readonly parameterCount: number
  /** Names of relations, without their schemas. */
  readonly relations: ReadonlySet<string>
}

export function surveyTree(root: Node): Survey {
  const statements: Statement[] = []
  const calls = new Set<string>()
  const cursors: string[] = []
  const relations = new Set<string>()
  const rowVersions: number[] = []
  const hidden: number[] = []
  const ownCalls: number[] = []
  const found = { writes: false, locks: false, temporary: false, parameterCount: 0 }
  let into: RangeVar | undefined
  visitTree(root, (key, fields) => {
    if (isStatementKind(key)) statements.push(statementIn(key, fields))
    if (writingStatements.has(key)) found.writes = true
    // The field holds an IntoClause.
    if (key === 'intoClause') into = (fields as IntoClause).rel
    if (key === 'LockingClause') found.locks = true
    if (isTemporary(key, fields)) found.temporary = true
    if (key === 'FuncCall') calls.add(lastName(fields['funcname']))
    if (key === 'FuncCall' && isOwnCall(fields)) ownCalls.push((fields as FuncCall).location ?? 0)
    if (key === 'ParamRef') found.parameterCount = highest(found.parameterCount, fields['number'])
    if (typeof fields['relname'] === 'string') relations.add(fields['relname'])
    // What has this field is a RangeVar.
    if (isHidden(fields['schemaname'])) hidden.push((fields as RangeVar).location ?? 0)
    const mark = rowMarkOf(key, fields)
    if (mark !== undefined && rowVersionNames.has(mark.name)) rowVersions.push(mark.byte ?? 0)
    const cursor = fields['portalname'] ?? fields['cursor_name']
    if (typeof cursor === 'string') cursors.push(cursor)
  })
  return { statements, calls, cursors, into, relations, rowVersions, hidden, ownCalls, ...found }
}

/** Schemas of which no statement reads by name; rights say what of `kalam` may be read. */
function isHidden(schema: unknown): boolean {
  return typeof schema === 'string' && schema.startsWith('kalam_')
}

/** `kalam.pg_…`: whose session it is about is for the server to say. */
function isOwnCall(call: FuncCall): boolean {
  // The database may be named, too.
  const [schema, name = ''] = stringsOf(call.funcname).slice(-2)
  return schema === 'kalam' && (name.startsWith('pg_') || name === 'set_config')
}

/** Marks of a row that are numbers of transactions. */
const rowVersionNames: ReadonlySet<string> = new Set(['xmin', 'xmax'])

const writingStatements = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])

function statementIn(kind: Statement['kind'], fields: object): Statement {
  // A node is its fields under the name of its kind.
  return { kind, node: { [kind]: fields } as unknown as Node }
}

/** A relation that says so, or a name in the session's own schema. */
function isTemporary(key: string, fields: Readonly<Record<string, unknown>>): boolean {
  if (fields['relpersistence'] === 't') return true
  const schema = key === 'String' ? fields['sval'] : fields['schemaname']
  return typeof schema === 'string' && /^pg_temp(?:_\d+)?$/.test(schema)
}

function lastName(names: unknown): string {
  // FuncCall.funcname is a list of String nodes.
  return stringsOf(names as readonly Node[] | undefined).at(-1) ?? ''
}

function highest(count: number, parameter: unknown): number {
  return typeof parameter === 'number' ? Math.max(count, parameter) : count
}
