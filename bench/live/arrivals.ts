import type { NewTodo, Todo } from './live-system.js'

/** Longest that an event may take; one that is missing fails the bench. */
const arrivalMsMax = 30_000

interface Expected {
  readonly owner: string
  readonly timer: NodeJS.Timeout
  arrive(at: number): void
  fail(error: Error): void
}

/** Inserts on their way to the client that watches their owner. */
export class Arrivals {
  readonly #expected = new Map<number, Expected>()

  /** Resolves with the time of arrival, by `performance.now()`. */
  expect({ id, owner }: NewTodo): Promise<number> {
    return new Promise((arrive, fail) => {
      const missing = () => fail(new Error(`no event for insert ${id} within ${arrivalMsMax} ms`))
      this.#expected.set(id, { owner, timer: setTimeout(missing, arrivalMsMax), arrive, fail })
    })
  }

  /** Rows that are not expected, or no more, are no concern of this class. */
  see({ id, owner }: Pick<Todo, 'id' | 'owner'>): void {
    const expected = this.#expected.get(id)
    if (expected === undefined) return
    this.#expected.delete(id)
    clearTimeout(expected.timer)
    if (expected.owner === owner) expected.arrive(performance.now())
    else expected.fail(new Error(`insert ${id} of ${expected.owner} came to ${owner}`))
  }
}
