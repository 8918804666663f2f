import { backendTag } from '../backend-messages.js'
import { MessageWalker } from './message-walker.js'

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
  readonly #walker = new MessageWalker()
  #isCopy = false

  constructor(routes: CopyRoutes) {
    this.#routes = routes
  }

  route(piece: Uint8Array): void {
    let runStart = 0
    for (let at = 0; at < piece.length; at = this.#walker.skip(piece, at)) {
      const isCopy = this.#walker.isBetween ? copyTags.has(piece[at] ?? 0) : this.#isCopy
      if (isCopy === this.#isCopy) continue
      this.#hand(piece.subarray(runStart, at))
      runStart = at
      this.#isCopy = isCopy
    }
    this.#hand(piece.subarray(runStart))
  }

  #hand(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    if (this.#isCopy) this.#routes.copy(bytes)
    else this.#routes.reply(bytes)
  }
}
