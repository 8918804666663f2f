/**
 * What the text of a query that is to be live tells: the tables that it names, and whether single
 * changes of its one table tell what happens to its result. What names mean is asked by `live`.
 */
import type { Node, RangeVar, SelectStmt } from 'libpg-query'
import {
  conditionsOf,
  readColumn,
  readPredicate,
  type ColumnTerm,
  type Condition,
  type Predicate,
} from './live-predicate.js'
import { liveRefusal, type LiveRefusal } from './live-refusal.js'
import { fieldsOf, type Fields } from './syntax-tree.js'

export interface LiveAnalysis {
  readonly kind: 'analysed'
  /** Tables and views in it, each as often as it is named; CTEs are not among them. */
  readonly relations: readonly RelationUse[]
  /** Its rows have an order: ORDER BY at the top. */
  readonly ordered: boolean
  /** Equalities that every row of its result fulfils. */
  readonly conditions: readonly Condition[]
  /** It reads one table once, and rows of the result are rows of the table. */
  readonly single: SingleTable | undefined
}

export interface RelationUse {
  readonly schema: string | undefined
  readonly name: string
  /** What columns are qualified with: the alias, else the name. */
  readonly alias: string
  readonly byte: number | undefined
}

export interface SingleTable {
  readonly relation: RelationUse
  readonly targets: readonly Target[]
  /** Undefined without a WHERE. */
  readonly where: Predicate | undefined
  /** Byte offset of the table in the text, where it is to be replaced. */
  readonly byte: number
  /** The table has another name in the query than its own. */
  readonly hasAlias: boolean
  /** No ORDER BY or LIMIT: a row is in the result or not, whatever others do. */
  readonly followable: boolean
}

export type Target =
  /** `*` or `t.*`. */
  | { readonly kind: 'all' }
  | { readonly kind: 'column'; readonly column: ColumnTerm }
  | { readonly kind: 'expression' }

/** Reads a SELECT's tree, or says why it cannot be live. */
export function analyseLive(root: Node): LiveAnalysis | LiveRefusal {
  const select = fieldsOf(root, 'SelectStmt')
  if (select === undefined) return liveRefusal('only a SELECT can be live')
  const found = surveyLive(root)
  if (found.refusal !== undefined) return found.refusal
  const { relations, isCompound } = found
  const predicate = select.whereClause && readPredicate(select.whereClause)
  const isPlain = !isCompound && select.withClause === undefined && isSimple(select)
  return {
    kind: 'analysed',
    relations,
    ordered: select.sortClause !== undefined,
    conditions: isPlain && predicate !== undefined ? conditionsOf(predicate) : [],
    single: isPlain ? singleTable(select, relations, predicate) : undefined,
  }
}

function isSimple({ op, valuesLists }: SelectStmt): boolean {
  return (op ?? 'SETOP_NONE') === 'SETOP_NONE' && valuesLists === undefined
}

function singleTable(
  select: SelectStmt,
  relations: readonly RelationUse[],
  where: Predicate | undefined,
): SingleTable | undefined {
  const [relation, another] = relations
  const [from, anotherFrom] = select.fromClause ?? []
  const table = fieldsOf(from, 'RangeVar')
  if (relation === undefined || another !== undefined || anotherFrom !== undefined) return undefined
  if (table?.location === undefined || table.inh !== true || groups(select)) return undefined
  if (table.alias?.colnames !== undefined) return undefined
  const isWindow = [select.sortClause, select.limitCount, select.limitOffset].some(
    (clause) => clause !== undefined,
  )
  return {
    relation,
    targets: (select.targetList ?? []).map(readTarget),
    where,
    byte: table.location,
    hasAlias: table.alias !== undefined,
    followable: !isWindow,
  }
}

/** A row of its result is not one row of a table. */
function groups(select: SelectStmt): boolean {
  const { distinctClause, groupClause, havingClause, windowClause } = select
  return [distinctClause, groupClause, havingClause, windowClause].some(
    (clause) => clause !== undefined,
  )
}

