/**
 * What clients of the Postgres wire find as users, and ORMs as anybody: figures that tell nothing of
 * others, and in the information schema tables as they were written.
 */
import type { Migration } from '../migration.js'

/**
 * Those of `userSettings` in dialect/setting-rules.ts at this version, but for what a key that may
 * only read must not set.
 */
export const settingsOfUsers: readonly string[] = [
  ...['application_name', 'array_nulls', 'bytea_output', 'check_function_bodies'],
  ...['client_min_messages', 'constraint_exclusion', 'cursor_tuple_fraction', 'datestyle'],
  ...['default_text_search_config', 'default_transaction_deferrable'],
  ...['default_transaction_isolation', 'enable_bitmapscan'],
  ...['enable_hashagg', 'enable_hashjoin', 'enable_incremental_sort', 'enable_indexonlyscan'],
  ...['enable_indexscan', 'enable_material', 'enable_memoize', 'enable_mergejoin'],
  ...['enable_nestloop', 'enable_partition_pruning', 'enable_partitionwise_aggregate'],
  ...['enable_partitionwise_join', 'enable_seqscan', 'enable_sort', 'enable_tidscan'],
  ...['extra_float_digits', 'from_collapse_limit', 'idle_in_transaction_session_timeout'],
  ...['intervalstyle', 'jit', 'join_collapse_limit', 'lc_monetary', 'lc_numeric', 'lc_time'],
  ...['lock_timeout', 'plan_cache_mode', 'restrict_nonsystem_relation_kind', 'search_path'],
  ...['statement_timeout', 'synchronize_seqscans', 'timezone', 'timezone_abbreviations'],
  ...['transaction_deferrable', 'transaction_isolation'],
  ...['transaction_timeout', 'xmlbinary', 'xmloption'],
]

export const shownColumns: Migration = {
  version: 11,
  name: 'shown-columns',
  sql: [
    tableNumbers(),
    figures(),
    ofDatabases(),
    settings(),
    sequences(),
    writtenKeys(),
    writtenSchema(),
    keptKeys(),
  ].join('\n'),
}

/** Dumps and psql's \dd ask a catalog for its own number; columns were granted one by one. */
function tableNumbers(): string {
  return ['pg_class', 'pg_database']
    .map((catalog) => `grant select (tableoid) on pg_catalog.${catalog} to public;`)
    .join('\n')
}

/** Figures are of all users' rows. To users they are unknown, which tools show as nothing. */
function figures(): string {
  const ofRelations = ['table', 'indexes', 'total_relation', 'relation'].map(
    (what) => `pg_${what}_size(relation regclass)`,
  )
  // DBeaver shows beside an index how often it was used.
  const scans = 'pg_stat_get_numscans(relation oid)'
  const ofSpaces = ['oid', 'name'].map((type) => `pg_tablespace_size(space ${type})`)
  return [...ofRelations, 'pg_relation_size(relation regclass, fork text)', scans, ...ofSpaces]
    .map(
      (signature) => `
create function kalam.${signature} returns bigint
  language sql stable parallel safe return null::bigint;`,
    )
    .join('')
}

/** Functions that take the name of a database, which is another to its clients. */
function ofDatabases(): string {
  const inEngine = `case place when 'kalamdb' then current_database() else place end`
  const places = [
    { type: 'name', place: inEngine },
    { type: 'oid', place: 'place' },
  ]
  const ofPlaces = places.map(({ type, place }) => {
    const privileges = ['', 'who name, ', 'who oid, '].map(
      (who) => `
create function kalam.has_database_privilege(${who}place ${type}, privilege text) returns boolean
  language sql stable parallel safe
  return pg_catalog.has_database_privilege(${who === '' ? '' : 'who, '}${place}, privilege);`,
    )
    return `${privileges.join('')}
create function kalam.pg_database_size(place ${type}) returns bigint
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if not kalam.is_admin() then return null; end if;
  return pg_database_size(${place});
end $$;`
  })
  return ofPlaces.join('')
}

