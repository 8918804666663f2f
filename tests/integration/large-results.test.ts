/** C6: past `http.result_bytes_max` a result is an error, never a shorter result. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTestServer, type TestServer } from '../support/server.js'

let server: TestServer

beforeAll(async () => {
  server = await openTestServer({ settings: { 'http.result_bytes_max': 65_536 } })
  await server.sql('CREATE TABLE note (text text)')
})
afterAll(() => server.close())

test.each([
  ['a little too many rows', "SELECT repeat('x', 1000) FROM generate_series(1, 66)"],
  ['far too many rows', "SELECT repeat('x', 1000) FROM generate_series(1, 100000)"],
  ['one row a little too large', "SELECT repeat('x', 70000)"],
  ['one row far too large', "SELECT repeat('x', 20000000)"],
  // Read as message lengths, these bytes would be negative or wild.
  ['one row of four-byte characters', "SELECT repeat('😀', 5000000)"],
  ['one row of digits', "SELECT repeat('0', 20000000)"],
  ['a write', "INSERT INTO note VALUES ('kept?') RETURNING repeat('x', 20000000)"],
])('%s', async (_title, sql) => {
  for (const transaction of [false, true]) {
    const { status, body } = await server.request(sql, { transaction })
    expect(body.error?.code, JSON.stringify(body).slice(0, 300)).toBe('RESULT_TOO_LARGE')
    expect(status).toBe(413)
    expect((await server.sql('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  }
})

test('a write whose rows are too many to answer is not kept', async () => {
  const insert =
    "INSERT INTO note SELECT repeat('x', 1000) FROM generate_series(1, 5000) RETURNING text"
  for (const transaction of [false, true])
    expect((await server.request(insert, { transaction })).body.error?.code).toBe(
      'RESULT_TOO_LARGE',
    )
  expect((await server.sql('SELECT count(*)::int AS n FROM note')).rows).toEqual([{ n: 0 }])
})

test('as large as may be', async () => {
  const { rows } = await server.sql("SELECT repeat('x', 1000) AS text FROM generate_series(1, 64)")
  expect(rows).toHaveLength(64)
})
