import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Change } from '#src/changes/change.js'
import { inOrder, noTransaction, type KeyOf } from '#src/changes/in-order.js'
import { sequenceOf } from '#src/changes/sequence.js'
import { propertyRuns } from '../../support/counts.js'

type State = string | null

/** `key`, and what it was and is. */
type Step = readonly [key: string, old: State, latest: State]

const image = (key: string, state: State) => (state === null ? null : JSON.stringify([key, state]))

const changesOf = (steps: readonly Step[], { from = 1, transaction = '1' } = {}) =>
  steps.map(
    ([key, old, latest], index) =>
      new Change({
        ...{ sequence: sequenceOf(String(from + index)), tableId: 7, version: 1, owner: null },
        ...{ transaction, kind: latest === null ? 'D' : old === null ? 'I' : 'U' },
        ...{ old: image(key, old), new: image(key, latest) },
      }),
  )

const keyOf: KeyOf = (change) => (change.new ?? change.old)?.[0] ?? undefined

const told = (changes: readonly Change[]) =>
  changes.map((change) => [change.kind, keyOf(change), change.old?.[1], change.new?.[1]].join(' '))

describe('changes of a batch', () => {
  test('that are in order are left as they are', () => {
    const changes = changesOf([
      ['1', null, 'a'],
      ['2', 'x', 'y'],
      ['1', 'a', 'b'],
      ['1', 'b', null],
      ['1', null, 'a'],
    ])
    expect(inOrder(changes, keyOf).changes).toBe(changes)
  })

  test('that an INSERT’s trigger made, and the trigger of that: from nothing to the last', () => {
    const { changes } = inOrder(
      changesOf([
        ['1', 'b', 'c'],
        ['2', null, 'z'],
        ['1', null, 'a'],
        ['1', 'a', 'b'],
        ['1', 'c', 'd'],
      ]),
      keyOf,
    )
    expect(told(changes)).toEqual(['I 2  z', 'I 1  d'])
    expect(changes.map(({ sequence }) => sequence)).toEqual([2, 5])
  })

  test('that come back to where they were are none', () => {
    const steps: Step[] = [
      ['1', 'b', 'a'],
      ['1', 'b', 'a'],
      ['1', 'a', 'b'],
      ['1', 'a', 'b'],
    ]
    const ended = inOrder(changesOf([...steps, ['1', 'b', 'b']]), keyOf)
    expect(told(ended.changes)).toEqual([])
  })

  test('of a key, in whatever order but for the last, are from its first to its last state', () => {
    const states = fc.array(fc.constantFrom<State>(null, 'a', 'b', 'c'), { minLength: 2 })
    fc.assert(
      fc.property(states, fc.infiniteStream(fc.nat()), (path, order) => {
        const steps = path
          .slice(1)
          .map((latest, index): Step => ['1', path[index] ?? null, latest])
          .filter(([, old, latest]) => old !== null || latest !== null)
        const [last, ...others] = [...steps].reverse()
        fc.pre(last !== undefined)
        const shuffled = others
          .map((step) => ({ step, place: Number(order.next().value) }))
          .sort((one, other) => one.place - other.place)
        const log = changesOf([...shuffled.map(({ step }) => step), last])
        const { changes } = inOrder(log, keyOf)
        let state = steps[0]?.[1] ?? null
        for (const change of changes) {
          expect(change.old?.[1] ?? null).toBe(state)
          state = change.new?.[1] ?? null
        }
        expect(state).toBe(last[2])
      }),
      propertyRuns(500),
    )
  })
})

describe('a transaction in two batches', () => {
  const first = () => inOrder(changesOf([['1', 'b', 'c']]), keyOf)

  test('whose second goes on where the first ended is in order', () => {
    const second = inOrder(changesOf([['1', 'c', 'd']], { from: 2 }), keyOf, first().open)
    expect(second.broken.size).toBe(0)
    expect(told(second.changes)).toEqual(['U 1 c d'])
  })

  test('whose second tells of what was before is broken, and says of which table', () => {
    const second = inOrder(changesOf([['1', 'a', 'b']], { from: 2 }), keyOf, first().open)
    expect([...second.broken]).toEqual([7])
  })

  test('may be one in three as well', () => {
    const second = inOrder(changesOf([['2', null, 'x']], { from: 2 }), keyOf, first().open)
    const third = inOrder(changesOf([['1', 'a', 'b']], { from: 3 }), keyOf, second.open)
    expect([...third.broken]).toEqual([7])
  })

  test('is forgotten with the next transaction', () => {
    const later = changesOf([['2', null, 'x']], { from: 2, transaction: '2' })
    const { states } = inOrder(later, keyOf, first().open).open
    expect([states.size, states.has('1'), states.has('2')]).toEqual([1, false, true])
  })

  test('of a million rows keeps at most 40 MB of them, and each row apart', () => {
    const [batches, rows] = [200, 5_000]
    let open = noTransaction
    for (let batch = 0; batch < batches; batch++) {
      const steps = Array.from({ length: rows }, (_, index): Step => [
        String(batch * rows + index),
        null,
        'x',
      ])
      const ordered = inOrder(changesOf(steps, { from: batch * rows + 1 }), keyOf, open)
      expect(ordered.broken.size).toBe(0)
      open = ordered.open
    }
    expect(open.states.size).toBe(batches * rows)
    expect(open.states.bytes).toBeLessThanOrEqual(40e6)
    // The last that was left is known, and so is the first.
    for (const key of ['0', '999999']) {
      const on = inOrder(changesOf([[key, 'x', 'y']], { from: 2_000_000 }), keyOf, open)
      expect(on.broken.size).toBe(0)
      const off = inOrder(changesOf([[key, 'x', 'z']], { from: 2_000_001 }), keyOf, on.open)
      expect([...off.broken]).toEqual([7])
    }
  })
})