/**
 * PostgreSQL's own, for the settings that users may set anyway (dialect/setting-rules.ts). It has no
 * SET clause, which would end what is set for the transaction alone.
 */
function settings(): string {
  const names = settingsOfUsers.map((name) => `'${name}'`).join(', ')
  return `
create function kalam.refuse_setting(name text) returns text
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'SET % is for admins', name using errcode = '42501',
    hint = 'docs/sql.md lists the settings that are for everyone.';
end $$;
revoke execute on function kalam.refuse_setting(text) from public;
grant execute on function kalam.refuse_setting(text) to kalam_sys;

create function kalam.set_config(name text, value text, is_local boolean) returns text
  language sql security definer
  return case
    when lower(name) in (${names}) and not (lower(name) = 'search_path' and value ~* '\\mkalam(_|\\M)')
      or name like '%.%' and name !~* '^kalam\\.'
    then pg_catalog.set_config(name, value, is_local)
    else kalam.refuse_setting(name) end;
alter function kalam.set_config(text, text, boolean) owner to kalam_sys;
`
}

/** Who may take the next number learns as much by that. */
function sequences(): string {
  return `
create function kalam.pg_get_sequence_data(sequence regclass, out last_value bigint, out is_called boolean)
  language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select coalesce(d.last_value, 1), coalesce(d.is_called, false)
    from (select) one
    left join pg_get_sequence_data(sequence) d
      on has_sequence_privilege('kalam_user', sequence, 'usage')
$$;
`
}

/**
 * The catalogs as if nobody had put `_user_id` in front of keys, or columns behind those that were
 * written; dialect/shown-tables.ts says who reads them so.
 */
function writtenKeys(): string {
  // Vectors of the catalogs can be made from their texts only.
  const rest = (column: string, type: string): string =>
    `case when own.tab is not null then regexp_replace(i.${column}::text, '^\\S+ ', '')::${type} else i.${column} end as ${column}`
  const shorter = (column: string): string =>
    `case when own.tab is not null then i.${column} - 1 else i.${column} end::int2 as ${column}`
  const slice = (column: string): string =>
    `case when own.tab is not null then c.${column}[2:] else c.${column} end as ${column}`
  return `
-- Relations, no function: each client reads them by the rights of these views.
create view kalam.user_columns as
  select t.tab, a.attnum
    from kalam.tables t
    join pg_catalog.pg_attribute a on a.attrelid = t.tab and a.attname = '_user_id'
   where t.kind in ('user', 'stream');

create view kalam.written_attribute as
  select a.attrelid, a.attname, a.atttypid, a.attlen, a.attnum, a.atttypmod, a.attndims, a.attbyval,
         a.attalign, a.attstorage, a.attcompression, a.attnotnull, a.atthasdef, a.atthasmissing,
         a.attidentity, a.attgenerated, a.attisdropped, a.attislocal, a.attinhcount, a.attcollation,
         a.attstattarget, a.attacl, a.attoptions, a.attfdwoptions
    from pg_catalog.pg_attribute a
   where a.attname not in ('_user_id', '_deleted', '_expires_at')
      or not exists (select from kalam.tables t where t.tab = a.attrelid and t.kind <> 'plain');

-- Without those of system columns alone.
create view kalam.written_index as
  select i.indexrelid, i.indrelid, ${shorter('indnatts')}, ${shorter('indnkeyatts')}, i.indisunique,
         i.indnullsnotdistinct, i.indisprimary, i.indisexclusion, i.indimmediate, i.indisclustered,
         i.indisvalid, i.indcheckxmin, i.indisready, i.indislive, i.indisreplident,
         ${rest('indkey', 'int2vector')},
         ${rest('indcollation', 'oidvector')},
         ${rest('indclass', 'oidvector')},
         ${rest('indoption', 'int2vector')},
         i.indexprs, i.indpred
    from pg_catalog.pg_index i
   left join kalam.user_columns own
      on own.tab = i.indrelid and own.attnum = i.indkey[0] and i.indnkeyatts > 1
   where i.indnkeyatts > 1 or i.indkey[0] = 0 or exists (
     select from kalam.written_attribute a where a.attrelid = i.indrelid and a.attnum = i.indkey[0]);

create view kalam.written_constraint as
  select c.oid, c.conname, c.connamespace, c.contype, c.condeferrable, c.condeferred, c.conenforced,
         c.convalidated, c.conrelid, c.contypid, c.conindid, c.conparentid, c.confrelid,
         c.confupdtype, c.confdeltype, c.confmatchtype, c.conislocal, c.coninhcount,
         c.connoinherit, c.conperiod, ${slice('conkey')}, ${slice('confkey')},
         ${slice('conpfeqop')}, ${slice('conppeqop')}, ${slice('conffeqop')},
         c.confdelsetcols, ${slice('conexclop')}, c.conbin
    from pg_catalog.pg_constraint c
   left join kalam.user_columns own
      on own.tab = c.conrelid and own.attnum = c.conkey[1] and cardinality(c.conkey) > 1;

grant select on kalam.written_attribute, kalam.written_index, kalam.written_constraint to public;

create function kalam.pg_get_indexdef(index oid) returns text
  language sql stable parallel safe return pg_catalog.pg_get_indexdef(index);
create function kalam.pg_get_indexdef(index oid, place integer, pretty boolean) returns text
  language sql stable parallel safe
  return pg_catalog.pg_get_indexdef(index, case when place < 1 then place else place + coalesce(
      (select i.indnatts - w.indnatts from pg_catalog.pg_index i
         join kalam.written_index w on w.indexrelid = i.indexrelid
        where i.indexrelid = index), 0) end, pretty);
`
}

