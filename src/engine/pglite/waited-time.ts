/**
 * For how long others have waited for whoever has the engine, all waits of its lease together: who gives up
 * and comes again goes on waiting, and a lease that each of them finds too long is too long.
 *
 *   lease:    ├───────────────────────────────┤
 *   others:        ├────┤ gave up    ├────┤            what counts is where anybody waits
 */
export interface Waiting {
  /** When the present lease began; another value for another lease. Undefined if nobody has the engine. */
  readonly lease: number | undefined
  /** How long that is ago, in ms. */
  readonly heldMs: number
  /** Since when the one waits who has waited for longest, in ms of `performance.now()`; undefined for nobody. */
  readonly since: number | undefined
  readonly now: number
}

export class WaitedTime {
  #lease: number | undefined
  /** In ms, until the last time at which nobody waited. */
  #earlierMs = 0
  #since: number | undefined

  /** In ms; undefined if nobody waits now. To be called often: it sees what is there at the moment. */
  note({ lease, heldMs, since, now }: Waiting): number | undefined {
    if (lease !== this.#lease) {
      this.#lease = lease
      this.#earlierMs = 0
      this.#since = undefined
    }
    if (lease === undefined) return undefined
    if (since === undefined) {
      if (this.#since !== undefined) this.#earlierMs += now - this.#since
      this.#since = undefined
      return undefined
    }
    // Whom others had before is not to answer for that.
    this.#since ??= Math.max(since, now - heldMs)
    return this.#earlierMs + now - this.#since
  }
}
