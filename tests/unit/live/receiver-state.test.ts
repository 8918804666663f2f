import { expect, test } from 'vitest'
import { sequenceOf } from '#src/changes/sequence.js'
import { nextReceiverState, type ReceiverState } from '#src/live/receiver-state.js'

const at = (sequence: number) => sequenceOf(String(sequence))

/**
 * One receiver among changes 1 … 4. All ways that its snapshot, its own reading, the group's telling
 * and a new beginning can interleave: it is told each change after its snapshot once, in order.
 */
test('whatever the order of events, no change is missed and none told twice', () => {
  const last = 4
  let ways = 0
  const visit = (
    state: ReceiverState,
    group: number,
    told: readonly number[],
    start: number,
    depth: number,
  ): void => {
    if (depth === 0) {
      ways += 1
      finish(state, group, told, start)
      return
    }
    const deliver = (
      step: ReturnType<typeof nextReceiverState>,
      upTo: number,
      nextGroup: number,
    ): void => {
      const after = step.deliverAfter
      const news = after === undefined ? [] : between(after, upTo)
      visit(step.state, nextGroup, [...told, ...news], start, depth - 1)
    }
    if (state.kind === 'loading')
      for (let place = 0; place <= last; place++) {
        const { state: placed } = nextReceiverState(state, { kind: 'placed', position: at(place) })
        visit(placed, group, [], place, depth - 1)
      }
    if (state.kind === 'behind') {
      for (let upTo = state.position + 1; upTo <= last; upTo++)
        deliver(nextReceiverState(state, { kind: 'read', position: at(upTo) }), upTo, group)
      deliver(nextReceiverState(state, { kind: 'group-at', position: at(group) }), group, group)
    }
    // The group tells those who follow what came since.
    for (let upTo = group + 1; upTo <= last; upTo++)
      deliver(nextReceiverState(state, { kind: 'told', position: at(upTo) }), upTo, upTo)
    // It begins anew, as one that is opened does.
    if (state.kind !== 'loading') visit({ kind: 'loading' }, group, [], 0, depth - 1)
  }
  const finish = (
    state: ReceiverState,
    group: number,
    told: readonly number[],
    start: number,
  ): void => {
    if (state.kind === 'loading') return
    expect(told).toEqual(between(start, state.position))
    // One that follows lacks nothing that the group has told.
    if (state.kind === 'following') expect(state.position).toBeGreaterThanOrEqual(group)
  }
  visit({ kind: 'loading' }, 0, [], 0, 6)
  expect(ways).toBeGreaterThan(5_000)
})

function between(after: number, upTo: number): number[] {
  return Array.from({ length: Math.max(0, upTo - after) }, (_, index) => after + 1 + index)
}
