/**
 * A table by its name: INSERT, UPDATE and DELETE without SQL. Values go to PostgreSQL as one JSON
 * text, read by the table's own columns: what a row gives can be written back as it is, arrays and
 * 64-bit numbers included.
 */
import { errorOf, type KalamError } from './kalam-error.js'
import type { LiveQuery } from './live-query.js'
import { toJson } from './json.js'

/** What a table asks of its client. */
export interface TableClient {
  query<Row>(
    sql: string,
    params: readonly unknown[],
    options: Omit<WriteOptions<Row>, 'optimistic'>,
  ): Promise<{ readonly rows: readonly Row[] }>
  live<Row>(sql: string, params: readonly unknown[], options: object): LiveQuery<Row>
}

export interface WriteOptions<Row> {
  readonly signal?: AbortSignal | undefined
  /** The same write, sent again with this key, is done once. */
  readonly idempotencyKey?: string | undefined
  /** Shows the write in this query's rows at once, and takes it back if the server refuses. */
  readonly optimistic?: LiveQuery<Row> | undefined
}

/** Columns and the values they must have; null means IS NULL. */
export type Where<Row> = { readonly [N in keyof Row]?: Row[N] }

export class Table<Row extends object, Insert extends object, LiveOptions extends object> {
  readonly #client: TableClient
  readonly #name: string

  /** `client.table` makes them. */
  constructor(client: TableClient, name: string) {
    this.#client = client
    this.#name = quoteName(name)
  }

  /** Gives the row as it is in the table, with what the server filled in. */
  async insert(values: Insert, options?: WriteOptions<Row>): Promise<Row> {
    const [row] = await this.insertMany([values], options)
    if (row === undefined) throw errorOf('FORBIDDEN', 'no row was made')
    return row
  }

  /** All rows, or none. They must have the same columns. */
  insertMany(values: readonly Insert[], options: WriteOptions<Row> = {}): Promise<readonly Row[]> {
    if (values.length === 0) return Promise.resolve([])
    const columns = columnsOf(values[0] ?? {})
    if (columns.length === 0 && values.length > 1) throw missing('say what to write')
    const names = columns.join(', ')
    const sql =
      columns.length === 0
        ? `INSERT INTO ${this.#name} DEFAULT VALUES RETURNING *`
        : `INSERT INTO ${this.#name} (${names}) SELECT ${names} FROM ` +
          `json_populate_recordset(NULL::${this.#name}, $1) RETURNING *`
    const before = new Set(options.optimistic?.rows)
    return this.#write(sql, columns.length === 0 ? [] : [toJson(values)], options, {
      edit: (rows) => [...rows, ...unseen(values, rows, before)],
      isSeen: (rows, written) => written.every((row) => rows.some((each) => isLike(each, row))),
    })
  }

  /** Gives the changed rows. */
  update(
    where: Where<Row>,
    changes: Partial<Insert>,
    options: WriteOptions<Row> = {},
  ): Promise<readonly Row[]> {
    const names = columnsOf(changes).join(', ')
    if (names === '') throw missing('say what to write')
    const condition = conditionOf(where, 2)
    const sql =
      `UPDATE ${this.#name} SET (${names}) = (SELECT ${names} FROM ` +
      `json_populate_record(NULL::${this.#name}, $1)) WHERE ${condition.sql} RETURNING *`
    return this.#write(sql, [toJson(changes), ...condition.params], options, {
      edit: (rows) => rows.map((row) => (isOf(row, where) ? { ...row, ...changes } : row)),
      isSeen: (rows, written) =>
        rows.every((row) => !isOf(row, where) || written.some((each) => isLike(row, each))),
    })
  }

  /** Gives the deleted rows; none if there were none. */
  delete(where: Where<Row>, options: WriteOptions<Row> = {}): Promise<readonly Row[]> {
    const condition = conditionOf(where, 1)
    const sql = `DELETE FROM ${this.#name} WHERE ${condition.sql} RETURNING *`
    return this.#write(sql, condition.params, options, {
      edit: (rows) => rows.filter((row) => !isOf(row, where)),
      isSeen: (rows) => !rows.some((row) => isOf(row, where)),
    })
  }

  /** The table's rows, or those of them with these values, kept current. */
  live(where: Where<Row> = {}, options?: LiveOptions): LiveQuery<Row> {
    const isAll = Object.keys(where).length === 0
    const condition = isAll ? { sql: 'true', params: [] } : conditionOf(where, 1)
    const sql = `SELECT * FROM ${this.#name}${isAll ? '' : ` WHERE ${condition.sql}`}`
    return this.#client.live<Row>(sql, condition.params, options ?? {})
  }

  async #write(
    sql: string,
    params: readonly unknown[],
    options: WriteOptions<Row>,
    shown: Shown<Row>,
  ): Promise<readonly Row[]> {
    const send = async () => (await this.#client.query<Row>(sql, params, options)).rows
    const { optimistic } = options
    return optimistic === undefined ? send() : optimistic.optimistic(shown.edit, send, shown.isSeen)
  }
}

/** How a write looks before it is done, and how one sees that it is. */
interface Shown<Row> {
  readonly edit: (rows: readonly Row[]) => readonly Row[]
  readonly isSeen: (rows: readonly Row[], written: readonly Row[]) => boolean
}

/** `app.todos`; parts with a dot in them as in SQL: `"my.app".todos`. */
function quoteName(name: string): string {
  const parts = name.match(/"(?:[^"]|"")+"|[^".]+/gu) ?? []
  return parts.map((part) => (part.startsWith('"') ? part : quote(part))).join('.')
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** Those with a value: undefined is as if it were not there. */
function columnsOf(values: object): string[] {
  return Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [quote(name)],
  )
}

/** Throws KalamError for no condition: that would mean every row. */
function conditionOf(where: object, firstParam: number): { sql: string; params: unknown[] } {
  const params: unknown[] = []
  const parts = Object.entries(where).map(([name, value]: [string, unknown]) => {
    if (value === undefined || value === null) return `${quote(name)} IS NULL`
    params.push(value)
    return `${quote(name)} = $${firstParam + params.length - 1}`
  })
  if (parts.length === 0) throw missing('say which rows, like { id: 7 }')
  return { sql: parts.join(' AND '), params }
}

function missing(message: string): KalamError {
  return errorOf('BAD_REQUEST', message)
}

function isOf(row: object, where: object): boolean {
  return Object.entries(where).every(
    ([name, value]) => ((row as Record<string, unknown>)[name] ?? null) === (value ?? null),
  )
}

/** Whether they agree in the plain values that both have; 64-bit numbers are texts in rows. */
function isLike(row: object, other: object): boolean {
  return Object.entries(row).every(([name, value]: [string, unknown]) => {
    const same = (other as Record<string, unknown>)[name]
    return same === undefined || typeof value === 'object' || plain(value) === plain(same)
  })
}

function plain(value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}

/** What was written and is not among the rows yet; rows often come before the answer to the write. */
function unseen<Row extends object>(
  written: readonly object[],
  rows: readonly Row[],
  before: ReadonlySet<Row>,
): Row[] {
  const fresh = rows.filter((row) => !before.has(row))
  return (
    written
      .filter((values) => !fresh.some((row) => isLike(row, values)))
      // Columns are missing that the server fills in: they are here in a moment.
      .map((values) => ({ ...values }) as Row)
  )
}
