import { afterEach, expect, test, vi } from 'vitest'
import { Control } from '#src/engine/pglite/control.js'

afterEach(() => vi.restoreAllMocks())

test.each(['back', 'forward'])('a clock that is set %s ends nothing that runs', (way) => {
  const control = new Control()
  control.setRunning(7, () => undefined)
  control.owner = 3
  const hours = way === 'back' ? -1 : 1
  vi.spyOn(Date, 'now').mockReturnValue(Date.now() + hours * 3_600_000)
  expect(control.running()?.serial).toBe(7)
  for (const elapsedMs of [control.running()?.elapsedMs, control.leaseElapsedMs()])
    expect(elapsedMs).toBeLessThan(60_000)
})