function readTarget(node: Node): Target {
  const column = fieldsOf(fieldsOf(node, 'ResTarget')?.val, 'ColumnRef')
  if (column === undefined) return { kind: 'expression' }
  if (isStar(column.fields?.at(-1)) && (column.fields?.length ?? 0) <= 2) return { kind: 'all' }
  const term = readColumn(column)
  return term === undefined ? { kind: 'expression' } : { kind: 'column', column: term }
}

function isStar(node: Node | undefined): boolean {
  return fieldsOf(node, 'A_Star') !== undefined
}

interface LiveSurvey {
  readonly relations: RelationUse[]
  /** A row of its result may come of several rows of a table. */
  isCompound: boolean
  refusal: LiveRefusal | undefined
}

/** Names of CTEs that can be seen from a place in the tree. */
type Visible = ReadonlySet<string>

interface Visit {
  readonly value: object
  readonly visible: Visible
}

/** Not recursive: trees are as deep as a caller's expression is long. */
function surveyLive(root: Node): LiveSurvey {
  const survey: LiveSurvey = {
    ...{ relations: [], isCompound: false, refusal: undefined },
  }
  const pending: Visit[] = [{ value: root, visible: new Set() }]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { value, visible } = next
    if (Array.isArray(value)) {
      // From the last, because the stack gives the last first: relations stay in their order.
      for (let index = value.length - 1; index >= 0; index--) push(pending, value[index], visible)
    } else visitObject(value as Readonly<Record<string, unknown>>, visible, { survey, pending })
  }
  return survey
}

function push(pending: Visit[], value: unknown, visible: Visible): void {
  if (typeof value === 'object' && value !== null) pending.push({ value, visible })
}

function visitObject(
  fields: Readonly<Record<string, unknown>>,
  visible: Visible,
  { survey, pending }: { readonly survey: LiveSurvey; readonly pending: Visit[] },
): void {
  const within = withCtes(fields, visible, pending)
  for (const key of Object.keys(fields).reverse()) {
    const value = fields[key]
    if (key === 'withClause' || typeof value !== 'object' || value === null) continue
    if (!Array.isArray(value)) note(key, value, within, survey)
    push(pending, value, within)
  }
}

/** The CTEs of a WITH see those before them; a recursive one itself and all. */
function withCtes(
  fields: Readonly<Record<string, unknown>>,
  visible: Visible,
  pending: Visit[],
): Visible {
  // The field of this name is a WithClause wherever it occurs.
  const clause = fields['withClause'] as Fields<'WithClause'> | undefined
  if (clause === undefined) return visible
  const names = (clause.ctes ?? []).map((cte) => fieldsOf(cte, 'CommonTableExpr')?.ctename ?? '')
  const all = new Set([...visible, ...names])
  for (const [index, cte] of (clause.ctes ?? []).entries()) {
    const before = new Set([...visible, ...names.slice(0, index)])
    push(pending, cte, clause.recursive === true ? all : before)
  }
  return all
}

const writes = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])

/** Every named part of the tree. The casts below: a key names the type of its value. */
function note(key: string, value: object, visible: Visible, survey: LiveSurvey): void {
  const refuse = (message: string, byte?: number): void => {
    survey.refusal ??= liveRefusal(message, byte)
  }
  switch (key) {
    case 'RangeVar':
      noteRelation(value, visible, survey)
      break
    case 'SubLink':
    case 'RangeSubselect':
    // The two aggregates with a syntax of their own.
    case 'JsonArrayAgg':
    case 'JsonObjectAgg':
      survey.isCompound = true
      break
    case 'RangeTableSample':
      refuse('TABLESAMPLE cannot be live: each look takes other rows')
      break
    case 'LockingClause':
      refuse('FOR UPDATE and FOR SHARE cannot be live: a live query holds no locks')
      break
    case 'intoClause':
    case 'IntoClause':
      refuse('SELECT INTO cannot be live: it makes a table')
      break
    default:
      if (writes.has(key)) refuse('a query that changes rows cannot be live')
  }
}

function noteRelation(table: RangeVar, visible: Visible, survey: LiveSurvey): void {
  const { schemaname: schema, relname: name = '', location: byte } = table
  if (schema === undefined && visible.has(name)) {
    // A CTE is a sub-query with a name.
    survey.isCompound = true
    return
  }
  survey.relations.push({ schema, name, alias: table.alias?.aliasname ?? name, byte })
}
