/** A live query as doors see it: first its rows, then what changes them. */
import type { DbError } from '../errors.js'
import type { ResultColumn } from '../protocol/type-info.js'

/** Who gets the events. What it throws is a bug and ends the watch. */
export interface WatchReceiver {
  deliver(event: WatchEvent): void
  /** Resolves when there is room for more; awaited between the pieces of a snapshot. */
  writable(): Promise<void>
}

/**
 * In this order: `subscribed`; `rows`, any number, and `ready`, unless it was resumed; then
 * `changes` in commit order, each once. `reset` says that `rows … ready` follow and replace all;
 * where the columns are other ones, a `subscribed` with them comes in between. `ended` is the last.
 */
export type WatchEvent =
  | Subscribed
  /** JSON text of a list of rows; each is a list of values by the table of docs/protocol.md. */
  | { readonly kind: 'rows'; readonly rows: Uint8Array; readonly count: number }
  /** The rows are complete, and all that came before `cursor` is in them. */
  | { readonly kind: 'ready'; readonly cursor: string }
  /**
   * JSON text of a list: `["i",key,row,at?]`, `["u",key,row,at?]`, `["d",key]`, where a key is a list
   * of values. It is applied in its order, after the rows of all updates with an `at` were taken
   * out; `at` is where the row then goes. An empty list moves the cursor. Shared; not to be changed.
   */
  | {
      readonly kind: 'changes'
      readonly changes: Uint8Array
      readonly count: number
      readonly cursor: string
    }
  | { readonly kind: 'reset'; readonly reason: ResetReason }
  | { readonly kind: 'ended'; readonly error: DbError }

export interface Subscribed {
  readonly kind: 'subscribed'
  readonly columns: readonly ResultColumn[]
  /** `follow`: every change of a row; `evaluated`: differences between one commit and a later one. */
  readonly mode: LiveMode
  /** Rows have a place: changes carry it. */
  readonly ordered: boolean
  /** Where in `columns` the key is; empty: a row is its own key, and equal rows are alike. */
  readonly key: readonly number[]
  /** Its `from` was honoured: changes follow and no snapshot. */
  readonly resumed: boolean
}

export type LiveMode = 'follow' | 'evaluated'

/** Why a query begins anew. */
export type ResetReason =
  /** The log no longer reaches back to it. */
  | 'CURSOR_EXPIRED'
  /** It is of another log: a restored backup, another server. */
  | 'CURSOR_FOREIGN'
  /** The table's columns have changed. */
  | 'SCHEMA_CHANGED'
  /** Re-evaluated queries are not resumed change by change. */
  | 'EVALUATED'
