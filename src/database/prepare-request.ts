/** From a request's text to statements that may run: parsed, permitted, names resolved. */
import type { Callers } from '../access/callers.js'
import type { Dialect } from '../dialect/open-dialect.js'
import type { ExecuteAsPlan, Plan, SqlPlan } from '../dialect/plan.js'
import type { Identity } from '../engine/engine.js'
import { DbError } from '../errors.js'
import type { BatchRequest, Caller, Parameter, SqlRequest } from './database.js'
import type { RequestPlan } from './request-plan.js'
import { namedUsers } from './compose-statement.js'
import { sqlPlanOf, type ReadyStatement } from './statement-runner.js'

export interface PrepareRooms {
  readonly dialect: Dialect
  readonly callers: Callers
}

/**
 * All that can be wrong with a request before anything of it runs. `copies`: it carries the data of
 * a COPY; `single`: its text is one statement. Errors: SYNTAX_ERROR, STATEMENT_REFUSED, FORBIDDEN, NOT_FOUND, BAD_REQUEST,
 * TOO_MANY_PARAMETERS. A promise only where a user is looked up.
 */
export function prepareRequest(
  options: PrepareRooms,
  caller: Caller,
  request: SqlRequest,
  { copies = false, single = false }: { readonly copies?: boolean; readonly single?: boolean } = {},
): RequestPlan | Promise<RequestPlan> {
  refuseNamespace(request.namespace)
  const { role, readOnly } = caller
  const context = { role, readOnly, door: 'http', copies } as const
  const plans = options.dialect.planStatements(request.sql, context)
  if (single && plans.length > 1) throw severalStatements()
  const parameters = parametersOf(plans, request)
  const hasTransactionControl = plans.some(
    (plan) => (sqlPlanOf(plan)?.transaction ?? 'none') !== 'none',
  )
  if (!plans.every(runsAsCaller))
    return readyEach(plans, { options, caller, parameters }).then((statements) => {
      return { statements, hasTransactionControl }
    })
  const statements = plans.map((plan, index) => ready(plan, caller, parameters[index] ?? []))
  return { statements, hasTransactionControl }
}

/** Each text of a batch is one statement, as in PostgreSQL's extended protocol. */
export async function prepareBatch(
  options: PrepareRooms,
  caller: Caller,
  { statements }: BatchRequest,
): Promise<RequestPlan> {
  const plans: RequestPlan[] = []
  for (const [statement, { sql, parameters }] of statements.entries())
    try {
      const request = { sql, parameters: { single: parameters, each: undefined } }
      plans.push(
        await prepareRequest(options, caller, { ...request, transaction: false }, { single: true }),
      )
    } catch (error) {
      throw error instanceof DbError ? error.with({ statement }) : error
    }
  return {
    statements: plans.flatMap((plan) => plan.statements),
    hasTransactionControl: plans.some((plan) => plan.hasTransactionControl),
  }
}

/** PostgreSQL's own words. */
function severalStatements(): DbError {
  return new DbError('SYNTAX_ERROR', 'cannot insert multiple commands into a prepared statement', {
    hint: 'send them one by one, or as a transaction of several queries',
  })
}

/** Names are looked up in no schema of the system that statements may not name. */
function refuseNamespace(namespace: string | undefined): void {
  if (namespace === undefined || !/^kalam(_|$)/.test(namespace)) return
  throw new DbError('STATEMENT_REFUSED', `the namespace ${namespace} belongs to the system`)
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

function runsAsCaller(plan: Plan): plan is Exclude<Plan, ExecuteAsPlan> {
  return plan.kind !== 'execute-as'
}

/** One after the other, so that the first that is wrong is the one that is told of. */
async function readyEach(
  plans: readonly Plan[],
  given: {
    readonly options: PrepareRooms
    readonly caller: Caller
    readonly parameters: readonly (readonly Parameter[])[]
  },
): Promise<ReadyStatement[]> {
  const { options, caller, parameters } = given
  const statements: ReadyStatement[] = []
  for (const [index, plan] of plans.entries()) {
    const own = parameters[index] ?? []
    if (runsAsCaller(plan)) statements.push(ready(plan, caller, own))
    else {
      const { identity } = await options.callers.callerFor(caller, plan.name)
      statements.push(readySql(plan.inner, identity, own))
    }
  }
  return statements
}

function ready(
  plan: Exclude<Plan, ExecuteAsPlan>,
  caller: Caller,
  parameters: readonly Parameter[],
): ReadyStatement {
  if (plan.kind === 'sql') return readySql(plan, caller.identity, parameters)
  return { kind: 'kalam', plan, caller }
}

function readySql(
  plan: SqlPlan,
  identity: Identity,
  parameters: readonly Parameter[],
): ReadyStatement {
  if (namedUsers(plan).length > 0) return { kind: 'grant', plan, identity }
  return { kind: 'sql', plan, identity, parameters }
}
