import { DbError } from '#src/errors.js'
import { openDialect } from '#src/dialect/open-dialect.js'
import type { Plan, PlanContext, SqlPlan } from '#src/dialect/plan.js'

export const dialect = await openDialect({ cachedTextsMax: 100, cachedCharactersMax: 100_000 })

const admin: PlanContext = { role: 'admin', readOnly: false, door: 'http' }

export function planAll(sql: string, context: Partial<PlanContext> = {}): readonly Plan[] {
  return dialect.planStatements(sql, { ...admin, ...context })
}

/** The plan of the one statement, for an admin over HTTP unless told otherwise. */
export function planOne(sql: string, context: Partial<PlanContext> = {}): Plan {
  const [plan] = planAll(sql, context)
  if (plan === undefined) throw new Error('no plan')
  return plan
}

export function planSql(sql: string, context: Partial<PlanContext> = {}): SqlPlan {
  const plan = planOne(sql, context)
  if (plan.kind !== 'sql') throw new Error(`a plan of kind ${plan.kind}`)
  return plan
}

/** The error that planning ends with. */
export function errorOf(sql: string, context: Partial<PlanContext> = {}): DbError {
  try {
    planAll(sql, context)
  } catch (error) {
    if (error instanceof DbError) return error
    throw error
  }
  throw new Error(`no error for: ${sql}`)
}

/** What the rules answer: `ok` or the error's code. */
export function outcomeOf(sql: string, context: Partial<PlanContext> = {}): string {
  try {
    planAll(sql, context)
    return 'ok'
  } catch (error) {
    if (error instanceof DbError) return error.code
    throw error
  }
}
