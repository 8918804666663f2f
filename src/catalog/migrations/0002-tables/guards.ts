/** Event triggers: they see every DDL, from wherever it comes, and hold managed tables together. */
export function guards(): string {
  return [onDdl(), onDrop(), closing()].join('\n')
}

const system = 'set search_path = pg_catalog, pg_temp'

function onDdl(): string {
  return `
create function kalam.on_ddl() returns event_trigger
  language plpgsql security definer ${system} as $$
declare
  made record;
  t kalam.tables;
begin
  for made in
    select c.objid, kalam.kind_of(c.objid) as kind from pg_event_trigger_ddl_commands() c
     where c.classid = 'pg_class'::regclass and c.command_tag = 'CREATE TABLE'
       and c.object_type = 'table' and c.schema_name <> 'pg_temp'
  loop
    if made.kind is not null then perform kalam.manage(made.objid, made.kind); end if;
  end loop;
  for t in select * from kalam.tables x where x.shape <> kalam.shape_of(x.tab) loop
    perform kalam.reshape(t);
  end loop;
  if tg_tag in ('GRANT', 'REVOKE', 'CREATE POLICY', 'ALTER POLICY', 'DROP POLICY') then
    insert into kalam.changes (table_id, version, op) values (0, 0, 'G');
  end if;
end $$;
`
}

function onDrop(): string {
  return `
create function kalam.on_drop() returns event_trigger
  language plpgsql security definer ${system} as $$
declare
  t kalam.tables;
begin
  for t in
    select x.* from pg_event_trigger_dropped_objects() o join kalam.tables x on x.tab = o.objid
     where o.classid = 'pg_class'::regclass and o.objsubid = 0
  loop
    delete from kalam.tables x where x.id = t.id;
    if t.twin is not null then execute format('drop table %s cascade', t.twin); end if;
    execute format('drop function kalam.t%1$s_ins(), kalam.t%1$s_upd(), kalam.t%1$s_del(),
      kalam.t%1$s_tru()', t.id);
    insert into kalam.changes (table_id, version, op) values (t.id, t.version, 'X');
  end loop;
end $$;
`
}

/** Only the system calls these; callers need the one that policies of twins use. */
function closing(): string {
  return `
alter function kalam.run_as_sys(text) owner to kalam_sys;

declare
  routine regprocedure;
begin
  for routine in
    select p.oid from pg_catalog.pg_proc p
     where p.pronamespace = 'kalam'::regnamespace
       and p.proname not in ('uid', 'is_admin', 'may_recover')
  loop
    execute format('revoke execute on function %s from public', routine);
  end loop;
end;

-- The DDL of the system's own concerns none of them. Before PostgreSQL 17 they see it and do nothing.
if current_setting('server_version_num')::integer >= 170000 then
  alter function kalam.on_ddl() set event_triggers = off;
  alter function kalam.on_drop() set event_triggers = off;
  alter function kalam.watch(regclass) set event_triggers = off;
end if;
create event trigger kalam_ddl on ddl_command_end execute function kalam.on_ddl();
create event trigger kalam_drop on sql_drop execute function kalam.on_drop();
`
}
