/**
 * The first system schema: roles, what ordinary callers may not do, users and keys, and the views
 * that callers see. PostgreSQL itself enforces all of it; the dialect is the second wall.
 */
import { temporaryObjectState } from '../../engine/backend-messages.js'
import type { Migration } from '../migration.js'

export const base: Migration = {
  version: 1,
  name: 'base',
  sql: [
    roles(),
    revokes(),
    conversions(),
    identity(),
    tables(),
    userFunctions(),
    userViews(),
    schemaViews(),
  ].join('\n'),
}

/**
 * Three roles that callers run as. None can log in or become another. `kalam_admin` owns what
 * admins make; it is no superuser, so files, other servers and the system's own tables stay shut.
 */
function roles(): string {
  return `
create role kalam_user nologin;
create role kalam_service nologin;
create role kalam_admin nologin;
grant kalam_user to kalam_service;
grant kalam_service to kalam_admin;
grant pg_monitor, pg_maintain, pg_checkpoint to kalam_admin;

execute format('grant create, temporary on database %I to kalam_admin', current_database());
grant all on schema public to kalam_admin;
-- A table in a namespace is reached by its own privileges; its schema opens by itself.
alter default privileges for role kalam_admin grant usage on schemas to public;
`
}

/**
 * One backend serves everybody, so whatever a session could leave behind, hold, or see of another
 * is taken from PUBLIC. Admins get most of it back; sleeping, signals and the lists of cursors
 * and prepared statements are for nobody: they stop or show the work of others.
 */
function revokes(): string {
  return `
revoke create on schema public from public;
revoke usage on language sql, plpgsql from public;
grant usage on language sql, plpgsql to kalam_admin;
revoke update on pg_catalog.pg_settings from public;
revoke select on pg_catalog.pg_cursors, pg_catalog.pg_prepared_statements from public;

declare
  routine record;
begin
  for routine in
    select p.oid::regprocedure as signature, not ${forNobody()} as for_admins
      from pg_catalog.pg_proc p
     where p.pronamespace = 'pg_catalog'::regnamespace
       and (${forAdmins()} or ${forNobody()})
  loop
    execute format('revoke execute on function %s from public', routine.signature);
    if routine.for_admins then
      execute format('grant execute on function %s to kalam_admin', routine.signature);
    end if;
  end loop;
end;
`
}

/** Session state (settings, seed, locks), large objects, and functions that run SQL from a text. */
function forAdmins(): string {
  return `(
  p.proname in ('set_config', 'setseed', 'ts_stat', 'lowrite', 'loread')
  or p.proname ~ '^pg_(try_)?advisory_'
  or p.proname ~ '^lo_'
  or p.proname ~ '^(query|cursor|table|schema|database)_to_xml'
  or p.oid = 'pg_catalog.ts_rewrite(pg_catalog.tsquery, text)'::regprocedure
)`
}

function forNobody(): string {
  return `(
  p.proname in (
    'pg_cursor', 'pg_prepared_statement', 'pg_cancel_backend', 'pg_terminate_backend',
    'pg_export_snapshot', 'pg_logical_emit_message', 'lo_import', 'lo_export'
  )
  or p.proname ~ '^pg_sleep'
)`
}

/**
 * PGlite 0.5 ships the conversions between encodings without the functions they import, so a
 * mere `convert_to('é', 'LATIN1')` would end the engine for everybody. Without a default
 * conversion it is an ordinary error; UTF8 to UTF8 needs none.
 */
function conversions(): string {
  return `
update pg_catalog.pg_conversion set condefault = false;
`
}

/**
 * Who the caller is. The engine writes the id into a setting that no SQL can set; a function on
 * top of it gives the id a name that row security policies can use, and PostgreSQL inlines it.
 */
