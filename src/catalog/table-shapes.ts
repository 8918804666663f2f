/** The tables that rewriting must know, from the catalog, kept until the schema changes. */
import { reservedColumns, type TableShape, type TableShapes } from '../dialect/table-shape.js'
import type { QueryRunner } from '../engine/queries.js'
import type { TextValue } from '../engine/frontend-messages.js'

export class TableShapeStore {
  readonly #queries: QueryRunner
  #known: TableShapes | undefined
  #loading: Promise<TableShapes> | undefined
  /** Grows with each change, so that an answer from before it is not kept after it. */
  #changes = 0
  #lastVersion = 0

  constructor(queries: QueryRunner) {
    this.#queries = queries
  }

  /** What is known without asking; undefined if `load` is needed. */
  get known(): TableShapes | undefined {
    return this.#known
  }

  /** The tables as they are committed. */
  load(): Promise<TableShapes> {
    return (this.#loading ??= this.#loadAndKeep())
  }

  /** The tables as a session sees them that has changed some, or has temporary ones. They are not kept. */
  loadWithin(runner: QueryRunner): Promise<TableShapes> {
    return this.#read(runner)
  }

  /** A table was made, changed or dropped: ask anew. */
  forget(): void {
    this.#changes++
    this.#known = undefined
    this.#loading = undefined
  }

  async #loadAndKeep(): Promise<TableShapes> {
    const changes = this.#changes
    try {
      const shapes = await this.#read(this.#queries)
      if (changes === this.#changes) this.#known = shapes
      return shapes
    } finally {
      if (changes === this.#changes) this.#loading = undefined
    }
  }

  async #read(runner: QueryRunner): Promise<TableShapes> {
    const { rows } = await runner.query(selectShapes)
    return new LoadedShapes(++this.#lastVersion, rows.map(readRelation))
  }
}

/** A relation that a name may mean; without a shape it only hides others. */
interface Relation {
  readonly schema: string
  readonly name: string
  readonly shape: TableShape | undefined
}

class LoadedShapes implements TableShapes {
  readonly version: number
  readonly #byName = new Map<string, Relation[]>()

  constructor(version: number, relations: readonly Relation[]) {
    this.version = version
    for (const relation of relations) {
      const sameName = this.#byName.get(relation.name)
      if (sameName === undefined) this.#byName.set(relation.name, [relation])
      else sameName.push(relation)
    }
  }

  find(
    schema: string | undefined,
    name: string,
    searchPath: readonly string[],
  ): TableShape | undefined {
    const relations = this.#byName.get(name)
    if (relations === undefined) return undefined
    const schemas = schema === undefined ? ['pg_temp', 'pg_catalog', ...searchPath] : [schema]
    for (const each of schemas) {
      const relation = relations.find((other) => other.schema === each)
      if (relation !== undefined) return relation.shape
    }
    return undefined
  }

  isKnownName(name: string): boolean {
    return this.#byName.has(name)
  }
}

/** Managed and watched tables, and every other relation of the same name; of temporary ones the session's own. */
const selectShapes = `
  select case when n.oid = pg_my_temp_schema() then 'pg_temp' else n.nspname::text end,
         c.relname::text, t.id::text, t.kind, t.version::text,
         (select format('%I.%I', tn.nspname, tc.relname)
            from pg_class tc join pg_namespace tn on tn.oid = tc.relnamespace where tc.oid = t.twin),
         (select json_agg(json_build_array(a.attname, a.atttypid::bigint, a.attgenerated <> '')
                          order by a.attnum)::text
            from pg_attribute a where a.attrelid = t.tab and a.attnum > 0 and not a.attisdropped),
         (select json_agg(a.attname order by k.place)::text
            from pg_index i
            cross join lateral unnest(i.indkey::int2[]) with ordinality k (num, place)
            join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.num
           where i.indrelid = t.tab and i.indisprimary and k.place <= i.indnkeyatts),
         (select k.relname::text from pg_index i join pg_class k on k.oid = i.indexrelid
           where i.indrelid = t.tab and i.indisprimary),
         (select json_agg(o.name)::text
            from (select conname from pg_constraint where conrelid = t.tab
                  union select k.relname from pg_index i join pg_class k on k.oid = i.indexrelid
                         where i.indrelid = t.tab) o (name))
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    left join kalam.tables t on t.tab = c.oid
   where c.relkind in ('r', 'p', 'v', 'm', 'f')
     and (c.relpersistence <> 't' or n.oid = pg_my_temp_schema())
     and c.relname in (select m.relname from kalam.tables x join pg_class m on m.oid = x.tab)`

function readRelation(row: readonly TextValue[]): Relation {
  const [schema, name, id, kind, version, twin, columns, key, keyName, taken] = row.map(String)
  const relation = { schema: schema ?? '', name: name ?? '' }
  if (row[2] === null) return { ...relation, shape: undefined }
  const shape: TableShape = {
    ...relation,
    id: Number(id),
    // The catalog's CHECK lets no other kind in.
    kind: kind as TableShape['kind'],
    version: Number(version),
    // The query above made these texts.
    columns: (JSON.parse(columns ?? '[]') as [string, number, boolean][]).map(readColumn(kind)),
    key: ((JSON.parse(key ?? '') ?? []) as string[]).filter((each) => each !== '_user_id'),
    keyName: row[8] === null ? undefined : keyName,
    takenNames: row[9] === null ? [] : (JSON.parse(taken ?? '[]') as string[]),
    twin: row[5] === null ? undefined : twin,
  }
  return { ...relation, shape: Object.freeze(shape) }
}

function readColumn(kind: string | undefined) {
  return ([name, typeOid, generated]: readonly [string, number, boolean]) => ({
    name,
    typeOid,
    generated,
    // Names that are reserved in managed tables are anybody's in plain ones.
    system: kind !== 'plain' && reservedColumns.has(name),
  })
}
