/**
 * Removes what has been kept long enough: expired rows of streams, old deleted rows, old changes.
 * Piece by piece, each a transaction of its own, so that callers' statements go in between.
 */
import { attemptAll } from '../engine/attempt-all.js'
import type { QueryRunner } from '../engine/queries.js'

export interface RetentionSettings {
  /** Of deleted rows; 0 keeps them for ever. A table may say otherwise. */
  readonly deletedHours: number
  /** Of the log of changes. */
  readonly changesHours: number
  /** What the log may take, its index included, as estimated from its newest changes. */
  readonly changesBytes: number
}

/** Rows that one transaction removes: about 10 ms of the engine. */
const pieceRows = 1_000

/** Pages of a twin that one transaction reads: about 5 ms, where no row of them is old. */
const piecePages = 500

/** Most pieces of a twin that a round reads; the next one goes on there. */
const piecesMax = 8

/**
 * Removes old rows, round by round. Twins are swept page by page: an index by time would cost each
 * DELETE (0.6 of 10 µs a row), also where deleted rows are kept for ever.
 */
export class Retention {
  readonly #queries: QueryRunner
  readonly #settings: RetentionSettings
  /** By twin, where the sweep goes on. */
  readonly #pages = new Map<string, string>()

  constructor(queries: QueryRunner, settings: RetentionSettings) {
    this.#queries = queries
    this.#settings = settings
  }

  /**
   * One round. Safe at any time, and to be cut off. A table whose rows cannot be removed, for a trigger
   * of an admin's fails, keeps no other from it; what it failed with is thrown in the end.
   */
  async runOnce(): Promise<void> {
    const streams = await this.#queries.query(`select tab from kalam.tables where kind = 'stream'`)
    const twins = await this.#queries.query(selectTwins, [String(this.#settings.deletedHours)])
    await attemptAll([
      ...streams.rows.map(
        ([stream]) =>
          () =>
            this.#forgetExpired(stream ?? ''),
      ),
      ...twins.rows.map(
        ([twin, seconds]) =>
          () =>
            this.#sweep(twin ?? '', seconds ?? '0'),
      ),
      () => forgetChanges(this.#queries, this.#settings),
    ])
  }

  /** Rows of a stream whose time is over: nobody sees them any more; the log hears of it now. */
  async #forgetExpired(stream: string): Promise<void> {
    for (;;) {
      const { rows } = await this.#queries.query(
        `select kalam.forget_expired($1::regclass, ${pieceRows})`,
        [stream],
      )
      if (Number(rows[0]?.[0]) < pieceRows) return
    }
  }

  async #sweep(twin: string, seconds: string): Promise<void> {
    for (let pieces = 0; pieces < piecesMax;) {
      const page = this.#pages.get(twin) ?? '0'
      const { rows } = await this.#queries.query(
        `select gone, next_page
           from kalam.forget_deleted($1::regclass, $2::int8, $3::int8, ${piecePages}, ${pieceRows})`,
        [twin, seconds, page],
      )
      const [gone, nextPage = null] = rows[0] ?? []
      // There may be more of them in these pages.
      if (Number(gone) === pieceRows) continue
      pieces++
      if (nextPage === null) {
        this.#pages.delete(twin)
        return
      }
      this.#pages.set(twin, nextPage)
    }
  }
}

const selectTwins = `
  select twin, extract(epoch from retention)::bigint
    from kalam.tables, coalesce(deleted_retention, make_interval(hours => $1::int)) retention
   where twin is not null and retention > interval '0'`

/** The log notes how far it was forgotten: a cursor from before that is expired. */
async function forgetChanges(queries: QueryRunner, settings: RetentionSettings): Promise<void> {
  const { changesHours, changesBytes } = settings
  const { rows } = await queries.query(oldestKept, [String(changesHours), String(changesBytes)])
  await inPieces(queries, { sql: forgetChangesBefore, parameters: [rows[0]?.[0] ?? '0'] })
}

/** Changes are numbered as time goes by; what rows take beside their values is 100 bytes. */
const oldestKept = `
  select greatest(
    coalesce((select seq from kalam.changes where at >= now() - make_interval(hours => $1::int)
       order by seq limit 1), (select max(seq) + 1 from kalam.changes)),
    (select max(seq) + 1 - floor($2::int8 / (avg(bytes) + 100))::int8 from (
       select seq, coalesce(pg_column_size(owner), 0) + coalesce(pg_column_size(old), 0)
                + coalesce(pg_column_size(new), 0) as bytes
         from kalam.changes order by seq desc limit 1000) newest))`

const forgetChangesBefore = `
  with oldest as (
    select seq from kalam.changes where seq < $1::int8 order by seq limit ${pieceRows}
  ), gone as (
    delete from kalam.changes where seq in (select seq from oldest) returning seq
  ), noted as (
    update kalam.log set forgotten = newest from (select max(seq) from gone) g (newest)
     where newest is not null
  )
  select from gone`

async function inPieces(
  queries: QueryRunner,
  piece: { readonly sql: string; readonly parameters: readonly (string | null)[] },
): Promise<void> {
  for (;;) {
    const { rowCount } = await queries.query(piece.sql, piece.parameters)
    if (rowCount < pieceRows) return
  }
}