function identity(): string {
  return `
create schema kalam;
grant usage on schema kalam to public;

create table kalam.migrations (
  version integer primary key,
  name text not null,
  checksum text not null,
  applied_at timestamptz not null
);

create function kalam.uid() returns text
  language sql stable parallel safe
  return pg_catalog.current_setting('bonjour_name');
comment on function kalam.uid() is 'Id of the user who asks.';

create function kalam.is_admin() returns boolean
  language sql stable parallel safe
  return pg_catalog.pg_has_role(current_user, 'kalam_admin', 'usage');
comment on function kalam.is_admin() is 'Whether the caller is an admin.';

-- All sessions share one backend, and with it pg_temp: the server must hear of each temporary
-- object, also of one that a function makes on the way, to take it back.
create function kalam.tell_of_temporary_objects() returns event_trigger
  language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = notice as $$
begin
  if exists (select from pg_event_trigger_ddl_commands() where schema_name = 'pg_temp') then
    raise notice 'a temporary object was made' using errcode = '${temporaryObjectState}';
  end if;
end $$;
revoke execute on function kalam.tell_of_temporary_objects() from public;
create event trigger kalam_temporary_objects on ddl_command_end
  execute function kalam.tell_of_temporary_objects();
`
}

function tables(): string {
  return `
-- A row is never removed: an id is not used again, and a new user of an old name is another user.
create table kalam.users (
  user_id text primary key,
  name text not null check (length(name) between 1 and 63),
  role text not null check (role in ('user', 'service', 'admin')),
  -- For SCRAM. All keys of a user share it: a client learns the salt before it shows a key.
  salt bytea not null check (length(salt) = 16),
  created_at timestamptz not null,
  dropped_at timestamptz
);
create unique index users_name on kalam.users (name) where dropped_at is null;

create table kalam.apikeys (
  id text primary key,
  user_id text not null references kalam.users,
  digest bytea not null unique check (length(digest) = 32),
  scram_verifier text not null,
  hint text not null,
  read_only boolean not null,
  -- Given in the configuration, not made here.
  is_bootstrap boolean not null default false,
  created_at timestamptz not null,
  expires_at timestamptz,
  revoked_at timestamptz
);
create index apikeys_user_id on kalam.apikeys (user_id);

-- Users with a PostgreSQL role of their own, because a GRANT named them.
create table kalam.user_roles (
  user_id text primary key references kalam.users,
  role_name name not null unique
);

-- The configuration in use, written at each start.
create table kalam.settings (
  key text primary key,
  place integer not null,
  value text not null,
  "default" text not null,
  unit text not null,
  origin text not null,
  variable text not null,
  description text not null
);

create table kalam.idempotency (
  user_id text not null,
  key text not null check (length(key) between 1 and 255),
  request_digest bytea not null,
  response bytea not null,
  created_at timestamptz not null,
  primary key (user_id, key)
);
create index idempotency_created_at on kalam.idempotency (created_at);

insert into kalam.users (user_id, name, role, salt, created_at) values
  ('root', 'root', 'admin', decode(replace(gen_random_uuid()::text, '-', ''), 'hex'), now());
`
}

/** Changes that touch a PostgreSQL role as well. The server alone may call them. */
function userFunctions(): string {
  return `
create function kalam.ensure_user_role(target text) returns text
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  own text;
  shared text;
begin
  select r.role_name into own from kalam.user_roles r where r.user_id = target;
  select 'kalam_' || u.role into shared
    from kalam.users u where u.user_id = target and u.dropped_at is null;
  if own is not null or shared is null then return own; end if;
  own := 'kalam_u_' || replace(target, '-', '');
  execute format('create role %I nologin', own);
  execute format('grant %I to %I', shared, own);
  insert into kalam.user_roles values (target, own);
  return own;
end $$;

create function kalam.set_user_role(target text, new_role text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  own text;
  shared text;
begin
  select r.role_name into own from kalam.user_roles r where r.user_id = target;
  select 'kalam_' || u.role into shared from kalam.users u where u.user_id = target;
  update kalam.users set role = new_role where user_id = target;
  if own is not null then
    execute format('revoke %I from %I', shared, own);
    execute format('grant %I to %I', 'kalam_' || new_role, own);
  end if;
end $$;

create function kalam.drop_user(target text, at timestamptz) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  own text;
begin
  update kalam.users set dropped_at = at where user_id = target and dropped_at is null;
  update kalam.apikeys set revoked_at = at where user_id = target and revoked_at is null;
  delete from kalam.idempotency where user_id = target;
  delete from kalam.user_roles where user_id = target returning role_name into own;
  if own is not null then
    execute format('drop owned by %I cascade', own);
    execute format('drop role %I', own);
  end if;
end $$;

revoke execute on function kalam.ensure_user_role, kalam.set_user_role, kalam.drop_user from public;
`
}

