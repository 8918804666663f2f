/** PostgreSQL's own hidden columns of USER tables: they tell where rows stand among all others. */
import type { RangeVar } from 'libpg-query'
import type { Role } from '../roles.js'
import { rowMarkOf, type RowMark } from '../row-mark.js'
import { isPerUser } from '../table-shape.js'
import type { Draft } from './draft.js'
import type { FindTable } from './find-table.js'
import type { Scope } from './scoped-tree.js'

/** Collects where they are used; admins may. */
export class SystemColumns {
  readonly #role: Role
  readonly #draft: Draft
  readonly #find: FindTable
  readonly #marks: RowMark[] = []
  #ofUsers = false

  constructor(role: Role, draft: Draft, find: FindTable) {
    this.#role = role
    this.#draft = draft
    this.#find = find
  }

  seeTable(table: RangeVar, scope: Scope): void {
    if (isPerUser(this.#find(table, scope))) this.#ofUsers = true
  }

  see(key: string, fields: object): void {
    const mark = rowMarkOf(key, fields)
    if (mark !== undefined) this.#marks.push(mark)
  }

  /** Errors: STATEMENT_REFUSED. */
  refuse(): void {
    const [mark] = this.#marks
    if (this.#role === 'admin' || !this.#ofUsers || mark === undefined) return
    const message = `${mark.name} is refused in a statement on USER tables: it tells of other users' rows`
    const hint = 'Use the primary key.'
    throw this.#draft.refusal(this.#draft.indexOf(mark.byte), message, hint)
  }
}
