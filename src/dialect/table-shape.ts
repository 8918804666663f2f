/** What rewriting must know of tables; the catalog finds it out. */

export type TableKind = 'user' | 'shared' | 'stream' | 'plain'

export interface ColumnShape {
  readonly name: string
  readonly typeOid: number
  readonly generated: boolean
  /** KalamDB's own: `_user_id`, `_deleted`, `_expires_at`. */
  readonly system: boolean
}

export interface TableShape {
  /** The catalog's number of it, which is never used again. */
  readonly id: number
  readonly schema: string
  readonly name: string
  /** `plain`: no managed table; its changes are only watched. */
  readonly kind: TableKind
  /** Grows with each change of its columns or key. */
  readonly version: number
  /** In PostgreSQL's order, system columns included. */
  readonly columns: readonly ColumnShape[]
  /** The primary key, without `_user_id`. */
  readonly key: readonly string[]
  /** What the primary key is called; a plain table may have none. */
  readonly keyName: string | undefined
  /** Names that constraints and indexes of it have, which a new one cannot have. */
  readonly takenNames: readonly string[]
  /** Where its deleted rows are, as SQL; a STREAM table keeps none. */
  readonly twin: string | undefined
}

/** The tables of one moment. */
export interface TableShapes {
  /** Another for each moment. */
  readonly version: number
  /**
   * The table that a name means. Without a schema it is looked up along the path, and what stands
   * there before it, a view or a plain table, hides it.
   */
  find(
    schema: string | undefined,
    name: string,
    searchPath: readonly string[],
  ): TableShape | undefined
  /** Whether any table of the catalog has this name, in whatever schema. */
  isKnownName(name: string): boolean
}

export const noTables: TableShapes = Object.freeze({
  version: 0,
  find: () => undefined,
  isKnownName: () => false,
})

/** Whether each user has their own rows of it. */
export function isPerUser(table: TableShape | undefined): table is TableShape {
  return table?.kind === 'user' || table?.kind === 'stream'
}

/** Whether it is a USER, SHARED or STREAM table. */
export function isManaged(table: TableShape | undefined): table is TableShape {
  return table !== undefined && table.kind !== 'plain'
}

/** `USER table`, as messages say it. */
export function kindName(kind: TableKind): string {
  return kind === 'plain' ? 'plain table' : `${kind.toUpperCase()} table`
}

/** Names that columns of managed tables cannot have, because the system's columns do. */
export const reservedColumns: ReadonlySet<string> = new Set([
  '_user_id',
  '_deleted',
  '_deleted_at',
  '_deleted_by',
  '_deleted_seq',
  '_expires_at',
])
