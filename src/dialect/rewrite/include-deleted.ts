/** `FROM app.todos INCLUDE DELETED`: the one table reference becomes a union with its twin. */
import type { RangeTableSample, RangeVar } from 'libpg-query'
import { quoteIdentifier } from '../compose-text.js'
import { fieldsOf } from '../syntax-tree.js'
import { isManaged, kindName, type TableShape } from '../table-shape.js'
import type { Draft } from './draft.js'
import type { FindTable } from './find-table.js'
import type { Scope } from './scoped-tree.js'
import { stripSchema } from './strip-schema.js'
import { afterName } from './token-walk.js'
import { UnknownTable } from './unknown-table.js'

/** The tables of one statement that are meant. */
export class IncludedTables {
  readonly #bytes: ReadonlySet<number>
  readonly #draft: Draft
  readonly #find: FindTable
  readonly #tables: { readonly table: RangeVar; readonly schema: string }[] = []

  constructor(bytes: readonly number[], draft: Draft, find: FindTable) {
    this.#bytes = new Set(bytes)
    this.#draft = draft
    this.#find = find
  }

  seeTable(table: RangeVar, scope: Scope): void {
    if (!this.#bytes.has(table.location ?? 0)) return
    const shape = this.#shapeOf(table, scope)
    this.#tables.push({ table, schema: shape.schema })
    const start = this.#draft.indexOf(table.location)
    const alias = table.alias === undefined ? ` as ${quoteIdentifier(table.relname ?? '')}` : ''
    const text = unionWithTwin(shape, this.#draft.nameAt(table.location))
    this.#draft.replace(start, afterName(this.#draft.text, start), text + alias)
  }

  refuseSample({ relation }: RangeTableSample): void {
    const table = fieldsOf(relation, 'RangeVar')
    if (table === undefined || !this.#bytes.has(table.location ?? 0)) return
    throw this.#refusal(table, 'TABLESAMPLE takes no INCLUDE DELETED')
  }

  /** What the tables are now has no schema: columns that name it are written without. */
  finish(root: object): void {
    const byName = new Map(
      this.#tables
        .filter(({ table }) => table.alias === undefined)
        .map((named) => [`${named.schema}.${named.table.relname ?? ''}`, named]),
    )
    for (const named of byName.values()) stripSchema(root, named, this.#draft)
  }

  #shapeOf(table: RangeVar, scope: Scope): TableShape {
    const shape = this.#find(table, scope)
    if (table.inh !== true) throw this.#refusal(table, 'ONLY takes no INCLUDE DELETED')
    if (isManaged(shape) && shape.twin !== undefined) return shape
    const name = this.#draft.nameAt(table.location)
    const what = isManaged(shape) ? `a ${kindName(shape.kind)}` : 'no USER or SHARED table'
    const refusal = this.#refusal(table, `INCLUDE DELETED is refused: ${name} is ${what}`)
    const isUnknown = shape === undefined && !scope.names.has(table.relname ?? '')
    throw isUnknown ? new UnknownTable(this.#draft.indexOf(table.location), refusal) : refusal
  }

  #refusal(table: RangeVar, message: string) {
    const hint = 'USER and SHARED tables keep their deleted rows; others keep none.'
    return this.#draft.refusal(this.#draft.indexOf(table.location), message, hint)
  }
}

/** As the table itself, the twin is under PostgreSQL's rights and row security. */
function unionWithTwin(shape: TableShape, name: string): string {
  const own = shape.columns.filter(({ system }) => !system)
  const owner = shape.columns.filter((column) => column.system && column.name === '_user_id')
  const columns = [...own, ...owner].map((column) => quoteIdentifier(column.name)).join(', ')
  const live =
    'false as _deleted, null::pg_catalog.timestamptz as _deleted_at, ' +
    'null::pg_catalog.text as _deleted_by'
  return (
    `(select ${columns}, ${live} from ${name} ` +
    `union all select ${columns}, true, _deleted_at, _deleted_by from ${shape.twin ?? ''})`
  )
}
