/**
 * An answer that is too long to be held: what PostgreSQL writes goes out as it comes, and what the
 * engine itself must know of it is noted on the way. From an error on it is held again: whoever ran
 * the unit decides what is said of that.
 */
import { backendTag, temporaryObjectState } from '../backend-messages.js'

const headerBytes = 5

export interface ReplyPartsOptions {
  /** Takes what goes out; the bytes are PGlite's memory. */
  readonly out: (bytes: Uint8Array) => void
  /** Takes the rest. */
  readonly hold: (bytes: Uint8Array) => void
}

export class ReplyParts {
  readonly #options: ReplyPartsOptions
  readonly #header = new Uint8Array(headerBytes)
  #headerLength = 0
  /** Bytes of the present message's body that are still to come. */
  #bodyLeft = 0
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
      if (this.#headerLength > 0 || this.#bodyLeft > 0) at = this.#goOn(piece, at)
      else if (piece[at] === backendTag.error) break
      else at = this.#begin(piece, at)
    }
    if (at > 0) this.#options.out(piece.subarray(0, at))
    if (at === piece.length) return
    this.#isOver = true
    this.#options.hold(piece.subarray(at))
  }

  /** A message that begins here; where the next one does, or the piece's end. */
  #begin(piece: Uint8Array, at: number): number {
    const tag = piece[at]
    this.#isNoted = tag === backendTag.notice || tag === backendTag.notification
    if (this.#isNoted || at + headerBytes > piece.length) return this.#goOn(piece, at)
    // Rows, of which there are many.
    const end = at + 1 + lengthAt(piece, at + 1)
    if (end <= piece.length) return end
    this.#bodyLeft = end - piece.length
    return piece.length
  }

  #goOn(piece: Uint8Array, from: number): number {
    let at = from
    if (this.#bodyLeft === 0) {
      while (this.#headerLength < headerBytes && at < piece.length)
        this.#header[this.#headerLength++] = piece[at++] ?? 0
      if (this.#headerLength === headerBytes) {
        this.#headerLength = 0
        // The length counts itself.
        this.#bodyLeft = lengthAt(this.#header, 1) - 4
      }
    }
    const end = Math.min(piece.length, at + this.#bodyLeft)
    this.#bodyLeft -= end - at
    if (this.#isNoted) this.#note(piece.slice(from, end))
    return end
  }

  /** Notices may be many: one for each row. */
  #note(piece: Uint8Array): void {
    this.#message.push(piece)
    if (this.#headerLength > 0 || this.#bodyLeft > 0) return
    const message = Buffer.concat(this.#message.splice(0))
    if (message[0] === backendTag.notification || message.includes(temporaryObjectState))
      this.#noted.push(message)
  }
}

function lengthAt(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) << 24) |
    ((bytes[at + 1] ?? 0) << 16) |
    ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)
  )
}
