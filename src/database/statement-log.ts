import { DbError } from '../errors.js'
import type { Log } from '../telemetry/log.js'
import type { Metrics } from '../telemetry/metrics.js'
import type { ReadyStatement } from './statement-runner.js'

/** What is counted and written of each statement: never its parameters. */
export interface StatementLog {
  succeeded(statement: ReadyStatement, command: string, tookMs: number): void
  rejected(statement: ReadyStatement, error: unknown, tookMs: number): void
  /** Something of ours failed after the caller had their answer. */
  failed(cause: unknown): void
}

/** Longest text of a statement in the log, in UTF-16 units. */
const loggedTextMax = 1_000

export function createStatementLog(options: {
  readonly log: Log
  readonly metrics: Metrics
  /** Statements that take longer are written; 0 for none. */
  readonly slowMs: number
}): StatementLog {
  const { log, metrics, slowMs } = options
  const logIfSlow = (statement: ReadyStatement, tookMs: number): void => {
    if (slowMs === 0 || tookMs < slowMs || statement.kind === 'kalam') return
    const sql = statement.plan.text.slice(0, loggedTextMax)
    log.warn('slow statement', {
      tookMs: Math.round(tookMs),
      userId: statement.identity.userId,
      sql,
    })
  }
  return {
    succeeded: (statement, command, tookMs) => {
      metrics.statement({ command, outcome: 'success', seconds: tookMs / 1000 })
      logIfSlow(statement, tookMs)
    },
    rejected: (statement, error, tookMs) => {
      const outcome = error instanceof DbError ? error.code : 'INTERNAL'
      metrics.statement({ command: 'unknown', outcome, seconds: tookMs / 1000 })
      logIfSlow(statement, tookMs)
    },
    failed: (cause) => log.error('a session was not closed cleanly', { cause: String(cause) }),
  }
}
