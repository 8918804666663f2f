/**
 * What a session was notified of, until its client may be told: not while a statement runs or a
 * transaction is open, and no faster than it reads.
 *
 *   add ──► held ──take──► before ReadyForQuery
 *             └──release, and whenever the client has taken what was sent ──► client
 */
import { DbError } from '../../errors.js'
import type { WireClient } from '../wire-session.js'

export interface HeldNotificationsOptions {
  readonly client: Pick<WireClient, 'send' | 'end'>
  /** `postgres_wire.notified_bytes_max`. */
  readonly bytesMax: number
}

interface Notification {
  readonly channel: string
  readonly message: Uint8Array
}

export class HeldNotifications {
  readonly #options: HeldNotificationsOptions
  #held: Notification[] = []
  #bytes = 0
  #isBusy = false
  /** The client has not taken yet what it was told last. */
  #isSending = false

  constructor(options: HeldNotificationsOptions) {
    this.#options = options
  }

  /** Past the bound the client is ended: SUBSCRIBER_TOO_SLOW. */
  add(channel: string, message: Uint8Array): void {
    const { bytesMax, client } = this.#options
    this.#held.push({ channel, message })
    this.#bytes += message.length
    if (this.#bytes <= bytesMax) {
      this.#tell()
      return
    }
    this.take()
    client.end(tooSlow(bytesMax))
  }

  /** Nothing is told by itself from now on. */
  hold(): void {
    this.#isBusy = true
  }

  /** All of it, which is told by whoever takes it. */
  take(): readonly Uint8Array[] {
    const messages = this.#held.map(({ message }) => message)
    this.#keep([])
    return messages
  }

  /** The client waits: it is told of what there is, and of what comes. */
  release(): void {
    this.#isBusy = false
    this.#tell()
  }

  /** Forgets what is of other channels. */
  keepOnly(channels: ReadonlySet<string>): void {
    this.#keep(this.#held.filter(({ channel }) => channels.has(channel)))
  }

  #keep(held: Notification[]): void {
    this.#held = held
    this.#bytes = held.reduce((sum, { message }) => sum + message.length, 0)
  }

  #tell(): void {
    if (this.#isBusy || this.#isSending || this.#held.length === 0) return
    const sent = this.#options.client.send(Buffer.concat(this.take()))
    if (sent === undefined) return
    this.#isSending = true
    sent.then(
      () => {
        this.#isSending = false
        this.#tell()
      },
      // A client that is gone is its door's to see.
      () => undefined,
    )
  }
}

function tooSlow(bytesMax: number): DbError {
  return new DbError(
    'SUBSCRIBER_TOO_SLOW',
    `terminating connection: more than ${bytesMax} bytes of notifications wait for it`,
    { hint: 'The setting is postgres_wire.notified_bytes_max.' },
  )
}
