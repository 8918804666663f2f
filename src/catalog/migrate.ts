/**
 * Brings a data folder's system schema up to this server's. Each step runs in one transaction with
 * the row that says so: a step that fails, or a crash in its middle, leaves the version before it.
 */
import type { QueryRunner } from '../engine/queries.js'
import { DbError, assert } from '../errors.js'
import { checksumOf, type Migration } from './migration.js'
import { allMigrations } from './migrations/all-migrations.js'

/**
 * Applies what is missing and answers how many steps that were. Errors: DATA_FOLDER when the
 * folder is of a newer server, when a step that was applied reads differently, or when one fails.
 */
export async function migrate(
  queries: QueryRunner,
  migrations: readonly Migration[] = allMigrations,
): Promise<number> {
  const isGapless = migrations.every(({ version }, index) => version === index + 1)
  assert(isGapless, 'versions count from 1 without gaps')
  const applied = await readApplied(queries)
  checkApplied(applied, migrations)
  const pending = migrations.slice(applied.length)
  for (const migration of pending) await apply(queries, migration)
  return pending.length
}

interface Applied {
  readonly version: number
  readonly checksum: string
}

async function readApplied(queries: QueryRunner): Promise<readonly Applied[]> {
  const exists = await queries.query(`select to_regclass('kalam.migrations')`)
  if (exists.rows[0]?.[0] === null) return []
  const { rows } = await queries.query(
    'select version, checksum from kalam.migrations order by version',
  )
  return rows.map(([version, checksum]) => ({ version: Number(version), checksum: checksum ?? '' }))
}

function checkApplied(applied: readonly Applied[], migrations: readonly Migration[]): void {
  const newest = applied.at(-1)?.version ?? 0
  if (newest > migrations.length) {
    throw new DbError(
      'DATA_FOLDER',
      `the data folder is of a newer server: its system schema has version ${newest}, ` +
        `this server knows ${migrations.length}; start the newer server`,
    )
  }
  for (const [index, { version, checksum }] of applied.entries()) {
    const migration = migrations[index]
    if (migration?.version === version && checksumOf(migration) === checksum) continue
    throw new DbError(
      'DATA_FOLDER',
      `version ${version} of the data folder's system schema is not the one this server knows; ` +
        'start the server that wrote it',
    )
  }
}

async function apply(queries: QueryRunner, migration: Migration): Promise<void> {
  try {
    await queries.query(blockOf(migration))
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new DbError(
      'DATA_FOLDER',
      `step ${migration.version} (${migration.name}) of the system schema failed: ${reason}; ` +
        'the data folder is as it was before the step',
      {},
      { cause },
    )
  }
}

/** One statement, and so one transaction, for the step and its row. */
function blockOf(migration: Migration): string {
  const { version, name, sql } = migration
  const row = `${version}, '${name}', '${checksumOf(migration)}', clock_timestamp()`
  return [
    'do language plpgsql $migration$ begin',
    sql,
    `insert into kalam.migrations values (${row});`,
    'end $migration$',
  ].join('\n')
}
