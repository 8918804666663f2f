import { randomUUID } from 'node:crypto'
import { DbError } from '../errors.js'
import { errorCodes } from '../protocol/error-code.js'
import type { Log } from '../telemetry/log.js'
import type { Header } from './uws.js'

/** What was thrown, as callers may see it. Our own bugs go to the log, under an id. */
export function toDbError(thrown: unknown, log: Log): DbError {
  if (thrown instanceof DbError && thrown.code !== 'INTERNAL') return thrown
  const id = randomUUID()
  log.error('internal error', { id, error: thrown })
  return new DbError(
    'INTERNAL',
    `internal error; the server's log has it under ${id}`,
    {},
    { cause: thrown },
  )
}

/** `{"status":"error","error":{…}}`; unknown fields are left out. */
export function errorJson(error: DbError): string {
  return `{"status":"error","error":${errorObjectJson(error)}}`
}

/** `{"code":…,"message":…}`, as every door sends it. */
export function errorObjectJson(error: DbError): string {
  const { position, line, column, hint, detail, where, statement } = error.fields
  return JSON.stringify({
    code: error.code,
    message: error.message,
    sqlstate: error.sqlState,
    position,
    line,
    column,
    hint,
    detail,
    where,
    statement,
  })
}

export function errorHeaders(error: DbError): readonly Header[] {
  const headers: Header[] = []
  if (error.code === 'UNAUTHORIZED') headers.push(['www-authenticate', 'Bearer realm="kalamdb"'])
  const retryAfterS = error.fields.retryAfterS ?? usualRetryAfterS(error)
  if (retryAfterS !== undefined) headers.push(['retry-after', String(Math.ceil(retryAfterS))])
  return headers
}

function usualRetryAfterS({ code }: DbError): number | undefined {
  const { retry, status } = errorCodes[code]
  return retry && (status === 429 || status === 503) ? 1 : undefined
}
