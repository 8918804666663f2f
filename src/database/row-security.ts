/**
 * `SET row_security = off` of an admin. PostgreSQL keeps the setting, and so it ends with its
 * transaction or savepoint as any setting does; what is read from it is as whom a statement runs.
 */
import type { SqlPlan } from '../dialect/plan.js'
import { dataRows, transactionStatus } from '../engine/backend-messages.js'
import type { RawResult } from '../engine/statement.js'
import { DbError } from '../errors.js'

/** Runs text of our own in the session. */
export type RunText = (text: string) => Promise<RawResult>

export type RowSecurityState =
  { readonly kind: 'on' } | { readonly kind: 'off'; readonly inTransaction: boolean }

/** Asks PostgreSQL. In a failed transaction it answers nothing, and nothing runs either: `on`. */
export async function readRowSecurity(runText: RunText): Promise<RowSecurityState> {
  try {
    // Not a SELECT: that would be a query before SET TRANSACTION.
    const { frames } = await runText('SHOW row_security')
    if (dataRows(frames)[0]?.[0] !== 'off') return { kind: 'on' }
    return { kind: 'off', inTransaction: transactionStatus(frames) === 'T' }
  } catch (error) {
    if (isFailedTransaction(error)) return { kind: 'on' }
    throw error
  }
}

/**
 * Whether the statement runs as the role that no policy holds: it reads or changes rows, for the
 * admin themselves. What it would make, a table or a default privilege, would be that role's.
 */
export function seesEverything(plan: SqlPlan): boolean {
  return plan.role === 'admin' && plan.touchesRows
}

/** Whether it runs as that role whatever the setting is. */
export function mustSeeEverything(plan: SqlPlan): boolean {
  return plan.role === 'admin' && plan.checksAllRows
}

/** EXECUTE AS does not inherit it: while `work` runs, it is on. */
export async function withRowSecurity<T>(
  runText: RunText,
  inTransaction: boolean,
  work: () => Promise<T>,
): Promise<T> {
  const set = inTransaction ? 'SET LOCAL' : 'SET'
  await runText(`${set} row_security = on`)
  try {
    return await work()
  } finally {
    await runText(`${set} row_security = off`).catch(passFailedTransaction)
  }
}

/** Its rollback brings the setting back. */
function passFailedTransaction(error: unknown): void {
  if (!isFailedTransaction(error)) throw error
}

function isFailedTransaction(error: unknown): boolean {
  return error instanceof DbError && error.sqlState === '25P02'
}
