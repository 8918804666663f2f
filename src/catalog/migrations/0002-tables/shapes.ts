/** Reading the catalog: what kind of table it is, its columns and key, values as PostgreSQL's text. */
export function shapes(): string {
  return [kinds(), columns(), texts()].join('\n')
}

/** Functions of the system that only it may call, and that look names up in pg_catalog alone. */
const system = 'set search_path = pg_catalog, pg_temp'

/** A table is managed if it is made with exactly these columns. */
function kinds(): string {
  return `
create function kalam.has_column(rel oid, named text, type regtype, made text, value text)
  returns boolean language sql stable ${system} set intervalstyle = postgres as $$
  select exists (
    select from pg_attribute a join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where a.attrelid = rel and a.attname = named and a.atttypid = type and a.attnotnull
       and a.attgenerated::text = made and pg_get_expr(d.adbin, d.adrelid) ~ value)
$$;

create function kalam.kind_of(rel oid) returns text language sql stable ${system} as $$
  with has (owner, deleted, expiry) as (values (
    kalam.has_column(rel, '_user_id', 'text', '', '^kalam\\.uid\\(\\)$'),
    kalam.has_column(rel, '_deleted', 'boolean', 's', '^false$'),
    kalam.has_column(rel, '_expires_at', 'timestamptz', '', '^\\(now\\(\\) \\+ ''[^'']+''::interval\\)$')))
  select case when owner and deleted then 'user' when owner and expiry then 'stream'
           when deleted then 'shared' end
    from has
$$;

create function kalam.system_columns(kind text) returns text[] language sql immutable ${system} as $$
  select case kind when 'user' then '{_user_id,_deleted}' when 'shared' then '{_deleted}'
           when 'stream' then '{_user_id,_expires_at}' else '{}' end::text[]
$$;

create function kalam.ttl_of(rel oid) returns interval language sql stable
  ${system} set intervalstyle = postgres as $$
  select substring(pg_get_expr(d.adbin, d.adrelid) from '''(.*)''')::interval
    from pg_attribute a join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
   where a.attrelid = rel and a.attname = '_expires_at'
$$;
`
}

function columns(): string {
  return `
create function kalam.base_of(type oid) returns oid language sql stable ${system} as $$
  with recursive bases (oid, base) as (
    select t.oid, t.typbasetype from pg_type t where t.oid = type
    union all
    select t.oid, t.typbasetype from bases b join pg_type t on t.oid = b.base
  )
  select oid from bases where base = 0
$$;

-- A table's columns, live ones only, domains seen through: only their own table checks them.
create function kalam.columns_of(rel oid)
  returns table (num smallint, name text, type oid, declared text, generated "char", expression text)
  language sql stable ${system} as $$
  select a.attnum, a.attname::text, b.oid,
         format_type(b.oid, case when b.oid = a.atttypid then a.atttypmod else t.typtypmod end)
           || case when a.attcollation <> 0 and a.attcollation <> tt.typcollation
                then ' collate ' || a.attcollation::regcollation::text else '' end,
         a.attgenerated, pg_get_expr(d.adbin, d.adrelid)
    from pg_attribute a
    join pg_type t on t.oid = a.atttypid
    cross join lateral (select kalam.base_of(a.atttypid)) b (oid)
    join pg_type tt on tt.oid = b.oid
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
   where a.attrelid = rel and a.attnum > 0 and not a.attisdropped
   order by a.attnum
$$;

-- Names of an index's columns, in its order.
create function kalam.names_of(index oid) returns text[] language sql stable ${system} as $$
  select array_agg(a.attname::text order by k.place)
    from pg_index i
    cross join lateral unnest(i.indkey::int2[]) with ordinality k (num, place)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.num
   where i.indexrelid = index and k.place <= i.indnkeyatts
$$;

-- Those of the primary key; null without one.
create function kalam.key_of(rel oid) returns text[] language sql stable ${system} as $$
  select kalam.names_of(i.indexrelid) from pg_index i where i.indrelid = rel and i.indisprimary
$$;

create function kalam.refers_to_itself(rel oid) returns boolean language sql stable ${system} as $$
  select exists (select from pg_constraint c
    where c.contype = 'f' and c.conrelid = rel and c.confrelid = rel)
$$;

-- What makes the triggers' functions and the twin stale when it changes.
create function kalam.shape_of(rel oid) returns text language sql stable ${system} as $$
  select concat_ws('; ', rel::regclass, coalesce(kalam.key_of(rel)::text, 'no key'),
    string_agg(concat_ws(' ', a.attnum, quote_ident(a.attname), a.atttypid, a.atttypmod,
      a.attcollation, a.attgenerated,
      case a.attgenerated when 'v' then pg_get_expr(d.adbin, d.adrelid) end),
      ', ' order by a.attnum),
    case when kalam.refers_to_itself(rel) then 'refers to itself' end)
    from pg_attribute a
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
   where a.attrelid = rel and a.attnum > 0 and not a.attisdropped
$$;
`
}

