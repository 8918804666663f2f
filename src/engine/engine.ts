/**
 * The engine's port: bytes of the PostgreSQL protocol in, bytes out, over many sessions, whoever
 * serves them (PGlite in a worker, later an external PostgreSQL). It knows roles by OID and users
 * by id and nothing of SQL, doors or keys.
 *
 *   unit    whole frontend messages up to and including Query, Sync or Flush. It runs undivided.
 *   session a caller's sequence of units. It owns the engine from an extended message until
 *           Sync's ReadyForQuery, and while that says T (in transaction) or E (failed one).
 *   lease   that ownership; others wait. It has deadlines, which count while somebody waits.
 *
 * A session either ends when its caller's request does, and leaves nothing, or it lasts: then others
 * use the engine between its units, and find nothing of it; see ADR 0018.
 */
import type { DbError } from '../errors.js'

/** Who a unit runs as. Enforced below SQL: nothing in the unit can change it. */
export interface Identity {
  /** OID of the PostgreSQL role whose rights apply. */
  readonly roleOid: number
  /** What `kalam.uid()` answers. Empty for the system. */
  readonly userId: string
  /** Runs in read-only transactions. */
  readonly readOnly: boolean
}

/** The system itself: the bootstrap superuser. Never for a statement that came through a door. */
export const systemIdentity: Identity = Object.freeze({ roleOid: 10, userId: '', readOnly: false })

export interface Unit {
  /** Frontend messages; the last is Query, Sync or Flush. Not to be changed afterwards. */
  readonly bytes: Uint8Array
  readonly identity: Identity
  /**
   * PostgreSQL's search_path, as SQL text: quoted where needed. In a session that of its first unit
   * is what it begins with; from then on it is the session's own to change, the system's units apart.
   */
  readonly searchPath: string
  /** Longest it may run, in ms from the moment it starts; then it ends with 57014. */
  readonly timeoutMs: number
  /**
   * Longest it may wait for the engine, in ms; then LEASE_TIMEOUT. Infinity for what nobody waits for:
   * it hurries no session that has the engine.
   */
  readonly waitMs: number
  /** Largest answer in bytes; past it the unit is cancelled (RESULT_TOO_LARGE), or comes in parts. */
  readonly replyBytesMax: number
  /**
   * Takes a long answer in parts, cut anywhere, while the unit runs, which waits if it does not keep
   * up. An error, what follows it, and what Sync brings are never in a part: they are the reply. All
   * that a part tells of is durable. What it throws ends the unit with that error, and undoes it.
   */
  readonly takePart?: ((part: Uint8Array) => Promise<void>) | undefined
  /** It ends what its session has the engine for: its own time counts then, and not the lease's. */
  readonly endsLease?: boolean
  /** Not refused for want of room in the queue: it only gives back what an earlier unit took. */
  readonly freesRoom?: boolean
  /** For a unit with COPY … FROM STDIN or TO STDOUT in it. */
  readonly copy?: CopyStream | undefined
}

/**
 * The data of COPY, which passes beside the reply and in bounded memory. The engine waits for both
 * ends, and everybody for the engine: whoever is slower than a disk goes through a spool.
 */
export interface CopyStream {
  /**
   * Data for COPY … FROM STDIN, in pieces of any size; without it such a COPY fails. What it throws
   * ends the COPY with PostgreSQL's 57014 and that message. The pieces are not to be changed.
   */
  readonly input?: AsyncIterable<Uint8Array> | undefined
  /**
   * Takes CopyInResponse, CopyOutResponse, CopyData and CopyDone as PostgreSQL sends them, cut
   * anywhere; without it they are part of the reply. All before the reply is durable. What it
   * throws cancels the unit, which then fails with that error.
   */
  readonly output?: ((bytes: Uint8Array) => Promise<void>) | undefined
}

/**
 * What came back: whole backend messages, ReadyForQuery last (unless the unit ended in Flush).
 * ErrorResponse messages are inside; a rejection means the unit did not run to its end.
 * Durable: when it arrives, all it tells of survives a power cut (engine.durability = fsync).
 */
export type Reply = Uint8Array

