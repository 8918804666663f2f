/** A live query as doors ask for it; what they get is told in `live/live-event.ts`. */
import type { RequestParameters } from './request-parameters.js'

export type {
  LiveMode,
  ResetReason,
  Subscribed,
  WatchEvent,
  WatchReceiver,
} from '../live/live-event.js'

export interface WatchRequest {
  /** One SELECT. */
  readonly sql: string
  readonly parameters: RequestParameters
  /** First schema that unqualified names are looked up in; `public` follows. */
  readonly namespace?: string | undefined
  /** Resume after this cursor: what it has told already is not told again. */
  readonly from?: string | undefined
  /** Of the first rows only those whose key, of one column, is greater. */
  readonly fromId?: string | undefined
}

export interface Watch {
  /** As `system.live_queries` and `KILL LIVE QUERY` name it. */
  readonly id: string
  /** Nothing is delivered after it. Safe twice. */
  close(): void
}
