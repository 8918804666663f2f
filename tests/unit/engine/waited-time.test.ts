import { expect, test } from 'vitest'
import { WaitedTime } from '#src/engine/pglite/waited-time.js'

test('all waits of a lease count together, whoever waits, and none of another lease', () => {
  const waited = new WaitedTime()
  const note = (lease: number, beganAt: number, now: number, since?: number) =>
    waited.note({ lease, heldMs: now - beganAt, since, now })
  // Who waited before the lease began has waited for another.
  expect(note(1, 100, 110, 50)).toBe(10)
  // The first has given up, and the next began to wait before that.
  expect(note(1, 100, 150, 120)).toBe(50)
  expect(note(1, 100, 200)).toBeUndefined()
  expect(note(1, 100, 900)).toBeUndefined()
  expect(note(1, 100, 1_000, 990)).toBe(110)
  expect(note(2, 1_005, 1_010, 990)).toBe(5)
  expect(waited.note({ lease: undefined, heldMs: 0, since: 990, now: 1_020 })).toBeUndefined()
})
