/**
 * What a query means beyond its text: which functions, tables and types stand behind the ones that it
 * names. PostgreSQL notes it in pg_depend, and in the trees that it keeps of views, policies,
 * checks and SQL functions with a body that is parsed.
 */
import type { Migration } from '../migration.js'
import { concernedBy, tableOf } from './0002-tables/guards.js'
import { byIndex } from './0003-live.js'

const system = 'set search_path = pg_catalog, pg_temp'

export const meanings: Migration = {
  version: 4,
  name: 'meanings',
  sql: [
    // The DDL below means nothing to any query.
    'drop event trigger kalam_meaning;',
    behind(),
    typeShapes(),
    tableShapes(),
    changesAfter(),
    closing(),
    // From then on event triggers see what is done.
    telling(),
  ].join('\n'),
}

/**
 * Kinds of objects: `f` function, `o` operator, `t` type, `v` type of a value that is only read,
 * `c` relation, `p` policy, `k` keyword (CURRENT_DATE and its like, by number).
 */
function behind(): string {
  return `
-- Functions and keywords in a stored tree. pg_depend leaves out those of PostgreSQL's own.
create function kalam.called_in(tree text) returns table (kind text, object oid)
  language sql stable ${system} as $$
  select distinct case when m[2] is null then 'f' else 'k' end, m[3]::oid
    from regexp_matches(tree,
      '(?::(funcid|opfuncid|aggfnoid|winfnoid)|\\{SQLVALUEFUNCTION :(op)) (\\d+)', 'g') m
   where m[2] is not null or m[3] <> '0'
$$;

-- What was made and is used by an object, by PostgreSQL's own account.
create function kalam.used_by(class regclass, dependent oid)
  returns table (kind text, object oid) language sql stable ${system} as $$
  select case d.refclassid when 'pg_proc'::regclass then 'f' when 'pg_operator'::regclass then 'o'
           when 'pg_type'::regclass then 't' else 'c' end, d.refobjid
    from pg_depend d
   where d.classid = class and d.objid = dependent
     and d.refclassid in ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass,
       'pg_class'::regclass)
$$;

-- What an object leads to, one step. An expression runs a function of a type nowhere to be seen
-- when it checks a domain, or makes JSON of a type that has a cast to it.
create function kalam.leads_to(of text, what oid) returns table (kind text, object oid)
  language plpgsql stable ${system} as $$
begin
  if of = 'f' and what >= 16384 then
    return query
      select u.* from kalam.used_by('pg_proc', what) u
      union
      select c.* from pg_proc p, kalam.called_in(p.prosqlbody::text) c where p.oid = what
      union
      select 'f', f from pg_aggregate a, unnest(array[a.aggtransfn, a.aggfinalfn, a.aggcombinefn,
          a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]::oid[]) f
       where a.aggfnoid = what and f <> 0;
  elsif of = 'o' then
    return query select 'f', o.oprcode::oid from pg_operator o where o.oid = what and o.oprcode <> 0;
  elsif of in ('t', 'v') and what >= 16384 then
    return query
      select of, p.part from kalam.parts_of(what) p where p.part >= 16384
      union
      select 'f', c.castfunc from pg_cast c
       where c.castsource = what and c.casttarget = 'json'::regtype and c.castfunc <> 0
      union
      select u.* from pg_constraint c, kalam.used_by('pg_constraint', c.oid) u
       where c.contypid = what and of = 't'
      union
      select f.* from pg_constraint c, kalam.called_in(c.conbin::text) f
       where c.contypid = what and of = 't';
  elsif of = 'c' then
    return query
      select u.* from pg_rewrite r, kalam.used_by('pg_rewrite', r.oid) u
       where r.ev_class = what and r.ev_type = '1'
      union
      select f.* from pg_rewrite r, kalam.called_in(r.ev_action::text) f
       where r.ev_class = what and r.ev_type = '1'
      union
      select 'p', p.oid from pg_policy p join pg_class c on c.oid = p.polrelid
       where p.polrelid = what and c.relrowsecurity and p.polcmd in ('r', '*')
         and not kalam.is_system_policy(p);
  elsif of = 'p' then
    return query
      select u.* from pg_policy p, kalam.used_by('pg_policy', what) u
       where p.oid = what and (u.kind <> 'c' or u.object <> p.polrelid)
      union
      select f.* from pg_policy p, kalam.called_in(p.polqual::text) f where p.oid = what;
  end if;
end $$;

-- What keeps users apart in managed tables and their twins.
create function kalam.is_system_policy(p pg_policy) returns boolean language sql stable ${system} as $$
  select p.polname ~ '^kalam_' and exists (
    select from kalam.tables t
     where t.tab = p.polrelid and t.kind <> 'plain' or t.twin = p.polrelid)
$$;
`
}

function typeShapes(): string {
  return `
-- Types that values of a type are made of.
create function kalam.parts_of(type oid) returns table (part oid) language sql stable ${system} as $$
  select p.part from pg_type t, unnest(array[t.typbasetype, t.typelem]) p (part)
   where t.oid = type and p.part <> 0
   union
  select a.atttypid from pg_type t join pg_attribute a on a.attrelid = t.typrelid
   where t.oid = type and a.attnum > 0 and not a.attisdropped
   union
  select r.rngsubtype from pg_range r where type in (r.rngtypid, r.rngmultitypid)
$$;

-- What the text of a value depends on, the types of its parts left out.
create function kalam.shape_of_type(type oid) returns text language sql stable ${system} as $$
  select concat_ws(' ', t.oid, t.typtype,
    (select string_agg(quote_literal(e.enumlabel), ',' order by e.enumsortorder)
       from pg_enum e where e.enumtypid = t.oid),
    (select string_agg(concat_ws(' ', a.attnum, quote_ident(a.attname), a.atttypid, a.atttypmod), ','
         order by a.attnum)
       from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped))
    from pg_type t where t.oid = type
$$;

-- Of types that were made, all that are in it.
create function kalam.shapes_behind(type oid) returns text language sql stable ${system} as $$
  with recursive types (oid) as (
    select type where type >= 16384
    union
    select p.part from types t cross join lateral kalam.parts_of(t.oid) p where p.part >= 16384
  )
  select string_agg(kalam.shape_of_type(t.oid), '; ' order by t.oid) from types t
$$;
`
}

