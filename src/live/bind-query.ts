/**
 * From the names in a live query to tables: what it depends on, whether single changes can be
 * followed, and what it may not contain. Done once for equal queries of one role.
 */
import type {
  FunctionCall,
  LiveAnalysis,
  RelationUse,
  SingleTable,
} from '../dialect/live-analysis.js'
import type { Condition } from '../dialect/live-predicate.js'
import type { LiveRefusal } from '../dialect/live-refusal.js'
import { liveRefusal } from '../dialect/live-refusal.js'
import { isReservedSchema } from '../dialect/target-schemas.js'
import { DbError } from '../errors.js'
import { followPlan, type FollowPlan } from './follow-plan.js'
import type { KnownFunction, LoggedTable, Lookup, Relation, TableCatalog } from './table-catalog.js'

export interface BoundQuery {
  /** Undefined: it is re-evaluated. */
  readonly follow: FollowPlan | undefined
  readonly dependencies: readonly Dependency[]
  /** Its answer depends on who asks, not only on their rights. */
  readonly perUser: boolean
  readonly ordered: boolean
  /** Of rows that are rows of one table: the table's key without `_user_id`; else none. */
  readonly key: readonly string[]
  readonly single: SingleTable | undefined
  readonly singleRelation: Relation | undefined
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
  readonly lookup: Lookup
  /** Analyses the query of a view. */
  readonly analyse: (sql: string) => LiveAnalysis | LiveRefusal
}

/** Errors, as a value: why it cannot be live. Throws what PostgreSQL would: no such table. */
export async function bindQuery(
  analysis: LiveAnalysis,
  options: BindOptions,
): Promise<BoundQuery | LiveRefusal> {
  const binding = new Binding(options)
  const refusal = await binding.read(analysis)
  return refusal ?? binding.finish(analysis)
}

/** Views of views, and so on: deeper than PostgreSQL's own would be of use. */
const viewDepthMax = 32

class Binding {
  readonly #options: BindOptions
  readonly #dependencies: Dependency[] = []
  readonly #relations: { readonly use: RelationUse; readonly relation: Relation }[] = []
  #perUser = false
  #onlyScalar = true

  constructor(options: BindOptions) {
    this.#options = options
  }

  async read(analysis: LiveAnalysis): Promise<LiveRefusal | undefined> {
    const { lookup } = this.#options
    if (analysis.usesIdentity) this.#perUser = true
    // An operator, a cast or `row.function` calls one without naming it, and it may ask who calls.
    if (await this.#options.catalog.hasOwnFunctions()) this.#perUser = true
    for (const call of analysis.calls) {
      const refusal = await this.#readCall(call, lookup)
      if (refusal !== undefined) return refusal
    }
    for (const use of analysis.relations) {
      const relation = await this.#options.catalog.relation(use, lookup)
      if (relation === undefined) throw noSuchTable(use)
      this.#relations.push({ use, relation })
      const conditions = conditionsFor(use, analysis)
      const refusal = await this.#readRelation(relation, { byte: use.byte, conditions, depth: 0 })
      if (refusal !== undefined) return refusal
    }
    return undefined
  }

  finish(analysis: LiveAnalysis): BoundQuery {
    const [first] = this.#relations
    const single = analysis.single !== undefined && first?.relation.relkind === 'r'
    const relation = single ? first.relation : undefined
    return {
      follow:
        relation !== undefined && analysis.single !== undefined && this.#onlyScalar
          ? followPlan(analysis.single, relation)
          : undefined,
      dependencies: this.#dependencies,
      perUser: this.#perUser,
      ordered: analysis.ordered,
      key: this.#onlyScalar && relation !== undefined ? keyOf(relation) : [],
      single: analysis.single,
      singleRelation: relation,
    }
  }

  async #readCall(call: FunctionCall, lookup: Lookup): Promise<LiveRefusal | undefined> {
    const candidates = await this.#options.catalog.functions(call, lookup)
    for (const candidate of candidates) {
      const reason = whyNotLive(candidate)
      if (reason !== undefined)
        return liveRefusal(`${call.name}() cannot be live: ${reason}`, call.byte)
      if (isIdentity(candidate)) this.#perUser = true
      if (!candidate.isScalar) this.#onlyScalar = false
    }
    // Of a type, perhaps, or one that PostgreSQL will say does not exist.
    if (candidates.length === 0) this.#onlyScalar = false
    return undefined
  }

