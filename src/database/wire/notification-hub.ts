/**
 * Who listens to what, over all sessions. PostgreSQL itself listens to each channel while anybody
 * does; what it then hears goes to all who listen, whichever door it was notified through.
 */
import type { Engine, Notification } from '../../engine/engine.js'
import type { QueryRunner } from '../../engine/queries.js'
import { quoteIdentifier } from '../../dialect/compose-text.js'

/**
 * Channels that PostgreSQL listens to for nobody. An UNLISTEN at once could cross the LISTEN of
 * another session, and what is notified in between would be lost.
 */
const idleChannelsMax = 1_000

export type NotificationListener = (notification: Notification) => void

export class NotificationHub {
  readonly #queries: QueryRunner
  readonly #onBug: (cause: unknown) => void
  readonly #listeners = new Map<string, Set<NotificationListener>>()
  /** Nobody listens to these any more, but PostgreSQL still does. */
  readonly #idle = new Set<string>()

  constructor(
    engine: Pick<Engine, 'onNotification'>,
    queries: QueryRunner,
    onBug: (cause: unknown) => void,
  ) {
    this.#queries = queries
    this.#onBug = onBug
    engine.onNotification((notification) => {
      for (const listener of this.#listeners.get(notification.channel) ?? []) listener(notification)
    })
  }

  /** From now on; the session's LISTEN has been committed. */
  listen(channel: string, listener: NotificationListener): void {
    this.#idle.delete(channel)
    const listeners = this.#listeners.get(channel)
    if (listeners === undefined) this.#listeners.set(channel, new Set([listener]))
    else listeners.add(listener)
  }

  unlisten(channel: string, listener: NotificationListener): void {
    const listeners = this.#listeners.get(channel)
    if (listeners?.delete(listener) !== true || listeners.size > 0) return
    this.#listeners.delete(channel)
    this.#idle.add(channel)
    const [oldest] = this.#idle
    if (this.#idle.size <= idleChannelsMax || oldest === undefined) return
    this.#idle.delete(oldest)
    void this.#unlistenAll(oldest)
  }

  /** PostgreSQL need not listen any more, unless somebody has begun to. */
  async #unlistenAll(channel: string): Promise<void> {
    try {
      await this.#queries.query(`UNLISTEN ${quoteIdentifier(channel)}`)
      if (this.#listeners.has(channel))
        await this.#queries.query(`LISTEN ${quoteIdentifier(channel)}`)
    } catch (cause) {
      this.#onBug(cause)
    }
  }
}