/** Values of a table's rows change without a change of a row where their type or expression does. */
function tableShapes(): string {
  return `
create or replace function kalam.shape_of(rel oid) returns text language sql stable ${system} as $$
  select concat_ws('; ', rel::regclass, coalesce(kalam.key_of(rel)::text, 'no key'),
    string_agg(concat_ws(' ', a.attnum, quote_ident(a.attname), a.atttypid, a.atttypmod,
      a.attcollation, a.attgenerated,
      case when a.attgenerated <> '' then pg_get_expr(d.adbin, d.adrelid) end,
      kalam.shapes_behind(a.atttypid)),
      ', ' order by a.attnum),
    case when kalam.refers_to_itself(rel) then 'refers to itself' end)
    from pg_attribute a
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
   where a.attrelid = rel and a.attnum > 0 and not a.attisdropped
$$;
update kalam.tables t set shape = kalam.shape_of(t.tab);

-- Tables with columns in whose values one of the types is, a table's or composite type's for its own.
create function kalam.tables_with(changed oid[]) returns setof oid language sql stable ${system} as $$
  with recursive users (type) as (
    (select t.oid from pg_type t where t.oid = any (changed)
      union
     select c.reltype from pg_class c where c.oid = any (changed) and c.reltype <> 0)
    union
    select case d.classid when 'pg_type'::regclass then d.objid
             else (select c.reltype from pg_class c where c.oid = d.objid) end
      from users u
      join pg_depend d on d.refclassid = 'pg_type'::regclass and d.refobjid = u.type
       and (d.classid = 'pg_type'::regclass
            or d.classid = 'pg_class'::regclass and d.objsubid > 0)
  )
  select t.typrelid from users u join pg_type t on t.oid = u.type
   where t.typrelid <> 0 and t.typrelid <> all (changed)
$$;

${concernedBy(
  'create or replace',
  `
      or t.tab in (select w from kalam.tables_with(changed) w)`,
)}
${tableOf(
  'create or replace',
  `
      -- All with values of it.
      when 'pg_type'::regclass then object`,
)}`
}

/**
 * Whatever may give an open query another meaning is logged: any DDL but what is known to give
 * none. Its version is 1, that of a change of rights 0.
 */
function telling(): string {
  return `
create or replace function kalam.on_meaning() returns event_trigger
  language plpgsql security definer ${system} as $$
begin
  if tg_tag in ('CREATE INDEX', 'ALTER INDEX', 'DROP INDEX', 'REINDEX', 'CREATE TRIGGER',
      'ALTER TRIGGER', 'DROP TRIGGER', 'CREATE SEQUENCE', 'ALTER SEQUENCE', 'CREATE STATISTICS',
      'ALTER STATISTICS', 'DROP STATISTICS', 'REFRESH MATERIALIZED VIEW', 'SECURITY LABEL',
      'CREATE PROCEDURE', 'ALTER PROCEDURE', 'DROP PROCEDURE', 'ALTER DEFAULT PRIVILEGES',
      'GRANT', 'REVOKE', 'REASSIGN OWNED')
    or exists (select from pg_event_trigger_ddl_commands()) and not exists (
      select from pg_event_trigger_ddl_commands() c
       where c.schema_name is distinct from 'pg_temp') then
    return;
  end if;
  insert into kalam.changes (table_id, version, op) values (0, 1, 'G');
end $$;
create event trigger kalam_meaning on ddl_command_end execute function kalam.on_meaning();

-- The rest of what may take a right is DDL, and logged as that.
create or replace function kalam.log_rights(tag text) returns void language sql ${system} as $$
  insert into kalam.changes (table_id, version, op)
  select 0, 0, 'G' where tag in ('GRANT', 'REVOKE', 'REASSIGN OWNED')
$$;
`
}

/** As before, and with the transaction of each: what belongs together can be put in order. */
function changesAfter(): string {
  return `
drop function kalam.changes_after(bigint, integer, integer);
create function kalam.changes_after(after bigint, rows_max integer, only_table integer)
  returns table (seq bigint, table_id integer, version integer, op "char", owner text,
    old text, new text, xid xid8)
  language plpgsql stable ${byIndex} as $$
begin
  return query
    select c.seq, c.table_id, c.version, c.op, c.owner,
           case when only_table is null or c.table_id = only_table then c.old end,
           case when only_table is null or c.table_id = only_table then c.new end, c.xid
      from kalam.changes c where c.seq > after order by c.seq limit rows_max;
end $$;
revoke execute on function kalam.changes_after from public;
`
}

function closing(): string {
  return `
revoke execute on function kalam.called_in, kalam.used_by, kalam.leads_to, kalam.is_system_policy,
  kalam.parts_of, kalam.shape_of_type, kalam.shapes_behind, kalam.tables_with from public;
`
}