/** Its views are edited as in 0007-introspection.ts. */
function writtenSchema(): string {
  return `
create view kalam.system_columns as
  select n.nspname, c.relname, a.attname
    from kalam.tables t
    join pg_catalog.pg_class c on c.oid = t.tab
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_attribute a
      on a.attrelid = t.tab and a.attname in ('_user_id', '_deleted', '_expires_at')
   where t.kind <> 'plain';

create function kalam.key_position(index oid, attribute int2) returns integer
  language sql stable set search_path = pg_catalog, pg_temp as $$
  select k.place::integer from kalam.written_index i
   cross join lateral unnest(i.indkey::int2[]) with ordinality k (num, place)
   where i.indexrelid = index and k.num = attribute
$$;

declare
  shown record;
begin
  for shown in
    select c.relname, rtrim(pg_get_viewdef(c.oid), ';') as definition
      from pg_class c
     where c.relnamespace = 'information_schema'::regnamespace and c.relkind = 'v'
       and (select count(*) = 3 from pg_attribute a
             where a.attrelid = c.oid and a.attname in ('table_schema', 'table_name', 'column_name'))
     order by c.relname
  loop
    -- Places in a key count what is shown of it.
    if shown.relname = 'key_column_usage' then
      shown.definition := regexp_replace(regexp_replace(shown.definition,
        '\\mpg_constraint\\M', 'kalam.written_constraint', 'g'),
        '(information_schema\\.)?\\m_pg_index_position\\M', 'kalam.key_position', 'g');
    end if;
    execute format('create or replace view information_schema.%I as
      select v.* from (%s) v
       where not exists (select from kalam.system_columns s
         where s.nspname = v.table_schema and s.relname = v.table_name and s.attname = v.column_name)',
      shown.relname, shown.definition);
  end loop;
end;
`
}

/** What a dump with --clean does to a table's key before it drops the table. */
function keptKeys(): string {
  return `
create procedure kalam.keep_primary_key(tab regclass)
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise notice 'the primary key of % stays as long as the table does', tab
    using hint = 'A managed table has one always.';
end $$;
`
}
