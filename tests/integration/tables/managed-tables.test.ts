/** Managed tables as the dialect makes them: rows kept apart, deletes kept, changes logged. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestServer, type TestServer } from '../../support/server.js'

let server: TestServer
let aliceKey: string
let bobKey: string
beforeAll(async () => {
  server = await openTestServer()
  aliceKey = await server.createUser('alice')
  bobKey = await server.createUser('bob')
  await server.sql(`
    CREATE NAMESPACE app;
    CREATE TABLE app.todos (
      id serial NOT NULL, title text,
      _user_id text NOT NULL DEFAULT kalam.uid(),
      _deleted boolean NOT NULL GENERATED ALWAYS AS (false) STORED,
      CONSTRAINT todos_pkey PRIMARY KEY (_user_id, id));
    CREATE TABLE app.prices (
      id integer PRIMARY KEY, price numeric,
      _deleted boolean NOT NULL GENERATED ALWAYS AS (false) STORED);
    CREATE TABLE app.pings (
      id serial NOT NULL, note text,
      _user_id text NOT NULL DEFAULT kalam.uid(),
      _expires_at timestamptz NOT NULL DEFAULT (now() + interval '30 seconds'),
      CONSTRAINT pings_pkey PRIMARY KEY (_user_id, id));
    INSERT INTO app.prices VALUES (1, 1.50), (2, 2.50)`)
})
afterAll(() => server.close())

const titles = async (key: string) =>
  (await server.sql('SELECT title FROM app.todos ORDER BY id', { key })).rows.map(
    ({ title }) => title,
  )
const errorOf = async (sql: string, key: string) => (await server.request(sql, { key })).body.error

describe('B2: a user table', () => {
  test('shows, changes and deletes the caller’s rows only', async () => {
    await server.sql(`INSERT INTO app.todos (id, title) VALUES (1, 'a'), (2, 'b')`, {
      key: aliceKey,
    })
    await server.sql(`INSERT INTO app.todos (id, title) VALUES (1, 'of bob')`, { key: bobKey })
    const { results } = await server.sql(
      `UPDATE app.todos SET title = title || '!'; DELETE FROM app.todos WHERE id = 2`,
      { key: aliceKey },
    )
    expect(results.map(({ row_count }) => row_count)).toEqual([2, 1])
    expect(await titles(aliceKey)).toEqual(['a!'])
    expect(await titles(bobKey)).toEqual(['of bob'])
    expect(await titles(server.adminKey)).toEqual([])
  })

  test('keeps deleted rows, each user’s for themselves', async () => {
    const deleted = 'SELECT id, title, _deleted FROM app.todos INCLUDE DELETED WHERE _deleted'
    expect((await server.sql(deleted, { key: aliceKey })).rows).toEqual([
      { id: 2, title: 'b!', _deleted: true },
    ])
    expect((await server.sql(deleted, { key: bobKey })).rows).toEqual([])
  })
})

describe('B3: a shared table', () => {
  test('is the admins’ until it is granted, its deleted rows with it', async () => {
    const deleted = 'SELECT id, price FROM app.prices INCLUDE DELETED WHERE _deleted'
    await server.sql('DELETE FROM app.prices WHERE id = 1')
    expect(await errorOf('SELECT * FROM app.prices', aliceKey)).toMatchObject({ sqlstate: '42501' })
    expect(await errorOf(deleted, aliceKey)).toMatchObject({ sqlstate: '42501' })
    await server.sql('GRANT SELECT ON app.prices TO PUBLIC')
    expect((await server.sql(deleted, { key: aliceKey })).rows).toEqual([{ id: 1, price: '1.50' }])
  })
})

describe('B4: a stream table', () => {
  test.each(['0 seconds', '-1 hours', '1 day -24:00:01'])(
    'whose rows would never be seen is refused: TTL %s',
    async (ttl) => {
      const sql = `CREATE STREAM TABLE app.never (id int PRIMARY KEY) TTL '${ttl}'`
      expect(await errorOf(sql, server.adminKey)).toMatchObject({
        sqlstate: '22023',
        message: expect.stringContaining('longer than nothing') as string,
      })
    },
  )

  test('may have the shortest TTL there is', async () => {
    await server.sql(`CREATE STREAM TABLE app.short (id int PRIMARY KEY) TTL '1 microsecond'`)
    await server.sql('DROP TABLE app.short')
  })

  test('takes rows of the caller, and nothing else', async () => {
    await server.sql(`INSERT INTO app.pings (note) VALUES ('hi')`, { key: aliceKey })
    for (const [key, count] of [
      [aliceKey, 1],
      [bobKey, 0],
    ] as const)
      expect((await server.sql('SELECT note FROM app.pings', { key })).rows).toHaveLength(count)
    for (const key of [aliceKey, server.adminKey]) {
      expect(await errorOf('DELETE FROM app.pings', key)).toMatchObject({ sqlstate: '42501' })
      expect(await errorOf(`UPDATE app.pings SET note = ''`, key)).toMatchObject({
        sqlstate: '42501',
      })
    }
  })
})
