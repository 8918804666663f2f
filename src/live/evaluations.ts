/** Runs queries again that changes concern: many at once, each a bounded share of the time. */
import type { Sequence } from '../changes/sequence.js'
import type { RawResult } from '../engine/statement.js'
import type { LiveStatement } from './live-request.js'
import type { LiveRooms } from './live-rooms.js'
import { isPassing, retryMs, runAtOnce, runHeld } from './snapshot.js'

/** Evaluations faster than this need no bound: they are over before anyone has to wait. */
const cheapMs = 10
/** How often the log may move under an evaluation before it gets the engine for itself. */
const movedMax = 3

/** What is evaluated: a group of receivers. */
export interface Evaluated {
  /** Not before this time, in ms of the clock. */
  notBeforeMs: number
  /** How often in a row the log has moved meanwhile. */
  moved: number
  statement(): LiveStatement
  evaluated(result: RawResult, position: Sequence): Promise<void>
  failed(cause: unknown): void
}

export class Evaluations {
  readonly #rooms: LiveRooms
  readonly #due = new Set<Evaluated>()
  #isRunning = false
  #wake: (() => void) | undefined

  constructor(rooms: LiveRooms) {
    this.#rooms = rooms
  }

  get due(): number {
    return this.#due.size
  }

  add(group: Evaluated): void {
    this.#due.add(group)
    this.#wake?.()
    if (this.#isRunning) return
    this.#isRunning = true
    // With all that this turn of the feed concerns.
    queueMicrotask(() => void this.#run())
  }

  remove(group: Evaluated): void {
    this.#due.delete(group)
  }

  async #run(): Promise<void> {
    while (this.#due.size > 0) {
      const round = this.#takeRound()
      if (round.length > 0) await this.#evaluate(round)
      else await this.#rest()
    }
    this.#isRunning = false
  }

  /** Until the next is due, or another comes. */
  async #rest(): Promise<void> {
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    await Promise.race([woken, this.#rooms.pause(this.#untilNextMs())])
    this.#wake = undefined
  }

  #takeRound(): readonly Evaluated[] {
    const now = this.#rooms.clock()
    const round: Evaluated[] = []
    for (const group of this.#due) {
      if (group.notBeforeMs > now) continue
      round.push(group)
      this.#due.delete(group)
      if (round.length === this.#rooms.settings.evaluationsAtOnce) break
    }
    return round
  }

  #untilNextMs(): number {
    let next = Infinity
    for (const { notBeforeMs } of this.#due) next = Math.min(next, notBeforeMs)
    return Math.max(1, next - this.#rooms.clock())
  }

  async #evaluate(round: readonly Evaluated[]): Promise<void> {
    const startedAt = this.#rooms.clock()
    try {
      const { outcomes, position } = await runAtOnce(
        this.#rooms,
        round.map((group) => group.statement()),
      )
      for (const [index, group] of round.entries()) {
        const outcome = outcomes[index]
        if (outcome?.kind === 'failed') this.#failed(group, outcome.cause)
        else if (position === 'moved') await this.#again(group)
        else if (outcome !== undefined) {
          group.moved = 0
          await group.evaluated(outcome.value, position)
        }
      }
    } catch (cause) {
      for (const group of round) this.#failed(group, cause)
    }
    this.#account(round, startedAt)
  }

  async #again(group: Evaluated): Promise<void> {
    group.moved += 1
    if (group.moved <= movedMax) {
      this.#due.add(group)
      return
    }
    group.moved = 0
    try {
      const { result, position } = await runHeld(this.#rooms, group.statement())
      await group.evaluated(result, position)
    } catch (cause) {
      this.#failed(group, cause)
    }
  }

  #failed(group: Evaluated, cause: unknown): void {
    if (!isPassing(cause)) {
      group.failed(cause)
      return
    }
    group.notBeforeMs = this.#rooms.clock() + retryMs
    this.#due.add(group)
  }

  #account(round: readonly Evaluated[], startedAt: number): void {
    const { clock, metrics, settings } = this.#rooms
    const now = clock()
    const tookMs = now - startedAt
    metrics.liveEvaluated({ queries: round.length, seconds: tookMs / 1000 })
    if (tookMs < cheapMs) return
    const share = settings.evaluationSharePercent / 100
    const restMs = (tookMs / round.length) * (1 / share - 1)
    for (const group of round) group.notBeforeMs = Math.max(group.notBeforeMs, now + restMs)
  }
}
