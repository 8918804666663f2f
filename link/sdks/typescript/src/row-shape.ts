/** What the server tells of a column. */
export interface Column {
  readonly name: string
  /** PostgreSQL's name of the type: `int4`, `text[]`. */
  readonly type: string
}

/** Makes objects of the lists of values that rows are on the wire. */
export class RowShape<Row> {
  readonly columns: readonly Column[]
  readonly #names: readonly string[]

  /** `columns`: JSON as the server tells it. */
  constructor(columns: string) {
    // The protocol says so.
    this.columns = JSON.parse(columns) as readonly Column[]
    this.#names = this.columns.map(({ name }) => name)
  }

  /** Of columns with one name the last wins, as over HTTP. */
  rowOf(values: readonly unknown[]): Row {
    const row: Record<string, unknown> = {}
    const names = this.#names
    for (let index = 0; index < names.length; index++) {
      const name = names[index] ?? ''
      const value = values[index]
      // Assigned, it would be the prototype.
      if (name === '__proto__') Object.defineProperty(row, name, { value, enumerable: true })
      else row[name] = value
    }
    // The caller says what the rows of the SQL are.
    return row as Row
  }

  valuesOf(row: Row): unknown[] {
    return this.#names.map((name) => (row as Record<string, unknown>)[name])
  }

  isSame(one: Row, other: Row): boolean {
    return this.#names.every(
      (name) => (one as Record<string, unknown>)[name] === (other as Record<string, unknown>)[name],
    )
  }
}
