/**
 * Event triggers: they see every DDL, from wherever it comes, and hold managed tables together.
 * Whatever would let a row past its user, its twin or the log is refused, also inside functions.
 */
import { changedSchemaState } from '../../../engine/backend-messages.js'

export function guards(): string {
  return [faults(), keyFaults(), views(), onDdl(), onDrop(), rights(), powerless(), closing()].join(
    '\n',
  )
}

const system = 'set search_path = pg_catalog, pg_temp'

/** For what compares texts that PostgreSQL makes of expressions and names. */
const plain = `${system} set quote_all_identifiers = off`

/** What must hold for every table of the registry; the first that does not is the fault. */
function faults(): string {
  return `
create function kalam.fault_of(t kalam.tables) returns text language sql stable ${system} as $$
  select case
      when t.kind <> 'plain' and kalam.kind_of(t.tab) is distinct from t.kind
        then 'its system columns are to stay as they are'
      when t.kind in ('user', 'stream') and not (c.relrowsecurity and c.relforcerowsecurity)
        then 'its row security is to stay on'
      -- Its deleted rows are seen by whoever may read the table.
      when t.kind = 'shared' and (c.relrowsecurity or c.relforcerowsecurity)
        then 'it can have no row security'
      when t.kind in ('user', 'stream') and not kalam.has_own_policies(t)
        then 'its policies named kalam_… are to stay as they are'
      when not kalam.has_own_triggers(t)
        then 'its triggers named kalam_… are to stay as they are, and on'
      when t.kind <> 'plain' and c.relpersistence <> 'p' then 'it cannot be unlogged'
      when c.relispartition or c.reloftype <> 0 or exists (
          select from pg_inherits i where t.tab in (i.inhrelid, i.inhparent))
        then 'it can have no parents, children, partitions or type'
      when t.kind <> 'plain' then kalam.key_fault_of(t)
    end
    from pg_class c where c.oid = t.tab
$$;

create function kalam.has_own_policies(t kalam.tables) returns boolean
  language sql stable ${system} as $$
  select count(*) filter (where p.polroles = '{0}' and case p.polname
             when 'kalam_rows' then p.polpermissive and p.polcmd = '*'
               and pg_get_expr(p.polqual, t.tab) = 'true'
               and pg_get_expr(p.polwithcheck, t.tab) = 'true'
             when 'kalam_own' then not p.polpermissive and p.polcmd = '*'
               and pg_get_expr(p.polqual, t.tab) = '(_user_id = kalam.uid())'
               and pg_get_expr(p.polwithcheck, t.tab) = '(_user_id = kalam.uid())'
             when 'kalam_live' then not p.polpermissive and p.polcmd = 'r'
               and pg_get_expr(p.polqual, t.tab) = '(_expires_at > now())' end)
           = case t.kind when 'user' then 2 else 3 end
    from pg_policy p where p.polrelid = t.tab
$$;

create function kalam.has_own_triggers(t kalam.tables) returns boolean
  language sql stable ${system} as $$
  select count(*) = 4
    from pg_trigger g join pg_proc p on p.oid = g.tgfoid
   where g.tgrelid = t.tab and g.tgenabled = 'O'
     and g.tgname in ('kalam_ins', 'kalam_upd', 'kalam_del', 'kalam_tru')
     and p.pronamespace = 'kalam'::regnamespace
     and p.proname = format('t%s_%s', t.id, substr(g.tgname, 7))
$$;
`
}

