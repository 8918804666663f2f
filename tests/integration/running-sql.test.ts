/** How requests run: alone, in a session, in a transaction, under a key; and after schema changes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestServer, type TestServer } from '../support/server.js'

let server: TestServer
let alice: string
beforeAll(async () => {
  server = await openTestServer()
  alice = await server.createUser('alice')
  await server.sql('CREATE NAMESPACE app')
  await server.sql(
    'CREATE TABLE app.items (id int PRIMARY KEY, name text, tags text[], extra jsonb)',
  )
  await server.sql('GRANT ALL ON app.items TO user')
})
afterAll(() => server.close())

const count = async (where = 'true') =>
  (await server.sql(`SELECT count(*)::int AS n FROM app.items WHERE ${where}`)).rows[0]?.['n']

describe('several statements', () => {
  test('commit one by one; the first error stops and says which', async () => {
    const sql = `INSERT INTO app.items VALUES (1, 'a'); INSERT INTO app.items VALUES (1, 'b');
                 INSERT INTO app.items VALUES (2, 'c')`
    const { status, body } = await server.request(sql)
    expect(status).toBe(409)
    expect(body.error).toMatchObject({
      code: 'CONSTRAINT_VIOLATION',
      sqlstate: '23505',
      statement: 1,
    })
    expect([await count('id = 1'), await count('id = 2')]).toEqual([1, 0])
  })

  test('as a transaction are kept wholly or not at all', async () => {
    const sql = `INSERT INTO app.items VALUES (10, 'a'); INSERT INTO app.items VALUES (1, 'b')`
    expect((await server.request(sql, { transaction: true })).status).toBe(409)
    expect(await count('id = 10')).toBe(0)
    await server.sql(sql.replace('(1,', '(11,'), { transaction: true })
    expect(await count('id IN (10, 11)')).toBe(2)
  })

  test('take a list of parameters each', async () => {
    const { results } = await server.sql(
      'SELECT $1::int + 1 AS a; SELECT $1::text AS b, $2::text AS c',
      {
        params: [[1], ['x', 'y']],
      },
    )
    expect(results.map(({ rows }) => rows[0])).toEqual([{ a: 2 }, { b: 'x', c: 'y' }])
  })

  test('share a session when they need one, and leave nothing in it', async () => {
    const { rows } = await server.sql(
      `CREATE TEMP TABLE mine (n int); INSERT INTO mine VALUES (1), (2);
       SET TimeZone = 'Asia/Tokyo'; SELECT count(*)::int AS n, current_setting('TimeZone') AS zone FROM mine`,
      { key: alice },
    )
    expect(rows).toEqual([{ n: 2, zone: 'Asia/Tokyo' }])
    const after = await server.sql(
      `SELECT to_regclass('pg_temp.mine') AS t, current_setting('TimeZone') AS zone`,
    )
    expect(after.rows).toEqual([{ t: null, zone: 'UTC' }])
  })

  test('with BEGIN and COMMIT in the text are a transaction; left open they are rolled back and said so', async () => {
    await server.sql(`BEGIN; INSERT INTO app.items VALUES (20, 'x'); SAVEPOINT s;
      INSERT INTO app.items VALUES (21, 'y'); ROLLBACK TO s; COMMIT`)
    expect(await count('id IN (20, 21)')).toBe(1)
    for (const open of [
      'BEGIN; INSERT INTO app.items VALUES (22)',
      'BEGIN; COMMIT AND CHAIN; INSERT INTO app.items VALUES (22)',
    ]) {
      const { status, body } = await server.request(open)
      expect(status).toBe(400)
      expect(body.error).toMatchObject({ code: 'QUERY_REJECTED', sqlstate: '25P01' })
    }
    expect(await count('id = 22')).toBe(0)
  })

  test('about users are refused inside a transaction', async () => {
    const { body } = await server.request(`SELECT 1; CREATE USER 'nobody'`, { transaction: true })
    expect(body.error).toMatchObject({ code: 'QUERY_REJECTED', sqlstate: '25001', statement: 1 })
  })

  test('of two callers in transactions do not mix', async () => {
    await server.sql('CREATE TABLE app.sums (n int); GRANT ALL ON app.sums TO user')
    await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        server.sql(
          `INSERT INTO app.sums SELECT count(*) FROM app.sums; INSERT INTO app.sums SELECT count(*) FROM app.sums`,
          { transaction: true, key: index % 2 === 0 ? alice : server.adminKey },
        ),
      ),
    )
    const { rows } = await server.sql('SELECT n FROM app.sums ORDER BY n')
    expect(rows.map(({ n }) => n)).toEqual(Array.from({ length: 80 }, (_, n) => n))
  })
})

describe('parameters', () => {
  test('are read for the type that PostgreSQL infers', async () => {
    const { rows } = await server.sql(
      `SELECT $1::int8 AS big, $2::numeric AS exact, $3::text[] AS list, $4::jsonb AS doc, $5::bool AS yes,
              $6::int[] AS grid, $7::timestamptz AS at, $8::text AS none, $9::json AS jsons`,
      {
        params: [
          '9223372036854775807',
          '0.10',
          ['a', 'b "c"', null, ''],
          { a: [1, { b: null }] },
          true,
          [
            [1, 2],
            [3, 4],
          ],
          '2026-01-02 03:04:05+01',
          null,
          [1, 'two'],
        ],
      },
    )
    expect(rows[0]).toEqual({
      big: '9223372036854775807',
      exact: '0.10',
      list: ['a', 'b "c"', null, ''],
      doc: { a: [1, { b: null }] },
      yes: true,
      grid: [
        [1, 2],
        [3, 4],
      ],
      at: '2026-01-02T02:04:05Z',
      none: null,
      jsons: [1, 'two'],
    })
  })

  test('too few or too many are told with both numbers', async () => {
    const { body } = await server.request('SELECT $1::int, $2::int', { params: [1] })
    expect(body.error).toMatchObject({
      code: 'BAD_REQUEST',
      message: expect.stringMatching(/2.*1/) as string,
    })
  })

  test('that PostgreSQL cannot read are its error', async () => {
    const { body } = await server.request('SELECT $1::int', { params: ['x'] })
    expect(body.error).toMatchObject({ code: 'QUERY_REJECTED', sqlstate: '22P02' })
  })
})

describe('a prepared statement', () => {
  test('survives ALTER TABLE, DROP and a new table of the name', async () => {
    await server.sql('CREATE TABLE app.shape (a int); INSERT INTO app.shape VALUES (1)')
    await server.sql('GRANT SELECT ON app.shape TO user')
    const read = () =>
      server.sql('SELECT * FROM app.shape WHERE a = $1', { params: [1], key: alice })
    for (let time = 0; time < 3; time++) expect((await read()).rows).toEqual([{ a: 1 }])
    await server.sql(`ALTER TABLE app.shape ADD COLUMN b text DEFAULT 'new'`)
    expect((await read()).rows).toEqual([{ a: 1, b: 'new' }])
    await server.sql('ALTER TABLE app.shape ALTER COLUMN a TYPE text')
    expect((await read()).rows).toEqual([{ a: '1', b: 'new' }])
    await server.sql(
      'DROP TABLE app.shape; CREATE TABLE app.shape (a int, c int); GRANT SELECT ON app.shape TO user',
    )
    expect((await read()).rows).toEqual([])
  })

  test('is kept apart by namespace', async () => {
    await server.sql(
      'CREATE NAMESPACE other; CREATE TABLE other.things (n int); CREATE TABLE app.things (n int)',
    )
    await server.sql('INSERT INTO other.things VALUES (1); INSERT INTO app.things VALUES (2)')
    const read = async (namespace: string) =>
      (await server.sql('SELECT n FROM things', { namespace })).rows
    for (let time = 0; time < 3; time++) {
      expect(await read('other')).toEqual([{ n: 1 }])
      expect(await read('app')).toEqual([{ n: 2 }])
    }
  })
})

test('a type of one’s own is named, its arrays are arrays', async () => {
  await server.sql(
    `CREATE TYPE app.mood AS ENUM ('ok', 'so so'); CREATE DOMAIN app.small AS int CHECK (VALUE < 10)`,
  )
  const { results } = await server.sql(
    `SELECT 'so so'::app.mood AS one, ARRAY['ok', 'so so']::app.mood[] AS more, 7::app.small AS small, ROW(1, 'x') AS both`,
  )
  expect(results[0]?.columns.map(({ type }) => type)).toEqual([
    'app.mood',
    'app.mood[]',
    'int4',
    'record',
  ])
  expect(results[0]?.rows).toEqual([
    { one: 'so so', more: ['ok', 'so so'], small: 7, both: '(1,x)' },
  ])
})

describe('EXECUTE AS', () => {
  test('acts as the user for services and admins, for that statement only', async () => {
    const service = await server.createUser('worker', 'service')
    const sql = `EXECUTE AS 'alice' (SELECT kalam.uid() AS who); SELECT kalam.uid() AS who`
    const { results } = await server.sql(sql, { key: service })
    const [as, self] = results.map(({ rows }) => rows[0]?.['who'])
    const { rows } = await server.sql(
      `SELECT user_id, name FROM system.users WHERE name IN ('alice', 'worker')`,
    )
    const idOf = (name: string) => rows.find((row) => row['name'] === name)?.['user_id']
    expect([as, self]).toEqual([idOf('alice'), idOf('worker')])
  })

  test('is refused to users, and for admins to services', async () => {
    expect((await server.request(`EXECUTE AS 'worker' (SELECT 1)`, { key: alice })).status).toBe(
      403,
    )
    const service = await server.createUser('worker2', 'service')
    expect((await server.request(`EXECUTE AS 'root' (SELECT 1)`, { key: service })).status).toBe(
      403,
    )
    expect((await server.request(`EXECUTE AS 'nobody' (SELECT 1)`, { key: service })).status).toBe(
      404,
    )
  })
})

describe('an Idempotency-Key', () => {
  const insert = (id: number) => `INSERT INTO app.items (id) VALUES (${id}) RETURNING id`
  const withKey = (key: string) => ({ key: alice, headers: { 'idempotency-key': key } })

  test('makes a repeat answer with the first outcome and do nothing', async () => {
    const first = await server.request(insert(100), withKey('one'))
    const again = await server.request(insert(100), withKey('one'))
    expect(first).toMatchObject({
      status: 200,
      body: { results: [{ rows: [{ id: 100 }], row_count: 1 }] },
    })
    expect(again).toMatchObject({
      status: 200,
      body: { replayed: true, results: first.body.results },
    })
  })

  test('of many requests at once lets one write', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => server.request(insert(101), withKey('many'))),
    )
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    expect(answers.filter(({ body }) => body.replayed !== true)).toHaveLength(1)
  })

  test('is the caller’s own, and not for another request', async () => {
    await server.sql('CREATE TABLE app.log (who text); GRANT ALL ON app.log TO user')
    await server.request(`INSERT INTO app.log VALUES ('a')`, withKey('two'))
    expect(await server.request(`INSERT INTO app.log VALUES ('b')`, withKey('two'))).toMatchObject({
      status: 422,
      body: { error: { code: 'IDEMPOTENCY_KEY_REUSED' } },
    })
    const other = { headers: { 'idempotency-key': 'two' } }
    expect(
      (await server.request(`INSERT INTO app.log VALUES ('c')`, other)).body.replayed,
    ).toBeUndefined()
  })

  test('is free again when its request failed', async () => {
    expect((await server.request(insert(100), withKey('three'))).status).toBe(409)
    expect((await server.request(insert(103), withKey('three'))).status).toBe(200)
  })

  test.each([
    ['a request', 'SET TRANSACTION READ ONLY; SELECT 1', 'ro-1'],
    ['what it wrote before', `${insert(106)}; SET LOCAL transaction_read_only = on`, 'ro-2'],
  ])('does not take %s that makes its transaction read only', async (_name, sql, key) => {
    expect(await server.request(sql, { ...withKey(key), transaction: true })).toMatchObject({
      status: 400,
      body: {
        error: { code: 'BAD_REQUEST', message: expect.stringContaining('read only') as string },
      },
    })
    expect(await count('id = 106')).toBe(0)
  })

  test('takes several statements as one transaction only', async () => {
    const two = `${insert(104)}; ${insert(105)}`
    expect((await server.request(two, withKey('four'))).status).toBe(400)
    const done = await server.request(two, { ...withKey('four'), transaction: true })
    expect(done.body.results).toHaveLength(2)
    expect(
      (await server.request(two, { ...withKey('four'), transaction: true })).body,
    ).toMatchObject({
      replayed: true,
      results: done.body.results,
    })
  })
})

test('a caller who leaves in a transaction frees the engine', async () => {
  const controller = new AbortController()
  const hanging = fetch(`${server.url}/v1/api/sql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': server.adminKey },
    body: JSON.stringify({
      sql: `INSERT INTO app.items (id) VALUES (900); SELECT count(*) FROM generate_series(1, 100000000000)`,
      transaction: true,
    }),
    signal: controller.signal,
  }).catch(() => 'gone')
  const waiting = async () => {
    const page = await (await fetch(`${server.url}/metrics`)).text()
    return Number(/^kalamdb_engine_queue_units (\d+)$/m.exec(page)?.[1])
  }
  await expect.poll(waiting).toBeGreaterThan(0)
  controller.abort()
  expect(await hanging).toBe('gone')
  expect(await count('id = 900')).toBe(0)
})
