import { DbError } from '../errors.js'
import type { ReadyStatement } from './statement-runner.js'

/** A request whose every statement is planned, permitted and ready to run. */
export interface RequestPlan {
  readonly statements: readonly ReadyStatement[]
  readonly hasTransactionControl: boolean
}

export interface SessionNeeds {
  /** BEGIN and COMMIT go around the statements. */
  readonly transaction: boolean
  /** Something may be left behind in the session. */
  readonly leavesState: boolean
}

/** What the request needs of a session; undefined if its statements can run by themselves. */
export function sessionNeeds(
  plan: RequestPlan,
  request: { readonly transaction: boolean },
): SessionNeeds | undefined {
  const isStateful = plan.statements.some(
    (statement) => statement.kind !== 'kalam' && statement.plan.stateful,
  )
  if (!isStateful && !request.transaction) return undefined
  const kalam = plan.statements.findIndex((statement) => statement.kind === 'kalam')
  if (kalam >= 0 && (plan.hasTransactionControl || request.transaction))
    throw new DbError(
      'QUERY_REJECTED',
      'statements about users and keys cannot run inside a transaction',
      { sqlState: '25001', statement: kalam },
    )
  if (request.transaction && plan.hasTransactionControl)
    throw new DbError('BAD_REQUEST', 'with "transaction": true the text may not begin or end one', {
      hint: 'leave out BEGIN, COMMIT and ROLLBACK; SAVEPOINT is fine',
    })
  const leavesState = plan.statements.some(
    (statement) => statement.kind !== 'kalam' && (statement.plan.stateful || statement.plan.ddl),
  )
  return { transaction: request.transaction, leavesState }
}

/** A single statement, all of which is undone when it fails. */
export function isRedoable({ statements }: RequestPlan): boolean {
  const [statement] = statements
  return (
    statements.length === 1 && statement?.kind === 'sql' && statement.plan.redoable === 'always'
  )
}
