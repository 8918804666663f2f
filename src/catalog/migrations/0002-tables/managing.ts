/** Making a table a managed one, and keeping it one when its columns change. */
export function managing(): string {
  return [manage(), reshape(), keeping(), watch()].join('\n')
}

const system = 'set search_path = pg_catalog, pg_temp'

function manage(): string {
  return `
create function kalam.refuse(what text, hint text) returns void language plpgsql ${system} as $$
begin
  raise exception '%', what using errcode = '0A000', hint = hint;
end $$;

create function kalam.log_shape(table_id integer, version integer) returns bigint
  language sql ${system} as $$
  insert into kalam.changes (table_id, version, op) values (table_id, version, 'S') returning seq
$$;

create function kalam.manage(rel oid, kind text) returns void language plpgsql ${system} as $$
declare
  t kalam.tables;
begin
  perform kalam.refuse_reserved_names(rel, kind);
  perform kalam.refuse_keyless(rel, kind);
  t.id := nextval(pg_get_serial_sequence('kalam.tables', 'id'));
  t.tab := rel;
  t.kind := kind;
  t.version := 1;
  t.version_since := kalam.log_shape(t.id, 1);
  t.shape := kalam.shape_of(rel);
  if kind = 'stream' then
    t.ttl := kalam.ttl_of(rel);
  else
    t.twin := kalam.make_twin(t.id, rel);
    perform kalam.index_twin(rel, t.twin);
    perform kalam.open_twin(t.id, t.twin, kind);
  end if;
  perform kalam.write_functions(t);
  perform kalam.create_triggers(t);
  execute format('grant select on %s to kalam_sys', t.tab);
  if kind <> 'shared' then perform kalam.keep_apart(t); end if;
  insert into kalam.tables overriding system value select t.*;
end $$;

create function kalam.refuse_reserved_names(rel oid, kind text) returns void
  language plpgsql ${system} as $$
declare
  taken text := (
    select c.name from kalam.columns_of(rel) c
     where kind in ('user', 'shared')
       and c.name in ('_deleted_seq', '_deleted_at', '_deleted_by', '_deleted_rest') limit 1);
begin
  if taken is not null then
    perform kalam.refuse(format('a column of a %s table cannot be named %s', kind, taken),
      'Names that begin with _deleted are of what the table keeps of deleted rows.');
  end if;
end $$;

create function kalam.refuse_keyless(rel oid, kind text) returns void
  language plpgsql ${system} as $$
declare
  key text[] := kalam.key_of(rel);
begin
  if key is null then
    perform kalam.refuse(format('a %s table needs a primary key', kind),
      'Give one of its columns PRIMARY KEY, such as: id bigint PRIMARY KEY.');
  elsif kind <> 'shared' and key[1] <> '_user_id' then
    perform kalam.refuse(format('the primary key of a %s table begins with _user_id', kind),
      'Each user has keys of their own.');
  end if;
end $$;

-- The first policy lets everything through, the second keeps each user to their own: policies
-- that admins add are permissive or restrictive, and can only narrow it.
create function kalam.keep_apart(t kalam.tables) returns void language plpgsql ${system} as $$
declare
  sequence regclass;
begin
  execute format('alter table %s enable row level security, force row level security', t.tab);
  execute format('drop policy if exists kalam_rows on %1$s; drop policy if exists kalam_own on %1$s;
    drop policy if exists kalam_live on %1$s', t.tab);
  execute format('create policy kalam_rows on %s using (true) with check (true)', t.tab);
  execute format('create policy kalam_own on %s as restrictive
    using (_user_id = kalam.uid()) with check (_user_id = kalam.uid())', t.tab);
  if t.kind = 'stream' then
    -- For the removal of expired rows.
    execute format('create index on %s (_expires_at)', t.tab);
    execute format('create policy kalam_live on %s as restrictive for select
      using (_expires_at > now())', t.tab);
    execute format('revoke update, delete, truncate on %s from %I', t.tab,
      (select relowner::regrole::text from pg_class where oid = t.tab));
    execute format('grant select, insert on %s to kalam_user', t.tab);
    execute format('grant select, delete on %s to kalam_reaper', t.tab);
  else
    execute format('grant select, insert, update, delete on %s to kalam_user', t.tab);
  end if;
  perform kalam.open_sequences(t.tab);
end $$;

create function kalam.open_sequences(rel oid) returns void language plpgsql ${system} as $$
declare
  sequence regclass;
begin
  for sequence in
    select d.objid from pg_depend d join pg_class c on c.oid = d.objid
     where d.refclassid = 'pg_class'::regclass and d.refobjid = rel
       and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i')
       and case c.relkind when 'S' then not has_sequence_privilege('kalam_user', d.objid, 'usage') end
  loop
    execute format('grant usage on sequence %s to kalam_user', sequence);
  end loop;
end $$;
`
}

