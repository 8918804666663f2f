import { backendTag } from '../backend-messages.js'

const headerBytes = 5

const copyTags: ReadonlySet<number> = new Set([
  backendTag.copyIn,
  backendTag.copyOut,
  backendTag.copyData,
  backendTag.copyDone,
])

export interface CopyRoutes {
  /** Messages of COPY, cut anywhere. */
  readonly copy: (bytes: Uint8Array) => void
  /** All others. */
  readonly reply: (bytes: Uint8Array) => void
}

/**
 * Parts what PostgreSQL sends, in whatever pieces, into COPY's own messages and the rest. The bytes
 * it hands on are views of what it was given.
 */
export class CopyRouter {
  readonly #routes: CopyRoutes
  readonly #header = new Uint8Array(headerBytes)
  #headerLength = 0
  /** Bytes of the present message's body that are still to come. */
  #bodyLeft = 0
  #isCopy = false

  constructor(routes: CopyRoutes) {
    this.#routes = routes
  }

  route(piece: Uint8Array): void {
    let runStart = 0
    for (let at = 0; at < piece.length;) {
      if (this.#headerLength === 0) {
        const isCopy = copyTags.has(piece[at] ?? 0)
        if (isCopy !== this.#isCopy) {
          this.#hand(piece.subarray(runStart, at))
          runStart = at
          this.#isCopy = isCopy
        }
      }
      at = this.#headerLength < headerBytes ? this.#takeHeader(piece, at) : this.#skip(piece, at)
    }
    this.#hand(piece.subarray(runStart))
  }

  #takeHeader(piece: Uint8Array, from: number): number {
    let at = from
    while (this.#headerLength < headerBytes && at < piece.length)
      this.#header[this.#headerLength++] = piece[at++] ?? 0
    if (this.#headerLength === headerBytes) this.#beginBody()
    return at
  }

  #beginBody(): void {
    const [, a = 0, b = 0, c = 0, d = 0] = this.#header
    // The length counts itself.
    this.#bodyLeft = ((a << 24) | (b << 16) | (c << 8) | d) - 4
    if (this.#bodyLeft === 0) this.#headerLength = 0
  }

  #skip(piece: Uint8Array, at: number): number {
    const bytes = Math.min(this.#bodyLeft, piece.length - at)
    this.#bodyLeft -= bytes
    if (this.#bodyLeft === 0) this.#headerLength = 0
    return at + bytes
  }

  #hand(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    if (this.#isCopy) this.#routes.copy(bytes)
    else this.#routes.reply(bytes)
  }
}
