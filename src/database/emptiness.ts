/** What closes waits here until nothing is left of what it serves. */
export class Emptiness {
  readonly #isEmpty: () => boolean
  #onEmpty: (() => void) | undefined

  constructor(isEmpty: () => boolean) {
    this.#isEmpty = isEmpty
  }

  /** Something has ended. */
  check(): void {
    if (this.#isEmpty()) this.#onEmpty?.()
  }

  /** Resolves when nothing is left, or after `timeoutMs`. */
  reached(timeoutMs: number): Promise<void> {
    if (this.#isEmpty()) return Promise.resolve()
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
