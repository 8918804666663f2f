/** Rows of a query together with the place in the log that they are of. */
import type { Sequence } from '../changes/sequence.js'
import type { RawResult } from '../engine/statement.js'
import { DbError } from '../errors.js'
import type { LiveRooms } from './live-rooms.js'
import type { LiveStatement } from './live-request.js'

export interface Snapshot {
  readonly result: RawResult
  readonly position: Sequence
}

/** A result, or why there is none. */
export type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly cause: unknown }

/**
 * Runs all statements at one place in the log. They are sent in one go with two looks at the
 * position around them, and the engine runs what is sent in one go without anything in between;
 * the position, being the same, proves it. Statements of which it does not hold come out as
 * `moved`: run them again, or by `runHeld`.
 */
export async function runAtOnce(
  rooms: LiveRooms,
  statements: readonly LiveStatement[],
): Promise<{
  readonly outcomes: readonly Outcome<RawResult>[]
  readonly position: Sequence | 'moved'
}> {
  const before = rooms.log.position()
  const running = statements.map((statement) => settled(rooms.runner.run(statement)))
  const after = rooms.log.position()
  const [first, outcomes, last] = await Promise.all([
    settled(before),
    Promise.all(running),
    settled(after),
  ])
  if (first.kind === 'failed') throw first.cause
  if (last.kind === 'failed') throw last.cause
  return { outcomes, position: first.value === last.value ? last.value : 'moved' }
}

/** How often it is tried without holding the engine. */
const triesMax = 3

/** One statement's rows and their place. Errors: the statement's own. */
export async function readSnapshot(rooms: LiveRooms, statement: LiveStatement): Promise<Snapshot> {
  for (let tries = 0; tries < triesMax; tries++) {
    const { outcomes, position } = await runAtOnce(rooms, [statement])
    const [outcome] = outcomes
    if (outcome?.kind === 'failed') throw outcome.cause
    if (position !== 'moved' && outcome !== undefined) return { result: outcome.value, position }
  }
  return runHeld(rooms, statement)
}

/** The same with the engine held meanwhile: others wait. */
export function runHeld(rooms: LiveRooms, statement: LiveStatement): Promise<Snapshot> {
  return rooms.runner.runTogether(async (held) => {
    const result = await held.run(statement)
    return { result, position: await held.position() }
  })
}

/** When to try again what failed in passing. */
export const retryMs = 50

/** The statement may be run again: the engine was restarted or too busy. */
export function isPassing(cause: unknown): boolean {
  return cause instanceof DbError && passing.has(cause.code)
}

const passing = new Set<string>(['ENGINE_RESTARTED', 'OVERLOADED', 'LEASE_TIMEOUT'])

async function settled<T>(promise: Promise<T>): Promise<Outcome<T>> {
  try {
    return { kind: 'done', value: await promise }
  } catch (cause) {
    return { kind: 'failed', cause }
  }
}
