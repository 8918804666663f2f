import { errorCodes, type ErrorCode } from './protocol/error-code.js'

/** What PostgreSQL and the dialect know of an error beyond its message. */
export interface ErrorFields {
  /** PostgreSQL's five characters; where absent, the code's own. */
  readonly sqlState?: string | undefined
  readonly detail?: string | undefined
  readonly hint?: string | undefined
  /** Where in the caller's SQL, in characters from 1. */
  readonly position?: number | undefined
  /** Line of `position`, from 1. */
  readonly line?: number | undefined
  /** Column of `position` in its line, in characters from 1. */
  readonly column?: number | undefined
  /** PostgreSQL's CONTEXT: the calling functions, innermost first. */
  readonly where?: string | undefined
  /** The function in PostgreSQL's source that raised it. */
  readonly routine?: string | undefined
  /** What the error is about, where PostgreSQL says it. */
  readonly schemaName?: string | undefined
  readonly tableName?: string | undefined
  readonly columnName?: string | undefined
  readonly dataTypeName?: string | undefined
  readonly constraintName?: string | undefined
  /** Index of the failed statement in the request, from 0. */
  readonly statement?: number | undefined
  /** Seconds after which a retry makes sense. */
  readonly retryAfterS?: number | undefined
}

/**
 * The one error class: a caller's mistake or a failure of the world, with a code that every door
 * understands. Anything else that is thrown is our bug and becomes INTERNAL outside.
 */
export class DbError extends Error {
  readonly code: ErrorCode
  readonly fields: ErrorFields

  constructor(code: ErrorCode, message: string, fields: ErrorFields = {}, options?: ErrorOptions) {
    super(message, options)
    this.name = 'DbError'
    this.code = code
    this.fields = fields
  }

  get status(): number {
    return errorCodes[this.code].status
  }

  get sqlState(): string {
    return this.fields.sqlState ?? errorCodes[this.code].sqlState
  }

  /** The same error with more known about it. */
  with(fields: ErrorFields): DbError {
    return new DbError(
      this.code,
      this.message,
      { ...this.fields, ...fields },
      { cause: this.cause },
    )
  }
}

/** For an error that is told later, in its turn. Bugs are thrown on. */
export function errorAsValue<T>(read: () => T): T | DbError {
  try {
    return read()
  } catch (thrown) {
    if (thrown instanceof DbError) return thrown
    throw thrown
  }
}

/** Fails as a bug of ours, never as the caller's mistake. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`)
}
