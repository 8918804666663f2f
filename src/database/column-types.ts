import type { QueryRunner } from '../engine/queries.js'
import type { Column } from '../engine/statement.js'
import { builtinTypes } from '../protocol/builtin-types.js'
import type { ResultColumn, TypeInfo } from '../protocol/type-info.js'

/**
 * Names and encodings of column types. Those of pg_catalog are known; enums, composites, ranges of
 * users and types of extensions are asked for once.
 */
export class ColumnTypes {
  #asked = new Map<number, TypeInfo>()
  /** Prepared statements give the same array each time: their columns are resolved once. */
  #resolved = new WeakMap<readonly Column[], readonly ResultColumn[]>()

  /** A type was made, changed or dropped: ask anew. */
  forget(): void {
    this.#asked = new Map()
    this.#resolved = new WeakMap()
  }

  /** What is known without asking; undefined if `resolve` is needed. */
  known(columns: readonly Column[]): readonly ResultColumn[] | undefined {
    const resolved = this.#resolved.get(columns)
    if (resolved !== undefined) return resolved
    const result: ResultColumn[] = []
    for (const { name, typeOid } of columns) {
      const type = builtinTypes.get(typeOid) ?? this.#asked.get(typeOid)
      if (type === undefined) return undefined
      result.push({ name, type })
    }
    this.#resolved.set(columns, result)
    return result
  }

  async resolve(columns: readonly Column[], runner: QueryRunner): Promise<readonly ResultColumn[]> {
    const known = this.known(columns)
    if (known !== undefined) return known
    // The same to the end: what is forgotten meanwhile is for the next to ask anew.
    const asked = this.#asked
    const result: ResultColumn[] = []
    for (const { name, typeOid } of columns) {
      const type = builtinTypes.get(typeOid) ?? asked.get(typeOid) ?? (await ask(typeOid, runner))
      if (!builtinTypes.has(typeOid)) asked.set(typeOid, type)
      result.push({ name, type })
    }
    return result
  }
}

const unknownType: TypeInfo = { name: 'unknown', encoding: 'text' }

const selectType = `
  select pg_catalog.format_type(t.oid, null), t.typcategory = 'A', t.typdelim,
         e.oid, pg_catalog.format_type(e.oid, null)
    from pg_catalog.pg_type t left join pg_catalog.pg_type e on e.oid = t.typelem
   where t.oid = $1`

async function ask(typeOid: number, runner: QueryRunner): Promise<TypeInfo> {
  const { rows } = await runner.query(selectType, [String(typeOid)])
  const [name, isArray, delimiter, elementOid, elementName] = rows[0] ?? []
  if (typeof name !== 'string') return unknownType
  if (isArray !== 't' || typeof elementName !== 'string') return { name, encoding: 'text' }
  const element = builtinTypes.get(Number(elementOid)) ?? { name: elementName, encoding: 'text' }
  return { name, encoding: 'array', element, delimiter: delimiter ?? ',' }
}
