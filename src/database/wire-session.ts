/**
 * A session of the Postgres protocol, behind the door that has the socket: frontend messages in,
 * backend messages out. The door frames, authenticates and bounds; the session plans and runs.
 *
 *   door ── messages up to Query, Sync, Flush ──► session ── a unit ──► engine
 *     ◄──────── backend messages, in order ──────    ◄──── bytes, passed on ──
 *
 * What one session sets, prepares, makes or listens to is its own, though one backend serves all.
 */
import type { DbError } from '../errors.js'

/** What a session says to its client, and hears of it while a statement runs. */
export interface WireClient {
  /**
   * Takes whole backend messages, in order. A promise if the client should be waited for; it
   * rejects when the client is gone.
   */
  send(messages: Uint8Array): void | Promise<void>
  /**
   * The data of a COPY … FROM STDIN: the payloads of CopyData that come from now on, until CopyDone.
   * Called after CopyInResponse was sent. Errors: CANCELLED with CopyFail's text, or when the client
   * is gone.
   */
  copyData(): AsyncIterable<Uint8Array>
  /**
   * The session is over, though nothing runs: TRANSACTION_TIMEOUT, because its transaction was idle or
   * open for too long. To be said as FATAL; close the session then.
   */
  end(error: DbError): void
}

export interface WireSessionOptions {
  /** Settings that the start-up packet asks for: application_name, DateStyle, `options=-c …`. */
  readonly settings: ReadonlyMap<string, string>
  readonly client: WireClient
  /** What PostgreSQL would say of the process: sent with notifications. */
  readonly processId: number
}

/** At most one `run` at a time; the door keeps what comes meanwhile. */
export interface WireSession {
  /** ParameterStatus for the greeting: server_version, client_encoding, TimeZone, …, as the session's settings have it. */
  readonly parameters: ReadonlyMap<string, string>
  /**
   * Runs whole frontend messages, each with its tag and length: any of Parse, Bind, Describe,
   * Execute, Close, and one of Query, Sync, Flush or FunctionCall at the end. All that is to be said
   * was given to the client when it resolves, ReadyForQuery too where one is due. Errors of
   * statements are said to the client. A rejection (DbError) ends the connection, as FATAL:
   * TRANSACTION_TIMEOUT, ENGINE_RESTARTED, UNAVAILABLE, CANCELLED (the client is gone); what is no
   * DbError is a bug.
   */
  run(messages: readonly Uint8Array[]): Promise<void>
  /** Ends what runs or waits, with 57014. Nothing happens if nothing does. */
  cancel(): void
  /** Rolls back and gives back all that the session had. Safe twice. */
  close(): Promise<void>
}
