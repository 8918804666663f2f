import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fieldText, rowStarts } from '#src/live/data-rows.js'
import { diffRows } from '#src/live/row-diff.js'
import { rowFrames } from '#src/database/row-frames.js'
import { propertyRuns } from '../../support/counts.js'

type Row = readonly (string | null)[]

const read = (frames: Uint8Array, start: number, columns: number): Row =>
  Array.from({ length: columns }, (_, column) => fieldText(frames, start, column))

/** As a receiver does it: what moves is taken out, then the list is applied in its order. */
function apply(
  old: readonly Row[],
  next: readonly Row[],
  options: { key: number[]; ordered: boolean },
): Row[] {
  const before = rowFrames(old)
  const after = rowFrames(next)
  const width = old[0]?.length ?? next[0]?.length ?? 0
  const keyOf = (row: Row) =>
    JSON.stringify(options.key.length === 0 ? row : options.key.map((column) => row[column]))
  const rows = [...old]
  const find = (row: Row) => rows.findIndex((each) => keyOf(each) === keyOf(row))
  const changes = diffRows(before, after, options).map((change) => ({
    ...change,
    value: read(change.kind === 'delete' ? before : after, change.row, width),
  }))
  for (const change of changes)
    if (change.kind === 'update' && change.at !== undefined) rows.splice(find(change.value), 1)
  for (const change of changes) {
    if (change.kind === 'delete') rows.splice(find(change.value), 1)
    else if (change.at !== undefined) rows.splice(change.at, 0, change.value)
    else if (change.kind === 'insert') rows.push(change.value)
    else rows[find(change.value)] = change.value
  }
  return rows
}

const value = fc.oneof(fc.constant(null), fc.constantFrom('', 'a', 'b', 'ü', '12'))
const keyless = fc.array(fc.tuple(value, value), { maxLength: 12 })
const keyed = fc.uniqueArray(
  fc.tuple(fc.constantFrom('1', '2', '3', '4', '5', '6', '7', '8'), value),
  {
    selector: ([key]) => key,
    maxLength: 8,
  },
)
const sorted = (rows: readonly Row[]) => rows.map((row) => JSON.stringify(row)).sort()

describe('a difference turns the old rows into the new ones', () => {
  test('in their order, by key', () => {
    const options = { key: [0], ordered: true }
    fc.assert(
      fc.property(keyed, keyed, (old, next) => {
        expect(apply(old, next, options)).toEqual(next)
      }),
      propertyRuns(1000),
    )
  })

  test('in their order, rows that are their own', () => {
    const options = { key: [], ordered: true }
    fc.assert(
      fc.property(keyless, keyless, (old, next) => {
        expect(apply(old, next, options)).toEqual(next)
      }),
      propertyRuns(1000),
    )
  })

  test('in any order', () => {
    fc.assert(
      fc.property(keyed, keyed, (old, next) => {
        expect(sorted(apply(old, next, { key: [0], ordered: false }))).toEqual(sorted(next))
      }),
      propertyRuns(500),
    )
    fc.assert(
      fc.property(keyless, keyless, (old, next) => {
        expect(sorted(apply(old, next, { key: [], ordered: false }))).toEqual(sorted(next))
      }),
      propertyRuns(500),
    )
  })
})

test('the first row going last is one move, not many', () => {
  const rows = ['1', '2', '3', '4', '5'].map((key) => [key, 'x'] as const)
  const moved = [...rows.slice(1), ...rows.slice(0, 1)]
  const changes = diffRows(rowFrames(rows), rowFrames(moved), { key: [0], ordered: true })
  expect(changes).toMatchObject([{ kind: 'update', at: 4 }])
})

test('equal results have no difference', () => {
  const rows = rowFrames([['1', null]])
  expect(diffRows(rows, Buffer.from(rows), { key: [0], ordered: true })).toEqual([])
  expect(rowStarts(rows)).toEqual([0])
})