/**
 * A value's text by its type's output function, never by a cast: anyone who owns a type may make
 * a cast of it, and it would run as the trigger's owner.
 */
function texts(): string {
  return `
create function kalam.text_of(value text, type oid, declared_type oid) returns text
  language sql stable ${system} as $$
  select case
      when t.oid in ('text'::regtype, 'varchar'::regtype) or kalam.is_text_output(t) then value || '::text'
      else format('textin(%s(%s%s))', t.typoutput, value,
        case when t.oid <> declared_type then '::' || t.oid::regtype::text else '' end) end
    from pg_type t where t.oid = type
$$;

-- Without a cast, ::text is the output function (PostgreSQL docs, CREATE CAST), and 0.2 µs faster.
-- Nobody but the system can make a cast of the system's own types.
create function kalam.is_text_output(t pg_type) returns boolean language sql stable ${system} as $$
  select t.typnamespace = 'pg_catalog'::regnamespace and t.typtype = 'b'
     and not exists (select from pg_cast c
       where c.castsource = t.oid and c.casttarget = 'text'::regtype)
$$;

-- The expression of a row's image: JSON array of the texts of its columns but the system's.
create function kalam.image_of(rel oid, kind text, row_name text) returns text
  language sql stable ${system} as $$
  select coalesce(
    'to_json(array[' || string_agg(
      kalam.text_of(format('%s.%I', row_name, c.name), c.type, a.atttypid), ', ' order by c.num)
      || '])::text',
    '''[]''')
    from kalam.columns_of(rel) c
    join pg_attribute a on a.attrelid = rel and a.attnum = c.num
   where c.name <> all (kalam.system_columns(kind))
$$;

-- Rows of a transition table. In one, PostgreSQL does not compute virtual columns (XX000).
create function kalam.source_of(rel oid, transition text) returns text
  language sql stable ${system} as $$
  select case when not bool_or(c.generated = 'v') then transition
           else format('(select %s from %s)', string_agg(
             case c.generated when 'v' then format('(%s)::%s as %I', c.expression, c.declared, c.name)
               else quote_ident(c.name) end, ', ' order by c.num), transition) end
    from kalam.columns_of(rel) c
$$;

-- Settings that the text of a value depends on, of those that occur in the table.
create function kalam.text_settings(rel oid) returns text language sql stable ${system} as $$
  with types (oid) as (select type from kalam.columns_of(rel)),
  needs (dates, zone, intervals, floats, bytes, others) as (
    select bool_or(oid in ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)),
           bool_or(oid in ('timestamptz'::regtype)),
           bool_or(oid in ('interval'::regtype)),
           bool_or(oid in ('float4'::regtype, 'float8'::regtype)),
           bool_or(oid in ('bytea'::regtype)),
           bool_or(oid not in ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype,
             'interval'::regtype, 'float4'::regtype, 'float8'::regtype, 'bytea'::regtype,
             'text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'bool'::regtype,
             'int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype,
             'uuid'::regtype, 'json'::regtype, 'jsonb'::regtype))
      from types)
  select concat_ws(' ',
    case when dates or others then 'set datestyle = iso' end,
    case when zone or others then 'set timezone = ''UTC''' end,
    case when intervals or others then 'set intervalstyle = postgres' end,
    case when floats or others then 'set extra_float_digits = 1' end,
    case when bytes or others then 'set bytea_output = hex' end)
    from needs
$$;
`
}
