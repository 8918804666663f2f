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

/** Tells a listener that it is over. */
type End = (observer: Observer<never>) => void

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

  /** The last that a new listener is told first. */
  get state(): T | undefined {
    return this.#options.first().at(-1)
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
    this.#finish((observer) => observer.error?.(error))
  }

  complete(): void {
    this.#finish((observer) => observer.complete?.())
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
    const end = this.#end
    if (end !== undefined && this.#observers.delete(observer)) call(() => end(observer))
    if (signal?.aborted === true) stop()
    else signal?.addEventListener('abort', stop)
    // It was given these properties just now.
    return unsubscribe as unknown as Unsubscribe
  }

  '@@observable' = (): this => this

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    let waiting: readonly T[] = []
    let end: (() => void) | undefined
    let wake: () => void = () => undefined
    const wakeTo = (ending: () => void) => {
      end = ending
      wake()
    }
    const stop = this.subscribe({
      next: (value) => {
        waiting = this.#options.queue(waiting, value)
        wake()
      },
      error: (error) =>
        wakeTo(() => {
          throw error
        }),
      complete: () => wakeTo(() => undefined),
    })
    try {
      for (;;) {
        const [value, ...rest] = waiting
        if (waiting.length > 0) {
          waiting = rest
          // There was one.
          yield value as T
        } else if (end !== undefined) {
          end()
          return
        } else
          await new Promise<void>((resolve) => {
            wake = resolve
          })
      }
    } finally {
      stop()
    }
  }

  #finish(end: End): void {
    if (this.#end !== undefined) return
    this.#end = end
    const observers = [...this.#observers]
    this.#observers.clear()
    for (const observer of observers) call(() => end(observer))
  }
}

/** Of a value that changes, a slow reader gets the latest. */
export function latest<T>(_waiting: readonly T[], value: T): readonly T[] {
  return [value]
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

/** Waits for what is right, or for the end. Rejects with the signal's reason only. */
export function until<T>(
  stream: Subscribable<T>,
  isRight: (value: T) => boolean,
  signal: AbortSignal | undefined,
): Promise<void> {
  const over = new AbortController()
  return new Promise<void>((resolve, reject) => {
    whenAborted(signal, reject, over.signal)
    stream.subscribe(
      {
        next: (value) => {
          if (isRight(value)) resolve()
        },
        error: () => resolve(),
        complete: resolve,
      },
      { signal: over.signal },
    )
  }).finally(() => over.abort())
}

/** Calls with the reason, at once or later, unless it is `over` before. */
export function whenAborted(
  signal: AbortSignal | undefined,
  listener: (reason: Error) => void,
  over: AbortSignal,
): void {
  // An error, unless somebody wants it otherwise.
  const tell = () => listener(signal?.reason as Error)
  if (signal?.aborted === true) tell()
  else signal?.addEventListener('abort', tell, { signal: over })
}
