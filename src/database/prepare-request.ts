/** From a request's text to statements that may run: parsed, permitted, names resolved. */
import type { Callers } from '../access/callers.js'
import type { Dialect } from '../dialect/open-dialect.js'
import type { Plan, SqlPlan } from '../dialect/plan.js'
import type { Identity } from '../engine/engine.js'
import { DbError } from '../errors.js'
import type { Caller, Parameter, SqlRequest } from './database.js'
import type { RequestPlan } from './request-plan.js'
import { namedUsers } from './compose-statement.js'
import { sqlPlanOf, type ReadyStatement } from './statement-runner.js'

export interface PrepareRooms {
  readonly dialect: Dialect
  readonly callers: Callers
}

/**
 * All that can be wrong with a request before anything of it runs. Errors: SYNTAX_ERROR,
 * STATEMENT_REFUSED, FORBIDDEN, NOT_FOUND, BAD_REQUEST, TOO_MANY_PARAMETERS.
 */
export async function prepareRequest(
  options: PrepareRooms,
  caller: Caller,
  request: SqlRequest,
): Promise<RequestPlan> {
  const { role, readOnly } = caller
  const plans = options.dialect.planStatements(request.sql, { role, readOnly, door: 'http' })
  const parameters = parametersOf(plans, request)
  const statements: ReadyStatement[] = []
  for (const [index, plan] of plans.entries())
    statements.push(
      plan.kind === 'sql'
        ? readySql(plan, { identity: caller.identity, parameters: parameters[index] ?? [] })
        : await ready(plan, { options, caller, parameters: parameters[index] ?? [] }),
    )
  const hasTransactionControl = plans.some(
    (plan) => (sqlPlanOf(plan)?.transaction ?? 'none') !== 'none',
  )
  return { statements, hasTransactionControl }
}

function parametersOf(
  plans: readonly Plan[],
  { parameters }: SqlRequest,
): readonly (readonly Parameter[])[] {
  const none = parameters.single.length === 0 ? [] : undefined
  const lists = plans.length === 1 ? [parameters.single] : (parameters.each ?? none)
  if (lists === undefined)
    throw new DbError('BAD_REQUEST', 'for several statements "params" is a list of lists, one each')
  if (plans.length > 1 && lists.length > 0 && lists.length !== plans.length)
    throw new DbError(
      'BAD_REQUEST',
      `there are ${plans.length} statements and parameters for ${lists.length}`,
    )
  plans.forEach((plan, index) => checkParameters(plan, lists[index]?.length ?? 0, index))
  return lists
}

function checkParameters(plan: Plan, given: number, index: number): void {
  const needed = sqlPlanOf(plan)?.parameterCount ?? 0
  if (needed === given) return
  throw new DbError('BAD_REQUEST', `the statement takes ${needed} parameters, ${given} were sent`, {
    sqlState: '08P01',
    statement: index,
  })
}

async function ready(
  plan: Exclude<Plan, SqlPlan>,
  given: {
    readonly options: PrepareRooms
    readonly caller: Caller
    readonly parameters: readonly Parameter[]
  },
): Promise<ReadyStatement> {
  const { options, caller, parameters } = given
  switch (plan.kind) {
    case 'execute-as': {
      const { identity } = await options.callers.callerFor(caller, plan.name)
      return readySql(plan.inner, { identity, parameters })
    }
    case 'create-user':
    case 'drop-user':
    case 'alter-user-role':
    case 'rotate-key':
    case 'create-key':
    case 'revoke-key':
    case 'kill-live-query':
      return { kind: 'kalam', plan, caller }
  }
}

function readySql(
  plan: SqlPlan,
  given: { readonly identity: Identity; readonly parameters: readonly Parameter[] },
): ReadyStatement {
  if (namedUsers(plan).length > 0) return { kind: 'grant', plan, identity: given.identity }
  return { kind: 'sql', plan, ...given }
}
