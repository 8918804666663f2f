import { describe, expect, test } from 'vitest'
import { DbError } from '#src/errors.js'
import { BodyCollector } from '#src/http/body-collector.js'

const bytesMax = 200_000

/** Gives the body in chunks; the last call says that it is complete. */
function collect(chunks: readonly Buffer[]): string | undefined {
  const collector = new BodyCollector(bytesMax)
  let outcome: Buffer | DbError | undefined
  chunks.forEach((chunk, index) => {
    // The library takes the chunk's memory back when the callback returns.
    const lent = Buffer.from(chunk)
    outcome ??= collector.take(lent, index === chunks.length - 1)
    if (Buffer.isBuffer(outcome)) outcome = Buffer.from(outcome)
    lent.fill(0)
  })
  return outcome instanceof DbError ? outcome.code : outcome?.toString('latin1')
}

describe('C6: a body is counted while it comes in', () => {
  const body = Buffer.alloc(bytesMax, 'abcdefghij')

  test.each([1, 2, 3, 7, 100])('in %i chunks it is put together', (count) => {
    const size = Math.ceil(bytesMax / count)
    const chunks = Array.from({ length: count }, (_, index) =>
      body.subarray(index * size, (index + 1) * size),
    )
    expect(collect(chunks) === body.toString('latin1')).toBe(true)
  })

  test('an empty last chunk ends it', () => {
    expect(collect([Buffer.from('ab'), Buffer.from('c'), Buffer.alloc(0)])).toBe('abc')
    expect(collect([Buffer.alloc(0)])).toBe('')
  })

  test.each([
    [bytesMax - 1, false],
    [bytesMax, false],
    [bytesMax + 1, true],
  ])('%i bytes, refused: %s', (size, isRefused) => {
    const whole = Buffer.alloc(size, 'x')
    const outcomes = [collect([whole]), collect([whole.subarray(0, 100), whole.subarray(100)])]
    for (const outcome of outcomes) expect(outcome === 'REQUEST_TOO_LARGE').toBe(isRefused)
  })

  test('one that never ends is refused before its end', () => {
    const collector = new BodyCollector(bytesMax)
    const chunk = Buffer.alloc(1024 * 1024)
    const outcomes = Array.from({ length: 40 }, () => collector.take(chunk, false))
    expect(outcomes.filter((outcome) => outcome instanceof DbError)).toHaveLength(1)
    expect(outcomes.at(-1)).toBeUndefined()
  })
})
