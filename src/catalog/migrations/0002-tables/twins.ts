/** The twin of a table: where its deleted rows are, and how it follows the table's columns. */
export function twins(): string {
  return [making(), following(), access(), forgetting()].join('\n')
}

const system = 'set search_path = pg_catalog, pg_temp'

/**
 * Triggers of an admin's making run with the rows of a stream that go: as kalam_reaper, which may do
 * nothing else than remove such rows.
 */
function forgetting(): string {
  return `
create function kalam.forget_expired(stream regclass, rows_max integer) returns bigint
  language plpgsql security definer ${system} as $$
declare
  gone bigint;
begin
  execute format('delete from %1$s where ctid = any (array(
      select ctid from %1$s where _expires_at <= now() limit %2$s))', stream, rows_max);
  get diagnostics gone = row_count;
  return gone;
end $$;

-- Of some pages of a twin, and which page comes after them; null after the last.
create function kalam.forget_deleted(twin regclass, seconds bigint, page bigint, pages_max bigint,
    rows_max bigint, out gone bigint, out next_page bigint)
  language plpgsql security definer ${system} as $$
begin
  execute format('delete from %1$s where ctid = any (array(
      select ctid from %1$s where ctid >= ''(%2$s,0)'' and ctid < ''(%3$s,0)''
         and _deleted_at < now() - make_interval(secs => %4$s) limit %5$s))',
    twin, page, page + pages_max, seconds, rows_max);
  get diagnostics gone = row_count;
  next_page := nullif(page + pages_max, greatest(page + pages_max,
    pg_relation_size(twin) / current_setting('block_size')::bigint));
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

-- PostgreSQL renames and retypes an index with its columns; only another key needs another one.
create function kalam.index_twin(rel oid, twin regclass) returns void
  language plpgsql ${system} as $$
declare
  key text[] := kalam.key_of(rel);
  stale regclass;
begin
  if exists (select from pg_index i where i.indrelid = twin and kalam.names_of(i.indexrelid) = key) then
    return;
  end if;
  for stale in select indexrelid from pg_index where indrelid = twin loop
    execute format('drop index %s', stale);
  end loop;
  -- PostgreSQL runs what an index computes as the table's owner.
  execute format('create index on %s (%s)', twin,
    (select string_agg(quote_ident(k), ', ' order by place)
       from unnest(key) with ordinality x (k, place)));
end $$;
`
}

/**
 * What computes anything (casts and defaults, which admins may make) runs as kalam_cast, which owns
 * no table, and can change nothing. Values that cannot become the new type are kept as text.
 */
function following(): string {
  return `
-- Makes the function that a twin's ALTER calls for values: the computing is not its owner's.
create function kalam.write_computed(given oid, made oid, value text, volatility text) returns void
  language plpgsql ${system} as $$
begin
  execute format('create function kalam.computed(%s) returns %s language plpgsql %s security definer
    set search_path = pg_catalog, pg_temp as %L', given::regtype, made::regtype, volatility,
    -- What is called from here on finds a transaction that is read-only, and nothing makes it
    -- writable again before the caller's block has ended.
    format('begin
      perform set_config(''transaction_read_only'', ''on'', true);
      return %s;
    end', value));
  execute format('revoke execute on function kalam.computed(%s) from public', given::regtype);
  execute format('alter function kalam.computed(%s) owner to kalam_cast', given::regtype);
end $$;

create function kalam.follow(rel oid, twin regclass) returns void
  language plpgsql ${system} set extra_float_digits = 1 as $$
declare
  pair record;
begin
  for pair in
    select a.attnum as num, a.attisdropped as gone, c.name, c.type, c.declared, c.generated,
           c.expression, case when a.atthasmissing then array_to_string(a.attmissingval, '') end as value,
           t.attname::text as twin_name, t.attisdropped as twin_gone,
           tc.type as twin_type, tc.declared as twin_declared
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
    if pair.declared <> pair.twin_declared then perform kalam.retype(twin, pair); end if;
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
    perform kalam.add_with_default(twin, pair);
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

-- A default that is one value for all rows, as PostgreSQL has noted it with the table's column, is
-- that for the deleted ones, and nothing is computed. Any other is computed for each row.
create function kalam.add_with_default(twin regclass, pair record) returns void
  language plpgsql ${system} as $$
begin
  begin
    if pair.value is not null then
      perform kalam.write_computed(null, pair.type, format('%L::%s', pair.value, pair.declared), 'stable');
    else
      perform kalam.write_computed(null, pair.type, format('(%s)::%s', pair.expression, pair.declared), 'volatile');
    end if;
    execute format('alter table %s add column %I %s default kalam.computed()', twin, pair.name, pair.declared);
  exception when others then
    execute format('alter table %s add column %I %s', twin, pair.name, pair.declared);
    return;
  end;
  execute format('alter table %s alter column %I drop default', twin, pair.name);
  drop function kalam.computed();
end $$;

create function kalam.retype(twin regclass, pair record) returns void
  language plpgsql ${system} as $$
begin
  begin
    perform kalam.write_computed(pair.twin_type, pair.type, format('$1::%s', pair.declared), 'volatile');
    execute format('alter table %s alter column %I type %s using kalam.computed(%2$I)', twin, pair.name, pair.declared);
  exception when others then
    execute format('
      update %s set _deleted_rest = coalesce(_deleted_rest, ''{}'')
        || jsonb_build_object(%L, concat(%I)) where %3$I is distinct from null;
      alter table %1$s alter column %3$I type %4$s using null', twin, pair.name, pair.name, pair.declared);
    return;
  end;
  execute format('drop function kalam.computed(%s)', pair.twin_type::regtype);
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
