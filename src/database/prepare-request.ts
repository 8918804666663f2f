/** From a request's text to statements that may run: parsed, permitted, names resolved. */
import type { Callers } from '../access/callers.js'
import type { Dialect } from '../dialect/open-dialect.js'
import type { Plan, SqlPlan } from '../dialect/plan.js'
import { DbError } from '../errors.js'
import type { Caller, Parameter, SqlRequest } from './database.js'
import type { RequestPlan } from './request-plan.js'
import {
  compose,
  namedUsers,
  sqlPlanOf,
  type ReadyStatement,
  type RunnerRooms,
} from './statement-runner.js'

export interface PrepareRooms {
  readonly rooms: RunnerRooms
  readonly dialect: Dialect
  readonly callers: Callers
  readonly settings: { readonly statementsMax: number }
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
  checkCount(plans, options.settings.statementsMax)
  const parameters = parametersOf(plans, request)
  const roles = await rolesOfNamedUsers(options.rooms, plans)
  const statements: ReadyStatement[] = []
  for (const [index, plan] of plans.entries())
    statements.push(
      await ready(plan, { options, caller, roles, parameters: parameters[index] ?? [] }),
    )
  return { statements, ...transactionControl(plans) }
}

function checkCount(plans: readonly Plan[], statementsMax: number): void {
  if (plans.length === 0) throw new DbError('BAD_REQUEST', 'there is no statement in the SQL')
  if (plans.length > statementsMax)
    throw new DbError(
      'TOO_MANY_PARAMETERS',
      `${plans.length} statements are more than the ${statementsMax} a request may have`,
      { hint: 'http.statements_max is the bound' },
    )
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

/** Resolved before any session holds the engine: making a role is a statement of its own. */
async function rolesOfNamedUsers(
  { users }: RunnerRooms,
  plans: readonly Plan[],
): Promise<ReadonlyMap<string, string>> {
  const names = new Set(plans.flatMap((plan) => namedUsersOf(sqlPlanOf(plan))))
  const roles = new Map<string, string>()
  for (const name of names) roles.set(name, await users.roleOfUser(name))
  return roles
}

function namedUsersOf(plan: SqlPlan | undefined): readonly string[] {
  return plan === undefined ? [] : namedUsers(plan)
}

async function ready(
  plan: Plan,
  given: {
    readonly options: PrepareRooms
    readonly caller: Caller
    readonly roles: ReadonlyMap<string, string>
    readonly parameters: readonly Parameter[]
  },
): Promise<ReadyStatement> {
  const { options, caller, roles, parameters } = given
  switch (plan.kind) {
    case 'sql':
      return {
        kind: 'sql',
        plan,
        identity: caller.identity,
        composed: compose(plan, roles),
        parameters,
      }
    case 'execute-as': {
      const { identity } = await options.callers.callerFor(caller, plan.name)
      const { inner } = plan
      return { kind: 'sql', plan: inner, identity, composed: compose(inner, roles), parameters }
    }
    case 'create-user':
    case 'drop-user':
    case 'alter-user-role':
    case 'rotate-key':
    case 'create-key':
    case 'revoke-key':
      return { kind: 'kalam', plan }
  }
}

function transactionControl(plans: readonly Plan[]) {
  let open = false
  let hasTransactionControl = false
  for (const plan of plans) {
    const change = sqlPlanOf(plan)?.transaction ?? 'none'
    if (change === 'none') continue
    hasTransactionControl = true
    open = change === 'begin'
  }
  return { hasTransactionControl, endsInTransaction: open }
}
