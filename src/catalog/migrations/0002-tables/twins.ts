/** The twin of a table: where its deleted rows are, and how it follows the table's columns. */
export function twins(): string {
  return [making(), following(), access(), forgetting()].join('\n')
}

const system = 'set search_path = pg_catalog, pg_temp'

/**
 * Rows whose time is over go as kalam_sys, never as the superuser: triggers of an admin's making run
 * with them. `seconds`: of a twin, how long ago they were deleted; null for a stream's.
 */
function forgetting(): string {
  return `
create function kalam.forget(rel regclass, seconds bigint, rows_max integer) returns bigint
  language plpgsql security definer ${system} as $$
declare
  gone bigint;
begin
  execute format('delete from %1$s where ctid = any (array(
      select ctid from %1$s where %2$s limit %3$s))', rel,
    case when seconds is null then '_expires_at <= now()'
      else format('_deleted_at < now() - make_interval(secs => %s)', seconds) end, rows_max);
  get diagnostics gone = row_count;
  return gone;
end $$;
`
}

/** A few columns of its own, then the table's in their order, so that renames can be told. */
function making(): string {
  return `
create function kalam.twin_offset() returns integer language sql immutable ${system} return 4;

create function kalam.make_twin(table_id integer, rel oid) returns text
  language plpgsql ${system} as $$
declare
  twin text := format('kalam_deleted.t%s', table_id);
begin
  execute format('create table %s (
    -- In the order of deletion; a number would count what others delete.
    _deleted_seq uuid not null default uuidv7(),
    _deleted_at timestamptz not null default now(),
    _deleted_by text default kalam.uid(),
    -- Values that could not become a column''s new type, by the column''s name.
    _deleted_rest jsonb)', twin);
  execute format('alter table %s owner to kalam_sys', twin);
  perform kalam.follow(rel, twin);
  return twin;
end $$;

create function kalam.index_twin(rel oid, twin regclass) returns void
  language plpgsql ${system} as $$
declare
  stale regclass;
begin
  for stale in select indexrelid from pg_index where indrelid = twin loop
    execute format('drop index %s', stale);
  end loop;
  -- PostgreSQL runs what an index computes as the table's owner.
  execute format('create index on %s (%s)', twin,
    (select string_agg(quote_ident(k), ', ' order by place)
       from unnest(kalam.key_of(rel)) with ordinality x (k, place)));
end $$;
`
}

/**
 * What computes anything (casts and defaults, which admins may make) runs as kalam_cast. Values that
 * cannot become the new type are kept as text.
 */
