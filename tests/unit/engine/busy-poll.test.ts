import { availableParallelism } from 'node:os'
import { expect, test } from 'vitest'
import { BusyPoll } from '#src/engine/pglite/busy-poll.js'

const longestMs = 1

function passMs(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

/** How often it looked for what does not come; it is there after the wait. */
function looksInVain(poll: BusyPoll, comesAfterMs: number): number {
  let looks = 0
  expect(poll.waitFor(() => ++looks < 0)).toBe(false)
  passMs(comesAfterMs)
  poll.came()
  return looks
}

test.skipIf(availableParallelism() < 2)('looks until it comes', () => {
  let looks = 0
  expect(new BusyPoll(1_000).waitFor(() => ++looks === 100)).toBe(true)
  expect(looks).toBe(100)
})

test.skipIf(availableParallelism() < 2)('looks no more once it comes late, and again later', () => {
  const poll = new BusyPoll(longestMs)
  expect(looksInVain(poll, longestMs * 4)).toBeGreaterThan(0)
  for (let late = 0; late < 8; late++) looksInVain(poll, longestMs * 4)
  expect(looksInVain(poll, 0)).toBe(0)
  for (let soon = 0; soon < 16; soon++) looksInVain(poll, 0)
  expect(looksInVain(poll, 0)).toBeGreaterThan(0)
})

test('0 never looks', () => {
  expect(looksInVain(new BusyPoll(0), 0)).toBe(0)
})
