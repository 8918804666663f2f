import { DbError } from '../errors.js'
import type { LiveRequest } from './live-request.js'
import type { WatchEvent, WatchReceiver } from './live-event.js'

/** One receiver of one live query, for as long as it is open. */
export class LiveWatch {
  readonly id: string
  readonly request: LiveRequest
  readonly openedAtMs: number
  /** Changes that were delivered. */
  delivered = 0
  readonly #receiver: WatchReceiver
  readonly #onClose: (watch: LiveWatch) => void
  readonly #onBug: (cause: unknown) => void
  #isClosed = false
  #onDescribed: (() => void) | undefined
  /** Resolves with the first event. */
  readonly described: Promise<void>

  constructor(options: {
    readonly id: string
    readonly request: LiveRequest
    readonly openedAtMs: number
    readonly receiver: WatchReceiver
    readonly onClose: (watch: LiveWatch) => void
    readonly onBug: (cause: unknown) => void
  }) {
    this.id = options.id
    this.request = options.request
    this.openedAtMs = options.openedAtMs
    this.#receiver = options.receiver
    this.#onClose = options.onClose
    this.#onBug = options.onBug
    this.described = new Promise((resolve) => {
      this.#onDescribed = resolve
    })
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  deliver(event: WatchEvent): void {
    if (this.#isClosed) return
    if (event.kind === 'changes') this.delivered += event.count
    this.#onDescribed?.()
    this.#onDescribed = undefined
    try {
      this.#receiver.deliver(event)
    } catch (cause) {
      this.#onBug(cause)
      this.close()
    }
  }

  async writable(): Promise<void> {
    if (!this.#isClosed) await this.#receiver.writable()
  }

  /** The last event. Anything but a DbError is a bug of ours. */
  end(cause: unknown): void {
    if (this.#isClosed) return
    if (!(cause instanceof DbError)) this.#onBug(cause)
    const error =
      cause instanceof DbError ? cause : new DbError('INTERNAL', 'the live query failed')
    this.deliver({ kind: 'ended', error })
    this.close()
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#onClose(this)
  }
}
