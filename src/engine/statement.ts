import type { Identity } from './engine.js'

/** A column of a result, as PostgreSQL's RowDescription gives it. */
export interface Column {
  readonly name: string
  /** OID of the type; of a domain, its base type. */
  readonly typeOid: number
  /** What else PostgreSQL says; nothing for results that are not PostgreSQL's. */
  readonly origin?: ColumnOrigin
}

/** The rest of a RowDescription's field. PostgreSQL docs, "Message Formats". */
export interface ColumnOrigin {
  /** 0 if it is no column of a table. */
  readonly tableOid: number
  /** pg_attribute.attnum; 0 if it is no column of a table. */
  readonly columnNumber: number
  /** In bytes; negative: of varying size. pg_type.typlen. */
  readonly typeSize: number
  /** pg_attribute.atttypmod; -1 for none. */
  readonly typeModifier: number
}

/** Where and as whom a statement runs. */
export interface Scope {
  readonly identity: Identity
  readonly searchPath: string
  readonly timeoutMs: number
  readonly waitMs: number
  readonly replyBytesMax: number
  /** It only gives back what an earlier statement took; see `Unit`. */
  readonly freesRoom?: boolean
}

/** A statement's result as it came over the protocol: rows are not decoded. */
export interface RawResult {
  readonly columns: readonly Column[]
  /** Whole backend messages; the DataRow ('D') messages among them are the rows, in text format. */
  readonly frames: Uint8Array
  /** PostgreSQL's command tag without its numbers: `INSERT`, `CREATE TABLE`. */
  readonly command: string
  /** Rows returned or affected. */
  readonly rowCount: number
  /** DDL was done, by a function perhaps. */
  readonly changedSchema: boolean
}
