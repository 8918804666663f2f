import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { gathered } from '#src/database/wire/gathered.js'

/** Gives that many pieces as fast as they are taken; tells how many were, and whether it was ended. */
function pieces(count: number, bytes: number) {
  const seen = { given: 0, isEnded: false }
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      for (; seen.given < count; seen.given++) {
        await Promise.resolve()
        yield new Uint8Array(bytes).fill(seen.given)
      }
    } finally {
      seen.isEnded = true
    }
  }
  return { seen, source: source() }
}

async function turns(): Promise<void> {
  for (let count = 0; count < 100; count++) await turn()
}

test('what came meanwhile comes at once, and no more of it waits than its bound', async () => {
  const { seen, source } = pieces(100, 64 * 1024)
  const given = gathered(source)
  await given.next()
  await turns()
  // 256 KiB, and one that was asked for before.
  expect(seen.given).toBeLessThanOrEqual(6)
  const next = await given.next()
  expect(next).toMatchObject({ done: false, value: { length: 4 * 64 * 1024 } })
  await given.return(undefined)
  await turns()
  expect(seen.isEnded).toBe(true)
})

test('all of it comes, in order, and an error after what came before it', async () => {
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield* pieces(50, 3).source
    throw new Error('the client is gone')
  }
  const taken: number[] = []
  const taking = (async () => {
    for await (const piece of gathered(failing())) {
      taken.push(...piece)
      await turn()
    }
  })()
  await expect(taking).rejects.toThrow('the client is gone')
  expect(taken).toEqual(Array.from({ length: 150 }, (_, index) => Math.floor(index / 3)))
})
