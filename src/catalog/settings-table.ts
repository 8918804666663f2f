import type { ConfigRow } from '../config/describe-config.js'
import type { QueryRunner } from '../engine/queries.js'

/** Writes what `SHOW CONFIG` and `system.config` show: the settings of this start. */
export async function writeSettings(
  queries: QueryRunner,
  rows: readonly ConfigRow[],
): Promise<void> {
  const places = rows.map((row, place) => ({ ...row, place }))
  await queries.query(replaceSettings, [JSON.stringify(places)])
}

const replaceSettings = `
  with given as (
    select * from jsonb_to_recordset($1::jsonb) as g (
      key text, place integer, value text, "default" text, unit text,
      origin text, variable text, description text)),
  gone as (
    delete from kalam.settings where key not in (select key from given))
  insert into kalam.settings
    (key, place, value, "default", unit, origin, variable, description)
  select key, place, value, "default", unit, origin, variable, description from given
  on conflict (key) do update set
    place = excluded.place, value = excluded.value, "default" = excluded."default",
    unit = excluded.unit, origin = excluded.origin, variable = excluded.variable,
    description = excluded.description`