/** Callers see themselves; admins see everybody. */
function userViews(): string {
  return `
create schema system;
grant usage on schema system to public;

create view system.users with (security_barrier) as
  select u.user_id, u.name, u.role,
         (select k.hint from kalam.apikeys k
           where k.user_id = u.user_id and k.revoked_at is null
           order by k.created_at desc, k.id limit 1) as apikey,
         u.created_at
    from kalam.users u
   where u.dropped_at is null and (kalam.is_admin() or u.user_id = kalam.uid());
comment on view system.users is 'Users; apikey is the beginning of the newest key.';

create view system.apikeys with (security_barrier) as
  select k.id, k.user_id, u.name, k.hint as apikey, k.read_only, k.created_at, k.expires_at
    from kalam.apikeys k join kalam.users u on u.user_id = k.user_id
   where k.revoked_at is null and u.dropped_at is null
     and (kalam.is_admin() or u.user_id = kalam.uid());
comment on view system.apikeys is 'Keys that are not revoked; apikey is the beginning.';

create view system.config with (security_barrier) as
  select s.key, s.value, s."default", s.unit, s.origin, s.variable, s.description
    from kalam.settings s where kalam.is_admin() order by s.place;
comment on view system.config is 'Settings of the server; secrets are masked.';

grant select on system.users, system.apikeys, system.config to public;
`
}

/** What the caller may use of the schema; the system's own schemas are left out of the lists. */
function schemaViews(): string {
  return `
create view system.namespaces with (security_barrier) as
  select n.nspname::text as name, pg_catalog.obj_description(n.oid, 'pg_namespace') as comment
    from pg_catalog.pg_namespace n
   where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'kalam', 'system')
     and pg_catalog.has_schema_privilege(n.oid, 'usage');
comment on view system.namespaces is 'Namespaces that the caller may use.';

create view system.tables with (security_barrier) as
  select n.nspname::text as namespace, c.relname::text as name,
         case c.relkind when 'v' then 'view' when 'm' then 'materialized view'
           when 'f' then 'foreign table' else 'table' end as kind,
         pg_catalog.obj_description(c.oid, 'pg_class') as comment
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
     and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'kalam', 'system')
     and ${mayUse('c.oid')};
comment on view system.tables is 'Tables and views that the caller may use.';

create view system.columns with (security_barrier) as
  select n.nspname::text as namespace, c.relname::text as table_name,
         a.attnum::integer as position, a.attname::text as name,
         pg_catalog.format_type(a.atttypid, a.atttypmod) as type,
         not a.attnotnull as nullable,
         coalesce(a.attnum = any (i.indkey), false) as primary_key,
         case when a.attidentity <> '' then 'identity'
           when a.attgenerated = 's' then 'stored: ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid)
           when a.attgenerated = 'v' then 'virtual: ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid)
           else pg_catalog.pg_get_expr(d.adbin, d.adrelid) end as default_value,
         pg_catalog.col_description(c.oid, a.attnum) as comment
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_catalog.pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    left join pg_catalog.pg_index i on i.indrelid = c.oid and i.indisprimary
   where c.relkind in ('r', 'p', 'v', 'm', 'f')
     and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'kalam')
     and ${mayUse('c.oid')};
comment on view system.columns is 'Columns of the tables and views that the caller may use.';

grant select on system.namespaces, system.tables, system.columns to public;
`
}

function mayUse(table: string): string {
  const rights = 'select, insert, update, references'
  return `(pg_catalog.has_table_privilege(${table}, '${rights}, delete, truncate, trigger')
      or pg_catalog.has_any_column_privilege(${table}, '${rights}'))`
}
