/**
 * What the dialect makes of SQL text: for each statement a checked plan. Pure: no engine, no
 * catalog, no clock. The same text and context always give the same plans, so they are cached and
 * shared: everything in them is frozen.
 */
import type { TextPosition } from '../protocol/text-position.js'
import type { Role } from './roles.js'
import type { TableKind } from './table-shape.js'

/** Who asks, and through which door: all that a plan depends on beside the text. */
export interface PlanContext {
  readonly role: Role
  /** The key may only read. */
  readonly readOnly: boolean
  readonly door: Door
  /** Over HTTP: the request carries the data of a COPY, in or out. */
  readonly copies?: boolean
}

/** HTTP has no session beyond a request and fixes the format of values; the Postgres wire has both. */
export type Door = 'http' | 'postgres'

/** What the text becomes before PostgreSQL sees it: splices into the statement, never a deparse. */
export interface Splice {
  /** First UTF-16 index in the statement's text that is replaced. */
  readonly start: number
  /** Index after the last one replaced; equal to `start` for an insertion. */
  readonly end: number
  /**
   * The new text, or the KalamDB user whose PostgreSQL role goes here, or what is a session's own:
   * the name of a cursor or a prepared statement, the number by which its client knows it.
   */
  readonly text:
    | string
    | { readonly roleOfUser: string }
    | { readonly sessionName: string }
    | { readonly processId: true }
  /** The index that positions inside the new text mean; without it, `start`. */
  readonly pointsTo?: number
}

/** Where a statement stands in the caller's text; the position is that of its first character. */
export interface Place extends TextPosition {
  /** UTF-16 index of its first character in the request's SQL. */
  readonly start: number
  readonly end: number
}

/** A statement that PostgreSQL runs. */
export interface SqlPlan {
  readonly kind: 'sql'
  readonly place: Place
  /** The statement as written, without its semicolon. */
  readonly text: string
  /** In order, not overlapping. `composeText` applies them. */
  readonly splices: readonly Splice[]
  /** BEGIN/START, COMMIT/END, ROLLBACK; savepoints and all else are `none`. */
  readonly transaction: 'begin' | 'commit' | 'rollback' | 'none'
  /** Needs the same session as its neighbours: SET, temporary tables, cursors, DO, CALL, lastval(), transaction control … */
  readonly stateful: boolean
  /** Returns rows and changes nothing that the parser can see: may be streamed through a cursor. */
  readonly query: boolean
  /** May change what other statements' plans or types mean: DDL. */
  readonly ddl: boolean
  /** Number of the highest `$n` used; 0 for none. */
  readonly parameterCount: number
  /** The role it was checked for; inside EXECUTE AS that of a user. */
  readonly role: Role
  /** Names of the relations in it, without their schemas: what they are is known at its turn. */
  readonly relations: readonly string[]
  /** What KalamDB's words in it say of tables. */
  readonly words: TableWords
  /** It reads or changes rows, or begins or ends what does, and makes nothing that lasts. */
  readonly touchesRows: boolean
  /**
   * Whether all that it does is undone with its transaction, so that one that failed may run again: not
   * where it may have committed something, which it can only outside of a transaction block.
   */
  readonly redoable: 'always' | 'in-block' | 'never'
  /** It asks whether the rows there are fulfil a foreign key: those of all users must. */
  readonly checksAllRows: boolean
  /** It may switch `row_security`. */
  readonly setsRowSecurity: boolean
  /** It is SET or RESET. */
  readonly isSetting: boolean
  /** It is COPY … FROM STDIN or TO STDOUT. */
  readonly copy: CopyTraits | undefined
  /** What it does to the session itself, which only a door with sessions has. */
  readonly session: SessionEffect | undefined
}

/** What PostgreSQL cannot do by itself, for one backend serves all sessions. */
export type SessionEffect =
  /** It asks for the role that holds anyway. */
  | { readonly kind: 'none'; readonly command: 'SET' | 'RESET' }
  | { readonly kind: 'listen' | 'unlisten'; readonly channel: string }
  | { readonly kind: 'unlisten-all' | 'deallocate-all' | 'close-all' }
  | { readonly kind: 'prepare' | 'deallocate' | 'close'; readonly name: string }
  /** What the statement does that it runs. */
  | { readonly kind: 'execute'; readonly name: string }
  | { readonly kind: 'savepoint' | 'roll-back-to' | 'release'; readonly name: string }
  | { readonly kind: 'declare'; readonly name: string; readonly isHeld: boolean }
  | { readonly kind: 'discard'; readonly what: Discarded }

export type Discarded = 'all' | 'plans' | 'sequences' | 'temp'

export interface CopyTraits {
  readonly direction: 'from' | 'to'
  readonly format: CopyFormat
  /** Its text is UTF-8: no other ENCODING is asked for. */
  readonly isUtf8: boolean
}

export type CopyFormat = 'text' | 'csv' | 'binary'

/** KalamDB's words about tables. PostgreSQL's grammar sees the text without them. */
export interface TableWords {
  /** CREATE USER, SHARED or STREAM TABLE. */
  readonly creates: CreatedTable | undefined
  /** UNDELETE, which the grammar sees as DELETE. */
  readonly undeletes: boolean
  /** Tables with INCLUDE DELETED, as byte offsets of their names in the composed text. */
  readonly includesDeleted: readonly number[]
}

export interface CreatedTable {
  readonly kind: Exclude<TableKind, 'plain'>
  /** After TTL: the literal, and its index in the composed text. */
  readonly ttl?: { readonly literal: string; readonly index: number } | undefined
}

/** A KalamDB statement, carried out by the catalog or by live queries. */
export type KalamPlan = { readonly place: Place } & (
  | {
      readonly kind: 'create-user'
      readonly name: string
      readonly role: Role
      readonly ifNotExists: boolean
    }
  | { readonly kind: 'drop-user'; readonly name: string; readonly ifExists: boolean }
  | { readonly kind: 'alter-user-role'; readonly name: string; readonly role: Role }
  | { readonly kind: 'rotate-key'; readonly name: string }
  | {
      readonly kind: 'create-key'
      readonly name: string
      /** A PostgreSQL interval, checked by the catalog. */
      readonly expires?: string | undefined
      readonly readOnly: boolean
    }
  | { readonly kind: 'revoke-key'; readonly id: string }
  /** Of live queries; everyone may end their own. */
  | { readonly kind: 'kill-live-query'; readonly id: string }
)

/** `EXECUTE AS 'alice' (statement)`. */
export interface ExecuteAsPlan {
  readonly kind: 'execute-as'
  readonly place: Place
  readonly name: string
  readonly inner: SqlPlan
}

export type Plan = SqlPlan | KalamPlan | ExecuteAsPlan
