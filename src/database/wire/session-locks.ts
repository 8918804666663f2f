/** What a session of the wire has to do with advisory locks: what it took, and what it waits for. */
import {
  advisoryLockState,
  backendTag,
  eachMessage,
  errorResponse,
  firstError,
} from '../../engine/backend-messages.js'
import type { Reply } from '../../engine/engine.js'
import { DbError } from '../../errors.js'
import {
  missedLock,
  readLock,
  type AdvisoryLock,
  type AdvisoryLocks,
  type LockTurn,
} from '../advisory-locks.js'

export interface SessionLocksOptions {
  readonly locks: AdvisoryLocks
  readonly processId: number
  /** 0 for none. */
  readonly lockTimeoutMs: () => number
  readonly statementTimeoutMs: () => number
}

export class SessionLocks {
  readonly #options: SessionLocksOptions
  #holdsAny = false
  #mayHaveGivenBack = false
  #waiting: AbortController | undefined

  constructor(options: SessionLocksOptions) {
    this.#options = options
  }

  /** It took some that outlive their transaction, or perhaps. */
  get holdsAny(): boolean {
    return this.#holdsAny
  }

  /** What the system schema tells of a lock: `session 7 shared`, `transaction …`, `given back`. */
  heard(text: string): void {
    if (text.startsWith('session ')) this.#holdsAny = true
    else this.#mayHaveGivenBack = true
  }

  /** An answer was lost, and with it what it told. */
  lost(): void {
    this.#holdsAny = true
    this.#mayHaveGivenBack = true
  }

  /** The session is outside of transactions: what it gave back is there for others. */
  ready(): void {
    if (!this.#mayHaveGivenBack) return
    this.#mayHaveGivenBack = false
    this.#options.locks.changed()
  }

  /** The session has ended, and so have its locks. */
  ended(): void {
    this.#options.locks.changed()
  }

  /** Ends the wait, as CancelRequest does. */
  cancel(): void {
    this.#waiting?.abort(new DbError('CANCELLED', 'canceling statement due to user request'))
  }

  /** Errors: CANCELLED, STATEMENT_TIMEOUT, LEASE_TIMEOUT (lock_timeout); the engine's. */
  async wait(lock: AdvisoryLock, failed: Reply): Promise<LockTurn> {
    const { locks, processId } = this.#options
    const waiting = new AbortController()
    const timers = this.#timers(waiting)
    this.#waiting = waiting
    try {
      const { signal } = waiting
      return await locks.wait({ session: processId, lock, taken: takenForSession(failed), signal })
    } finally {
      this.#waiting = undefined
      for (const timer of timers) clearTimeout(timer)
    }
  }

  #timers(waiting: AbortController): NodeJS.Timeout[] {
    const { lockTimeoutMs, statementTimeoutMs } = this.#options
    const [lockMs, statementMs] = [lockTimeoutMs(), statementTimeoutMs()]
    const abortAfter = (ms: number, error: DbError): NodeJS.Timeout =>
      setTimeout(() => waiting.abort(error), ms)
    const statement = abortAfter(statementMs, timeoutOf('STATEMENT_TIMEOUT', 'statement'))
    return lockMs === 0
      ? [statement]
      : [statement, abortAfter(lockMs, timeoutOf('LEASE_TIMEOUT', 'lock'))]
  }
}

/** In PostgreSQL's words. */
function timeoutOf(code: 'STATEMENT_TIMEOUT' | 'LEASE_TIMEOUT', which: string): DbError {
  return new DbError(code, `canceling statement due to ${which} timeout`)
}

/** The lock for which a unit failed. */
export function missedLockIn(reply: Reply): AdvisoryLock | undefined {
  if (!mayHaveFailed(reply)) return undefined
  const error = firstError(reply)
  return error === undefined ? undefined : missedLock(error)
}

/**
 * Replies are not walked for what hardly ever is. An ErrorResponse ends in two zeros, and is the last
 * message, or the last before the six bytes of ReadyForQuery.
 */
function mayHaveFailed(reply: Reply): boolean {
  const end = reply.length - (reply[reply.length - 6] === backendTag.readyForQuery ? 6 : 0)
  return reply[end - 1] === 0 && reply[end - 2] === 0
}

/** Whether a unit took this lock. */
export function hasTaken(reply: Reply, lock: AdvisoryLock): boolean {
  return lockNotices(reply).some((text) => readLock(afterWord(text))?.slot === lock.slot)
}

function takenForSession(reply: Reply): AdvisoryLock[] {
  return lockNotices(reply).flatMap((text) => {
    return text.startsWith('session ') ? (readLock(afterWord(text)) ?? []) : []
  })
}

function afterWord(text: string): string {
  return text.slice(text.indexOf(' ') + 1)
}

function lockNotices(reply: Reply): string[] {
  const texts: string[] = []
  eachMessage(reply, (tag, start, end) => {
    if (tag !== backendTag.notice) return
    const { sqlState, message } = errorResponse(reply, start, end)
    if (sqlState === advisoryLockState) texts.push(message)
  })
  return texts
}
