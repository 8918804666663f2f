/** The dialect: from SQL text to checked plans, with a cache of them. */
import { LRUCache } from 'lru-cache'
import { DbError } from '../errors.js'
import { splitStatements } from '../protocol/sql-text.js'
import { positionAfter, positionAt, textStart } from '../protocol/text-position.js'
import { analyseLive, type LiveAnalysis } from './live-analysis.js'
import { literalShape } from './literal-shape.js'
import { liveRefusal, type LiveRefusal } from './live-refusal.js'
import { planStatement } from './plan-statement.js'
import type { ComposedText } from './compose-text.js'
import type { Plan, PlanContext, SqlPlan } from './plan.js'
import { openPostgresParser, type PostgresParser } from './postgres-parser.js'
import {
  rewriteStatement,
  type RewriteContext,
  type Rewriting,
} from './rewrite/rewrite-statement.js'
import type { Source } from './source.js'
import { onlyStatement } from './syntax-tree.js'

export interface DialectOptions {
  /** Most texts kept with their plans; 0 keeps none. */
  readonly cachedTextsMax: number
  /** Characters of all kept texts together. */
  readonly cachedCharactersMax: number
  /** Most statements of one text, counted before any is parsed; without it there is no bound. */
  readonly statementsMax?: number
}

export interface Dialect {
  /**
   * The plans of all statements of a text, in order; at the door postgres there may be none. They
   * are shared between calls.
   * Errors point into `sql` and carry `statement`: SYNTAX_ERROR, STATEMENT_REFUSED, FORBIDDEN,
   * OUT_OF_RESOURCES (nests too deeply), TOO_MANY_PARAMETERS (statements), UNAVAILABLE.
   */
  planStatements(sql: string, context: PlanContext): readonly Plan[]
  /**
   * The statement's text for the tables of the moment: at its turn, for they may be made just
   * before it. Errors: STATEMENT_REFUSED and SYNTAX_ERROR, in the caller's text.
   */
  rewrite(plan: SqlPlan, context: Omit<RewriteContext, 'parser'>, base: ComposedText): Rewriting
  /** What a query that is to be live reads. Errors: SYNTAX_ERROR, OUT_OF_RESOURCES, UNAVAILABLE. */
  analyseLive(sql: string): LiveAnalysis | LiveRefusal
}

/** Loads PostgreSQL's grammar; takes some 50 ms. */
export async function openDialect(options: DialectOptions): Promise<Dialect> {
  const parser = await openPostgresParser()
  const cache = openCache(options)
  const shapes = openCache(options)
  return {
    planStatements(sql, context) {
      const variant = variantOf(context)
      const known = cache?.get(sql)?.get(variant)
      if (known !== undefined) return known
      const shape = context.door === 'postgres' ? literalShape(sql) : undefined
      const alike = shape === undefined ? undefined : shapes?.get(shape)?.get(variant)
      if (alike !== undefined) return withText(alike, sql)
      const plans = planAll(readSources(sql, context, options.statementsMax), context, parser)
      // A text of a shape that comes again takes the place of no other, and its values are not kept.
      if (shape !== undefined && hasShape(plans))
        keepPlans(shapes, shape, variant, withText(plans, shape))
      else keepPlans(cache, sql, variant, plans)
      return plans
    },
    rewrite: (plan, context, base) => rewriteStatement(plan, { parser, ...context }, base),
    analyseLive: (sql) => analyseText(sql, parser),
  }
}

/** The text is PostgreSQL's own or went through `planStatements`: it parses, unless it nests too deeply. */
function analyseText(sql: string, parser: PostgresParser): LiveAnalysis | LiveRefusal {
  const outcome = parser.parse(sql)
  switch (outcome.kind) {
    case 'parsed': {
      const root = onlyStatement(outcome.result.stmts)?.node
      return root === undefined ? liveRefusal('a live query is one SELECT') : analyseLive(root)
    }
    case 'refused':
      throw new DbError('SYNTAX_ERROR', outcome.message)
    case 'too-deep':
      throw new DbError('OUT_OF_RESOURCES', 'the statement nests too deeply', { sqlState: '54001' })
  }
}

/** Plans of one text, by who asks. */
type Variants = Map<string, readonly Plan[]>
type PlanCache = LRUCache<string, Variants>