/** A caller's own sequence of units. At most one unit of it runs or waits at a time. */
export interface Session {
  /** Errors: LEASE_TIMEOUT, OVERLOADED, STATEMENT_TIMEOUT, CANCELLED, RESULT_TOO_LARGE, TRANSACTION_TIMEOUT, ENGINE_RESTARTED, UNAVAILABLE. */
  run(unit: Unit): Promise<Reply>
  /** Takes the engine for this session alone until `close`. Errors: LEASE_TIMEOUT, OVERLOADED. */
  hold(waitMs: number): Promise<void>
  /** Ends what runs, with 57014. Nothing happens if nothing runs. */
  cancel(): void
  /** Another session owns the engine, or may once what is on its way has run: a unit may wait for long. */
  readonly mustWait: boolean
  /**
   * Of a session that lasts: the values that are not the server's, by lower-case name, as its last
   * answer left them, those that hold for its transaction only too. Whatever changed them is in it:
   * SET, RESET ALL, a function, a rollback. Another map after each change.
   */
  readonly settings: ReadonlyMap<string, string>
  /** Rolls back what is open, drops what the session made (temporary tables, settings, cursors, prepared statements) and frees the engine. Safe twice. */
  close(): Promise<void>
}

export interface SessionOptions {
  /** Longest others may wait while the session has the engine in one go, in ms; else the engine's default. */
  readonly leaseMs?: number
  /** The same without running anything, or while data of a COPY does not come. */
  readonly idleMs?: number
  /** False spares the clean-up at `close`: nothing was run that outlives a transaction. */
  readonly leavesState?: boolean
  /**
   * Others may use the engine between its units. What the session has (settings, temporary objects,
   * sequences' last values) is put aside for them and is there again for its own next unit. What it
   * names in the one backend must have names of its own: see `namePrefix`.
   */
  readonly lasts?: boolean
  /**
   * Of a session that lasts: what its settings are until it changes them, and again after RESET.
   * They are set before its first unit, with the rights of that unit's role; if PostgreSQL refuses
   * one, its ErrorResponse and ReadyForQuery are that unit's reply, and the session has none of them.
   */
  readonly settings?: ReadonlyMap<string, string>
  /** Cursors and prepared statements whose names start so are dropped with the session. */
  readonly namePrefix?: string
  /** Who its notifications are said to be from, and its advisory locks are; not 0. */
  readonly processId?: number
  /**
   * Called when the session's transaction was ended for being too long or idle (TRANSACTION_TIMEOUT,
   * 25P04 or 25P03), or the engine was restarted (ENGINE_RESTARTED) and with it all that the session
   * had, unless a unit runs. Its next unit, and each after it, fails with the same.
   */
  readonly onExpired?: (error: DbError) => void
}

/** What a NOTIFY told those who LISTEN. */
export interface Notification {
  readonly channel: string
  readonly payload: string
  /** `SessionOptions.processId` of the session that sent it; 0 if it has none. */
  readonly processId: number
}

export interface Engine {
  /** Runs a unit that needs no session: it must end with ReadyForQuery I. Errors as in `Session.run`. */
  run(unit: Unit): Promise<Reply>
  /** Ends a unit given to `run`, waiting or running. Nothing happens if it has ended. */
  cancel(unit: Unit): void
  openSession(options?: SessionOptions): Session
  /**
   * Calls back after answers have come that may tell of a commit, and after each start. A unit given
   * to `run` from then on sees what was committed. Returns the function that ends it.
   */
  onCommit(listener: () => void): () => void
  /**
   * Calls back with what was notified on the channels that sessions which last LISTEN to, whoever of
   * them: in order, each once, when the commit that sent it is durable and before its answer. It is
   * never part of a reply. The engine's channels are all sessions' together and last until UNLISTEN or
   * a restart (`generation`). Returns the function that ends it.
   */
  onNotification(listener: (notification: Notification) => void): () => void
  /** Grows by one with each restart; prepared statements and sessions of an older generation are gone. */
  readonly generation: number
  readonly status: EngineStatus
  close(): Promise<void>
}

export type EngineStatus =
  | { readonly kind: 'ready' }
  | { readonly kind: 'restarting'; readonly cause: string }
  | { readonly kind: 'failed'; readonly cause: string }
  | { readonly kind: 'closed' }
