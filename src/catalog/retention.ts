/**
 * Removes what has been kept long enough: expired rows of streams, old deleted rows, old changes.
 * Piece by piece, each a transaction of its own, so that callers' statements go in between.
 */
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

interface Piece {
  readonly sql: string
  readonly parameters: readonly (string | null)[]
}

/** One round over everything. Safe at any time, and to be cut off. */
export async function forgetOld(queries: QueryRunner, settings: RetentionSettings): Promise<void> {
  await forgetExpired(queries)
  await forgetDeleted(queries, settings.deletedHours)
  await forgetChanges(queries, settings)
}

/** Rows of streams whose time is over: nobody sees them any more; the log hears of it now. */
async function forgetExpired(queries: QueryRunner): Promise<void> {
  const { rows } = await queries.query(`select tab from kalam.tables where kind = 'stream'`)
  for (const [table] of rows) {
    await forgetRows(queries, {
      sql: `select kalam.forget_expired($1::regclass, ${pieceRows})`,
      parameters: [table ?? ''],
    })
  }
}

async function forgetDeleted(queries: QueryRunner, hours: number): Promise<void> {
  const { rows } = await queries.query(
    `select twin, extract(epoch from retention)::bigint
       from kalam.tables, coalesce(deleted_retention, make_interval(hours => $1::int)) retention
      where twin is not null and retention > interval '0'`,
    [String(hours)],
  )
  for (const [twin, seconds = null] of rows) {
    await forgetRows(queries, {
      sql: `select kalam.forget_deleted($1::regclass, $2::int8, ${pieceRows})`,
      parameters: [twin ?? '', seconds],
    })
  }
}

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

async function forgetRows(queries: QueryRunner, piece: Piece): Promise<void> {
  for (;;) {
    const { rows } = await queries.query(piece.sql, piece.parameters)
    if (Number(rows[0]?.[0]) < pieceRows) return
  }
}

async function inPieces(queries: QueryRunner, piece: Piece): Promise<void> {
  for (;;) {
    const { rowCount } = await queries.query(piece.sql, piece.parameters)
    if (rowCount < pieceRows) return
  }
}
