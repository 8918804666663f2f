/** The views of namespaces, tables and columns, which tell of kinds and leave the twins out. */
export function views(): string {
  return `
create or replace view system.namespaces with (security_barrier) as
  select n.nspname::text as name, pg_catalog.obj_description(n.oid, 'pg_namespace') as comment
    from pg_catalog.pg_namespace n
   where ${ofCallers('n.nspname')} and n.nspname <> 'system'
     and pg_catalog.has_schema_privilege(n.oid, 'usage');

create or replace view system.tables with (security_barrier) as
  select n.nspname::text as namespace, c.relname::text as name,
         case c.relkind when 'v' then 'view' when 'm' then 'materialized view'
           when 'f' then 'foreign table'
           else case when t.kind in ('user', 'shared', 'stream') then t.kind || ' ' else '' end
             || 'table' end as kind,
         pg_catalog.obj_description(c.oid, 'pg_class') as comment,
         -- Null: as the server's setting says.
         (extract(epoch from t.deleted_retention) / 3600)::integer as deleted_retention_hours
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join kalam.tables t on t.tab = c.oid
   where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
     and ${ofCallers('n.nspname')} and n.nspname <> 'system' and ${mayUse('c.oid')};

create or replace view system.columns with (security_barrier) as
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
     and ${ofCallers('n.nspname')} and ${mayUse('c.oid')};
`
}

function ofCallers(name: string): string {
  return `${name} !~ '^pg_' and ${name} not in ('information_schema', 'kalam', 'kalam_deleted')`
}

function mayUse(table: string): string {
  const rights = 'select, insert, update, references'
  return `(pg_catalog.has_table_privilege(${table}, '${rights}, delete, truncate, trigger')
      or pg_catalog.has_any_column_privilege(${table}, '${rights}'))`
}
