import { DbError } from '../errors.js'

/**
 * Does each task, though others fail; then throws why: the one error, or an AggregateError. That the
 * engine stops ends it at once.
 */
export async function attemptAll(tasks: Iterable<() => Promise<void>>): Promise<void> {
  const failures: unknown[] = []
  for (const task of tasks) {
    try {
      await task()
    } catch (error) {
      if (isStopping(error)) throw error
      failures.push(error)
    }
  }
  if (failures.length > 1) throw new AggregateError(failures, 'several tasks failed')
  if (failures.length > 0) throw failures[0]
}

/** Whether the error only tells that the engine is being closed. */
export function isStopping(error: unknown): boolean {
  return error instanceof DbError && error.code === 'UNAVAILABLE'
}
