/** What an adapter says of a POST route that it serves on the HTTP port. */
import type { DbError } from '../errors.js'
import type { ByteSink } from '../protocol/byte-sink.js'
import type { CancelSignal } from './database.js'

/**
 * Answers in three steps: the head, then the body while its bytes are there, then the work. Whoever
 * throws at the first has their body thrown away unread.
 */
export interface PostRoute {
  /** Of the URL, without a query: `/sql`. */
  readonly path: string
  /** Headers that the route reads, in lower case: pages of allowed origins may send them. */
  readonly requestHeaders: readonly string[]
  /** Reads the head; `header` answers the empty text for one that is not there. Errors: any DbError. */
  readonly readHead: (header: (name: string) => string) => TakeBody
  /** An error in the route's own words; those of the route and those that HTTP finds on the way. */
  readonly refuse: (error: DbError) => PostAnswer
}

/** The body is valid until this returns; or why there is none: REQUEST_TOO_LARGE, CANCELLED. */
export type TakeBody = (body: Uint8Array | DbError) => Answer

/** Does the work. `signal`: the caller went away. Errors: any DbError. */
export type Answer = (signal: CancelSignal) => Promise<PostAnswer>

export interface PostAnswer {
  readonly status: number
  readonly contentType: string
  readonly headers?: readonly (readonly [name: string, value: string])[]
  /** Writes the body; called once, at once before it is sent. */
  readonly write: (out: ByteSink) => void
}
