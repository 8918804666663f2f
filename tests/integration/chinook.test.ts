import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { chinookQuestions } from '../data/chinook-questions.js'
import { openChinook, type Chinook } from '../support/chinook.js'
import { nativePostgresMissing } from '../support/native-postgres.js'

const missing = nativePostgresMissing()
if (missing !== undefined) console.log(`skipped, Chinook against native PostgreSQL: ${missing}`)

const tableNames = [
  ...['album', 'artist', 'customer', 'employee', 'genre', 'invoice', 'invoice_line'],
  ...['media_type', 'playlist', 'playlist_track', 'track'],
]
const counts = tableNames
  .map((name) => `SELECT '${name}' AS name, count(*) FROM ${name}`)
  .join(' UNION ALL ')
  .concat(' ORDER BY name')

test('every question combines three features or more', () => {
  expect(chinookQuestions).toHaveLength(20)
  for (const { uses } of chinookQuestions) expect(new Set(uses).size).toBeGreaterThanOrEqual(3)
})

describe.skipIf(missing !== undefined)('Chinook, row for row like native PostgreSQL', () => {
  let chinook: Chinook
  beforeAll(async () => {
    chinook = await openChinook('TABLE')
  })
  afterAll(() => chinook.close())

  test('kalam -f loads every row of every table', async () => {
    expect(await chinook.ask(counts)).toEqual(await chinook.askNative(counts))
  })

  test.each(chinookQuestions)('$title', async ({ sql }) => {
    const expected = await chinook.askNative(sql)
    expect(expected.rows.length).toBeGreaterThan(0)
    expect(await chinook.ask(sql)).toEqual(expected)
  })
})

/** In the order of the foreign keys: nothing refers to a row when it goes. */
const deletions = [
  'DELETE FROM playlist_track WHERE (playlist_id + track_id) % 10 = 3',
  'DELETE FROM invoice_line USING invoice i WHERE i.invoice_id = invoice_line.invoice_id AND i.invoice_id % 10 = 7',
  'DELETE FROM invoice WHERE invoice_id % 10 = 7',
  'WITH sold AS (SELECT track_id FROM invoice_line) DELETE FROM playlist_track WHERE track_id % 8 = 5 AND track_id NOT IN (TABLE sold)',
  'DELETE FROM track t WHERE track_id % 8 = 5 AND NOT EXISTS (SELECT FROM invoice_line l WHERE l.track_id = t.track_id)',
  'DELETE FROM artist WHERE artist_id NOT IN (SELECT artist_id FROM album)',
  'DELETE FROM invoice_line WHERE invoice_line_id % 20 = 1 RETURNING invoice_line_id, unit_price',
]

describe.skipIf(missing !== undefined)(
  'B7: Chinook on SHARED tables, a tenth of it deleted, like native PostgreSQL without these rows',
  () => {
    let chinook: Chinook
    beforeAll(async () => {
      chinook = await openChinook('SHARED TABLE')
    })
    afterAll(() => chinook.close())

    test('a tenth of the rows goes, counted as PostgreSQL counts', async () => {
      const before = totalOf(await chinook.askNative(counts))
      for (const sql of deletions) {
        const expected = await chinook.askNative(sql)
        expect(expected.count, sql).toBeGreaterThan(0)
        expect(sorted(await chinook.ask(sql)), sql).toEqual(sorted(expected))
      }
      const remaining = await chinook.askNative(counts)
      expect(await chinook.ask(counts)).toEqual(remaining)
      const share = 1 - totalOf(remaining) / before
      console.log(`Chinook: ${(100 * share).toFixed(1)} % of ${before} rows deleted`)
      expect(share).toBeGreaterThanOrEqual(0.1)
    })

    test.each(chinookQuestions)('$title', async ({ sql }) => {
      expect(await chinook.ask(sql)).toEqual(await chinook.askNative(sql))
    })

    test('B8: INCLUDE DELETED has every row that was ever there', async () => {
      const script = counts.replaceAll(/FROM (\w+)/gu, 'FROM $1 INCLUDE DELETED')
      const live = totalOf(await chinook.ask(counts))
      const gone = await chinook.ask(
        tableNames
          .map((name) => `SELECT count(*) FROM ${name} INCLUDE DELETED WHERE _deleted`)
          .join(' UNION ALL '),
      )
      expect(totalOf(await chinook.ask(script))).toBe(live + totalOf(gone))
    })
  },
)

function sorted(answer: { readonly rows: readonly unknown[]; readonly count: number }): unknown {
  return { count: answer.count, rows: answer.rows.map((row) => JSON.stringify(row)).sort() }
}

/** Sum of the last column. */
function totalOf({ rows }: { readonly rows: readonly (readonly unknown[])[] }): number {
  return rows.reduce((sum, row) => sum + Number(row.at(-1)), 0)
}
