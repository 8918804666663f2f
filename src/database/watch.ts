/** A live query as doors see it: first its rows, then what changes them. */
import type { DbError } from '../errors.js'
import type { ResultColumn } from '../protocol/type-info.js'
import type { RequestParameters } from './database.js'

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

/** Who gets the events. What it throws is a bug and ends the watch. */
export interface WatchReceiver {
  deliver(event: WatchEvent): void
  /** Resolves when there is room for more; awaited between the pieces of a snapshot. */
  writable(): Promise<void>
}

/**
 * In this order: `subscribed`; `rows`, any number, and `ready`, unless it was resumed; then
 * `changes` in commit order, each once. `reset` says that `rows … ready` follow and replace all.
 * `ended` is the last.
 */
export type WatchEvent =
  | {
      readonly kind: 'subscribed'
      readonly columns: readonly ResultColumn[]
      /** `follow`: every change of a row; `evaluated`: differences between one commit and a later one. */
      readonly mode: 'follow' | 'evaluated'
      /** Rows have a place: changes carry it. */
      readonly ordered: boolean
      /** Where in `columns` the key is; empty: a row is its own key. */
      readonly key: readonly number[]
      /** Its `from` was honoured: changes follow and no snapshot. */
      readonly resumed: boolean
    }
  /** JSON text of a list of rows; each is a list of values by the table of docs/protocol.md. */
  | { readonly kind: 'rows'; readonly rows: Uint8Array; readonly count: number }
  /** The rows are complete, and all that came before `cursor` is in them. */
  | { readonly kind: 'ready'; readonly cursor: string }
  /** JSON text of a list: `["i",key,row,at?]`, `["u",key,row,at?]`, `["d",key]`. Shared; not to be changed. */
  | {
      readonly kind: 'changes'
      readonly changes: Uint8Array
      readonly count: number
      readonly cursor: string
    }
  | { readonly kind: 'reset'; readonly reason: ResetReason }
  | { readonly kind: 'ended'; readonly error: DbError }

/** Why a resumed query begins anew. */
export type ResetReason =
  /** The log no longer reaches back to it. */
  | 'CURSOR_EXPIRED'
  /** It is of another log: a restored backup, another server. */
  | 'CURSOR_FOREIGN'
  /** The table's columns have changed. */
  | 'SCHEMA_CHANGED'
  /** Re-evaluated queries are not resumed change by change. */
  | 'EVALUATED'
