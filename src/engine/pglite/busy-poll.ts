/**
 * A thread that sleeps is late for what comes next: 20 to 50 µs on a virtual machine, whose kernel
 * has to wake a core first, and a client that asks one thing after the other meets that four times in
 * each statement. So a thread looks a moment longer for what is likely to come at once, as long as
 * what came lately came that soon.
 */
import { availableParallelism } from 'node:os'

/** On the only core there is, looking keeps away what is looked for. */
const canPoll = availableParallelism() > 1

/** How much of the average the last wait makes. */
const weight = 1 / 8
/** A long wait counts as so many of the longest poll: some of them end the polling, one does not. */
const longWait = 3
/** Looks between two looks at the clock. */
const looksPerTime = 16

export class BusyPoll {
  readonly #now: () => number
  readonly #longestMs: number
  #averageMs: number
  #since: number | undefined

  /** `longestMs`: longest that it looks; 0 for never. `now`: in ms, from any moment. */
  constructor(longestMs: number, now = () => performance.now()) {
    this.#now = now
    this.#longestMs = canPoll ? longestMs : 0
    this.#averageMs = longestMs
  }

  /** True as soon as it has come; false if it did not come soon, or is not likely to. */
  waitFor(hasCome: () => boolean): boolean {
    if (this.#longestMs === 0) return false
    const startedAt = this.#now()
    this.#since = startedAt
    if (this.#averageMs > this.#longestMs) return false
    const until = startedAt + this.#longestMs
    do {
      for (let looks = 0; looks < looksPerTime; looks++)
        if (hasCome()) {
          this.came()
          return true
        }
    } while (this.#now() < until)
    return false
  }

  /** What was waited for is there. */
  came(): void {
    if (this.#since === undefined) return
    const tookMs = Math.min(this.#now() - this.#since, this.#longestMs * longWait)
    this.#averageMs += (tookMs - this.#averageMs) * weight
    this.#since = undefined
  }
}
