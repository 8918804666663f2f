/** What the catalog knows of the tables, views and other things behind a live query. */
import type { Identity } from '../engine/engine.js'
import type { QueryRunner } from '../engine/queries.js'
import type { TextValue } from '../engine/frontend-messages.js'
import { DbError } from '../errors.js'
import { objectsOf, selectObjects, type QueryObject } from './query-objects.js'
import type { TreeFacts } from './read-tree.js'

export type TableKind = 'user' | 'shared' | 'stream' | 'plain'

/** A relation as the catalog has it. */
export interface Relation {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** pg_class.relkind: `r` for tables, `v` for views. */
  readonly relkind: string
  readonly isTemporary: boolean
  /** Row security of an admin's making: what callers see is not known from the row alone. */
  readonly hasOwnPolicies: boolean
  readonly hasRowSecurity: boolean
  /** A partition, a parent, a child. */
  readonly inherits: boolean
  /** Undefined if its changes are not logged. */
  readonly logged: LoggedTable | undefined
  readonly columns: readonly TableColumn[]
  /** Names of the primary key's columns; none without one. */
  readonly key: readonly string[]
}

export interface LoggedTable {
  readonly id: number
  readonly kind: TableKind
  readonly version: number
  /** The change after which images are of this version. */
  readonly since: number
  /** The relation holds the deleted rows of that table. */
  readonly isTwin: boolean
}

export interface TableColumn {
  readonly name: string
  /** Domains are seen through. */
  readonly typeOid: number
  /** The type as SQL, modifier and collation included. */
  readonly declared: string
  /** Equal texts are the same bytes. */
  readonly isDeterministic: boolean
}

export class TableCatalog {
  readonly #queries: QueryRunner

  constructor(queries: QueryRunner) {
    this.#queries = queries
  }

  /** Undefined if there is none. */
  async relation(place: {
    readonly schema: string
    readonly name: string
  }): Promise<Relation | undefined> {
    const { rows } = await this.#queries.query(selectRelation, [place.schema, place.name])
    const [row] = rows
    return row && relationOf(row)
  }

  /** Tables and views by their OID; what is not there any more is left out. */
  async relations(oids: readonly number[]): Promise<Map<number, Relation>> {
    if (oids.length === 0) return new Map()
    const { rows } = await this.#queries.query(selectRelations, [JSON.stringify(oids)])
    return new Map(rows.map(relationOf).map((relation) => [relation.oid, relation]))
  }

  /** All that stands behind a query, by `objectKey`. */
  async objects(facts: TreeFacts): Promise<ReadonlyMap<string, QueryObject>> {
    const roots = [
      ...facts.relations.map(({ oid }) => ['c', oid]),
      ...facts.calls.map(({ functionOid }) => ['f', functionOid]),
      ...facts.keywords.map(({ number }) => ['k', number]),
      ...facts.values.map((oid) => ['v', oid]),
      ...facts.objects.map((oid) => ['?', oid]),
    ]
    const { rows } = await this.#queries.query(selectObjects, [JSON.stringify(roots)])
    return objectsOf(rows)
  }

  /** Those, by `callerKey`, whose user is gone or has another role than the one they run as. */
  async changedCallers(identities: readonly Identity[]): Promise<ReadonlySet<string>> {
    const known = new Map(identities.map((identity) => [callerKey(identity), identity]))
    const pairs = [...known.values()].map(({ roleOid, userId }) => [roleOid, userId])
    const { rows } = await this.#queries.query(selectChanged, [JSON.stringify(pairs)])
    return new Set(rows.map(([roleOid, userId]) => `${roleOid} ${userId}`))
  }

  /** Lets a plain table's changes be logged from now on. Errors: LIVE_REFUSED. */
  async watch(relation: Relation): Promise<void> {
    const { rows } = await this.#queries.query('select kalam.watch($1::oid::regclass)', [
      String(relation.oid),
    ])
    // It has become a parent or a child since it was looked at.
    if (rows[0]?.[0] !== 't')
      throw new DbError('LIVE_REFUSED', 'changes of tables that inherit are not logged')
  }
}

/** One caller, whatever their key. */
export function callerKey({ roleOid, userId }: Identity): string {
  return `${roleOid} ${userId}`
}

const selectChanged = `
  select c.pair ->> 0, c.pair ->> 1
    from json_array_elements($1::json) c (pair)
    left join kalam.users u on u.user_id = c.pair ->> 1 and u.dropped_at is null
   where not exists (
     select from pg_roles r where r.oid = (c.pair ->> 0)::oid
        and (r.rolname = 'kalam_' || u.role
             or r.rolname = (select o.role_name from kalam.user_roles o where o.user_id = u.user_id)))`

const relationColumns = `
         c.oid::int8, n.nspname, c.relname, c.relkind, c.relpersistence = 't',
         exists (select from pg_policy p where p.polrelid = c.oid and not kalam.is_system_policy(p)),
         c.relrowsecurity,
         exists (select from pg_inherits i where c.oid in (i.inhparent, i.inhrelid)),
         t.id, t.kind, t.version, t.version_since, t.twin = c.oid,
         (select json_agg(json_build_array(k.name, k.type::int8, k.declared,
                   coalesce(l.collisdeterministic, true)) order by k.num)
            from kalam.columns_of(c.oid) k
            join pg_attribute a on a.attrelid = c.oid and a.attnum = k.num
            left join pg_collation l on l.oid = a.attcollation)::text,
         to_json(kalam.key_of(c.oid))::text`

const selectRelation = `
  select ${relationColumns}
    from pg_namespace n
    join pg_class c on c.relnamespace = n.oid and c.relname = $2
    left join kalam.tables t on t.tab = c.oid or t.twin = c.oid
   where n.nspname = $1`

const selectRelations = `
  select ${relationColumns}
    from json_array_elements_text($1::json) s (oid)
    join pg_class c on c.oid = s.oid::oid
    join pg_namespace n on n.oid = c.relnamespace
    left join kalam.tables t on t.tab = c.oid or t.twin = c.oid`

function relationOf(row: readonly TextValue[]): Relation {
  const [oid, schema, name, relkind, temporary, policies, security, inherits] = row
  const [id, kind, version, since, isTwin, columns, key] = row.slice(8)
  return {
    oid: Number(oid),
    schema: schema ?? '',
    name: name ?? '',
    relkind: relkind ?? '',
    isTemporary: temporary === 't',
    hasOwnPolicies: policies === 't',
    hasRowSecurity: security === 't',
    inherits: inherits === 't',
    logged:
      typeof id === 'string'
        ? {
            id: Number(id),
            // The column's check allows no other.
            kind: kind as TableKind,
            version: Number(version),
            since: Number(since),
            isTwin: isTwin === 't',
          }
        : undefined,
    columns: columnsOf(columns ?? '[]'),
    // The query above makes it.
    key: (JSON.parse(key ?? '[]') as readonly string[] | null) ?? [],
  }
}

/** The query above makes it: name, type, declaration, determinism. */
function columnsOf(text: string): readonly TableColumn[] {
  const rows = JSON.parse(text) as readonly (readonly [string, number, string, boolean])[]
  return rows.map(([name, typeOid, declared, isDeterministic]) => ({
    name,
    typeOid,
    declared,
    isDeterministic,
  }))
}
