/**
 * An answer that is too long to be held: what PostgreSQL writes goes out as it comes, and what the
 * engine itself must know of it is noted on the way. From an error on it is held again: whoever ran
 * the unit decides what is said of that.
 */
import { backendTag, temporaryObjectState } from '../backend-messages.js'
import { MessageWalker } from './message-walker.js'

export interface ReplyPartsOptions {
  /** Takes what goes out; the bytes are PGlite's memory. */
  readonly out: (bytes: Uint8Array) => void
  /** Takes the rest. */
  readonly hold: (bytes: Uint8Array) => void
}

export class ReplyParts {
  readonly #options: ReplyPartsOptions
  readonly #walker = new MessageWalker()
  #isNoted = false
  /** Of the message that is perhaps to be noted. */
  #message: Uint8Array[] = []
  readonly #noted: Uint8Array[] = []
  #isOver = false

  constructor(options: ReplyPartsOptions) {
    this.#options = options
  }

  /** Notifications, and notices that tell of temporary objects, which went out, whole. */
  get noted(): Uint8Array {
    return Buffer.concat(this.#noted)
  }

  /** All messages from here on are held. */
  end(): void {
    this.#isOver = true
  }

  take(piece: Uint8Array): void {
    let at = 0
    while (!this.#isOver && at < piece.length) {
      if (this.#walker.isBetween) {
        const tag = piece[at]
        if (tag === backendTag.error) break
        this.#isNoted = tag === backendTag.notice || tag === backendTag.notification
      }
      const end = this.#walker.skip(piece, at)
      if (this.#isNoted) this.#note(piece.slice(at, end))
      at = end
    }
    if (at > 0) this.#options.out(piece.subarray(0, at))
    if (at === piece.length) return
    this.#isOver = true
    this.#options.hold(piece.subarray(at))
  }

  /** Notices may be many: one for each row. */
  #note(piece: Uint8Array): void {
    this.#message.push(piece)
    if (!this.#walker.isBetween) return
    const message = Buffer.concat(this.#message.splice(0))
    if (message[0] === backendTag.notification || message.includes(temporaryObjectState))
      this.#noted.push(message)
  }
}