function reshape(): string {
  return `
create function kalam.reshape(t kalam.tables) returns void language plpgsql ${system} as $$
begin
  perform kalam.refuse_reserved_names(t.tab, t.kind);
  t.version := t.version + 1;
  t.version_since := kalam.log_shape(t.id, t.version);
  t.shape := kalam.shape_of(t.tab);
  -- First, for the DDL that follows brings us here again.
  update kalam.tables x set version = t.version, version_since = t.version_since, shape = t.shape
   where x.id = t.id;
  if t.twin is not null then
    perform kalam.follow(t.tab, t.twin);
    perform kalam.index_twin(t.tab, t.twin);
  end if;
  if t.kind in ('user', 'stream') then perform kalam.open_sequences(t.tab); end if;
  perform kalam.write_functions(t);
end $$;
`
}

function keeping(): string {
  return `
-- What ALTER TABLE … SET (deleted_retention_hours = …) becomes; null: as the server's setting says.
create procedure kalam.keep_deleted(rel regclass, hours integer)
  language plpgsql security definer ${system} as $$
begin
  update kalam.tables t set deleted_retention = make_interval(hours => keep_deleted.hours)
   where t.tab = rel and t.twin is not null;
end $$;
grant execute on procedure kalam.keep_deleted(regclass, integer) to kalam_admin;
`
}

/** A plain table is logged from the first time that somebody watches it. */
function watch(): string {
  return `
-- False: PostgreSQL calls no statement's trigger for what is changed by way of a partition or child,
-- so its changes cannot be logged.
create function kalam.watch(rel regclass) returns boolean
  language plpgsql ${system} set quote_all_identifiers = off as $$
declare
  t kalam.tables;
begin
  if exists (select from kalam.tables x where x.tab = rel) then return true; end if;
  if not kalam.can_be_logged(rel) then return false; end if;
  t.id := nextval(pg_get_serial_sequence('kalam.tables', 'id'));
  t.tab := rel;
  t.kind := 'plain';
  t.version := 1;
  t.version_since := kalam.log_shape(t.id, 1);
  t.shape := kalam.shape_of(rel);
  perform kalam.write_functions(t);
  perform kalam.create_triggers(t);
  execute format('grant select on %s to kalam_sys', rel);
  insert into kalam.tables overriding system value select t.*;
  return true;
end $$;

create function kalam.can_be_logged(rel oid) returns boolean language sql stable ${system} as $$
  select c.relkind = 'r' and c.relpersistence <> 't' and not c.relispartition and c.reloftype = 0
     and not exists (select from pg_inherits i where rel in (i.inhrelid, i.inhparent))
    from pg_class c where c.oid = rel
$$;

-- A watched table became a partition, parent or child: it is logged no more, as if it were gone.
create function kalam.unwatch(t kalam.tables) returns void language plpgsql ${system} as $$
begin
  delete from kalam.tables x where x.id = t.id;
  execute format('drop function kalam.t%1$s_ins(), kalam.t%1$s_upd(), kalam.t%1$s_del(),
    kalam.t%1$s_tru() cascade', t.id);
  insert into kalam.changes (table_id, version, op) values (t.id, t.version, 'X');
end $$;
`
}
