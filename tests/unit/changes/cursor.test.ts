import { describe, expect, test } from 'vitest'
import { formatCursor, parseCursor } from '#src/changes/cursor.js'
import { sequenceOf } from '#src/changes/sequence.js'

const incarnation = '0123456789abcdef0123456789abcdef'
const cursor = (sequence: number) =>
  formatCursor({ incarnation, sequence: sequenceOf(String(sequence)) })

describe('a cursor', () => {
  test('comes back as it was', () => {
    for (const sequence of [0, 1, 255, 4_294_967_296, Number.MAX_SAFE_INTEGER])
      expect(parseCursor(cursor(sequence))).toEqual({ incarnation, sequence })
  })

  test('of two of a log, the later is the greater text', () => {
    const places = [0, 1, 9, 10, 15, 16, 255, 256, 99_999, 100_000, 4_294_967_296]
    const texts = places.map(cursor)
    expect([...texts].sort()).toEqual(texts)
  })

  test.each([
    '',
    'x',
    '.',
    `${incarnation}.`,
    `${incarnation}.12`,
    `.${'0'.repeat(16)}`,
    `${incarnation}.${'f'.repeat(16)}`,
    `A.${'0'.repeat(16)}`,
  ])('is not any text: %j', (text) => expect(parseCursor(text)).toBeUndefined())
})
