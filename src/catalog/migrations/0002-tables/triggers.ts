/**
 * The functions that a table's triggers call, written for its columns: statement level, with
 * transition tables. Deleted rows go to the twin, and every change to the log, in the same
 * transaction. They are security definers of kalam_sys, and pin the settings that texts depend on.
 */
export function triggers(): string {
  return [writing(), bodies(), creating()].join('\n')
}

const system = 'set search_path = pg_catalog, pg_temp'

function writing(): string {
  return `
create function kalam.write_functions(t kalam.tables) returns void
  language plpgsql ${system} as $$
begin
  perform kalam.write_function(t, 'ins', kalam.log_insert(t));
  perform kalam.write_function(t, 'upd', kalam.log_update(t));
  perform kalam.write_function(t, 'del', kalam.keep(t, kalam.source_of(t.tab, 'kalam_old'))
    || kalam.log_delete(t, kalam.source_of(t.tab, 'kalam_old')));
  perform kalam.write_function(t, 'tru', case t.kind when 'user' then kalam.refuse_truncate(t)
    when 'stream' then kalam.refuse_truncate(t)
    else kalam.keep(t, format('only %s', t.tab)) || kalam.log_delete(t, format('only %s', t.tab)) end);
end $$;

create function kalam.write_function(t kalam.tables, action text, body text) returns void
  language plpgsql ${system} as $$
declare
  name text := format('kalam.t%s_%s', t.id, action);
begin
  execute format('create or replace function %s() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp %s as %L', name, kalam.text_settings(t.tab),
    format(E'#variable_conflict use_column\\nbegin\\n%s\\nreturn null;\\nend', body));
  execute format('revoke execute on function %s from public', name);
  execute format('alter function %s owner to kalam_sys', name);
end $$;
`
}

/** `__n` and `__o` are the new and the old row: names that a column can hardly have. */
function bodies(): string {
  return `
create function kalam.owner_of(t kalam.tables, row_name text) returns text
  language sql stable ${system} as $$
  select case when t.kind in ('user', 'stream') then row_name || '._user_id' else 'null::text' end
$$;

create function kalam.log_insert(t kalam.tables) returns text language sql stable ${system} as $$
  select format('insert into kalam.changes (table_id, version, op, owner, new) '
    'select %s, %s, ''I'', %s, %s from %s __n;', t.id, t.version, kalam.owner_of(t, '__n'),
    kalam.image_of(t.tab, t.kind, '__n'), kalam.source_of(t.tab, 'kalam_new'))
$$;

create function kalam.log_delete(t kalam.tables, source text) returns text
  language sql stable ${system} as $$
  select format('insert into kalam.changes (table_id, version, op, owner, old) '
    'select %s, %s, ''D'', %s, %s from %s __o;', t.id, t.version, kalam.owner_of(t, '__o'),
    kalam.image_of(t.tab, t.kind, '__o'), source)
$$;

create function kalam.keep(t kalam.tables, source text) returns text
  language sql stable ${system} as $$
  select case when t.twin is null then '' else format('insert into %s (%s) select %s from %s __o; ',
      t.twin, string_agg(quote_ident(c.name), ', ' order by c.num),
      string_agg(format('__o.%I', c.name), ', ' order by c.num), source) end
    from kalam.columns_of(t.tab) c where c.name <> '_deleted' or t.kind in ('plain', 'stream')
$$;

-- A full join can only be hashed or merged; a plain join, planned for one row, becomes a nested
-- loop for ever: 2.1 s at 5,000 rows. Rows without partner are those whose key has changed; no key
-- is among both the deleted and the inserted ones, so that any order replays right.
create function kalam.log_update(t kalam.tables) returns text language sql stable ${system} as $$
  select case when kalam.key_of(t.tab) is null then
    kalam.log_delete(t, kalam.source_of(t.tab, 'kalam_old')) || kalam.log_insert(t)
  else format('insert into kalam.changes (table_id, version, op, owner, old, new) '
    'select %1$s, %2$s, case when __n.%3$I is null then ''D'' when __o.%3$I is null then ''I'' '
    'else ''U'' end::"char", %4$s, case when __o.%3$I is not null then %5$s end, '
    'case when __n.%3$I is not null then %6$s end '
    'from %7$s __o full join %8$s __n on %9$s;',
    t.id, t.version, (kalam.key_of(t.tab))[1],
    case when t.kind in ('user', 'stream') then 'coalesce(__o._user_id, __n._user_id)' else 'null::text' end,
    kalam.image_of(t.tab, t.kind, '__o'), kalam.image_of(t.tab, t.kind, '__n'),
    kalam.source_of(t.tab, 'kalam_old'), kalam.source_of(t.tab, 'kalam_new'),
    kalam.same_key(t.tab)) end
$$;

-- By equality where the system has it; types of extensions have theirs in schemas of others, and
-- go by their texts.
create function kalam.same_key(rel oid) returns text language sql stable ${system} as $$
  select string_agg(case when y.typnamespace = 'pg_catalog'::regnamespace or y.typtype in ('e', 'r', 'm')
             then format('__o.%1$I = __n.%1$I', k.name)
             else format('%s = %s', kalam.text_of(format('__o.%I', k.name), c.type, a.atttypid),
               kalam.text_of(format('__n.%I', k.name), c.type, a.atttypid)) end,
           ' and ' order by k.place)
    from unnest(kalam.key_of(rel)) with ordinality k (name, place)
    join kalam.columns_of(rel) c on c.name = k.name
    join pg_attribute a on a.attrelid = rel and a.attnum = c.num
    join pg_type y on y.oid = c.type
$$;

create function kalam.refuse_truncate(t kalam.tables) returns text
  language sql immutable ${system} as $$
  select format('raise exception ''TRUNCATE of a %s table is refused: it would take the rows of '
    'every user'' using errcode = ''0A000'', hint = ''Use DELETE.'';', t.kind)
$$;
`
}

function creating(): string {
  return `
create function kalam.create_triggers(t kalam.tables) returns void
  language plpgsql ${system} as $$
begin
  execute format('create trigger kalam_ins after insert on %s referencing new table as kalam_new
    for each statement execute function kalam.t%s_ins()', t.tab, t.id);
  execute format('create trigger kalam_upd after update on %s
    referencing old table as kalam_old new table as kalam_new
    for each statement execute function kalam.t%s_upd()', t.tab, t.id);
  execute format('create trigger kalam_del after delete on %s referencing old table as kalam_old
    for each statement execute function kalam.t%s_del()', t.tab, t.id);
  execute format('create trigger kalam_tru before truncate on %s
    for each statement execute function kalam.t%s_tru()', t.tab, t.id);
end $$;
`
}
