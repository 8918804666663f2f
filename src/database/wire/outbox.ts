/**
 * What a session says, in order. What its client is slow to take goes through a spool, so that the
 * session goes on meanwhile, and with it the engine that it may have for itself:
 *
 *   send ──► client, as long as it keeps up
 *     └────► spool ──► client, from then on until all was taken (`taken`)
 */
import type { Spool, Spools } from '../spool.js'
import type { WireClient } from '../wire-session.js'

/** A message that is longer than what was sent of it at once. */
interface LongMessage {
  readonly start: number
  readonly end: number
}

export class Outbox {
  readonly #client: WireClient
  readonly #spools: Spools
  #late: Late | undefined

  constructor(client: WireClient, spools: Spools) {
    this.#client = client
    this.#spools = spools
  }

  /** The client has not taken all. */
  get isBehind(): boolean {
    return this.#late !== undefined
  }

  /** Bytes that the client has taken late, since it fell behind. */
  get takenBytes(): number {
    return this.#late?.takenBytes ?? 0
  }

  /**
   * Says whole messages; `following`: so many bytes of the last one are still to come. A promise if it is
   * to be waited for. Errors: OUT_OF_RESOURCES, DISK_FULL, at the end of a message; CANCELLED if the client is gone.
   */
  send(bytes: Uint8Array, following = 0): undefined | Promise<void> {
    if (this.#late !== undefined) return this.#late.write(bytes, following)
    const sent = this.#client.send(bytes)
    if (sent instanceof Promise) this.#late = new Late(this.#client, this.#spools.open(), sent)
    return undefined
  }

  /** Says what nothing follows until all was taken: an error. There is always room for it. */
  sendLast(bytes: Uint8Array): undefined | Promise<void> {
    if (this.#late === undefined) return this.send(bytes)
    this.#late.end(bytes)
    return undefined
  }

  /**
   * Resolves when the client has taken all, with whether something was dropped. Nothing is said
   * meanwhile. Errors: why it did not.
   */
  async taken(): Promise<boolean> {
    const late = this.#late
    if (late === undefined) return false
    late.end()
    const hasDropped = await late.emptied
    this.#late = undefined
    return hasDropped
  }

  /** Gives back what it takes: nothing is said any more. Safe twice. */
  async close(): Promise<void> {
    await this.#late?.close()
  }

  /** Drops what the client has not taken, from the next message on, but for what `sendLast` was given. */
  drop(): void {
    this.#late?.drop()
  }
}

class Late {
  readonly #spool: Spool
  readonly #client: WireClient
  /** Resolves when the client has taken all, after `end`, with whether something was dropped. */
  readonly emptied: Promise<boolean>
  #last: Uint8Array | undefined
  readonly #long: LongMessage[] = []
  #writtenBytes = 0
  #isLong = false
  #isDropped = false
  takenBytes = 0

  constructor(client: WireClient, spool: Spool, first: Promise<void>) {
    this.#client = client
    this.#spool = spool
    this.emptied = this.#empty(first)
    // Looked at by `taken`; until then it may fail as it likes.
    this.emptied.catch(() => undefined)
  }

  async write(bytes: Uint8Array, following: number): Promise<void> {
    if (following > 0 && !this.#isLong)
      this.#long.push({
        start: this.#writtenBytes,
        end: this.#writtenBytes + bytes.length + following,
      })
    await this.#spool.write(bytes, following)
    this.#isLong = following > 0
    this.#writtenBytes += bytes.length
  }

  /** Nothing more is written; `last` may be said after all that was. */
  end(last?: Uint8Array): void {
    this.#last ??= last
    this.#spool.end()
  }

  drop(): void {
    this.#isDropped = true
  }

  close(): Promise<void> {
    return this.#spool.close()
  }

  async #empty(first: Promise<void>): Promise<boolean> {
    let hasDropped = false
    try {
      await first
      for await (const piece of this.#spool) {
        const wanted = this.#isDropped ? piece.subarray(0, this.#restOfMessage()) : piece
        hasDropped = wanted.length < piece.length
        if (wanted.length === 0) break
        this.takenBytes += wanted.length
        await this.#client.send(wanted)
      }
      if (this.#last !== undefined) await this.#client.send(this.#last)
      return hasDropped
    } finally {
      // Who still writes is told so, and that ends the statement.
      await this.#spool.close()
    }
  }

  /** Of the message that the client has a part of. */
  #restOfMessage(): number {
    const at = this.takenBytes
    const inside = this.#long.find(({ start, end }) => start < at && at < end)
    return inside === undefined ? 0 : inside.end - at
  }
}
