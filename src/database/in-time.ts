import { DbError } from '../errors.js'
import type { CancelSignal } from './database.js'

export interface TimeBound {
  readonly waitMs: number
  readonly signal: CancelSignal
}

/**
 * What the system waits for as long as that takes, such as another's transaction, a caller waits for
 * within their own bound. Errors: those of the work; LEASE_TIMEOUT, CANCELLED.
 */
export async function inTime<T>(work: Promise<T>, { waitMs, signal }: TimeBound): Promise<T> {
  let end: (error: DbError) => void = () => undefined
  const ended = new Promise<never>((_, reject) => (end = reject))
  const cancel = (): void => end(new DbError('CANCELLED', 'the caller cancelled'))
  const timer = setTimeout(() => {
    end(new DbError('LEASE_TIMEOUT', `the engine was busy for ${waitMs} ms`))
  }, waitMs)
  signal.addEventListener('abort', cancel)
  try {
    if (signal.aborted) cancel()
    return await Promise.race([work, ended])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', cancel)
  }
}
