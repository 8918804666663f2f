import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { openTestEngine, rowsOf, unit } from '../../support/engine.js'

test.each(['fsync', 'os'])(
  'onCommit (durability %s): what it tells of can be read then',
  async (durability) => {
    await using opened = await openTestEngine({ settings: { 'engine.durability': durability } })
    const { engine } = opened
    await engine.run(unit('CREATE TABLE t (n int)'))
    let told = 0
    const seen: Promise<number>[] = []
    const stop = engine.onCommit(() => {
      told += 1
      seen.push(
        engine.run(unit('SELECT count(*) FROM t')).then((reply) => Number(rowsOf(reply)[0]?.[0])),
      )
    })
    for (let n = 1; n <= 20; n++) {
      await engine.run(unit(`INSERT INTO t VALUES (${n})`))
      const newest = await seen.at(-1)
      expect(newest).toBe(n)
    }
    stop()
    const before = told
    await engine.run(unit('INSERT INTO t VALUES (0)'))
    expect(told).toBe(before)
  },
)

test('an answer leaves while what was sent with it runs', async () => {
  await using opened = await openTestEngine()
  const { engine } = opened
  // What a start wrote is durable after it, and nothing waits for that.
  await engine.run(unit('SELECT 1'))
  let hasEnded = false
  const short = engine.run(unit('SELECT 1'))
  const long = engine.run(unit('SELECT count(*) FROM generate_series(1, 1000000)')).finally(() => {
    hasEnded = true
  })
  await short
  // What had come together would all be told by then.
  await turn()
  expect(hasEnded).toBe(false)
  await long
})
