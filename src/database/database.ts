/**
 * The one port every door calls: authenticate a key, run SQL as its owner, stream a result.
 * It knows nothing of HTTP, sockets or JSON text; results carry PostgreSQL's own row messages.
 */
import type { Observable } from 'rxjs'
import type { Caller } from '../access/caller.js'
import type { ScramSecrets } from '../access/callers.js'
import type { Presence } from '../access/presences.js'
import type { CopyFormat } from '../dialect/plan.js'
import type { Column } from '../engine/statement.js'
import type { DbError } from '../errors.js'
import type { ResultColumn } from '../protocol/type-info.js'
import type { Parameter, RequestParameters } from './request-parameters.js'
import type { TableChange } from './table-changes.js'
import type { Watch, WatchReceiver, WatchRequest } from './watch.js'
import type { WireSession, WireSessionOptions } from './wire-session.js'

export type { Caller, Column, Parameter, Presence, RequestParameters, ScramSecrets }

export interface SqlRequest {
  /** One statement or several, separated by semicolons. */
  readonly sql: string
  readonly parameters: RequestParameters
  /** First schema that unqualified names are looked up in; `public` follows. */
  readonly namespace?: string | undefined
  /** All statements as one transaction. */
  readonly transaction: boolean
  /** Makes a repeat answer with the first outcome. 1–255 characters. */
  readonly idempotencyKey?: string | undefined
}

/** Statements that are each a text of its own, as drivers send them. */
export interface BatchRequest {
  readonly statements: readonly BatchStatement[]
  /** All of them as one transaction; else each commits by itself and the first error stops. */
  readonly transaction?: TransactionMode | undefined
}

export interface BatchStatement {
  /** One statement. */
  readonly sql: string
  readonly parameters: readonly Parameter[]
}

/** What BEGIN says. What is false or left out is as the caller's key has it. */
export interface TransactionMode {
  readonly isolation?: IsolationLevel | undefined
  readonly readOnly?: boolean | undefined
  readonly deferrable?: boolean | undefined
}

export type IsolationLevel =
  'READ UNCOMMITTED' | 'READ COMMITTED' | 'REPEATABLE READ' | 'SERIALIZABLE'

export interface StatementOutcome {
  /** PostgreSQL's command tag without numbers, or KalamDB's: `CREATE USER`. */
  readonly command: string
  readonly columns: readonly ResultColumn[]
  /**
   * The columns as PostgreSQL describes them; the same array as long as the statement stays
   * prepared. Empty in the outcome of an earlier request.
   */
  readonly described: readonly Column[]
  /** Whole backend messages; the DataRow ('D') messages among them are the rows, in text format. */
  readonly frames: Uint8Array
  /** Rows returned or affected. */
  readonly rowCount: number
}

export interface SqlOutcome {
  readonly results: readonly StatementOutcome[]
  /** The outcome is that of an earlier request with the same Idempotency-Key. */
  readonly replayed: boolean
}

/** Parts of a streamed result, in this order: one `columns`, any number of `rows`, one `end`. */
export type StreamPart =
  | { readonly kind: 'columns'; readonly columns: readonly ResultColumn[] }
  | { readonly kind: 'rows'; readonly frames: Uint8Array }
  | { readonly kind: 'end'; readonly command: string; readonly rowCount: number }

export interface CopyRequest {
  readonly sql: string
  /** First schema that unqualified names are looked up in; `public` follows. */
  readonly namespace?: string | undefined
  /** Of COPY … FROM: makes a repeat, with the same data, answer with the first outcome. */
  readonly idempotencyKey?: string | undefined
}

/** A COPY that may run. */
export type Copying =
  | {
      readonly kind: 'from'
      /**
       * Copies the data in, all or nothing. Errors: REQUEST_TOO_LARGE, those of the data's source,
       * those of Database.run.
       */
      readonly run: (data: AsyncIterable<Uint8Array>) => Promise<SqlOutcome>
    }
  | {
      readonly kind: 'to'
      readonly format: CopyFormat
      /** Text is UTF-8, not of an ENCODING that the statement names. */
      readonly isUtf8: boolean
      /**
       * Runs it and gives its data; an error may come in the middle. Nothing comes after a return,
       * which ends the statement.
       */
      readonly read: () => AsyncIterable<Uint8Array>
    }

