import { describe, expect, test } from 'vitest'
import { DbError } from '#src/errors.js'
import { createLog } from '#src/telemetry/log.js'
import { errorHeaders, errorJson, toDbError } from '#src/http/error-response.js'

function openLog() {
  const lines: string[] = []
  const log = createLog(
    { level: 'info', format: 'json', slow_statement_ms: 0 },
    {
      write: (line) => lines.push(line),
    },
  )
  return { log, lines }
}

describe('C2: an error', () => {
  test('says all that is known, and nothing that is not', () => {
    const error = new DbError('QUERY_REJECTED', 'relation "x" does not exist', {
      sqlState: '42P01',
      position: 15,
      line: 1,
      column: 15,
    })
    expect(JSON.parse(errorJson(error))).toEqual({
      status: 'error',
      error: {
        code: 'QUERY_REJECTED',
        message: 'relation "x" does not exist',
        sqlstate: '42P01',
        position: 15,
        line: 1,
        column: 15,
      },
    })
  })

  test('A5: without a key names the scheme', () => {
    expect(errorHeaders(new DbError('UNAUTHORIZED', 'x'))).toEqual([
      ['www-authenticate', 'Bearer realm="kalamdb"'],
    ])
  })

  test('C6: says when to come again, where that helps', () => {
    const headersOf = (error: DbError) => errorHeaders(error)
    expect(headersOf(new DbError('RATE_LIMITED', 'x', { retryAfterS: 1.2 }))).toEqual([
      ['retry-after', '2'],
    ])
    expect(headersOf(new DbError('OVERLOADED', 'x'))).toEqual([['retry-after', '1']])
    expect(headersOf(new DbError('OUT_OF_RESOURCES', 'x'))).toEqual([])
    expect(headersOf(new DbError('QUERY_REJECTED', 'x'))).toEqual([])
  })

  test('our bugs go to the log; the caller gets their id', () => {
    const { log, lines } = openLog()
    const error = toDbError(new TypeError('secret detail'), log)
    const id = /[0-9a-f-]{36}/.exec(error.message)?.[0] ?? 'none'
    expect(error.code).toBe('INTERNAL')
    expect(errorJson(error)).not.toContain('secret detail')
    expect(lines.join('')).toContain(id)
    expect(lines.join('')).toContain('secret detail')
  })

  test("callers' errors are not logged", () => {
    const { log, lines } = openLog()
    const error = new DbError('BAD_REQUEST', 'x')
    expect(toDbError(error, log)).toBe(error)
    expect(lines).toEqual([])
  })
})
