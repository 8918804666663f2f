import { expect, test } from 'vitest'
import { RateLimits, type RateLimitsOptions } from '#src/access/rate-limits.js'
import { DbError } from '#src/errors.js'

function open(options: Partial<RateLimitsOptions> = {}) {
  const clock = { nowMs: 1_000_000 }
  const limits = new RateLimits({
    now: () => clock.nowMs,
    requestsPerSecond: 10,
    burstRequests: 3,
    keysMax: 100,
    ...options,
  })
  return { limits, clock }
}

/** Seconds to wait, or 0 when the request may pass. */
function take(limits: RateLimits, keyId = 'key'): number | undefined {
  try {
    limits.take(keyId)
    return 0
  } catch (error) {
    if (error instanceof DbError && error.code === 'RATE_LIMITED') return error.fields.retryAfterS
    throw error
  }
}

test('C6: a key may make as many requests at once as the burst, and not one more', () => {
  const { limits } = open()
  expect([1, 2, 3, 4].map(() => take(limits))).toEqual([0, 0, 0, 1])
})

test('C6: the bucket fills at the rate, up to the burst', () => {
  const { limits, clock } = open()
  for (let request = 0; request < 3; request++) take(limits)
  clock.nowMs += 99
  expect(take(limits)).toBe(1)
  clock.nowMs += 1
  expect([take(limits), take(limits)]).toEqual([0, 1])
  clock.nowMs += 3_600_000
  expect([1, 2, 3, 4].map(() => take(limits))).toEqual([0, 0, 0, 1])
})

test('C6: Retry-After is how long one request takes at a slow rate', () => {
  const { limits } = open({ requestsPerSecond: 1, burstRequests: 1 })
  expect([take(limits), take(limits)]).toEqual([0, 1])
})

test('C6: keys are counted apart', () => {
  const { limits } = open({ burstRequests: 1 })
  expect([take(limits, 'a'), take(limits, 'a'), take(limits, 'b')]).toEqual([0, 1, 0])
})

test('C6: a rate of 0 is no limit', () => {
  const { limits } = open({ requestsPerSecond: 0, burstRequests: 1 })
  expect(Array.from({ length: 1_000 }, () => take(limits)).every((wait) => wait === 0)).toBe(true)
})

test('a clock that is set back takes nothing away', () => {
  const { limits, clock } = open()
  take(limits)
  clock.nowMs -= 3_600_000
  expect([take(limits), take(limits), take(limits)]).toEqual([0, 0, 1])
  clock.nowMs += 100
  expect(take(limits)).toBe(0)
})

test('counts a bounded number of keys', () => {
  const { limits } = open({ keysMax: 2, burstRequests: 1 })
  expect(['a', 'b', 'c', 'a'].map((keyId) => take(limits, keyId))).toEqual([0, 0, 0, 0])
})