/** Keys of user tables hold within a user: one without _user_id would tell of others' rows. */
function keyFaults(): string {
  return `
create function kalam.key_fault_of(t kalam.tables) returns text
  language plpgsql stable ${system} as $$
declare
  key text[] := kalam.key_of(t.tab);
begin
  if key is null then return 'it needs a primary key'; end if;
  if t.kind = 'shared' then return kalam.reference_fault_of(t); end if;
  if key[1] <> '_user_id' then return 'its primary key is to begin with _user_id'; end if;
  return coalesce(kalam.unique_fault_of(t), kalam.reference_fault_of(t));
end $$;

create function kalam.unique_fault_of(t kalam.tables) returns text
  language sql stable ${system} as $$
  select format('the key %s is to have _user_id among its columns', i.indexrelid::regclass)
    from pg_index i
    join pg_attribute a on a.attrelid = i.indrelid and a.attname = '_user_id'
    left join pg_constraint c on c.conindid = i.indexrelid and c.contype = 'x'
   where i.indrelid = t.tab and (i.indisunique or i.indisexclusion)
     and not exists (
       select from unnest(i.indkey::int2[]) with ordinality k (num, place)
        where k.num = a.attnum and k.place <= i.indnkeyatts
          and (c.oid is null or c.conexclop[k.place] = 'pg_catalog.=(text,text)'::regoperator))
   limit 1
$$;

-- References into a user table come from the same user's rows, and never clear whose a row is.
create function kalam.reference_fault_of(t kalam.tables) returns text
  language sql stable ${system} as $$
  select format('the foreign key %I is to %s', c.conname, case when owned is not true
           then 'hold within a user: its first column is _user_id on both sides'
           else 'leave _user_id: name the columns, as in ON DELETE SET NULL (list_id)' end)
    from pg_constraint c
    join pg_attribute own on own.attrelid = c.conrelid and own.attnum = c.conkey[1]
    join pg_attribute other on other.attrelid = c.confrelid and other.attnum = c.confkey[1]
    left join kalam.tables source on source.tab = c.conrelid
    left join kalam.tables target on target.tab = c.confrelid
   cross join lateral (select own.attname = '_user_id' and other.attname = '_user_id'
     and source.kind in ('user', 'stream') and target.kind in ('user', 'stream')) o (owned)
   where c.contype = 'f' and t.tab in (c.conrelid, c.confrelid)
     and (target.kind in ('user', 'stream') and owned is not true
          or owned and c.confdeltype in ('n', 'd')
             and (c.confdelsetcols is null or own.attnum = any (c.confdelsetcols))
          or owned and c.confupdtype in ('n', 'd'))
   limit 1
$$;
`
}

function views(): string {
  return `
-- Tables that a view reads, through other views as well.
create function kalam.tables_behind(view oid) returns setof oid language sql stable ${system} as $$
  with recursive behind (oid) as (
    select view
    union
    select d.refobjid
      from behind b
      join pg_rewrite r on r.ev_class = b.oid
      join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
       and d.refclassid = 'pg_class'::regclass
  )
  select oid from behind where oid <> view
$$;

-- A view of users' rows is read with the rights of who reads it; a copy of them would have no owner.
create function kalam.settle_view(view regclass, relkind "char", options text[]) returns void
  language plpgsql ${system} as $$
begin
  if not exists (
      select from kalam.tables_behind(view) b (oid) join kalam.tables t on t.tab = b.oid
       where t.kind in ('user', 'stream')) then
    return;
  end if;
  if relkind = 'm' then
    perform kalam.refuse('a materialized view of a user or stream table is refused: '
      'it would hold the rows of whoever refreshed it', 'Use a view.');
  elsif not exists (select from unnest(options) o where o like 'security_invoker=%') then
    execute format('alter view %s set (security_invoker = true)', view);
  end if;
end $$;
`
}

