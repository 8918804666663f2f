/** What managed tables let through that they should not. */
import type { Migration } from '../migration.js'

const system = 'set search_path = pg_catalog, pg_temp'

export const stricterTables: Migration = {
  version: 6,
  name: 'stricter-tables',
  sql: [twinsByCommand(), ttls()].join('\n'),
}

/**
 * Who may read a table sees its deleted rows, as before; only who may also insert into it takes rows
 * out of its twin, as UNDELETE does.
 */
function twinsByCommand(): string {
  return `
create function kalam.may_undelete(table_id integer) returns boolean
  language sql stable parallel safe ${system} as $$
  select has_table_privilege(t.tab, 'select') and has_any_column_privilege(t.tab, 'insert')
    from kalam.tables t where t.id = table_id
$$;

create or replace function kalam.open_twin(table_id integer, twin regclass, kind text) returns void
  language plpgsql ${system} as $$
declare
  own text := case kind when 'user' then ' and _user_id = kalam.uid()' else '' end;
begin
  execute format('alter table %s enable row level security', twin);
  execute format('create policy kalam_rows on %s for select
    using ((select kalam.may_recover(%s))%s)', twin, table_id, own);
  execute format('create policy kalam_undelete on %s for delete
    using ((select kalam.may_undelete(%s))%s)', twin, table_id, own);
  execute format('grant select, delete on %s to public', twin);
end $$;

declare
  t kalam.tables;
begin
  for t in select x.* from kalam.tables x where x.twin is not null loop
    execute format('drop policy kalam_rows on %s', t.twin);
    perform kalam.open_twin(t.id, t.twin, t.kind);
  end loop;
end;
`
}

/** Rows of a stream are seen until they expire: some time after they came, or they never were. */
function ttls(): string {
  return `
create or replace function kalam.ttl_of(rel oid) returns interval language plpgsql stable
  ${system} set intervalstyle = postgres as $$
declare
  ttl interval := (
    select substring(pg_get_expr(d.adbin, d.adrelid) from '''(.*)''')::interval
      from pg_attribute a join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where a.attrelid = rel and a.attname = '_expires_at');
begin
  if ttl <= interval '0' then
    raise exception 'the TTL of a stream table is to be longer than nothing: % is not', ttl
      using errcode = '22023', hint = 'Say how long a row is there, such as TTL ''30 seconds''.';
  end if;
  return ttl;
end $$;
`
}
