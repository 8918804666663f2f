/** PostgreSQL's own hidden columns of USER tables: they tell where rows stand among all others. */
import type { ColumnRef, RangeVar } from 'libpg-query'
import type { Role } from '../roles.js'
import { stringsOf } from '../syntax-tree.js'
import { isPerUser } from '../table-shape.js'
import type { Draft } from './draft.js'
import type { FindTable } from './find-table.js'
import type { Scope } from './scoped-tree.js'

const hiddenColumns = new Set(['ctid', 'xmin', 'xmax', 'cmin', 'cmax'])

/** Collects where they are used; admins may. */
export class SystemColumns {
  readonly #role: Role
  readonly #draft: Draft
  readonly #find: FindTable
  readonly #columns: ColumnRef[] = []
  #ofUsers = false

  constructor(role: Role, draft: Draft, find: FindTable) {
    this.#role = role
    this.#draft = draft
    this.#find = find
  }

  seeTable(table: RangeVar, scope: Scope): void {
    if (isPerUser(this.#find(table, scope))) this.#ofUsers = true
  }

  see(column: ColumnRef): void {
    if (hiddenColumns.has(stringsOf(column.fields).at(-1) ?? '')) this.#columns.push(column)
  }

  /** Errors: STATEMENT_REFUSED. */
  refuse(): void {
    const [column] = this.#columns
    if (this.#role === 'admin' || !this.#ofUsers || column === undefined) return
    const name = stringsOf(column.fields).at(-1) ?? ''
    const message = `${name} is refused in a statement on USER tables: it tells of other users' rows`
    const hint = 'Use the primary key.'
    throw this.#draft.refusal(this.#draft.indexOf(column.location), message, hint)
  }
}