function onDdl(): string {
  return `
create function kalam.on_ddl() returns event_trigger
  language plpgsql security definer ${plain} as $$
declare
  made record;
  reshaped integer;
begin
  perform kalam.own_as_admins();
  for made in
    select r.oid, r.relkind, r.reloptions, case when r.relkind in ('r', 'p') then kalam.kind_of(r.oid) end as kind
      from pg_event_trigger_ddl_commands() c join pg_class r on r.oid = c.objid
     where c.classid = 'pg_class'::regclass and c.objsubid = 0
       and (c.command_tag in ('CREATE TABLE', 'CREATE VIEW', 'CREATE MATERIALIZED VIEW')
              and r.relkind in ('r', 'p', 'v', 'm')
            or c.command_tag = 'ALTER TABLE' and r.relkind = 'r')
       and r.relpersistence <> 't'
       and not exists (select from kalam.tables x where x.tab = r.oid and x.kind <> 'plain')
  loop
    if made.relkind in ('v', 'm') then
      perform kalam.settle_view(made.oid, made.relkind, made.reloptions);
    elsif made.kind is not null and made.relkind = 'p' then
      perform kalam.refuse(format('a %s table cannot be partitioned', made.kind),
        'Partition a plain table, which is made without KalamDB''s columns.');
    -- A dump makes a table's key after its rows.
    elsif made.kind is not null and kalam.key_of(made.oid) is not null then
      perform kalam.unwatch(t) from kalam.tables t where t.tab = made.oid;
      perform kalam.manage(made.oid, made.kind);
    end if;
  end loop;
  perform kalam.tell_of_schema();
  reshaped := kalam.hold_together(array(
    select kalam.table_of(c.classid, c.objid) from pg_event_trigger_ddl_commands() c));
  -- An ALTER TABLE that changed no shape may have turned row security on.
  if reshaped = 0 or tg_tag <> 'ALTER TABLE' then
    perform kalam.log_rights(tg_tag);
  end if;
end $$;

-- What is made while row_security is off is the admins', like all they make: as its owner,
-- the role that sees everything would lend its eyes to views and functions.
create function kalam.own_as_admins() returns void language plpgsql ${system} as $$
begin
  if exists (
      select from pg_shdepend
       where refclassid = 'pg_authid'::regclass and refobjid = 'kalam_everything'::regrole
         and deptype = 'o' and classid <> 'pg_default_acl'::regclass) then
    reassign owned by kalam_everything to kalam_admin;
  end if;
end $$;

-- The tables that the DDL of an object may have changed. All at each DDL would be 0.6 ms for each.
${tableOf('create')}
-- Tables also concern those they refer to and those they inherit from, or are inherited by.
${concernedBy('create')}
-- How many tables have a new shape.
create function kalam.hold_together(changed oid[]) returns integer
  language plpgsql ${system} as $$
declare
  t kalam.tables;
  fault text;
  reshaped integer := 0;
begin
  for t in select x.* from kalam.concerned_by(changed) x loop
    if t.kind = 'plain' and not kalam.can_be_logged(t.tab) then
      perform kalam.unwatch(t);
      continue;
    end if;
    fault := kalam.fault_of(t);
    if fault is not null then
      perform kalam.refuse(format('%s is a %s table: %s', t.tab, t.kind, fault),
        'See docs/sql.md for what can be altered.');
    end if;
    if t.shape <> kalam.shape_of(t.tab) then
      perform kalam.reshape(t);
      reshaped := reshaped + 1;
    end if;
  end loop;
  return reshaped;
end $$;
`
}

function onDrop(): string {
  return `
create function kalam.on_drop() returns event_trigger
  language plpgsql security definer ${plain} as $$
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
  -- ALTER TABLE drops columns and constraints on the way; what it leaves is looked at in the end.
  if tg_tag like 'DROP %' then
    perform kalam.hold_together(array(
      select to_regclass(format('%I.%I', o.address_names[1], o.address_names[2]))
        from pg_event_trigger_dropped_objects() o
       where cardinality(o.address_names) = 3 and not o.is_temporary));
  end if;
  perform kalam.tell_of_schema();
end $$;

-- The server must hear of DDL, also where a function does it: what it knows of tables is stale then.
create function kalam.tell_of_schema() returns void
  language plpgsql ${system} set client_min_messages = notice as $$
begin
  raise notice 'the schema has changed' using errcode = '${changedSchemaState}';
end $$;
`
}

