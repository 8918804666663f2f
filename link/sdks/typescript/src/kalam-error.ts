import type { ErrorCode } from './generated/error-codes.js'

/** Codes that the client makes itself; all others are the server's (docs/errors.md). */
export type ClientErrorCode =
  /** `createClient` got no URL, or none that a server can have. */
  | 'CONFIG_URL_MISSING'
  | 'CONFIG_URL_INVALID'
  /** `createClient` got no API key, or what cannot be one. */
  | 'CONFIG_API_KEY_MISSING'
  | 'CONFIG_API_KEY_INVALID'
  /** There is no WebAssembly here. */
  | 'WASM_UNSUPPORTED'
  /** WebAssembly may not be compiled here: a Content-Security-Policy, or a worker's rules. */
  | 'WASM_BLOCKED'
  /** There is no WebSocket here, and none was given. */
  | 'NO_WEBSOCKET'
  /** A statement was not sent: there is no connection. */
  | 'NOT_CONNECTED'
  /** A statement was sent, and the connection lost before its answer: nobody knows whether it was done. */
  | 'CONNECTION_LOST'
  /** The server did not answer in time. */
  | 'TIMEOUT'
  /** A message was broken, or the client's core failed. */
  | 'PROTOCOL'
  /** The client was closed. */
  | 'CLOSED'

/** A newer server may have codes that this client does not know. */
export type KalamErrorCode = ErrorCode | ClientErrorCode | (string & Record<never, never>)

/** What the server, or the core, tells of an error. */
export interface ErrorDetails {
  readonly code: KalamErrorCode
  readonly message: string
  /** PostgreSQL's. */
  readonly sqlstate?: string
  readonly detail?: string
  readonly hint?: string
  readonly where?: string
  /** Characters from 1, in the SQL that was sent. */
  readonly position?: number
  readonly line?: number
  readonly column?: number
  /** Which statement of several failed, from 0. */
  readonly statement?: number
}

export interface KalamErrorOptions extends ErrorOptions {
  readonly outcome?: 'unknown'
}

/** Every error of this client. Tell them apart by `code`, never by the message. */
export class KalamError extends Error {
  override readonly name = 'KalamError'
  readonly code: KalamErrorCode
  /** What else is told of it. */
  readonly details: ErrorDetails
  /** The statement was sent, and nobody knows whether it was carried out. */
  readonly outcome: 'unknown' | undefined

  constructor(details: ErrorDetails, { outcome, ...options }: KalamErrorOptions = {}) {
    super(details.message, options)
    this.code = details.code
    this.details = details
    this.outcome = outcome
  }
}

export function errorOf(
  code: KalamErrorCode,
  message: string,
  options?: KalamErrorOptions,
): KalamError {
  return new KalamError({ code, message }, options)
}

export function closedError(): KalamError {
  return errorOf('CLOSED', 'it was closed')
}

/** `source`: JSON of an error as the server, or the core, writes it. */
export function readError(source: string, options?: KalamErrorOptions): KalamError {
  // Both write objects with at least these two.
  return new KalamError(JSON.parse(source) as ErrorDetails, options)
}

export function isKalamError(value: unknown): value is KalamError {
  // Two copies of this package may be loaded: of ESM and of CommonJS.
  return value instanceof Error && value.name === 'KalamError'
}
