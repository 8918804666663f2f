/**
 * From what PostgreSQL says that a query means to what it depends on: tables, also those behind
 * views, policies and functions; whether single changes can be followed; what it may not contain.
 * Done once for equal queries of one role.
 */
import type { LiveAnalysis, RelationUse, SingleTable } from '../dialect/live-analysis.js'
import type { Condition } from '../dialect/live-predicate.js'
import type { LiveRefusal } from '../dialect/live-refusal.js'
import { liveRefusal } from '../dialect/live-refusal.js'
import { isReservedSchema } from '../dialect/target-schemas.js'
import { DbError } from '../errors.js'
import { clockWordAt, isTimeType } from './clock-words.js'
import { followPlan, type FollowPlan } from './follow-plan.js'
import {
  keywords,
  relianceOf,
  relianceOfKeyword,
  settledExtensions,
  type Reliance,
} from './known-functions.js'
import { objectKey, type KnownFunction, type QueryObject } from './query-objects.js'
import type { TreeFacts, TreeRelation } from './read-tree.js'
import type { LoggedTable, Relation, TableCatalog } from './table-catalog.js'

export interface BoundQuery {
  /** Undefined: it is re-evaluated. */
  readonly follow: FollowPlan | undefined
  readonly dependencies: readonly Dependency[]
  /** Its answer may depend on who asks, not only on their rights. */
  readonly perUser: boolean
  readonly ordered: boolean
  /** Of rows that are rows of one table: the table's key without `_user_id`; else none. */
  readonly key: readonly string[]
  readonly single: SingleTable | undefined
  readonly singleRelation: Relation | undefined
  /** Another text once something that was made and that it uses (a function, a type) is another. */
  readonly meaning: string
  /** It uses more that was made than its tables and the types of their columns. */
  readonly usesMade: boolean
}

/** A table whose changes may change the result. */
export interface Dependency {
  readonly table: LoggedTable
  readonly relation: Relation
  /** Only rows of the caller count. */
  readonly perOwner: boolean
  /** Equalities that every row of the table must fulfil to matter. */
  readonly conditions: readonly Condition[]
}

export interface BindOptions {
  readonly catalog: TableCatalog
  readonly facts: TreeFacts
  /** The text that the tree is of. */
  readonly text: string
}

/** Errors, as a value: why it cannot be live. Plain tables that it reads are logged from then on. */
export async function bindQuery(
  analysis: LiveAnalysis,
  { catalog, facts, text }: BindOptions,
): Promise<BoundQuery | LiveRefusal> {
  const objects = await catalog.objects(facts)
  const oids = [...objects.values()].flatMap(({ kind, oid }) => (kind === 'c' ? [oid] : []))
  const relations = await catalog.relations(oids)
  const reading = new Reading({ analysis, facts, text, objects, relations })
  const refusal = reading.refusal()
  if (refusal !== undefined) return refusal
  for (const [oid, relation] of relations)
    if (relation.relkind === 'r' && relation.logged === undefined)
      relations.set(oid, await watch(catalog, relation))
  return reading.bound()
}

async function watch(catalog: TableCatalog, relation: Relation): Promise<Relation> {
  await catalog.watch(relation)
  const watched = (await catalog.relations([relation.oid])).get(relation.oid)
  if (watched?.logged !== undefined) return watched
  // It was dropped in this very moment; as PostgreSQL says it.
  const message = `relation "${relation.schema}.${relation.name}" does not exist`
  throw new DbError('QUERY_REJECTED', message, { sqlState: '42P01' })
}

interface Parts {
  readonly analysis: LiveAnalysis
  readonly facts: TreeFacts
  readonly text: string
  readonly objects: ReadonlyMap<string, QueryObject>
  readonly relations: ReadonlyMap<number, Relation>
}

/** An object on the way from the query, and what led to it. */
interface Visit {
  readonly key: string
  /** `view app.v: `, or nothing. */
  readonly within: string
  readonly byte: number | undefined
}

class Reading {
  readonly #parts: Parts
  readonly #reliances = new Set<Reliance>()
  /** Its own doing is hidden in a text: it may ask who calls. */
  #usesOpaque = false

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Undefined if it can be live. */
  refusal(): LiveRefusal | undefined {
    const { objects } = this.#parts
    const pending: Visit[] = this.#roots()
    const seen = new Set<string>()
    for (const { key, within, byte } of pending) {
      const object = objects.get(key)
      if (object === undefined || seen.has(key)) continue
      seen.add(key)
      const refusal = this.#refusalOf(object, { within, byte })
      if (refusal !== undefined) return refusal
      const inside = isNamed(object) ? `${within}${object.title}: ` : within
      for (const next of object.leadsTo) pending.push({ key: next, within: inside, byte })
    }
    return this.#clockConstant()
  }

