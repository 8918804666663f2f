import { expect, test } from 'vitest'
import { HeldChanges } from '#src/live/held-changes.js'

/** Pauses that end when the test says so. */
function heldChanges(max: number) {
  const paused: (() => void)[] = []
  const held = new HeldChanges({
    max,
    pause: () => new Promise((resolve) => paused.push(resolve)),
  })
  return { held, paused, goOn: () => paused.shift()?.() }
}

test.each([9, 10])(
  'live.held_changes_max: with %i of 10 the log is read on at once',
  async (count) => {
    const { held, paused } = heldChanges(10)
    held.add(count)
    await held.room()
    expect(paused).toEqual([])
  },
)

test('live.held_changes_max: with 11 of 10 it waits until one is judged', async () => {
  const { held, paused, goOn } = heldChanges(10)
  held.add(11)
  let hasRoom = false
  const waiting = held.room().then(() => (hasRoom = true))
  goOn()
  await Promise.resolve()
  expect([hasRoom, paused.length]).toEqual([false, 1])
  held.remove(1)
  goOn()
  await waiting
  expect(held.count).toBe(10)
})
