/** Rows that wait for a client that takes them in portions wait for so long. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Spools } from '#src/database/spool.js'
import { KeptRows } from '#src/database/wire/kept-rows.js'
import { frame } from '../../support/raw-wire-client.js'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})
afterEach(() => {
  vi.useRealTimers()
})

test('http.stream_idle_timeout_ms: they are gone when none was taken for so long', async () => {
  const kept = new KeptRows(new Spools({ folder: '', diskBytesMax: 0 }).open(), 1_000)
  for (let row = 0; row < 9; row++) await kept.send(frame('D', 'row'))
  await kept.send(frame('C', 'SELECT 9\0'))
  kept.end()
  const take = () => kept.say(1, () => undefined)
  expect(await take()).toBe('more')
  for (let round = 0; round < 3; round++) {
    vi.advanceTimersByTime(999)
    expect(await take()).toBe('more')
  }
  vi.advanceTimersByTime(1_000)
  await expect(take()).rejects.toMatchObject({ sqlState: '34000' })
})
