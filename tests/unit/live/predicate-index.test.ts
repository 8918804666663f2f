import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Change } from '#src/changes/change.js'
import { sequenceOf } from '#src/changes/sequence.js'
import { PredicateIndex, type IndexEntry } from '#src/live/predicate-index.js'
import { propertyRuns } from '../../support/counts.js'

const value = fc.constantFrom('1', '2', '3')
const image = fc.tuple(fc.option(value), fc.option(value))
const entry: fc.Arbitrary<IndexEntry> = fc.record({
  tableId: fc.constantFrom(1, 2),
  owner: fc.option(fc.constantFrom('a', 'b'), { nil: undefined }),
  condition: fc.option(
    fc.record({ column: fc.constantFrom(0, 1), values: fc.uniqueArray(value, { maxLength: 2 }) }),
    { nil: undefined },
  ),
})

function concerns({ tableId, owner, condition }: IndexEntry, change: Change): boolean {
  if (tableId !== change.tableId || (owner !== undefined && owner !== change.owner)) return false
  if (condition === undefined) return true
  return [change.old, change.new].some((row) =>
    condition.values.includes(row?.[condition.column] ?? 'none'),
  )
}

test('finds the queries that a slow look at each would find, after removals too', () => {
  const change = fc.record({
    tableId: fc.constantFrom(1, 2),
    owner: fc.option(fc.constantFrom('a', 'b', 'c')),
    old: fc.option(image),
    new: fc.option(image),
  })
  fc.assert(
    fc.property(
      fc.array(fc.tuple(entry, fc.boolean()), { maxLength: 20 }),
      change,
      (entries, row) => {
        const index = new PredicateIndex<number>()
        entries.forEach(([each], query) => index.add(each, query))
        entries.forEach(([each, removed], query) => {
          if (removed) index.remove(each, query)
        })
        const logged = new Change({
          transaction: '1',
          ...{ sequence: sequenceOf('1'), version: 1, kind: 'U', tableId: row.tableId },
          owner: row.owner,
          old: row.old === null ? null : JSON.stringify(row.old),
          new: row.new === null ? null : JSON.stringify(row.new),
        })
        const found = new Set<number>()
        index.find(logged, found)
        const expected = entries.flatMap(([each, removed], query) =>
          !removed && concerns(each, logged) ? [query] : [],
        )
        expect([...found].sort((a, b) => a - b)).toEqual(expected)
      },
    ),
    propertyRuns(500),
  )
})

test('one value finds its query among ten thousand, and no other', () => {
  const index = new PredicateIndex<number>()
  for (let query = 0; query < 10_000; query++)
    index.add(
      { tableId: 1, owner: undefined, condition: { column: 0, values: [String(query)] } },
      query,
    )
  const found = new Set<number>()
  const image = JSON.stringify(['77', null])
  index.find(
    new Change({
      sequence: sequenceOf('1'),
      version: 1,
      kind: 'I',
      tableId: 1,
      owner: null,
      transaction: '1',
      old: null,
      new: image,
    }),
    found,
  )
  expect([...found]).toEqual([77])
})
