import { describe, expect, test } from 'vitest'
import { DbError } from '#src/errors.js'
import { readIdempotencyKey, readKey as readCountedKey } from '#src/http/credentials.js'

function headOf(headers: Readonly<Record<string, string>>) {
  const header = (name: string) => headers[name] ?? ''
  return { method: 'POST', path: '/v1/api/sql', query: '', header, isAmbiguous: false }
}

const readKey = (head: ReturnType<typeof headOf>, onMissing: () => void = () => undefined) =>
  readCountedKey(head, { authenticationFailed: onMissing })

function codeOf(read: () => unknown): string {
  try {
    read()
  } catch (thrown) {
    if (thrown instanceof DbError) return thrown.code
  }
  return 'none'
}

describe('A2: the key', () => {
  test.each([
    [{ 'x-api-key': 'k' }],
    [{ authorization: 'Bearer k' }],
    [{ authorization: 'bearer k' }],
    [{ authorization: 'BEARER   k ' }],
    [{ 'x-api-key': 'k', authorization: 'Bearer k' }],
    [{ 'x-api-key': 'k', authorization: 'Basic dTpw' }],
  ])('%j holds the key k', (headers) => {
    expect(readKey(headOf(headers))).toBe('k')
  })

  test.each([
    [{}],
    [{ 'x-api-key': ' ' }],
    [{ authorization: 'k' }],
    [{ authorization: 'Basic dTpw' }],
    [{ authorization: 'Bearer' }],
    [{ authorization: 'Bearer ' }],
    [{ authorization: 'Bearer a b' }],
  ])('A5: %j holds none', (headers) => {
    let missing = 0
    expect(codeOf(() => readKey(headOf(headers), () => missing++))).toBe('UNAUTHORIZED')
    expect(missing).toBe(1)
  })

  test('two different keys are refused: neither is guessed', () => {
    const head = headOf({ 'x-api-key': 'a', authorization: 'Bearer b' })
    expect(codeOf(() => readKey(head))).toBe('BAD_REQUEST')
  })
})

describe('C10: the Idempotency-Key', () => {
  const read = (value: string) => readIdempotencyKey(headOf({ 'idempotency-key': value }))

  test.each(['x', 'a-b_c.1', 'k'.repeat(254), 'k'.repeat(255)])('%j is one', (key) => {
    expect(read(key)).toBe(key)
  })

  test.each(['k'.repeat(256), 'a b', 'ü', '\u007f'])('%j is refused', (key) => {
    expect(codeOf(() => read(key))).toBe('BAD_REQUEST')
  })

  test('none is none', () => {
    expect(read('')).toBeUndefined()
  })
})
