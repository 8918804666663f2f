import { availableParallelism } from 'node:os'
import { expect, test } from 'vitest'
import { BusyPoll } from '#src/engine/pglite/busy-poll.js'

const longestMs = 1
const clock = { ms: 0 }
/** Each look at it takes a tenth of the longest wait. */
const now = () => (clock.ms += longestMs / 10)
const open = () => new BusyPoll(longestMs, now)

/** How often it looked for what does not come; it is there after the wait. */
function looksInVain(poll: BusyPoll, comesAfterMs: number): number {
  let looks = 0
  expect(poll.waitFor(() => ++looks < 0)).toBe(false)
  clock.ms += comesAfterMs
  poll.came()
  return looks
}

/** It comes at the first look. */
function comesAtOnce(poll: BusyPoll): void {
  if (!poll.waitFor(() => true)) poll.came()
}

test.skipIf(availableParallelism() < 2)('looks until it comes', () => {
  let looks = 0
  expect(open().waitFor(() => ++looks === 100)).toBe(true)
  expect(looks).toBe(100)
})

test.skipIf(availableParallelism() < 2)('looks no more once it comes late, and again later', () => {
  const poll = open()
  for (let soon = 0; soon < 16; soon++) comesAtOnce(poll)
  for (let late = 0; late < 3; late++) expect(looksInVain(poll, longestMs * 4)).toBeGreaterThan(0)
  expect(looksInVain(poll, longestMs * 4)).toBe(0)
  for (let soon = 0; soon < 16; soon++) comesAtOnce(poll)
  expect(looksInVain(poll, 0)).toBeGreaterThan(0)
})

test('0 never looks', () => {
  expect(looksInVain(new BusyPoll(0), 0)).toBe(0)
})
