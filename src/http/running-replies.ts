import { Emptiness } from '../database/emptiness.js'
import type { Reply } from './reply.js'

/** The requests that have no answer yet. */
export class RunningReplies {
  readonly #replies = new Set<Reply>()
  readonly #emptiness = new Emptiness(() => this.#replies.size === 0)

  /** Adds the request until its exchange is over. */
  add(reply: Reply): void {
    this.#replies.add(reply)
    reply.exchange.onOver = () => {
      this.#replies.delete(reply)
      this.#emptiness.check()
    }
  }

  [Symbol.iterator](): Iterator<Reply> {
    return [...this.#replies][Symbol.iterator]()
  }

  /** Resolves when nothing runs any more, or after `timeoutMs`. */
  emptied(timeoutMs: number): Promise<void> {
    return this.#emptiness.reached(timeoutMs)
  }
}
