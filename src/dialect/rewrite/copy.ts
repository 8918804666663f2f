/**
 * COPY of managed tables. Without a column list the user's own columns are meant. PostgreSQL
 * refuses COPY FROM under row security (copy.c, DoCopy), so into tables where each user has their
 * own rows the data goes through a table on the way, and from there as an INSERT of the caller.
 */
import type { ColumnRef, CopyStmt, Node, RangeVar } from 'libpg-query'
import { DbError } from '../../errors.js'
import { quoteIdentifier, type ComposedText } from '../compose-text.js'
import { fieldsOf, stringsOf, visitTree } from '../syntax-tree.js'
import { isManaged, isPerUser, kindName, type TableShape } from '../table-shape.js'
import { Draft } from './draft.js'
import type { FindTable } from './find-table.js'
import { afterName, findToken } from './token-walk.js'

/** COPY … FROM in statements that are to be one transaction. */
export interface StagedCopy {
  readonly create: string
  readonly copy: ComposedText
  readonly insert: string
  /** So that the transaction can copy more. */
  readonly drop: string
  /** PostgreSQL's words about the table on the way as they would be about the table itself. */
  readonly inTablesName: (text: string) => string
}

/** Puts in the list of columns, for COPY of a managed table either way. */
export function rewriteCopy(copy: CopyStmt, draft: Draft, find: FindTable): void {
  const { relation: table, attlist } = copy
  const shape = table && find(table)
  if (table === undefined || !isManaged(shape) || attlist !== undefined) return
  const end = afterName(draft.text, draft.indexOf(table.location))
  draft.insert(end, ` ${listOf(ownColumns(shape))}`)
}

/**
 * The way that COPY … FROM takes under row security; undefined where PostgreSQL copies by itself.
 * It is made when it is taken: what is wrong with it does not concern who needs none.
 */
export function stageCopy(
  copy: CopyStmt,
  base: ComposedText,
  find: FindTable,
): (() => StagedCopy) | undefined {
  const { relation: table } = copy
  const shape = table && find(table)
  if (table === undefined || copy.is_from !== true || !isPerUser(shape)) return undefined
  return () => stagedCopy(copy, { table, shape, draft: new Draft(base) })
}

function stagedCopy(
  { attlist, options, whereClause }: CopyStmt,
  into: { readonly table: RangeVar; readonly shape: TableShape; readonly draft: Draft },
): StagedCopy {
  const { table, shape, draft } = into
  const columns = attlist === undefined ? ownColumns(shape) : checked(stringsOf(attlist), shape)
  refuseDefault(options, shape, draft)
  const start = draft.indexOf(table.location)
  const list = attlist === undefined ? ` ${listOf(columns)}` : ''
  draft.replace(start, afterName(draft.text, start), `pg_temp.${stage}${list}`)
  if (whereClause !== undefined) stripTable(whereClause, shape, draft)
  const target = `${quoteIdentifier(shape.schema)}.${quoteIdentifier(shape.name)}`
  const names = columns.map(quoteIdentifier).join(', ')
  return {
    create: `create temporary table ${stage} on commit drop as select ${names} from ${target} with no data`,
    copy: draft.compose(),
    // COPY takes values for columns that are GENERATED ALWAYS AS IDENTITY.
    insert:
      `insert into ${target} (${names}) overriding system value ` +
      `select ${names} from pg_temp.${stage}`,
    drop: `drop table pg_temp.${stage}`,
    inTablesName: (text) => text.replaceAll(stage, shape.name),
  }
}

/** Of a name that only the system may give. */
const stage = 'kalam_copied_rows'

function ownColumns({ columns }: TableShape): readonly string[] {
  return columns.filter(({ system, generated }) => !system && !generated).map(({ name }) => name)
}

function listOf(names: readonly string[]): string {
  return `(${names.map(quoteIdentifier).join(', ')})`
}

/** What PostgreSQL says of a list (copy.c, CopyGetAttnums), which would be about another table. */
function checked(
  names: readonly string[],
  { name: table, columns }: TableShape,
): readonly string[] {
  const seen = new Set<string>()
  for (const name of names) {
    const column = columns.find((each) => each.name === name)
    if (column === undefined)
      throw new DbError(
        'QUERY_REJECTED',
        `column "${name}" of relation "${table}" does not exist`,
        { sqlState: '42703' },
      )
    if (column.generated)
      throw new DbError('QUERY_REJECTED', `column "${name}" is a generated column`, {
        sqlState: '42P10',
        detail: 'Generated columns cannot be used in COPY.',
      })
    if (seen.has(name))
      throw new DbError('ALREADY_EXISTS', `column "${name}" specified more than once`, {
        sqlState: '42701',
      })
    seen.add(name)
  }
  return names
}

/** The table on the way has no defaults that the marker could stand for. */
function refuseDefault(
  options: readonly Node[] | undefined,
  shape: TableShape,
  draft: Draft,
): void {
  const option = (options ?? [])
    .map((node) => fieldsOf(node, 'DefElem'))
    .find((each) => each?.defname === 'default')
  if (option === undefined) return
  throw draft.refusal(
    draft.indexOf(option.location),
    `the option DEFAULT is refused in COPY into a ${kindName(shape.kind)}`,
    'A column that is left out of the list gets its default.',
  )
}

/** `todos.done` becomes `done`: in COPY's condition no other table can be meant. */
function stripTable(condition: Node, shape: TableShape, draft: Draft): void {
  visitTree(condition, (key, fields) => {
    if (key !== 'ColumnRef') return
    // The key names the type.
    const { fields: parts, location } = fields as ColumnRef
    const names = stringsOf(parts)
    const named = names.at(-2)
    if (names.length !== parts?.length || named !== shape.name) return
    const start = draft.indexOf(location)
    let end = start
    for (let left = names.length - 1; left > 0; left--)
      end = findToken(draft.text, end, '.')?.end ?? end
    draft.replace(start, end, '')
  })
}