/**
 * What is used of an AbortSignal; any AbortSignal will do. A door that serves a request in 30 µs
 * brings its own, because making and watching a real one costs 2 to 4 µs (bench 2026-11-23).
 */
export interface CancelSignal {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void
  removeEventListener(type: 'abort', listener: () => void): void
}

export interface Health {
  readonly ready: boolean
  /** `ready`, or why not: one of `starting`, `restarting`, `failed`, `stopping`. */
  readonly state: string
}

export interface Database {
  /** Errors: UNAUTHORIZED, RATE_LIMITED (`retryAfterS`), UNAVAILABLE. */
  authenticate(key: string): Promise<Caller>
  /**
   * The same for a caller who stays, as on a socket. `onEnd` is told once, when the key no longer
   * proves what it does now: revoked, expired, of a dropped user (UNAUTHORIZED), of a user with
   * another role or other rights (CALLER_CHANGED). Leave the presence to end the watch on it.
   */
  enter(key: string, onEnd: (error: DbError) => void): Promise<Presence>
  /**
   * What a SCRAM proof of one of the user's keys is checked with. Nothing tells a name that nobody
   * has from one whose keys are others.
   */
  scramSecrets(userName: string): Promise<ScramSecrets>
  /** As `enter`, for who has proven, by `scramSecrets`, to have the key with this id. */
  enterProven(keyId: string, onEnd: (error: DbError) => void): Promise<Presence>
  /**
   * Runs the statements in order. The first error stops; its `statement`, `position`, `line` and
   * `column` refer to `request.sql`. Aborting cancels what runs. Errors: any of protocol/error-code.
   */
  run(caller: Caller, request: SqlRequest, signal: CancelSignal): Promise<SqlOutcome>
  /**
   * The same for a batch: an error's `statement` is its place in the batch, and its `position`,
   * `line` and `column` refer to that statement's own text. Errors: those of run; SYNTAX_ERROR for
   * a text of several statements.
   */
  runBatch(caller: Caller, request: BatchRequest, signal: CancelSignal): Promise<SqlOutcome>
  /**
   * One statement's rows, a bounded piece at a time. The engine is not held between pieces, so a
   * slow reader holds nobody. Return the iterator (or abort) to stop early.
   */
  stream(caller: Caller, request: SqlRequest, signal: CancelSignal): AsyncIterable<StreamPart>
  /**
   * Plans one COPY … FROM STDIN or TO STDOUT, with SET before it if need be, and says which it is;
   * nothing has run then. Its data goes through a spool, so that who is slow holds nobody. Errors:
   * those of run; BAD_REQUEST for any other text.
   */
  copy(caller: Caller, request: CopyRequest, signal: CancelSignal): Promise<Copying>
  /**
   * Watches a query: its rows, then every change of them. Resolves when `subscribed` was delivered.
   * Errors: those of run; LIVE_REFUSED, LIVE_LIMIT.
   */
  watch(caller: Caller, request: WatchRequest, receiver: WatchReceiver): Promise<Watch>
  /**
   * Every committed change of a table such as `app.todos`, in order, each once; from now on, or
   * after a cursor. For code that embeds the server: it sees the rows of all users.
   */
  changes(table: string, after?: string): Observable<TableChange>
  /**
   * A session of the Postgres protocol. Close it. Errors: QUERY_REJECTED, STATEMENT_REFUSED and
   * FORBIDDEN for settings that it cannot be started with; LEASE_TIMEOUT, OVERLOADED, UNAVAILABLE.
   */
  openWireSession(caller: Caller, options: WireSessionOptions): Promise<WireSession>
  readonly health: Health
  /** Says from now on that it is stopping. What it was made of is closed by who made that. */
  close(): void
}
