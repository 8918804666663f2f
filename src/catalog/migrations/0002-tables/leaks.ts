/**
 * Statistics, sizes and positions tell how many rows others have, or that somebody wrote. Users
 * lose them; admins keep them. Catalogs stay readable otherwise, so that tools can introspect.
 */
export function leaks(): string {
  return `
declare
  routine regprocedure;
begin
  for routine in
    select p.oid from pg_catalog.pg_proc p
     where p.pronamespace = 'pg_catalog'::regnamespace and (${telling()})
       -- What PostgreSQL itself keeps from all, admins do not get.
       and has_function_privilege('public', p.oid, 'execute')
  loop
    execute format('revoke execute on function %s from public', routine);
    execute format('grant execute on function %s to kalam_admin', routine);
  end loop;
end;
-- Any number but a tablespace's is an error of the system.
revoke execute on function pg_catalog.pg_tablespace_location(oid) from public;
-- The log's triggers note the transaction, and choose how entries are looked up.
grant execute on function pg_catalog.pg_current_xact_id(), pg_catalog.set_config(text, text, boolean)
  to kalam_sys;
-- How many pages of a twin there are to sweep.
grant execute on function pg_catalog.pg_relation_size(regclass), pg_catalog.pg_relation_size(regclass, text)
  to kalam_sys;

${hide('pg_class', 'reltuples,relpages,relallvisible,relallfrozen,relfrozenxid,relminmxid')}
${hide('pg_database', 'datfrozenxid,datminmxid')}
`
}

/** Leaves columns of a catalog to admins. */
function hide(catalog: string, columns: string): string {
  return `
revoke select on pg_catalog.${catalog} from public;
grant select on pg_catalog.${catalog} to kalam_admin;
execute (
  select format('grant select (%s) on pg_catalog.${catalog} to public',
           string_agg(quote_ident(a.attname), ', ' order by a.attnum))
    from pg_catalog.pg_attribute a
   where a.attrelid = 'pg_catalog.${catalog}'::regclass and a.attname <> all ('{${columns}}'));`
}

/** Counters, sizes, positions in the write-ahead log, transaction numbers, versions of rows. */
function telling(): string {
  return [
    `p.proname ~ '^pg_stat_'`,
    `p.proname ~ '^pg_(relation|table|indexes|total_relation|database|tablespace)_size$'`,
    `p.proname ~ '^pg_(current_wal|last_wal|get_wal|walfile|control)_'`,
    `p.proname ~ '^(txid_|pg_snapshot_|pg_(current|last_committed)_(xact|snapshot))'`,
    `p.proname in ('pg_xact_status', 'pg_xact_commit_timestamp', 'pg_xact_commit_timestamp_origin',
       'pg_get_multixact_members', 'mxid_age', 'pg_visible_in_snapshot', 'currtid2', 'pg_available_wal_summaries',
       'pg_wal_summary_contents', 'pg_get_replication_slots')`,
    `p.proname = 'pg_lock_status'`,
    `p.oid = 'pg_catalog.age(xid)'::regprocedure`,
  ].join('\n  or ')
}
