/**
 * What can be listened to in three ways at once: with a callback or an observer, as an Observable
 * of others (RxJS and the like), and with `for await`.
 */

export interface Observer<T> {
  readonly next?: (value: T) => void
  /** The last that is told. */
  readonly error?: (error: unknown) => void
  /** The last that is told. */
  readonly complete?: () => void
}

/** Ends a subscription: call it, or its `unsubscribe`, or declare it with `using`. Safe twice. */
export interface Unsubscribe extends Disposable {
  (): void
  readonly unsubscribe: () => void
  readonly closed: boolean
}

export interface SubscribeOptions {
  /** Ends the subscription. */
  readonly signal?: AbortSignal | undefined
}

/** What RxJS and its like call to subscribe; also under `Symbol.observable` where there is one. */
export interface Subscribable<T> {
  subscribe(observer: Observer<T> | ((value: T) => void), options?: SubscribeOptions): Unsubscribe
}

export interface Stream<T> extends Subscribable<T>, AsyncIterable<T> {
  /** For Observables of others: `from(stream)`. */
  readonly '@@observable': () => Subscribable<T>
}

/** Older browsers have no `using`, but may have code that was compiled for it. */
export const dispose: typeof Symbol.dispose = ((Symbol as { readonly dispose?: symbol }).dispose ??
  Symbol.for('Symbol.dispose')) as typeof Symbol.dispose

type End = { readonly kind: 'failed'; readonly error: unknown } | { readonly kind: 'complete' }

export interface ChannelOptions<T> {
  /** What a new listener is told first. */
  readonly first: () => readonly T[]
  /** What waits for a slow `for await` when one more comes; bounded. */
  readonly queue: (waiting: readonly T[], value: T) => readonly T[]
}

/** A stream, with what its owner tells. */
export class Channel<T> implements Stream<T> {
  readonly #options: ChannelOptions<T>
  readonly #observers = new Set<Observer<T>>()
  #end: End | undefined

  constructor(options: ChannelOptions<T>) {
    this.#options = options
    const symbol = (Symbol as { readonly observable?: symbol }).observable
    if (symbol !== undefined) Object.defineProperty(this, symbol, { value: () => this })
  }

  get isHeard(): boolean {
    return this.#observers.size > 0
  }

  next(value: T): void {
    if (this.#end !== undefined) return
    for (const observer of [...this.#observers])
      // One before it may have ended it.
      if (this.#observers.has(observer)) call(() => observer.next?.(value))
  }

  /** Nothing is told after it. Safe twice. */
  fail(error: unknown): void {
    this.#finish({ kind: 'failed', error })
  }

  complete(): void {
    this.#finish({ kind: 'complete' })
  }

  subscribe(
    listener: Observer<T> | ((value: T) => void),
    { signal }: SubscribeOptions = {},
  ): Unsubscribe {
    // Its own object: the same observer may listen twice.
    const observer: Observer<T> =
      typeof listener === 'function'
        ? { next: listener }
        : {
            next: (value) => listener.next?.(value),
            error: (error) => listener.error?.(error),
            complete: () => listener.complete?.(),
          }
    const stop = () => {
      signal?.removeEventListener('abort', stop)
      this.#observers.delete(observer)
    }
    const isClosed = () => !this.#observers.has(observer)
    const unsubscribe = Object.defineProperties(() => stop(), {
      unsubscribe: { value: stop },
      closed: { get: isClosed },
      [dispose]: { value: stop },
    })
    this.#observers.add(observer)
    for (const value of this.#options.first()) if (!isClosed()) call(() => observer.next?.(value))
    if (this.#end !== undefined && !isClosed()) {
      this.#observers.delete(observer)
      end(observer, this.#end)
    }
    if (signal?.aborted === true) stop()
    else signal?.addEventListener('abort', stop)
    // It was given these properties just now.
    return unsubscribe as unknown as Unsubscribe
  }

  '@@observable' = (): this => this

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    let waiting: readonly T[] = []
    let ended: End | undefined
    let wake: () => void = () => undefined
    const stop = this.subscribe({
      next: (value) => {
        waiting = this.#options.queue(waiting, value)
        wake()
      },
      error: (error) => {
        ended = { kind: 'failed', error }
        wake()
      },
      complete: () => {
        ended = { kind: 'complete' }
        wake()
      },
    })
    try {
      for (;;) {
        const [value, ...rest] = waiting
        if (waiting.length > 0) {
          waiting = rest
          // There was one.
          yield value as T
        } else if (ended !== undefined) break
        else
          await new Promise<void>((resolve) => {
            wake = resolve
          })
      }
      if (ended.kind === 'failed') throw ended.error
    } finally {
      stop()
    }
  }

  #finish(ending: End): void {
    if (this.#end !== undefined) return
    this.#end = ending
    const observers = [...this.#observers]
    this.#observers.clear()
    for (const observer of observers) end(observer, ending)
  }
}

/** Of a value that changes, a slow reader gets the latest. */
export function latest<T>(_waiting: readonly T[], value: T): readonly T[] {
  return [value]
}

function end<T>(observer: Observer<T>, ending: End): void {
  call(() => (ending.kind === 'failed' ? observer.error?.(ending.error) : observer.complete?.()))
}

/** What a listener throws is its own affair: it goes where uncaught errors go. */
function call(work: () => void): void {
  try {
    work()
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
