/** How a type's PostgreSQL text becomes JSON; the table of docs/protocol.md, "Values". */
export type JsonEncoding =
  /** `t`/`f` → true/false. */
  | 'boolean'
  /** int2, int4, oid, float4, float8: digits as they are; NaN and ±Infinity as strings. */
  | 'number'
  /** json, jsonb: embedded as they are, line breaks between tokens as spaces. */
  | 'json'
  /** timestamptz → ISO 8601 in UTC, `2026-11-23T11:42:50.123456Z`. */
  | 'timestamptz'
  /** Everything else (int8, numeric, date, uuid, bytea as \x hex, …): PostgreSQL's text in a string. */
  | 'text'
  /** `{…}` → a JSON array, nested like the dimensions, elements by `element`. */
  | 'array'

/** A column type as callers see it. */
export interface TypeInfo {
  /** PostgreSQL's own name: `int4`, `timestamptz`, `text[]`, `app.mood`. */
  readonly name: string
  readonly encoding: JsonEncoding
  /** Of an array: its elements. */
  readonly element?: TypeInfo
  /** Of an array: what stands between elements; `;` for box, `,` for all others. */
  readonly delimiter?: string
}

export interface ResultColumn {
  readonly name: string
  readonly type: TypeInfo
}
