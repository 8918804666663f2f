/** Statements that cannot be meant for managed tables, each refused by name. */
import type {
  CreateTableAsStmt,
  RangeTableSample,
  RangeVar,
  RenameStmt,
  RuleStmt,
} from 'libpg-query'
import type { CreatedTable } from '../plan.js'
import { fieldsOf } from '../syntax-tree.js'
import { isManaged, isPerUser, kindName, reservedColumns } from '../table-shape.js'
import type { Draft } from './draft.js'
import type { FindTable } from './find-table.js'
import { visitScoped } from './scoped-tree.js'

/** Its rows would be those of whoever made or refreshed it. */
export function refuseMaterializedView(
  create: CreateTableAsStmt,
  {
    draft,
    find,
    created,
  }: {
    readonly draft: Draft
    readonly find: FindTable
    readonly created: CreatedTable | undefined
  },
): void {
  if (created !== undefined) {
    const at = draft.indexOf(create.into?.rel?.location)
    const message = `CREATE ${created.kind.toUpperCase()} TABLE … AS is refused`
    throw draft.refusal(at, message, 'Create the table with its columns, then INSERT … SELECT.')
  }
  if (create.objtype !== 'OBJECT_MATVIEW' || create.query === undefined) return
  visitScoped(create.query, (key, fields, scope) => {
    if (key !== 'RangeVar') return
    // The key names the type.
    const table = fields as RangeVar
    const shape = find(table, scope)
    if (!isPerUser(shape)) return
    const message = `a materialized view over a ${kindName(shape.kind)} is refused: its rows would be one user's, for all`
    throw draft.refusal(draft.indexOf(table.location), message, 'Use CREATE VIEW.')
  })
}

export function refuseRename(rename: RenameStmt, draft: Draft, find: FindTable): void {
  const { relation: table, renameType, subname = '', newname = '' } = rename
  const shape = table && find(table)
  if (renameType !== 'OBJECT_COLUMN' || !isManaged(shape)) return
  const at = draft.indexOf(table?.location)
  if (shape.columns.some(({ system, name }) => system && name === subname)) {
    throw draft.refusal(at, `the column ${subname} belongs to the system`)
  }
  if (!reservedColumns.has(newname)) return
  const message = `the column name ${newname} is reserved in a ${kindName(shape.kind)}`
  throw draft.refusal(at, message)
}

/** Which of one's own rows are in a sample depends on where others' rows lie. */
export function refuseSample({ relation }: RangeTableSample, draft: Draft, find: FindTable): void {
  const table = fieldsOf(relation, 'RangeVar')
  const shape = table && find(table)
  if (!isPerUser(shape)) return
  const message = `TABLESAMPLE is refused on a ${kindName(shape.kind)}: it tells of other users' rows`
  throw draft.refusal(draft.indexOf(table?.location), message, 'Use ORDER BY random() LIMIT.')
}

export function refuseRule({ relation: table }: RuleStmt, draft: Draft, find: FindTable): void {
  const shape = table && find(table)
  if (!isManaged(shape)) return
  const message = `CREATE RULE is refused on a ${kindName(shape.kind)}: it would change what statements do`
  throw draft.refusal(draft.indexOf(table?.location), message, 'Use a trigger.')
}