function following(): string {
  return `
-- While it computes, kalam_cast owns the twin, and what it computes with is anybody's: nothing else
-- may have come of it.
create function kalam.run_for_twin(twin regclass, command text) returns void
  language plpgsql ${system} as $$
declare
  walls text := kalam.walls_of(twin);
begin
  execute format('alter table %s owner to kalam_cast', twin);
  perform kalam.run_as_cast(command);
  execute format('alter table %s owner to kalam_sys', twin);
  if kalam.walls_of(twin) is distinct from walls or exists (
      select from pg_shdepend d
       where d.refclassid = 'pg_authid'::regclass and d.refobjid = 'kalam_cast'::regrole
         and d.deptype = 'o' and (d.classid, d.objid)
           <> ('pg_proc'::regclass, 'kalam.run_as_cast(text)'::regprocedure)) then
    perform kalam.refuse('a function that the statement calls changes more than values',
      'What a managed table computes its values with may do nothing else.');
  end if;
end $$;

-- What keeps a twin to itself: its rights, policies, triggers, rules and what its indexes compute.
create function kalam.walls_of(twin regclass) returns text language sql stable ${system} as $$
  select concat_ws(' | ', c.relrowsecurity, c.relforcerowsecurity, c.relacl::text,
    (select string_agg(concat_ws(' ', p.polname, p.polcmd, p.polpermissive, p.polroles::text,
         pg_get_expr(p.polqual, twin), pg_get_expr(p.polwithcheck, twin)), ', ' order by p.polname)
       from pg_policy p where p.polrelid = twin),
    (select count(*) from pg_trigger t where t.tgrelid = twin),
    (select count(*) from pg_rewrite r where r.ev_class = twin),
    (select count(*) from pg_constraint o where o.conrelid = twin and o.contype <> 'n'),
    (select count(*) from pg_index i
      where i.indrelid = twin and (i.indexprs is not null or i.indpred is not null)))
    from pg_class c where c.oid = twin
$$;

create function kalam.run_as_cast(command text) returns void
  language plpgsql security definer ${system} as $$
begin
  execute command;
end $$;

create function kalam.follow(rel oid, twin regclass) returns void
  language plpgsql ${system} as $$
declare
  pair record;
begin
  for pair in
    select a.attnum as num, a.attisdropped as gone, c.name, c.declared, c.generated, c.expression,
           t.attname::text as twin_name, t.attisdropped as twin_gone, tc.declared as twin_declared
      from pg_attribute a
      left join kalam.columns_of(rel) c on c.num = a.attnum
      left join pg_attribute t on t.attrelid = twin and t.attnum = a.attnum + kalam.twin_offset()
      left join kalam.columns_of(twin) tc on tc.num = t.attnum
     where a.attrelid = rel and a.attnum > 0
     order by a.attnum
  loop
    perform kalam.follow_column(twin, pair);
  end loop;
end $$;

create function kalam.follow_column(twin regclass, pair record) returns void
  language plpgsql ${system} as $$
begin
  if pair.twin_name is null then
    perform kalam.add_to_twin(twin, pair);
  elsif pair.gone then
    if not pair.twin_gone then
      execute format('alter table %s drop column %I', twin, pair.twin_name);
    end if;
  else
    if pair.name <> pair.twin_name then
      execute format('alter table %s rename column %I to %I', twin, pair.twin_name, pair.name);
    end if;
    if pair.declared <> pair.twin_declared then
      perform kalam.retype(twin, pair.name, pair.declared);
    end if;
  end if;
end $$;

-- What the table's rows get as a new column's default, deleted rows get as well, if kalam_cast may
-- compute it. A column that is gone already holds a place, so that those after it have theirs.
create function kalam.add_to_twin(twin regclass, pair record) returns void
  language plpgsql ${system} as $$
declare
  name text := coalesce(pair.name, '_gone_' || pair.num);
begin
  if pair.expression is null or pair.generated <> '' or not kalam.has_rows(twin) then
    execute format('alter table %s add column %I %s', twin, name,
      coalesce(pair.declared, 'boolean'));
  else
    perform kalam.add_with_default(twin, name, pair.declared, pair.expression);
  end if;
  if pair.name = '_deleted' then
    execute format('alter table %s alter column _deleted set default true', twin);
  end if;
  if pair.gone then execute format('alter table %s drop column %I', twin, name); end if;
end $$;

create function kalam.has_rows(rel regclass) returns boolean language plpgsql ${system} as $$
declare
  found_one boolean;
begin
  execute format('select exists (select from %s)', rel) into found_one;
  return found_one;
end $$;

create function kalam.add_with_default(twin regclass, name text, declared text, value text)
  returns void language plpgsql ${system} as $$
begin
  perform kalam.run_for_twin(twin, format('alter table %s add column %I %s default %s; '
    'alter table %1$s alter column %2$I drop default', twin, name, declared, value));
exception when others then
  execute format('alter table %s add column %I %s', twin, name, declared);
end $$;

create function kalam.retype(twin regclass, name text, declared text) returns void
  language plpgsql ${system} as $$
begin
  perform kalam.run_for_twin(twin, format('alter table %s alter column %I type %s using %2$I::%3$s',
    twin, name, declared));
exception when others then
  perform kalam.run_for_twin(twin, format('
    update %s set _deleted_rest = coalesce(_deleted_rest, ''{}'')
      || jsonb_build_object(%L, concat(%I)) where %3$I is not null;
    alter table %1$s alter column %3$I type %4$s using null', twin, name, name, declared));
end $$;
`
}

/** Who may read a table may recover from its twin; of a user table, each their own rows. */
function access(): string {
  return `
create function kalam.may_recover(table_id integer) returns boolean
  language sql stable parallel safe ${system} as $$
  select has_table_privilege(t.tab, 'select') from kalam.tables t where t.id = table_id
$$;

create function kalam.open_twin(table_id integer, twin regclass, kind text) returns void
  language plpgsql ${system} as $$
begin
  execute format('alter table %s enable row level security', twin);
  execute format('create policy kalam_rows on %s to public using ((select kalam.may_recover(%s))%s)',
    twin, table_id, case kind when 'user' then ' and _user_id = kalam.uid()' else '' end);
  execute format('grant select, delete on %s to public', twin);
end $$;
`
}
