/**
 * Who waits for which advisory lock, over all sessions. One backend serves them all, so nobody can
 * wait inside of it: a statement that may not have a lock fails (migration 0010-waiting-locks), gives
 * the engine up, waits here, and runs again when it is its turn.
 *
 *   failed ──► wanted: nobody who comes later gets it before ──► free, and first in line ──► again
 *
 * Locks are given out in the order of asking, shared ones together. Of those who wait for each other
 * the last is told so.
 */
import type { Engine } from '../engine/engine.js'
import type { QueryRunner } from '../engine/queries.js'
import { DbError } from '../errors.js'
import { findDeadlock, type Wait } from './find-deadlock.js'

export interface AdvisoryLock {
  /** What the system schema calls it. */
  readonly slot: number
  readonly kind: 'exclusive' | 'shared'
}

export interface LockRequest {
  /** Whose it is to be, as the system schema knows it; 0 over HTTP. */
  readonly session: number
  readonly lock: AdvisoryLock
  /** What the statement took for its session before it failed: given back, for it runs again. */
  readonly taken: readonly AdvisoryLock[]
  /** Ends the wait; its reason is the error. */
  readonly signal: AbortSignal
}

/** The statement may run again. Must be ended, whatever became of it. */
export interface LockTurn {
  end(hasLock: boolean): void
}

interface Waiter {
  readonly session: number
  readonly lock: AdvisoryLock
  isGranted: boolean
  readonly grant: () => void
  readonly refuse: (error: DbError) => void
}

/** The lock that a statement failed for; undefined if it failed for something else. */
export function missedLock({ sqlState, fields }: DbError): AdvisoryLock | undefined {
  if (sqlState !== '55P03' || fields.schemaName !== 'kalam') return undefined
  return readLock(fields.constraintName ?? '')
}

/** The error as its caller is to have it. */
export function withoutLock(error: DbError): DbError {
  return error.with({ schemaName: undefined, constraintName: undefined })
}

/** `<slot> <kind>`, as the system schema writes it. */
export function readLock(text: string): AdvisoryLock | undefined {
  const [slot = '', kind] = text.split(' ')
  if (kind !== 'exclusive' && kind !== 'shared') return undefined
  return { slot: Number(slot), kind }
}

export class AdvisoryLocks {
  readonly #queries: QueryRunner
  readonly #onBug: (cause: unknown) => void
  /** By slot; each in the order of asking. Who may run again stays until it has. */
  readonly #queues = new Map<number, Waiter[]>()
  #isLooking = false
  #mustLookAgain = false
  /** Slots that somebody may have taken since they were looked at. */
  readonly #outdated = new Set<number>()

  constructor(
    engine: Pick<Engine, 'onCommit' | 'generation'>,
    queries: QueryRunner,
    onBug: (cause: unknown) => void,
  ) {
    this.#queries = queries
    this.#onBug = onBug
    let { generation } = engine
    // It calls back after each start, too.
    engine.onCommit(() => {
      if (generation === engine.generation) return
      generation = engine.generation
      this.#refuseAll(new DbError('ENGINE_RESTARTED', 'the engine was restarted: ask again'))
    })
  }

