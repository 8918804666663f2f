import { expect, test } from 'vitest'
import type { KeptName } from '#src/engine/pglite/kept-memory.js'
import { MemoryGuard, type Keeper, type Relief } from '#src/engine/pglite/memory-guard.js'

const cursor = (name: string, bytes: number): KeptName => ({ kind: 'cursor', name, bytes })
const statement = (name: string, bytes: number): KeptName => ({ kind: 'statement', name, bytes })
const keeper = (session: number, otherBytes = 0): Keeper => ({
  ...{ session, otherBytes },
  namePrefix: `w${session}_`,
})

/** A guard with bounds of 100 and 250 bytes over names, which go when they are relieved. */
function guardOver(names: readonly KeptName[], roomAfter = 0) {
  const relieved: Relief[] = []
  let now = 0
  let memoryBytes = 1000
  const guard = new MemoryGuard({
    names: () => names,
    memoryBytes: () => memoryBytes,
    tidy: () => undefined,
    ...{ sessionBytesMax: 100, allBytesMax: 250 },
    relieve: (relief) => relieved.push(relief),
    hasRoom: () => relieved.length >= roomAfter,
    roomBytes: 10,
    now: () => now,
  })
  return {
    ...{ guard, relieved },
    pass: (ms: number) => (now += ms),
    grow: () => (memoryBytes += 1),
  }
}

test('engine.session_bytes_max: a session may keep so much, and not a byte more', () => {
  const { guard, relieved } = guardOver([cursor('w1_a', 60), statement('w1_b', 30)])
  guard.check([keeper(1, 10)])
  expect(relieved).toEqual([])
  guard.check([keeper(1, 11)])
  expect(relieved).toEqual([{ kind: 'session', session: 1, why: 'bound' }])
})

test('engine.sessions_bytes_max: past it whoever keeps the most goes, until it is enough', () => {
  const names = [cursor('w1_a', 80), cursor('w2_a', 90), statement('w12_a', 80)]
  const { guard, relieved } = guardOver(names)
  guard.check([keeper(1), keeper(2), keeper(12)])
  expect(relieved).toEqual([])
  guard.check([keeper(1), keeper(2), keeper(12, 1)])
  expect(relieved).toEqual([{ kind: 'session', session: 2, why: 'need' }])
})

test('a streamed result is bounded as a session is', () => {
  const large = cursor('kalam_1', 101)
  const { guard, relieved } = guardOver([large, cursor('kalam_2', 100), cursor('', 500)])
  guard.check([])
  expect(relieved).toEqual([{ kind: 'name', name: large }])
})

test('of statements that are kept for many the largest go', () => {
  const small = Array.from({ length: 20 }, (_, index) => statement(`kalam_${index}`, 1))
  const { guard, relieved } = guardOver([...small, statement('kalam_l', 42)])
  guard.check([])
  expect(relieved).toEqual([])
  const more = guardOver([...small, statement('kalam_l', 43)])
  more.guard.check([])
  expect(more.relieved).toEqual([{ kind: 'name', name: statement('kalam_l', 43) }])
})

test('when there is no room those who keep the most go, one after the other', () => {
  const { guard, relieved } = guardOver(
    [cursor('w1_a', 10), cursor('w2_a', 20), cursor('k', 15)],
    2,
  )
  guard.check([keeper(1), keeper(2), keeper(3)])
  expect(relieved).toEqual([])
  guard.ranOut()
  guard.check([keeper(1), keeper(2), keeper(3)])
  expect(relieved).toMatchObject([{ session: 2 }, { name: { name: 'k' } }])
})

test('when nobody keeps anything and there is no room, that is an error', () => {
  const { guard } = guardOver([], 1)
  guard.ranOut()
  expect(() => guard.check([])).toThrow('exhausted')
})

test('it is due when the memory has grown, when PostgreSQL ran out, and after a while', () => {
  const { guard, pass, grow } = guardOver([])
  guard.check([])
  expect(guard.isDue).toBe(false)
  grow()
  expect(guard.isDue).toBe(true)
  guard.check([])
  guard.ranOut()
  expect(guard.isDue).toBe(true)
  guard.check([])
  pass(99)
  expect(guard.isDue).toBe(false)
  pass(1)
  expect(guard.isDue).toBe(true)
})
