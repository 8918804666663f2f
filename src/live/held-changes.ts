/** Changes of all groups that wait to be judged: past a bound the log waits, and not memory. */
export class HeldChanges {
  readonly #max: number
  readonly #pause: (ms: number) => Promise<void>
  #count = 0

  /** `max`: the most with which the log is read on. */
  constructor(options: { readonly max: number; readonly pause: (ms: number) => Promise<void> }) {
    this.#max = options.max
    this.#pause = options.pause
  }

  get count(): number {
    return this.#count
  }

  add(changes: number): void {
    this.#count += changes
  }

  remove(changes: number): void {
    this.#count -= changes
  }

  /** Resolves once no more than the bound are held. */
  async room(): Promise<void> {
    while (this.#count > this.#max) await this.#pause(1)
  }
}
