/**
 * The functions that a table's triggers call, written for its columns: statement level, with
 * transition tables. Deleted rows go to the twin, and every change to the log, in the same
 * transaction. They are security definers of kalam_sys, and pin the settings that texts depend on.
 */
export function triggers(): string {
  return [writing(), bodies(), ordering(), creating()].join('\n')
}

const system = 'set search_path = pg_catalog, pg_temp'

function writing(): string {
  return `
create function kalam.write_functions(t kalam.tables) returns void
  language plpgsql ${system} as $$
begin
  execute format('grant usage on schema %s to kalam_sys, kalam_reaper',
    (select relnamespace::regnamespace from pg_class where oid = t.tab));
  perform kalam.write_function(t, 'ins', kalam.in_order(t, 'ins', kalam.log_insert(t)));
  perform kalam.write_function(t, 'upd', kalam.in_order(t, 'upd', kalam.log_update(t)));
  perform kalam.write_function(t, 'del', kalam.in_order(t, 'del',
    kalam.keep(t, kalam.source_of(t.tab, 'kalam_old'))
    || kalam.log_delete(t, kalam.source_of(t.tab, 'kalam_old'))));
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
    format(E'#variable_conflict use_column
declare
  __xid bigint := pg_current_xact_id()::text::bigint;
  __last record;
  __scans text;
begin
%s
return null;
end', body));
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
  else kalam.log_one_update(t) || ' if not found then ' || kalam.log_updates(t) || ' end if;' end
$$;

-- Of a statement that updates one row and leaves its key, as most do: 3 µs less (bench 2026-11-25).
-- It logs nothing where there are more. OFFSET keeps it a loop, whatever it is planned for first.
create function kalam.log_one_update(t kalam.tables) returns text
  language sql stable ${system} as $$
  select format('insert into kalam.changes (table_id, version, op, owner, old, new) '
    'select %s, %s, ''U'', %s, __o.image, %s from %s __n, lateral (select %s from %s __o where %s offset 0) __o (image) '
    'where not exists (select from kalam_new offset 1);',
    t.id, t.version, kalam.owner_of(t, '__n'), kalam.image_of(t.tab, t.kind, '__n'),
    kalam.source_of(t.tab, 'kalam_new'), kalam.image_of(t.tab, t.kind, '__o'),
    kalam.source_of(t.tab, 'kalam_old'), kalam.same_key(t.tab, '__o', '__n'))
$$;

create function kalam.log_updates(t kalam.tables) returns text language sql stable ${system} as $$
  select format('insert into kalam.changes (table_id, version, op, owner, old, new) '
    'select %1$s, %2$s, case when __n.%3$I is null then ''D'' when __o.%3$I is null then ''I'' '
    'else ''U'' end::"char", %4$s, case when __o.%3$I is not null then %5$s end, '
    'case when __n.%3$I is not null then %6$s end '
    'from %7$s __o full join %8$s __n on %9$s;',
    t.id, t.version, (kalam.key_of(t.tab))[1],
    case when t.kind in ('user', 'stream') then 'coalesce(__o._user_id, __n._user_id)' else 'null::text' end,
    kalam.image_of(t.tab, t.kind, '__o'), kalam.image_of(t.tab, t.kind, '__n'),
    kalam.updated_rows(t.tab, 'kalam_old', ''), kalam.updated_rows(t.tab, 'kalam_new', 'desc'),
    kalam.same_key(t.tab, '__o', '__n'))
$$;

-- What foreign keys of a table to itself update is among the rows of the statement that made them
-- do so: of a row that was updated twice, what was first and what is last.
create function kalam.updated_rows(rel oid, transition text, direction text) returns text
  language sql stable ${system} as $$
  select case when not kalam.refers_to_itself(rel) then kalam.source_of(rel, transition)
           else format('(select distinct on (%1$s) * from (
             select *, row_number() over () as __place from %2$s __u) __v order by %1$s, __place %3$s)',
             (select string_agg(quote_ident(k), ', ') from unnest(kalam.key_of(rel)) k),
             kalam.source_of(rel, transition), direction) end
$$;

-- By equality where the system has it; types of extensions have theirs in schemas of others, and
-- go by their texts.
create function kalam.same_key(rel oid, one text, other text) returns text
  language sql stable ${system} as $$
  select string_agg(case when y.typnamespace = 'pg_catalog'::regnamespace or y.typtype in ('e', 'r', 'm')
             then format('%1$s.%3$I = %2$s.%3$I', one, other, k.name)
             else format('%s = %s', kalam.text_of(format('%s.%I', one, k.name), c.type, a.atttypid),
               kalam.text_of(format('%s.%I', other, k.name), c.type, a.atttypid)) end,
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

/**
 * PostgreSQL calls a statement's triggers when all of it is done, and in an order of its own: that of
 * an INSERT before that of a DELETE whose rows it has not all read, those of statements inside row
 * triggers before those of the statement that fired them. So the state that a key is left in may
 * be in the log already when an older one is added. What the log says of it is moved to the end.
 *
 * It asks first whether this transaction has logged anything, which a sequence tells that only this
 * writes (a look at the log takes 10 µs; a setting anybody may clear), then whether that was since the
 * statement began: the command (cmin) that made a row is older than the one that logged it.
 */
function ordering(): string {
  return `
create function kalam.in_order(t kalam.tables, action text, body text) returns text
  language sql stable ${system} as $$
  select case when kalam.key_of(t.tab) is null then body else format(
    'if pg_sequence_last_value(''kalam.logged''::regclass) = __xid then
      select c.seq, c.cmin::text::bigint as command into __last
        from kalam.changes c order by c.seq desc limit 1;
      %1$s
      -- A plan that is kept is to stay good when the table grows.
      __scans := current_setting(''enable_seqscan'');
      perform set_config(''enable_seqscan'', ''off'', true);
      if %2$s then %3$s end if;
      perform set_config(''enable_seqscan'', __scans, true);
    else
      __xid := setval(''kalam.logged''::regclass, __xid);
      %1$s
    end if;', body, kalam.is_overtaken(t, action), kalam.move_latest(t, action)) end
$$;

-- Whether something was logged while the statement ran.
create function kalam.is_overtaken(t kalam.tables, action text) returns text
  language sql stable ${system} as $$
  select case action
      when 'del' then format('exists (select from kalam_old __o, lateral (
        select from only %s __l where %s offset 0) l)', t.tab, kalam.same_key(t.tab, '__o', '__l'))
      else format('__last.command > coalesce((select l.command from (select * from kalam_new limit 1) __n,
        lateral (select __l.cmin::text::bigint as command from only %s __l where %s offset 0) l), 0)',
        t.tab, kalam.same_key(t.tab, '__n', '__l')) end
