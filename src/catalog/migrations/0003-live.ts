/**
 * Plans made while the log was empty would stay for ever, as sequential scans: 24 ms a read at
 * 340,000 changes (bench 2026-11-23). With these settings there is only the index to use.
 */
export const byIndex = `set search_path = pg_catalog, pg_temp set enable_seqscan = off
  set enable_bitmapscan = off set enable_sort = off set plan_cache_mode = force_generic_plan`

/** What live queries need of the database: the log read in order, and a list of who watches. */
import type { Migration } from '../migration.js'

export const live: Migration = {
  version: 3,
  name: 'live',
  sql: [log(), meanings(), liveQueries()].join('\n'),
}

function log(): string {
  return `
-- The newest change's place. What retention took counts: the log may be empty again.
create function kalam.log_position() returns bigint language plpgsql stable ${byIndex} as $$
begin
  return greatest((select l.forgotten from kalam.log l),
    (select c.seq from kalam.changes c order by c.seq desc limit 1));
end $$;

-- Changes in order. Images of other tables than the one that is asked for are left out.
create function kalam.changes_after(after bigint, rows_max integer, only_table integer)
  returns table (seq bigint, table_id integer, version integer, op "char", owner text,
    old text, new text)
  language plpgsql stable ${byIndex} as $$
begin
  return query
    select c.seq, c.table_id, c.version, c.op, c.owner,
           case when only_table is null or c.table_id = only_table then c.old end,
           case when only_table is null or c.table_id = only_table then c.new end
      from kalam.changes c where c.seq > after order by c.seq limit rows_max;
end $$;

revoke execute on function kalam.log_position, kalam.changes_after from public;
`
}

/** A view, function or operator that changes may give an open live query another meaning. */
function meanings(): string {
  return `
create function kalam.on_meaning() returns event_trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from pg_event_trigger_ddl_commands()) and not exists (
      select from pg_event_trigger_ddl_commands() c
       where c.schema_name is distinct from 'pg_temp') then
    return;
  end if;
  insert into kalam.changes (table_id, version, op) values (0, 0, 'G');
end $$;
revoke execute on function kalam.on_meaning() from public;
create event trigger kalam_meaning on ddl_command_end
  when tag in ('CREATE TABLE', 'CREATE VIEW', 'ALTER VIEW', 'DROP VIEW', 'CREATE FUNCTION',
    'ALTER FUNCTION', 'DROP FUNCTION', 'CREATE OPERATOR', 'DROP OPERATOR', 'CREATE CAST',
    'DROP CAST', 'ALTER SCHEMA', 'DROP SCHEMA', 'ALTER TYPE', 'DROP TABLE')
  execute function kalam.on_meaning();
`
}

/** The server writes the list anew before a statement that names it. */
function liveQueries(): string {
  return `
create unlogged table kalam.live_queries (
  id text primary key,
  user_id text not null,
  user_name text not null,
  mode text not null,
  sql text not null,
  delivered bigint not null,
  opened_at timestamptz not null
);

create view system.live_queries with (security_barrier) as
  select q.id, q.user_id, q.user_name, q.mode, q.sql, q.delivered, q.opened_at
    from kalam.live_queries q
   where kalam.is_admin() or q.user_id = kalam.uid();
comment on view system.live_queries is 'Queries that are watched now; delivered counts changes.';
grant select on system.live_queries to public;
`
}
