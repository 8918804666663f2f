/** What is known of a table; `kalam types` writes it for all tables of a server. */
export interface TableTypes {
  /** What a SELECT gives. */
  readonly row: object
  /** What an INSERT takes. */
  readonly insert: object
}

/** Tables by their names: `{ 'app.todos': { row: …; insert: … } }`. */
export type Schema = object

/** Nothing is known of any table. */
export type AnySchema = Record<string, AnyTable>

export interface AnyTable {
  readonly row: Record<string, unknown>
  readonly insert: Record<string, unknown>
}

export type TableName<S extends Schema> = Extract<keyof S, string>

export type RowOf<S extends Schema, N extends keyof S> = S[N] extends {
  readonly row: infer R extends object
}
  ? R
  : Record<string, unknown>

export type InsertOf<S extends Schema, N extends keyof S> = S[N] extends {
  readonly insert: infer I extends object
}
  ? I
  : Record<string, unknown>
