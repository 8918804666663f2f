import type { PostAnswer } from '../../src/database/post-route.js'
import type { DbError } from '../../src/errors.js'
import type { ErrorCode } from '../../src/protocol/error-code.js'

/**
 * An error as the driver reads it: it takes PostgreSQL's fields from an answer of 400, and of any
 * other status the text alone.
 */
export function neonError(error: DbError): PostAnswer {
  return {
    status: keepsStatus.has(error.code) ? error.status : 400,
    contentType: 'application/json',
    write: (out) => out.appendText(errorJson(error)),
  }
}

/**
 * What proxies, and whoever sends again by status, have to know of: the body's size, load, a server
 * that stops, our own bug.
 */
const keepsStatus: ReadonlySet<ErrorCode> = new Set([
  ...(['REQUEST_TOO_LARGE', 'RATE_LIMITED', 'OVERLOADED', 'UNAVAILABLE', 'INTERNAL'] as const),
])

/** Names and types are node-postgres's: a position is text. */
function errorJson({ code, message, sqlState, fields }: DbError): string {
  return JSON.stringify({
    message,
    code: sqlState,
    severity: code === 'UNAUTHORIZED' || sqlState === '3D000' ? 'FATAL' : 'ERROR',
    detail: fields.detail,
    hint: fields.hint,
    position: fields.position?.toString(),
    where: fields.where,
    schema: fields.schemaName,
    table: fields.tableName,
    column: fields.columnName,
    dataType: fields.dataTypeName,
    constraint: fields.constraintName,
    routine: fields.routine,
  })
}
