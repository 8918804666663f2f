/**
 * What tools that look at the database find in it: a database of the name that they connected to,
 * the callers' schemas, and comments on the columns that nobody wrote down. Clients of the Postgres
 * wire read PostgreSQL's own catalogs by way of dialect/shown-catalogs.ts; the information schema is
 * edited here, for everybody.
 */
import type { Migration } from '../migration.js'

export const introspection: Migration = {
  version: 7,
  name: 'introspection',
  sql: [names(), informationSchema(), columnComments(), initialRights()].join('\n'),
}

function names(): string {
  return `
create function kalam.current_database() returns name
  language sql stable parallel safe return 'kalamdb'::name;
create function kalam."current_catalog"() returns name
  language sql stable parallel safe return 'kalamdb'::name;
-- A relation's name without that of the database, where it has one.
create function kalam.local_name(name text) returns text
  language sql immutable strict parallel safe
  return regexp_replace(name, '^"?kalamdb"?\\.(?=.+\\.)', '');
-- PostgreSQL's own takes no number but a tablespace's, and there is no other place.
create function kalam.pg_tablespace_location(tablespace oid) returns text
  language sql immutable parallel safe return ''::text;
-- The number by which a session's client knows it; the backend's own is the same for all.
create function kalam.pg_backend_pid(session integer) returns integer
  language sql immutable parallel safe return session;
`
}

/** Its views are the system's, and read the catalogs as the superuser who owns them. */
function informationSchema(): string {
  return `
create view kalam.callers_schemas as
  select n.oid, n.nspname, n.nspowner, n.nspacl
    from pg_catalog.pg_namespace n where n.nspname not in ('kalam', 'kalam_deleted');

declare
  shown record;
begin
  for shown in
    select v.viewname, v.definition from pg_catalog.pg_views v
     where v.schemaname = 'information_schema'
       and v.definition ~ 'current_database\\(\\)|\\mpg_namespace\\M'
     order by v.viewname
  loop
    execute format('create or replace view information_schema.%I as %s', shown.viewname,
      regexp_replace(
        replace(shown.definition, 'current_database()', 'kalam.current_database()'),
        '\\mpg_namespace\\M', 'kalam.callers_schemas', 'g'));
  end loop;
end;
`
}

/** Written to the catalog itself: COMMENT is DDL, and there are event triggers for that. */
function columnComments(): string {
  return `
create function kalam.comment_columns(rel oid) returns void
  language sql set search_path = pg_catalog, pg_temp as $$
  insert into pg_description (objoid, classoid, objsubid, description)
  select a.attrelid, 'pg_class'::regclass, a.attnum, c.comment
    from (values
      ('_user_id', 'The user whose row it is; the server sets it.'),
      ('_deleted', 'False: deleted rows are kept apart, and read with INCLUDE DELETED.'),
      ('_expires_at', 'When the row goes; the server sets it.')
    ) c (name, comment)
    join pg_attribute a on a.attrelid = rel and a.attname = c.name
   where col_description(rel, a.attnum) is null
$$;

create function kalam.comment_new_table() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform kalam.comment_columns(new.tab);
  return null;
end $$;
revoke execute on function kalam.comment_columns(oid), kalam.comment_new_table() from public;

create trigger comment_new_table after insert on kalam.tables
  for each row when (new.kind <> 'plain') execute function kalam.comment_new_table();

perform kalam.comment_columns(t.tab) from kalam.tables t where t.kind <> 'plain';
`
}

/**
 * What the steps before this took from PUBLIC, PostgreSQL would believe to be an admin's doing: dumps
 * would do it again on the server that they are restored on. PostgreSQL notes what initdb gave; a
 * step that changes rights on PostgreSQL's own objects calls this again.
 */
function initialRights(): string {
  return `
create function kalam.note_initial_rights() returns void
  language sql set search_path = pg_catalog, pg_temp as $$
  delete from pg_init_privs where privtype = 'i';
  insert into pg_init_privs (objoid, classoid, objsubid, privtype, initprivs)
  select oid, 'pg_proc'::regclass, 0, 'i', proacl from pg_proc
   where oid < 16384 and proacl is not null
  union all
  select oid, 'pg_class'::regclass, 0, 'i', relacl from pg_class
   where oid < 16384 and relacl is not null
  union all
  select attrelid, 'pg_class'::regclass, attnum, 'i', attacl from pg_attribute
   where attrelid < 16384 and attacl is not null
  union all
  select oid, 'pg_namespace'::regclass, 0, 'i', nspacl from pg_namespace
   where oid < 16384 and nspacl is not null
  union all
  select oid, 'pg_language'::regclass, 0, 'i', lanacl from pg_language
   where oid < 16384 and lanacl is not null
$$;
revoke execute on function kalam.note_initial_rights() from public;
perform kalam.note_initial_rights();
`
}
