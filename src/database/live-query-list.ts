/**
 * `system.live_queries` is a view over a table, but what is live is known to the server alone: it
 * writes the table anew before a statement that names the view. Nobody else pays for it.
 */
import type { SqlPlan } from '../dialect/plan.js'
import type { QueryRunner } from '../engine/queries.js'
import type { LiveQueryInfo } from '../live/live-queries.js'

export function listsLiveQueries({ relations }: SqlPlan): boolean {
  return relations.length > 0 && relations.includes('live_queries')
}

export async function writeLiveQueries(
  runner: QueryRunner,
  queries: readonly LiveQueryInfo[],
): Promise<void> {
  // In a transaction that only reads, the list is that of last time: an error would end it.
  const { rows: settings } = await runner.query('show transaction_read_only')
  if (settings[0]?.[0] === 'on') return
  const rows = queries.map((query) => [
    ...[query.id, query.userId, query.userName, query.mode, query.sql],
    ...[query.delivered, query.openedAtMs / 1000],
  ])
  await runner.query('delete from kalam.live_queries')
  await runner.query(insertRows, [JSON.stringify(rows)])
}

const insertRows = `
  insert into kalam.live_queries
  select r ->> 0, r ->> 1, r ->> 2, r ->> 3, r ->> 4, (r ->> 5)::bigint,
         to_timestamp((r ->> 6)::float8)
    from json_array_elements($1::json) r
      on conflict do nothing`
