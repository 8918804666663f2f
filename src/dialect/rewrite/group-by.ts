/**
 * PostgreSQL lets a query show columns that depend on a primary key it groups by. The key of a USER
 * table begins with `_user_id`, so where the caller's own key is grouped by, that is put in front.
 * The groups stay the same: all rows are of one user.
 */
import type { Node, RangeVar, SelectStmt } from 'libpg-query'
import { quoteIdentifier } from '../compose-text.js'
import { fieldsOf, stringsOf, type Fields } from '../syntax-tree.js'
import { isPerUser, type TableShape } from '../table-shape.js'
import type { Draft } from './draft.js'
import type { FindTable } from './find-table.js'
import type { Scope } from './scoped-tree.js'
import { findToken, significantAt, wordOf } from './token-walk.js'

interface GroupContext {
  readonly draft: Draft
  readonly find: FindTable
  readonly scope: Scope
}

/** A table of the query, as its columns name it. */
interface Grouped {
  readonly name: string
  readonly byte: number | undefined
  readonly shape: TableShape
}

export function groupByKeys(select: SelectStmt, context: GroupContext): void {
  const { groupClause = [], fromClause = [], targetList = [], groupDistinct } = select
  if (groupDistinct === true || groupClause.length === 0) return
  const columns = groupClause.map((node) => groupedColumn(node, targetList))
  const groups = groupClause.map((node) => fieldsOf(node, 'GroupingSet'))
  if (groups.some((set) => set !== undefined)) return
  const used = usedColumns(select)
  const missing = fromClause
    .flatMap((node) => tablesOf(node, context))
    .filter((table) => isKeyOf(table, columns) && needsKey(table, columns, used))
  if (missing.length === 0) return
  const owners = missing.map(({ name }) => ` ${quoteIdentifier(name)}._user_id,`)
  const at = firstGroup(select, missing[0]?.byte, context.draft)
  if (at !== undefined) context.draft.insert(at, owners.join(''))
}

/** The parts of a column's name; of `GROUP BY 1` and of an alias those of what it stands for. */
function groupedColumn(node: Node, targets: readonly Node[]): string[] {
  const number = fieldsOf(node, 'A_Const')?.ival?.ival
  const target = number === undefined ? undefined : fieldsOf(targets[number - 1], 'ResTarget')
  const parts = stringsOf(fieldsOf(target?.val ?? node, 'ColumnRef')?.fields)
  const [alias] = parts
  const named = targets
    .map((each) => fieldsOf(each, 'ResTarget'))
    .find((each) => parts.length === 1 && each?.name === alias)
  const meant = stringsOf(fieldsOf(named?.val, 'ColumnRef')?.fields)
  return meant.length > 0 ? meant : parts
}

/** The USER tables of one item of FROM, through its joins. */
function tablesOf(node: Node, context: GroupContext): Grouped[] {
  const join = fieldsOf(node, 'JoinExpr')
  if (join !== undefined)
    return [join.larg, join.rarg].flatMap((side) =>
      side === undefined ? [] : tablesOf(side, context),
    )
  const table: RangeVar | undefined = fieldsOf(node, 'RangeVar')
  const shape = table && context.find(table, context.scope)
  if (table === undefined || !isPerUser(shape)) return []
  return [{ name: table.alias?.aliasname ?? table.relname ?? '', byte: table.location, shape }]
}

function isKeyOf({ name, shape }: Grouped, columns: readonly string[][]): boolean {
  const isGrouped = (key: string): boolean => columns.some((parts) => names(parts, name, key))
  return shape.key.length > 0 && shape.key.every(isGrouped) && !isGrouped('_user_id')
}

/** Whether the query shows a column of the table that it does not group by. */
function needsKey(
  { name, shape }: Grouped,
  columns: readonly string[][],
  used: readonly string[][],
): boolean {
  return used.some(
    (parts) =>
      isWholeRow(parts, name) ||
      shape.columns.some(
        (column) =>
          names(parts, name, column.name) &&
          !columns.some((grouped) => grouped.at(-1) === column.name),
      ),
  )
}

/** `*`, `t.*` and `t`: what is left of them without the star. */
function isWholeRow(parts: readonly string[], table: string): boolean {
  return parts.length === 0 || parts.at(-1) === table
}

function names(parts: readonly string[], table: string, column: string): boolean {
  const qualifier = parts.at(-2)
  return parts.at(-1) === column && (qualifier === undefined || qualifier === table)
}

/** Columns that must be grouped by or depend on what is: those outside of aggregates. */
function usedColumns({ targetList, sortClause, havingClause }: SelectStmt): string[][] {
  const pending: unknown[] = [targetList, sortClause, havingClause]
  const found: string[][] = []
  while (pending.length > 0) {
    const next = pending.pop()
    if (typeof next !== 'object' || next === null) continue
    const fields = next as Readonly<Record<string, unknown>>
    // The keys name the types.
    const call = fields['FuncCall'] as Fields<'FuncCall'> | undefined
    const column = fields['ColumnRef'] as Fields<'ColumnRef'> | undefined
    if (column !== undefined) found.push(stringsOf(column.fields))
    if (call !== undefined && aggregates.has(stringsOf(call.funcname).at(-1) ?? '')) continue
    pending.push(...Object.values(fields))
  }
  return found
}

const aggregates = new Set([
  ...['count', 'sum', 'avg', 'min', 'max', 'bool_and', 'bool_or', 'every', 'string_agg'],
  ...['array_agg', 'json_agg', 'jsonb_agg', 'json_object_agg', 'jsonb_object_agg', 'any_value'],
])

/** Where the groups begin: after GROUP BY, between a table of FROM and the first group. */
function firstGroup(
  select: SelectStmt,
  tableByte: number | undefined,
  draft: Draft,
): number | undefined {
  const first = firstLocation(select.groupClause?.[0])
  if (first === undefined) return undefined
  const end = draft.indexOf(first)
  let index = draft.indexOf(tableByte)
  for (;;) {
    const group = findToken(draft.text, index, 'group')
    if (group === undefined || group.start >= end) return undefined
    const by = significantAt(draft.text, group.end)
    index = group.end
    if (wordOf(draft.text, by) !== 'by' || by === undefined) continue
    const next = significantAt(draft.text, by.end)
    return wordOf(draft.text, next) === 'all' ? next?.end : by.end
  }
}

/** The smallest byte offset in a part of the tree. */
function firstLocation(root: unknown): number | undefined {
  const pending: unknown[] = [root]
  let smallest: number | undefined
  while (pending.length > 0) {
    const next = pending.pop()
    if (typeof next !== 'object' || next === null) continue
    const { location } = next as { readonly location?: unknown }
    if (typeof location === 'number' && location >= 0)
      smallest = Math.min(smallest ?? Infinity, location)
    pending.push(...Object.values(next as Readonly<Record<string, unknown>>))
  }
  return smallest
}