  bound(): BoundQuery {
    const { analysis, facts, relations, objects } = this.#parts
    const dependencies = this.#dependencies()
    const [first] = facts.relations
    const named = first && relations.get(first.oid)
    const isOne = analysis.single !== undefined && facts.relations.length === 1
    const relation = isOne && named?.relkind === 'r' ? named : undefined
    const { single, ordered } = analysis
    const isFollowed = relation !== undefined && single !== undefined && this.#canFollow()
    const isExact = !this.#usesMadeOperators()
    return {
      follow: isFollowed ? followPlan(single, relation, { isExact }) : undefined,
      dependencies,
      perUser: this.#isPerUser(dependencies),
      ...{ ordered, single, singleRelation: relation },
      key: !facts.regroups && relation !== undefined ? keyOf(relation) : [],
      meaning: meaningOf(objects),
      usesMade: [...objects.values()].some((object) => isMade(object, objects)),
    }
  }

  /** Tables first, whose refusals say most. */
  #roots(): Visit[] {
    const { facts } = this.#parts
    const of = (kind: QueryObject['kind'], oid: number, byte?: number): Visit => ({
      key: objectKey({ kind, oid }),
      ...{ within: '', byte },
    })
    return [
      ...facts.relations.map((relation) => of('c', relation.oid, this.#useOf(relation)?.byte)),
      ...facts.calls.map(({ functionOid, byte }) => of('f', functionOid, byte)),
      ...facts.keywords.map(({ number, byte }) => of('k', number, byte)),
      ...facts.objects.flatMap((oid) => [of('f', oid), of('o', oid), of('t', oid)]),
      ...facts.values.map((oid) => of('v', oid)),
    ]
  }

  #refusalOf(
    object: QueryObject,
    { within, byte }: Pick<Visit, 'within' | 'byte'>,
  ): LiveRefusal | undefined {
    if (object.kind === 'c') {
      const relation = this.#parts.relations.get(object.oid)
      const reason = relation && whyNotWatched(relation)
      const name = `${relation?.schema}.${relation?.name}`
      if (reason === undefined) return undefined
      return liveRefusal(`${within}${name} cannot be live: ${reason}`, byte)
    }
    if (object.kind === 'k') {
      const title = keywords[object.oid] ?? 'a keyword'
      return this.#rely(relianceOfKeyword(object.oid), `${within}${title}`, byte)
    }
    if (object.function === undefined) return undefined
    const title = `${within}${object.title}`
    const reason = whyNotLive(object.function)
    if (reason !== undefined)
      return liveRefusal(`${title} cannot be live: ${reason.why}`, byte, reason.hint)
    if (object.function.isOwn && !object.function.isTransparent) this.#usesOpaque = true
    return this.#rely(relianceOfFunction(object.function), title, byte)
  }

  #rely(reliance: Reliance, title: string, byte: number | undefined): LiveRefusal | undefined {
    if (reliance === 'clock') return clockRefusal(title, byte)
    if (reliance === 'server')
      return liveRefusal(`${title} cannot be live: it may tell of what changes unseen`, byte)
    this.#reliances.add(reliance)
    return undefined
  }

  /** `'now'` as a time: PostgreSQL reads it once, when it reads the query. */
  #clockConstant(): LiveRefusal | undefined {
    const { facts, text, objects } = this.#parts
    for (const { typeOid, byte } of facts.constants) {
      const word = clockWordAt(text, byte)
      const type = objects.get(objectKey({ kind: 't', oid: typeOid }))
      if (word !== undefined && isTimeType(typeOid, type?.typtype))
        return clockRefusal(`'${word}'`, byte)
    }
    return undefined
  }

  #dependencies(): readonly Dependency[] {
    const { facts, relations, objects } = this.#parts
    const named = facts.relations.map((use) => ({ use, oid: use.oid }))
    const behind = [...objects.values()]
      .flatMap(({ leadsTo }) => leadsTo)
      .flatMap((key) => objects.get(key) ?? [])
    const unnamed = new Set(behind.flatMap(({ kind, oid }) => (kind === 'c' ? [oid] : [])))
    return [...named, ...[...unnamed].map((oid) => ({ use: undefined, oid }))].flatMap(
      ({ use, oid }) => {
        const relation = relations.get(oid)
        const table = relation?.logged
        if (relation === undefined || table === undefined) return []
        const perOwner = table.kind === 'user' || table.kind === 'stream'
        const conditions = use === undefined ? [] : this.#conditionsFor(use)
        return [{ table, relation, perOwner, conditions }]
      },
    )
  }

  /** Of the name that the text gives it: those that qualify with it, or nothing where it is the only one. */
  #conditionsFor(relation: TreeRelation): readonly Condition[] {
    const { analysis, facts } = this.#parts
    const use = this.#useOf(relation)
    if (use === undefined || this.#usesMadeOperators()) return []
    const isOnly = facts.relations.length === 1
    return analysis.conditions.filter(({ column }) =>
      column.qualifier === undefined ? isOnly : column.qualifier === use.alias,
    )
  }

  /** Where the text names it; undefined where two go by one name. */
  #useOf({ alias }: TreeRelation): RelationUse | undefined {
    const { analysis, facts } = this.#parts
    const uses = analysis.relations.filter((use) => use.alias === alias)
    const [use, another] = uses
    const isOne = facts.relations.filter((each) => each.alias === alias).length === 1
    return isOne && another === undefined ? use : undefined
  }

  #usesMadeOperators(): boolean {
    const { facts, objects } = this.#parts
    return facts.objects.some((oid) => objects.has(objectKey({ kind: 'o', oid })))
  }

  /** Whether nothing but changes of its table's rows can change its own. */
  #canFollow(): boolean {
    const { facts, relations } = this.#parts
    const namesOfCatalog = [...facts.typeOids].some((oid) => catalogTypes.has(oid))
    return (
      !facts.regroups && relations.size === 1 && !namesOfCatalog && !this.#reliances.has('catalog')
    )
  }

  #isPerUser(dependencies: readonly Dependency[]): boolean {
    const { relations } = this.#parts
    return (
      this.#usesOpaque ||
      this.#reliances.has('caller') ||
      dependencies.some(({ perOwner }) => perOwner) ||
      [...relations.values()].some(({ hasRowSecurity }) => hasRowSecurity)
    )
  }
}