  async #readRelation(
    relation: Relation,
    at: {
      readonly byte: number | undefined
      readonly conditions: readonly Condition[]
      readonly depth: number
    },
  ): Promise<LiveRefusal | undefined> {
    const reason = whyNotWatched(relation)
    if (reason !== undefined) {
      const name = `${relation.schema}.${relation.name}`
      return liveRefusal(`${name} cannot be live: ${reason}`, at.byte)
    }
    if (relation.hasRowSecurity) this.#perUser = true
    if (relation.relkind === 'v') return this.#readView(relation, at)
    const table = relation.logged ?? (await this.#watch(relation))
    const perOwner = table.kind === 'user' || table.kind === 'stream'
    if (perOwner) this.#perUser = true
    this.#dependencies.push({ table, relation, perOwner, conditions: at.conditions })
    return undefined
  }

  async #readView(
    view: Relation,
    at: { readonly byte: number | undefined; readonly depth: number },
  ): Promise<LiveRefusal | undefined> {
    if (at.depth >= viewDepthMax) return liveRefusal('views nest too deeply to be live', at.byte)
    const analysis = this.#options.analyse(view.definition)
    if (analysis.kind === 'refused') return inView(view, analysis, at.byte)
    if (analysis.usesIdentity) this.#perUser = true
    // PostgreSQL writes a view's names so that they are found from pg_catalog alone.
    const lookup = { ...this.#options.lookup, schemas: ['pg_catalog'] }
    for (const call of analysis.calls) {
      const refusal = await this.#readCall(call, lookup)
      if (refusal !== undefined) return inView(view, refusal, at.byte)
    }
    for (const use of analysis.relations) {
      // Whoever made the view could reach it; the caller need not.
      const relation = await this.#options.catalog.relation(use, { ...lookup, roleOid: systemRole })
      if (relation === undefined) throw noSuchTable(use)
      const inner = { byte: at.byte, conditions: [], depth: at.depth + 1 }
      const refusal = await this.#readRelation(relation, inner)
      if (refusal !== undefined) return refusal
    }
    return undefined
  }

  async #watch(relation: Relation): Promise<LoggedTable> {
    const { catalog, lookup } = this.#options
    await catalog.watch(relation)
    const { schema, name } = relation
    const use = { schema, name, alias: name, byte: undefined }
    const watched = await catalog.relation(use, { ...lookup, roleOid: systemRole })
    if (watched?.logged === undefined) throw noSuchTable(use)
    // What was read before it was watched is what it is now, but for the log.
    Object.assign(relation, { logged: watched.logged })
    return watched.logged
  }
}

/** The bootstrap superuser. */
const systemRole = 10

function keyOf(relation: Relation): readonly string[] {
  return relation.key.filter((name) => name !== '_user_id' || relation.logged?.kind === 'plain')
}

/** Those that name the table's alias, or nothing where it is the only one. */
function conditionsFor(use: RelationUse, analysis: LiveAnalysis): readonly Condition[] {
  const isOnly = analysis.relations.length === 1
  const namesakes = analysis.relations.filter(({ alias }) => alias === use.alias)
  if (namesakes.length > 1) return []
  return analysis.conditions.filter(({ column }) =>
    column.qualifier === undefined ? isOnly : column.qualifier === use.alias,
  )
}

function whyNotLive({ schema, name, volatility }: KnownFunction): string | undefined {
  if (volatility === 'v') return 'it may give another answer each time'
  if (schema === 'kalam') return undefined
  if (schema !== 'pg_catalog')
    return volatility === 'i'
      ? undefined
      : 'only IMMUTABLE ones of the functions that admins make can'
  return volatility === 's' && /^(?:pg_(?!typeof$|size_|column_)|txid_)/.test(name)
    ? 'it tells of the server, whose changes nothing tells of'
    : undefined
}

function isIdentity({ schema, name }: KnownFunction): boolean {
  return schema === 'kalam' || (schema === 'pg_catalog' && name === 'current_setting')
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

function inView(view: Relation, refusal: LiveRefusal, byte: number | undefined): LiveRefusal {
  const message = `view ${view.schema}.${view.name}: ${refusal.message}`
  return { ...refusal, message, byte }
}

/** As PostgreSQL says it. */
function noSuchTable({ schema, name }: RelationUse): DbError {
  const full = schema === undefined ? name : `${schema}.${name}`
  return new DbError('QUERY_REJECTED', `relation "${full}" does not exist`, { sqlState: '42P01' })
}
