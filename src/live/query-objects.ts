/** What stands behind a query, as the catalog tells it: functions, operators, types, policies. */
import type { TextValue } from '../engine/frontend-messages.js'
import { firstMadeOid } from './read-tree.js'

/** `f` function, `o` operator, `t` type, `v` type of a value that is only read, `c` relation, `p` policy, `k` keyword. */
export type ObjectKind = 'f' | 'o' | 't' | 'v' | 'c' | 'p' | 'k'

export interface ObjectName {
  readonly kind: ObjectKind
  /** Of a keyword its number. */
  readonly oid: number
}

export interface QueryObject extends ObjectName {
  /** For people: `f()`, `view app.v`. */
  readonly title: string
  /** What was made; another text where it does something else. Empty for what has none. */
  readonly meaning: string
  readonly function: KnownFunction | undefined
  /** Of types: pg_type.typtype. */
  readonly typtype: string
  readonly leadsTo: readonly string[]
}

export interface KnownFunction {
  readonly schema: string
  readonly name: string
  readonly argumentCount: number
  /** `i`, `s`, `v`. */
  readonly volatility: string
  /** An admin made it: no extension, not the system. */
  readonly isOwn: boolean
  readonly extension: string | undefined
  /** What it does is seen: its body is parsed, or it is an aggregate, made of others. */
  readonly isTransparent: boolean
}

/** One text for one object. */
export function objectKey({ kind, oid }: ObjectName): string {
  return `${kind}${oid}`
}

/**
 * Looked up one by one: nobody can tell PostgreSQL how few there are, and it would read all of the
 * catalog (3 ms).
 */
function eachFrom(table: string, alias: string, ...kinds: readonly ObjectKind[]): string {
  const isOne = kinds.map((kind) => `r.kind = '${kind}'`).join(' or ')
  return `left join lateral (select * from ${table} where oid = r.oid offset 0) ${alias} on ${isOne}`
}

/** Takes a JSON list of pairs, kind and OID; a kind `?` stands for any that has the OID. */
export const selectObjects = `
  with recursive reach (kind, oid, via) as (
    select e.kind, e.oid, ''
      from (select r.v ->> 0, (r.v ->> 1)::oid from json_array_elements($1::json) r (v)) r (kind, oid)
     cross join lateral (
       select r.kind, r.oid where r.kind <> '?'
       union all select 'f', p.oid from pg_proc p where r.kind = '?' and p.oid = r.oid
       union all select 'o', o.oid from pg_operator o where r.kind = '?' and o.oid = r.oid
       union all select 't', t.oid from pg_type t where r.kind = '?' and t.oid = r.oid) e (kind, oid)
    union
    select l.kind, l.object, r.kind || r.oid
      from reach r cross join lateral kalam.leads_to(r.kind, r.oid) l
  )
  select r.kind, r.oid::int8, r.via,
         case r.kind when 'f' then p.proname || '()'
           when 'o' then 'operator ' || o.oprname
           when 'c' then case c.relkind when 'v' then 'view ' else '' end
             || c.relnamespace::regnamespace || '.' || quote_ident(c.relname)
           when 'p' then format('policy %I of %s.%I', y.polname, pc.relnamespace::regnamespace, pc.relname)
           when 't' then 'type ' || format_type(t.oid, null)
           when 'v' then 'type ' || format_type(t.oid, null) end,
         case when r.oid < ${firstMadeOid} then '' else md5(case r.kind
           when 'f' then concat_ws(' ', p.prosrc, p.prosqlbody::text, p.provolatile, p.prosecdef,
             p.proisstrict, p.proconfig::text, case when p.prosecdef then p.proowner end)
           when 'o' then o.oprcode::text
           when 'c' then case c.relkind when 'v' then concat_ws(' ', c.reloptions::text,
             (select w.ev_action::text from pg_rewrite w where w.ev_class = c.oid and w.ev_type = '1')) end
           when 'p' then concat_ws(' ', y.polpermissive, y.polroles::text, y.polqual::text)
           when 't' then concat_ws(' ', kalam.shape_of_type(t.oid),
             (select string_agg(n.conbin::text, ' ' order by n.oid) from pg_constraint n
               where n.contypid = t.oid))
           when 'v' then kalam.shape_of_type(t.oid) end) end,
         t.typtype,
         p.pronamespace::regnamespace, p.proname, p.pronargs, p.provolatile, e.extname,
         p.prosqlbody is not null or p.prokind = 'a'
    from reach r
    ${eachFrom('pg_proc', 'p', 'f')}
    ${eachFrom('pg_operator', 'o', 'o')}
    ${eachFrom('pg_type', 't', 't', 'v')}
    ${eachFrom('pg_class', 'c', 'c')}
    ${eachFrom('pg_policy', 'y', 'p')}
    left join lateral (select * from pg_class where oid = y.polrelid offset 0) pc on true
    left join lateral (
      select e.extname from pg_depend d join pg_extension e on e.oid = d.refobjid
       where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e' offset 0) e on true
   where r.kind <> 'c' or c.relkind in ('r', 'v', 'm', 'f', 'p', 'S')`

/** The rows of `selectObjects` by `objectKey`: one for each way to an object. */
export function objectsOf(
  rows: readonly (readonly TextValue[])[],
): ReadonlyMap<string, QueryObject> {
  const objects = new Map<string, QueryObject & { readonly leadsTo: string[] }>()
  const keyOf = ([kind, oid]: readonly TextValue[]) => `${kind}${oid}`
  for (const row of rows) if (!objects.has(keyOf(row))) objects.set(keyOf(row), objectOf(row))
  for (const row of rows) objects.get(row[2] ?? '')?.leadsTo.push(keyOf(row))
  return objects
}

function objectOf(row: readonly TextValue[]): QueryObject & { readonly leadsTo: string[] } {
  const [kind, oid, , title, meaning, typtype, schema, name, count, volatility] = row
  const [extension, isTransparent] = row.slice(10)
  return {
    // The query above gives no other.
    kind: kind as ObjectKind,
    oid: Number(oid),
    title: title ?? '',
    meaning: meaning ?? '',
    typtype: typtype ?? '',
    function:
      kind === 'f'
        ? {
            schema: schema ?? '',
            name: name ?? '',
            argumentCount: Number(count),
            volatility: volatility ?? 'v',
            isOwn: Number(oid) >= firstMadeOid && extension === null && !isSystem(schema ?? ''),
            extension: extension ?? undefined,
            isTransparent: isTransparent === 't',
          }
        : undefined,
    leadsTo: [],
  }
}

function isSystem(schema: string): boolean {
  return schema === 'kalam' || schema === 'system'
}