/** Whoever watches must learn at once of a right that was taken: a change of rights is logged. */
function rights(): string {
  return `
create function kalam.log_rights(tag text) returns void language sql ${system} as $$
  insert into kalam.changes (table_id, version, op)
  select 0, 0, 'G'
   where tag in ('GRANT', 'REVOKE', 'CREATE POLICY', 'ALTER POLICY', 'DROP POLICY', 'ALTER TABLE',
     'DROP OWNED', 'REASSIGN OWNED')
$$;

create function kalam.on_user_rights() returns trigger language plpgsql ${system} as $$
begin
  perform kalam.log_rights('GRANT');
  return null;
end $$;

create trigger kalam_rights after update of role, dropped_at on kalam.users
  for each statement execute function kalam.on_user_rights();
create trigger kalam_rights after insert or delete on kalam.user_roles
  for each statement execute function kalam.on_user_rights();
`
}

/**
 * Roles of the system that what admins made may run as: by a trigger on rows that expire, by a
 * default, by what an index computes. They own functions, which nobody may alter by that.
 */
function powerless(): string {
  return `
create function kalam.on_ddl_start() returns event_trigger language plpgsql ${system} as $$
begin
  if current_user in ('kalam_sys', 'kalam_cast', 'kalam_reaper') then
    raise exception 'permission denied for %', tg_tag using errcode = '42501';
  end if;
end $$;
create event trigger kalam_start on ddl_command_start execute function kalam.on_ddl_start();
`
}

/** Only the system calls these; callers need the one that policies of twins use. */
function closing(): string {
  return `
alter function kalam.forget_expired(regclass, integer) owner to kalam_reaper;
alter function kalam.forget_deleted(regclass, bigint, bigint, bigint, bigint) owner to kalam_sys;

declare
  routine regprocedure;
begin
  for routine in
    select p.oid from pg_catalog.pg_proc p
     where p.pronamespace = 'kalam'::regnamespace
       and p.proname not in ('uid', 'is_admin', 'may_recover')
  loop
    execute format('revoke execute on routine %s from public', routine);
  end loop;
end;

-- The DDL of the system's own concerns none of them. Before PostgreSQL 17 they see it in vain.
if current_setting('server_version_num')::integer >= 170000 then
  alter function kalam.on_ddl() set event_triggers = off;
  alter function kalam.on_drop() set event_triggers = off;
  alter function kalam.watch(regclass) set event_triggers = off;
end if;
create event trigger kalam_ddl on ddl_command_end execute function kalam.on_ddl();
create event trigger kalam_drop on sql_drop execute function kalam.on_drop();
`
}

type Create = 'create' | 'create or replace'

/** `kalam.table_of`; with `moreCases` as a later version makes it anew. */
export function tableOf(create: Create, moreCases = ''): string {
  return `${create} function kalam.table_of(class oid, object oid) returns oid
  language sql stable ${system} as $$
  select case class
      when 'pg_class'::regclass then coalesce(
        (select indrelid from pg_index where indexrelid = object), object)
      when 'pg_policy'::regclass then (select polrelid from pg_policy where oid = object)
      when 'pg_trigger'::regclass then (select tgrelid from pg_trigger where oid = object)
      when 'pg_constraint'::regclass then (select conrelid from pg_constraint where oid = object)
      when 'pg_attrdef'::regclass then (select adrelid from pg_attrdef where oid = object)
      -- All that is in it.
      when 'pg_namespace'::regclass then object${moreCases}
    end
$$;
`
}

/** `kalam.concerned_by`, likewise. */
export function concernedBy(create: Create, moreTables = ''): string {
  return `${create} function kalam.concerned_by(changed oid[]) returns setof kalam.tables
  language sql stable ${system} as $$
  select t from kalam.tables t
   where t.tab = any (changed)
      or t.tab in (select c.confrelid from pg_constraint c
           where c.conrelid = any (changed) and c.contype = 'f')
      or t.tab in (select i.inhparent from pg_inherits i where i.inhrelid = any (changed))
      or t.tab in (select i.inhrelid from pg_inherits i where i.inhparent = any (changed))
      or t.tab in (select c.oid from pg_class c
           where c.relnamespace in (select n.oid from pg_namespace n where n.oid = any (changed)))${moreTables}
$$;
`
}