$$;

-- Entries that made the rows now under the keys, or else those that deleted what was there.
create function kalam.move_latest(t kalam.tables, action text) returns text
  language sql stable ${system} as $$
  select format('
    with states as materialized (
      select %1$s, l.* from (%2$s) __k %3$s join lateral (
        select __l.cmin::text::bigint as __command, %4$s as __image
          from only %5$s __l where %6$s offset 0) l on true
    ), later as (
      delete from kalam.changes c using states __k
       where c.table_id = %7$s and c.xid = pg_current_xact_id() and c.seq <= __last.seq
         and c.seq > coalesce((
           select a.seq from kalam.changes a
            where a.seq <= __last.seq and (a.xid <> pg_current_xact_id()
              or a.cmin::text::bigint <= (
              -- Of a key that is gone nothing tells when the statement began.
              select case when bool_and(m.__command is not null) then min(m.__command) end from states m))
            order by a.seq desc limit 1), 0)
         and case when __k.__command is null then c.op = ''D'' and %8$s
               else c.op in (''I'', ''U'') and c.new = __k.__image
                and c.cmin::text::bigint > __k.__command end
      returning c.*
    )
    insert into kalam.changes (table_id, version, op, owner, old, new)
    select l.table_id, l.version, l.op, l.owner, l.old, l.new from later l order by l.seq;',
    keys.of_k, case action
      when 'ins' then format('select %s from kalam_new', keys.plain)
      when 'del' then format('select %s from kalam_old', keys.plain)
      else format('select %1$s from kalam_new union all select %1$s from kalam_old', keys.plain) end,
    case action when 'del' then '' else 'left' end,
    kalam.image_of(t.tab, t.kind, '__l'), t.tab, kalam.same_key(t.tab, '__k', '__l'),
    t.id, kalam.is_logged_key(t))
    from (select string_agg(format('__k.%I', k), ', '), string_agg(format('%I', k), ', ')
            from unnest(kalam.key_of(t.tab)) k) keys (of_k, plain)
$$;

-- Whether the old image of the entry c is that of the key in __k.
create function kalam.is_logged_key(t kalam.tables) returns text language sql stable ${system} as $$
  with places (name, place, type, declared) as (
    select c.name, row_number() over (order by c.num) - 1, c.type, a.atttypid
      from kalam.columns_of(t.tab) c
      join pg_attribute a on a.attrelid = t.tab and a.attnum = c.num
     where c.name <> all (kalam.system_columns(t.kind))
  )
  select string_agg(case when p.name is null then format('c.owner = __k.%I', k.name)
           else format('c.old::json ->> %s = %s', p.place,
             kalam.text_of(format('__k.%I', k.name), p.type, p.declared)) end, ' and ' order by k.place)
    from unnest(kalam.key_of(t.tab)) with ordinality k (name, place)
    left join places p on p.name = k.name
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