/** Text of values of regclass and its like is a name, which may be changed. */
const catalogTypes: ReadonlySet<number> = new Set([
  24, 2202, 2203, 2204, 2205, 2206, 4096, 4089, 4191,
])

/** A table is not worth naming on the way to its policy, which is named with it. */
function isNamed({ kind, title }: QueryObject): boolean {
  return kind !== 'c' || title.startsWith('view ')
}

function keyOf(relation: Relation): readonly string[] {
  return relation.key.filter((name) => name !== '_user_id' || relation.logged?.kind === 'plain')
}

function meaningOf(objects: ReadonlyMap<string, QueryObject>): string {
  const texts = [...objects].flatMap(([key, { meaning }]) =>
    meaning === '' ? [] : [`${key}=${meaning}`],
  )
  return texts.sort().join(' ')
}

/** Types of a table's columns are part of the table's version. */
function isMade(
  { kind, oid, meaning, function: called }: QueryObject,
  objects: ReadonlyMap<string, QueryObject>,
): boolean {
  if (meaning === '' || kind === 'c' || kind === 'v') return false
  if (kind === 'f') return called?.isOwn === true
  return kind !== 't' || !objects.has(objectKey({ kind: 'v', oid }))
}

function relianceOfFunction({ schema, name, volatility, ...more }: KnownFunction): Reliance {
  if (schema === 'kalam') return 'caller'
  if (volatility !== 's' || more.isOwn || more.extension !== undefined) return 'nothing'
  return relianceOf(name, more.argumentCount)
}

interface Reason {
  readonly why: string
  readonly hint?: string
}

function whyNotLive(called: KnownFunction): Reason | undefined {
  const { schema, name, volatility, extension, isOwn, isTransparent, argumentCount } = called
  const isClock = schema === 'pg_catalog' && relianceOf(name, argumentCount) === 'clock'
  if (volatility === 'v' && !isClock) return { why: 'it may give another answer each time' }
  if (volatility !== 's' || isTransparent) return undefined
  if (extension !== undefined)
    return settledExtensions.has(extension) ? undefined : { why: 'it may read any table' }
  return isOwn
    ? {
        why: 'it is STABLE, and what its text reads is not known',
        hint: 'Write its body as RETURN … or BEGIN ATOMIC … END, or make it IMMUTABLE if it reads nothing.',
      }
    : undefined
}

function clockRefusal(title: string, byte: number | undefined): LiveRefusal {
  return liveRefusal(
    `${title} cannot be live: its answer changes with the clock, which no change tells of`,
    byte,
    'Pass the time as a parameter, and subscribe again when it has to move.',
  )
}

function whyNotWatched(relation: Relation): string | undefined {
  if (relation.isTemporary) return 'it is temporary'
  if (relation.logged?.isTwin === true) return undefined
  const { schema, relkind } = relation
  if (isReservedSchema(schema)) return 'changes of the system are not logged'
  if (relkind === 'm') return 'a materialized view changes by REFRESH alone, which is not logged'
  if (relkind === 'p' || relation.inherits)
    return 'changes of partitions and children are not logged'
  if (relkind !== 'r' && relkind !== 'v') return 'it is no table'
  return undefined
}
