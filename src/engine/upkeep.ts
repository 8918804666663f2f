/**
 * What PostgreSQL's background processes do and a single backend does not have: VACUUM and ANALYZE
 * by rows changed, freezing by age. One task at a time, each a unit of its own, so that callers'
 * units go in between. Checkpoints are the worker's (`pglite/checkpointer.ts`).
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { Config } from '../config/settings.js'
import type { Log } from '../telemetry/log.js'
import type { Metrics } from '../telemetry/metrics.js'
import { attemptAll, isStopping } from './attempt-all.js'
import type { QueryRunner } from './queries.js'

export interface UpkeepOptions {
  /** Those of the background: users wait for none of it. */
  readonly queries: QueryRunner
  readonly settings: Pick<
    Config['engine'],
    'upkeep_interval_ms' | 'vacuum_changes_min' | 'freeze_age_max'
  >
  readonly log: Log
  readonly metrics: Metrics
  /** Tasks of other rooms, done in each round: retention of theirs. */
  readonly tasks?: readonly (() => Promise<void>)[]
}

export interface Upkeep {
  /** One round now; for tests, and before a backup. */
  runOnce(): Promise<void>
  /** Waits for a round that runs. Safe twice. */
  close(): Promise<void>
}

/** Longest that `close` waits for a task under way. */
const closePatienceMs = 1_000

export function startUpkeep(options: UpkeepOptions): Upkeep {
  const { settings, log } = options
  let closed = false
  const isClosed = (): boolean => closed
  let last: Promise<void> = Promise.resolve()
  let rounds = 0
  /** Rounds follow one another; one that fails is tried again at the next turn. */
  const runOnce = (): Promise<void> => {
    rounds += 1
    last = last.then(async () => {
      try {
        if (!closed) await tendTables(options, isClosed)
      } catch (error) {
        if (!isStopping(error)) log.warn('upkeep failed', { error })
      } finally {
        rounds -= 1
      }
    })
    return last
  }
  const tableTimer = setInterval(() => {
    // A transaction that nobody minds may hold one up for hours, and one is enough after it.
    if (rounds === 0) void runOnce()
  }, settings.upkeep_interval_ms)
  return {
    runOnce,
    close: async () => {
      closed = true
      clearInterval(tableTimer)
      // A task that takes longer is cut off when the engine closes; nothing of it is needed.
      await Promise.race([last, wait(closePatienceMs, undefined, { ref: false })])
    },
  }
}

async function tendTables(options: UpkeepOptions, isClosed: () => boolean): Promise<void> {
  const { queries, settings, metrics, tasks = [] } = options
  const { rows } = await queries.query(selectTables, [
    String(settings.vacuum_changes_min),
    String(settings.freeze_age_max),
  ])
  const vacuums = rows.map(([table, needsFreeze, isEmpty]) => async () => {
    if (isClosed()) return
    // Statistics of an empty table make PostgreSQL scan it for ever after (facts: tables.md 2).
    const what = [needsFreeze === 't' ? 'FREEZE' : '', isEmpty === 't' ? '' : 'ANALYZE']
    const flags = what.filter((flag) => flag !== '').join(', ')
    await queries.query(`VACUUM ${flags === '' ? '' : `(${flags})`} ${table}`)
    metrics.upkeep(needsFreeze === 't' ? 'freeze' : 'vacuum')
    if (isEmpty !== 't') metrics.upkeep('analyze')
  })
  const keepYoung = async () => {
    await queries.query(keepTemplatesYoung)
  }
  // ANALYZE runs what an index computes, which may fail: of that table alone.
  await attemptAll([...vacuums, keepYoung, ...tasks])
}

/**
 * The templates that initdb leaves: nobody can connect to them, here less than anywhere, so nothing
 * would ever freeze them, and once they are 2³¹ transactions old PostgreSQL refuses all writes. Their
 * rows were frozen when they were made, and none came since: they are as young as our own database.
 */
const keepTemplatesYoung = `
  update pg_database template
     set datfrozenxid = own.datfrozenxid, datminmxid = own.datminmxid
    from pg_database own
   where own.datname = current_database() and template.datname in ('template0', 'template1')
     and age(template.datfrozenxid) > age(own.datfrozenxid)`

/** PostgreSQL's autovacuum rule with a floor of ours: a fifth of the table has changed. */
const selectTables = `
  select format('%I.%I', n.nspname, c.relname), age(c.relfrozenxid) > $2::int,
         coalesce(s.n_live_tup, 0) = 0
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    left join pg_stat_all_tables s on s.relid = c.oid
   where c.relkind in ('r', 'm') and c.relpersistence <> 't'
     and (age(c.relfrozenxid) > $2::int
          or coalesce(s.n_dead_tup, 0) > greatest($1::float8, 0.2 * c.reltuples)
          or coalesce(s.n_mod_since_analyze, 0) > greatest($1::float8, 0.1 * c.reltuples))
   order by age(c.relfrozenxid) > $2::int desc, s.n_dead_tup desc nulls last
   limit 20`
