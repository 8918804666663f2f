import type { Reply } from './reply.js'

/** The requests that have no answer yet. */
export class RunningReplies {
  readonly #replies = new Set<Reply>()
  #onEmpty: (() => void) | undefined

  /** Adds the request until its exchange is over. */
  add(reply: Reply): void {
    this.#replies.add(reply)
    reply.exchange.onOver = () => {
      this.#replies.delete(reply)
      if (this.#replies.size === 0) this.#onEmpty?.()
    }
  }

  [Symbol.iterator](): Iterator<Reply> {
    return [...this.#replies][Symbol.iterator]()
  }

  /** Resolves when nothing runs any more, or after `timeoutMs`. */
  emptied(timeoutMs: number): Promise<void> {
    if (this.#replies.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#onEmpty = undefined
        resolve()
      }
      const timer = setTimeout(done, timeoutMs)
      this.#onEmpty = done
    })
  }
}
