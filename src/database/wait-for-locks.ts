/** Runs requests that may have to wait for advisory locks, over doors without sessions. */
import { DbError } from '../errors.js'
import {
  missedLock,
  withoutLock,
  type AdvisoryLock,
  type AdvisoryLocks,
  type LockTurn,
} from './advisory-locks.js'
import type { CancelSignal } from './database.js'

export interface LockWaiting {
  readonly locks: AdvisoryLocks
  /** The attempt that failed has done nothing, and given nothing: another may follow. */
  readonly mayWait: () => boolean
  readonly signal: CancelSignal
  /** Longest it waits for a lock. */
  readonly timeoutMs: number
}

/**
 * An attempt that fails for an advisory lock has given the engine up; another is made when it may
 * have that. Errors: those of the attempts; STATEMENT_TIMEOUT, CANCELLED.
 */
export async function waitForLocks<T>(
  attempt: () => Promise<T>,
  waiting: LockWaiting,
  had?: AdvisoryLock,
): Promise<T> {
  try {
    return await attempt()
  } catch (error) {
    const missed = error instanceof DbError ? missedLock(error) : undefined
    if (!(error instanceof DbError) || missed === undefined) throw error
    if (!waiting.mayWait() || missed.slot === had?.slot) throw withoutLock(error)
    const turn = await turnFor(missed, waiting)
    try {
      return await waitForLocks(attempt, waiting, missed)
    } finally {
      turn.end(false)
    }
  }
}

async function turnFor(
  lock: AdvisoryLock,
  { locks, signal, timeoutMs }: LockWaiting,
): Promise<LockTurn> {
  const waiting = new AbortController()
  const leave = (): void => waiting.abort(new DbError('CANCELLED', 'the caller has gone'))
  const timer = setTimeout(() => waiting.abort(tooLong(timeoutMs)), timeoutMs)
  signal.addEventListener('abort', leave)
  try {
    if (signal.aborted) leave()
    return await locks.wait({ session: 0, lock, taken: [], signal: waiting.signal })
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', leave)
  }
}

function tooLong(ms: number): DbError {
  return new DbError('STATEMENT_TIMEOUT', `another session had the advisory lock for ${ms} ms`, {
    hint: 'engine.statement_timeout_ms is the bound',
  })
}