function openCache(options: DialectOptions): PlanCache | undefined {
  const { cachedTextsMax, cachedCharactersMax } = options
  if (cachedTextsMax === 0 || cachedCharactersMax === 0) return undefined
  return new LRUCache({
    max: cachedTextsMax,
    maxSize: cachedCharactersMax,
    sizeCalculation: (_variants, sql) => Math.max(1, sql.length),
  })
}

function keepPlans(
  cache: PlanCache | undefined,
  sql: string,
  variant: string,
  plans: readonly Plan[],
): void {
  const variants = cache?.get(sql)
  if (variants !== undefined) variants.set(variant, plans)
  else cache?.set(sql, new Map([[variant, plans]]))
}

/** Whether a text of the same shape has the same plan, but for the text itself. */
function hasShape(plans: readonly Plan[]): boolean {
  const [plan] = plans
  if (plans.length !== 1 || plan?.kind !== 'sql') return false
  const { splices, ddl, copy, session, words } = plan
  const isPlain = splices.length === 0 && copy === undefined && session === undefined && !ddl
  return isPlain && words.creates === undefined && !words.undeletes
}

/**
 * The plan of a text whose shape another has: only its literals are others. Field by field: V8 copies
 * a frozen object ten times more slowly, and this is done for each statement of such a client.
 */
function withText(plans: readonly Plan[], sql: string): readonly Plan[] {
  const [plan] = plans
  if (plan?.kind !== 'sql') return plans
  const { start, line, column, position } = plan.place
  const end = endOfLast(sql)
  const alike: SqlPlan = {
    kind: 'sql',
    place: { start, end, line, column, position },
    text: sql.slice(start, end),
    splices: plan.splices,
    transaction: plan.transaction,
    stateful: plan.stateful,
    query: plan.query,
    ddl: plan.ddl,
    parameterCount: plan.parameterCount,
    role: plan.role,
    relations: plan.relations,
    words: plan.words,
    touchesRows: plan.touchesRows,
    checksAllRows: plan.checksAllRows,
    setsRowSecurity: plan.setsRowSecurity,
    isSetting: plan.isSetting,
    copy: plan.copy,
    session: plan.session,
    redoable: plan.redoable,
  }
  return [alike]
}

/** The index after a text's last statement. */
function endOfLast(sql: string): number {
  let end = sql.length
  while (end > 0 && betweenStatements.includes(sql.charAt(end - 1))) end--
  return end
}

const betweenStatements = '; \t\n\r\f\v'

function variantOf(context: PlanContext): string {
  const { role, readOnly, door, copies = false } = context
  return `${role} ${readOnly ? 'r' : 'w'} ${door} ${copies ? 'c' : ''}`
}

function planAll(
  sources: readonly Source[],
  context: PlanContext,
  parser: PostgresParser,
): readonly Plan[] {
  return Object.freeze(
    sources.map((source, statement) => {
      try {
        return planStatement(source, context, parser)
      } catch (error) {
        throw error instanceof DbError ? error.with({ statement }) : error
      }
    }),
  )
}

/** The statements of a text, at most `statementsMax`; none only where PostgreSQL's door takes that. */
function readSources(sql: string, { door }: PlanContext, statementsMax = Infinity): Source[] {
  refuseIllFormed(sql)
  const places = splitStatements(sql)
  if (places.length === 0 && door === 'http')
    throw new DbError('SYNTAX_ERROR', 'the text has no statement')
  if (places.length > statementsMax) {
    const message = `${places.length} statements are more than the ${statementsMax} of one request`
    throw new DbError('TOO_MANY_PARAMETERS', message, { hint: 'http.statements_max is the bound' })
  }
  let position = textStart
  let index = 0
  return places.map(({ start, end }) => {
    position = positionAfter(position, sql, index, start)
    index = start
    return { text: sql.slice(start, end), place: Object.freeze({ start, end, ...position }) }
  })
}

/** What no PostgreSQL text can hold: NUL characters and halves of surrogate pairs. */
function refuseIllFormed(sql: string): void {
  const index = sql.search(/\0|\p{Surrogate}/u)
  if (index < 0) return
  const what = sql[index] === '\0' ? 'a NUL character' : 'half of a surrogate pair'
  const message = `the text has ${what}, which PostgreSQL cannot hold`
  throw new DbError('SYNTAX_ERROR', message, { ...positionAt(sql, index), sqlState: '22021' })
}