  /** Somebody may have given a lock back. */
  changed(): void {
    if (this.#queues.size === 0) return
    this.#mustLookAgain = true
    if (!this.#isLooking) void this.#look()
  }

  /** Waits for a lock, outside of transactions. Errors: the reason of `signal`; the engine's. */
  async wait(request: LockRequest): Promise<LockTurn> {
    const { session, lock, taken, signal } = request
    signal.throwIfAborted()
    let refuse: Waiter['refuse'] = () => undefined
    let waiter: Waiter | undefined
    const granted = new Promise<void>((grant, reject) => {
      refuse = reject
      waiter = this.#enqueue({ session, lock, isGranted: false, grant, refuse })
    })
    const wanted = this.#queries.query('select kalam.want_advisory_lock($1, $2, $3, $4, $5)', [
      ...[String(session), String(lock.slot), lock.kind],
      ...[arrayOf(taken.map(({ slot }) => slot)), arrayOf(taken.map(({ kind }) => kind))],
    ])
    // The reason is the one that this session ended its wait with.
    const onAbort = (): void => refuse(signal.reason as DbError)
    signal.addEventListener('abort', onAbort)
    wanted.then(() => this.changed(), refuse)
    try {
      await granted
      return { end: (hasLock) => this.#leave(waiter, hasLock ? undefined : wanted) }
    } catch (error) {
      this.#leave(waiter, wanted)
      throw error
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  #enqueue(waiter: Waiter): Waiter {
    const { slot } = waiter.lock
    const queue = this.#queues.get(slot)
    if (queue === undefined) this.#queues.set(slot, [waiter])
    else queue.push(waiter)
    return waiter
  }

  /** `wanted`: what it asked for, if the system schema still knows of it. */
  #leave(waiter: Waiter | undefined, wanted: Promise<unknown> | undefined): void {
    if (waiter === undefined) return
    const { session, lock } = waiter
    this.#outdated.add(lock.slot)
    const others = (this.#queues.get(lock.slot) ?? []).filter((other) => other !== waiter)
    if (others.length > 0) this.#queues.set(lock.slot, others)
    else this.#queues.delete(lock.slot)
    if (wanted === undefined) this.changed()
    else void this.#stopWanting(session, lock, wanted)
  }

  async #stopWanting(
    session: number,
    { slot, kind }: AdvisoryLock,
    wanted: Promise<unknown>,
  ): Promise<void> {
    try {
      await wanted
      const values = [String(session), String(slot), kind]
      await this.#queries.query('select kalam.stop_wanting_advisory_lock($1, $2, $3)', values)
    } catch (cause) {
      // It went with the engine.
      if (!(cause instanceof DbError)) this.#onBug(cause)
    }
    this.changed()
  }

  async #look(): Promise<void> {
    this.#isLooking = true
    try {
      while (this.#mustLookAgain) {
        this.#mustLookAgain = false
        this.#outdated.clear()
        const waiters = [...this.#queues.values()].flat().filter(({ isGranted }) => !isGranted)
        if (waiters.length === 0) continue
        const waits = await this.#waitsOf(waiters)
        this.#judge(waits.filter(({ waiter }) => !this.#outdated.has(waiter.lock.slot)))
      }
    } catch (cause) {
      if (cause instanceof DbError) this.#refuseAll(cause)
      else this.#onBug(cause)
    } finally {
      this.#isLooking = false
    }
  }

  async #waitsOf(waiters: readonly Waiter[]): Promise<readonly Wait<Waiter>[]> {
    const { rows } = await this.#queries.query('select kalam.advisory_lock_holders($1, $2, $3)', [
      arrayOf(waiters.map(({ session }) => session)),
      arrayOf(waiters.map(({ lock }) => lock.slot)),
      arrayOf(waiters.map(({ lock }) => lock.kind)),
    ])
    return waiters.map((waiter, index) => {
      const holders = numbersOf(rows[index]?.[0] ?? '')
      return { waiter, session: waiter.session, holders, earlier: this.#before(waiter) }
    })
  }

  /** Those of the queue who must have had their turn before. */
  #before(waiter: Waiter): readonly Waiter[] {
    const queue = this.#queues.get(waiter.lock.slot) ?? []
    const earlier = queue.slice(0, Math.max(0, queue.indexOf(waiter)))
    const isShared = waiter.lock.kind === 'shared'
    const areAllShared = earlier.every(({ lock }) => lock.kind === 'shared')
    return isShared && areAllShared ? [] : earlier
  }

  #judge(waits: readonly Wait<Waiter>[]): void {
    for (const { waiter, holders, earlier } of waits) {
      if (holders.length > 0 || earlier.length > 0) continue
      waiter.isGranted = true
      waiter.grant()
    }
    findDeadlock(waits)?.refuse(
      new DbError('TRANSACTION_CONFLICT', 'deadlock detected', {
        sqlState: '40P01',
        detail: 'Sessions wait for advisory locks that they have from each other.',
      }),
    )
  }

  #refuseAll(error: DbError): void {
    for (const queue of this.#queues.values()) for (const { refuse } of queue) refuse(error)
  }
}

/** PostgreSQL's text of an array of what needs no quotes. */
function arrayOf(values: readonly (number | string)[]): string {
  return `{${values.join()}}`
}

function numbersOf(array: string): number[] {
  return array.slice(1, -1).split(',').filter(Boolean).map(Number)
}
