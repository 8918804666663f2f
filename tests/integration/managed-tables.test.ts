/** USER, SHARED and STREAM tables over HTTP: the table of docs/sql.md, and what it cannot tell. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  deleteNine,
  fill,
  isCopy,
  kinds,
  rows,
  setUp,
  statementFor,
} from '../support/managed-table-cells.js'
import { copy } from '../support/copy-client.js'
import {
  openTestServer,
  type SqlBody,
  type SqlOptions,
  type TestServer,
} from '../support/server.js'

let server: TestServer
let alice: string
let bob: string
let service: string
beforeAll(async () => {
  server = await openTestServer()
  alice = await server.createUser('alice')
  bob = await server.createUser('bob')
  service = await server.createUser('jobs', 'service')
  await server.sql(setUp)
  await server.sql(fill + deleteNine, { key: alice })
})
afterAll(() => server.close())

const errorOf = async (sql: string, options?: SqlOptions) =>
  (await server.request(sql, options)).body.error
const rowsOf = async (sql: string, key?: string) => {
  const { results } = await server.sql(sql, key === undefined ? {} : { key })
  return results.map((result) => result.rows)
}
const lastRows = async (sql: string, key?: string) => (await rowsOf(sql, key)).at(-1)

describe('B7: a foreign key that comes later', () => {
  test('must hold for the rows of every user', async () => {
    await server.sql(`CREATE NAMESPACE fk; CREATE USER TABLE fk.p (id int PRIMARY KEY);
      CREATE USER TABLE fk.c (id int PRIMARY KEY, p int)`)
    await server.sql('INSERT INTO fk.c VALUES (1, 7)', { key: bob })
    const missing = { sqlstate: '23503' }
    const add = 'ALTER TABLE fk.c ADD CONSTRAINT f FOREIGN KEY (p) REFERENCES fk.p'
    expect(await errorOf(add)).toMatchObject(missing)
    const column = 'ALTER TABLE fk.c ADD COLUMN q int DEFAULT 7 REFERENCES fk.p'
    expect(await errorOf(column)).toMatchObject(missing)
    await server.sql(`${add} NOT VALID`)
    expect(await errorOf('ALTER TABLE fk.c VALIDATE CONSTRAINT f')).toMatchObject(missing)
    await server.sql('INSERT INTO fk.p VALUES (7)', { key: bob })
    await server.sql('ALTER TABLE fk.c VALIDATE CONSTRAINT f')
    await server.sql('DROP NAMESPACE fk CASCADE')
  })
})

describe('B11: each statement on each kind of table', () => {
  test.each(rows.filter((row) => !isCopy(row)))('$who: $sql', async ({ who, sql, outcomes }) => {
    const key = who === 'admin' ? server.adminKey : alice
    const found: string[] = []
    for (const kind of kinds) {
      const text = `BEGIN; ${statementFor(sql, kind)}; ROLLBACK`
      const { body } = await server.request(text, { key })
      const result = body.results?.[1]
      found.push(
        result === undefined
          ? `${body.error?.code ?? ''} ${body.error?.sqlstate ?? ''}`
          : `${result.command} ${result.row_count}`,
      )
    }
    expect(found).toEqual(outcomes)
  })

  // Those that add rows come last.
  const copies = rows.filter(isCopy)
  const inOrder = copies.toSorted(
    (one, other) =>
      Number(one.sql.includes('FROM STDIN')) - Number(other.sql.includes('FROM STDIN')),
  )
  let id = 100
  test.each(inOrder)('$who: $sql', async ({ who, sql, outcomes }) => {
    const key = who === 'admin' ? server.adminKey : alice
    const found: string[] = []
    const lines = sql.includes('(id)') ? '1\n2\n' : `${id}\tx\t${id++}\n${id}\ty\t${id++}\n`
    for (const kind of kinds) {
      const isIn = sql.includes('FROM STDIN')
      const { text } = await copy(server, statementFor(sql, kind), {
        ...{ key, ...(isIn ? { data: lines } : {}) },
      })
      const { error, results } = (text.startsWith('{') ? JSON.parse(text) : {}) as SqlBody
      const rowCount = results?.[0]?.row_count ?? text.split('\n').length - 1
      found.push(error === undefined ? `COPY ${rowCount}` : `${error.code} ${error.sqlstate ?? ''}`)
    }
    expect(found).toEqual(outcomes)
  })
})

describe('B2: a USER table', () => {
  beforeAll(async () => {
    await server.sql(`
      CREATE NAMESPACE own;
      CREATE USER TABLE own.lists (id integer PRIMARY KEY, name text UNIQUE);
      CREATE USER TABLE IF NOT EXISTS own.todos (
        id integer PRIMARY KEY, title text UNIQUE,
        list_id integer REFERENCES own.lists ON DELETE SET NULL,
        parent integer REFERENCES own.todos (id) ON DELETE CASCADE)`)
  })

  test('gives each user their own keys, and unique and foreign keys inside them', async () => {
    await server.sql(
      `INSERT INTO own.lists VALUES (1, 'a'), (2, 'b');
       INSERT INTO own.todos VALUES (1, 'x', 1, NULL), (2, 'y', 2, 1)`,
      { key: alice },
    )
    await server.sql(`INSERT INTO own.lists VALUES (1, 'a')`, { key: bob })
    const error = await errorOf(`INSERT INTO own.todos VALUES (1, 'x', 2)`, { key: bob })
    expect(error).toMatchObject({ code: 'CONSTRAINT_VIOLATION', sqlstate: '23503' })
    expect(error?.message).toContain('todos_list_id_fkey')
    for (const [values, constraint] of [
      ["(1, 'c')", 'lists_pkey'],
      ["(3, 'a')", 'lists_name_key'],
    ] as const) {
      const taken = await errorOf(`INSERT INTO own.lists VALUES ${values}`, { key: bob })
      expect(taken?.sqlstate).toBe('23505')
      expect(taken?.message).toContain(constraint)
    }
  })

  test('B7: ON DELETE SET NULL and CASCADE act inside one user', async () => {
    const sql = `BEGIN; DELETE FROM own.lists WHERE id = 1; DELETE FROM own.todos WHERE id = 1;
      SELECT id, list_id, _deleted FROM own.todos INCLUDE DELETED ORDER BY id; ROLLBACK`
    const found = await rowsOf(sql, alice)
    expect(found[3]).toEqual([
      { id: 1, list_id: null, _deleted: true },
      { id: 2, list_id: 2, _deleted: true },
    ])
  })

  test('A3: nobody’s rows can be made another’s', async () => {
    for (const sql of [
      `INSERT INTO own.lists (id, _user_id) VALUES (5, 'x')`,
      `UPDATE own.lists SET _user_id = 'x'`,
      `WITH x AS (UPDATE own.lists SET _user_id = 'x' RETURNING 1) SELECT * FROM x`,
    ])
      expect(await errorOf(sql, { key: alice })).toMatchObject({
        code: 'FORBIDDEN',
        sqlstate: '42501',
      })
  })

  test('B11: INSERT without a list means the user’s own columns, also added ones', async () => {
    const found = await rowsOf(
      `BEGIN; ALTER TABLE own.lists ADD note text UNIQUE, ADD up integer REFERENCES own.lists;
       INSERT INTO own.lists VALUES (7, 'n', 'note', 7);
       MERGE INTO own.lists l USING (VALUES (8)) v (id) ON l.id = v.id
         WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'm', 'other', 7);
       SELECT id, name, note, up FROM own.lists ORDER BY id; ROLLBACK`,
    )
    expect(found[4]).toEqual([
      { id: 7, name: 'n', note: 'note', up: 7 },
      { id: 8, name: 'm', note: 'other', up: 7 },
    ])
    const error = await errorOf(
      `BEGIN; ALTER TABLE own.lists ADD note text; INSERT INTO own.lists SELECT * FROM (TABLE own.todos) t`,
    )
    expect(error).toMatchObject({ code: 'STATEMENT_REFUSED', statement: 2, position: 57 })
  })

  test('B11: SELECT * of a managed table gives its own columns to INSERT', async () => {
    const found = await rowsOf(
      `BEGIN; DELETE FROM own.lists;
       INSERT INTO own.lists SELECT * FROM own.lists INCLUDE DELETED;
       SELECT id, name FROM own.lists ORDER BY id; ROLLBACK`,
      bob,
    )
    expect(found[3]).toEqual([{ id: 1, name: 'a' }])
  })

  test('B11: and so does TABLE, of a table to which columns were added as well', async () => {
    const found = await rowsOf(
      `BEGIN; CREATE USER TABLE own.first (id int PRIMARY KEY, name text);
       INSERT INTO own.first VALUES (1, 'a');
       ALTER TABLE own.first ADD n int DEFAULT 5;
       CREATE USER TABLE own.second (id int PRIMARY KEY, name text, n int);
       INSERT INTO own.second TABLE own.first;
       UPDATE own.second SET id = 2;
       INSERT INTO own.first (TABLE ONLY own.second);
       TABLE own.first ORDER BY id; ROLLBACK`,
    )
    expect(found[8]).toMatchObject([
      { id: 1, name: 'a', n: 5 },
      { id: 2, name: 'a', n: 5 },
    ])
  })

  test('B11: TRUNCATE takes the caller’s rows, softly, of several tables at once', async () => {
    const found = await rowsOf(
      `BEGIN; TRUNCATE own.lists, own.todos;
       SELECT count(*)::int AS live FROM own.lists;
       SELECT count(*)::int AS kept FROM own.lists INCLUDE DELETED; ROLLBACK`,
      alice,
    )
    expect(found.slice(2, 4)).toEqual([[{ live: 0 }], [{ kept: 2 }]])
    expect(await lastRows('SELECT id FROM own.lists', bob)).toEqual([{ id: 1 }])
  })

  test('B11: functions and DO run their plain statements as the caller', async () => {
    await server.sql(`
      CREATE FUNCTION own.add(integer, text) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO own.lists VALUES ($1, $2); DELETE FROM own.lists WHERE id = $1;
        RETURN (SELECT count(*) FROM own.lists); END $$;
      CREATE FUNCTION own.upsert() RETURNS void LANGUAGE sql
        AS 'INSERT INTO own.lists VALUES (1) ON CONFLICT (id) DO NOTHING';
      CREATE FUNCTION own.upsert_any() RETURNS void LANGUAGE sql
        AS 'INSERT INTO own.lists VALUES (1) ON CONFLICT DO NOTHING'`)
    expect(await lastRows(`SELECT own.add(9, 'f')::int AS n`, alice)).toEqual([{ n: 2 }])
    expect(await errorOf('SELECT own.upsert()', { key: alice })).toMatchObject({
      code: 'QUERY_REJECTED',
      sqlstate: '42P10',
    })
    expect(await lastRows('SELECT own.upsert_any() IS NULL AS ok', alice)).toHaveLength(1)
    expect(await errorOf(`DO $$ BEGIN TRUNCATE own.lists; END $$`)).toMatchObject({
      sqlstate: '0A000',
    })
  })

  test('B11: a view shows each caller their own rows', async () => {
    await server.sql(
      'CREATE VIEW own.names AS SELECT name FROM own.lists; GRANT SELECT ON own.names TO user',
    )
    expect(await lastRows('SELECT * FROM own.names ORDER BY name', alice)).toEqual([
      { name: 'a' },
      { name: 'b' },
    ])
    expect(await lastRows('SELECT * FROM own.names', bob)).toEqual([{ name: 'a' }])
    for (const sql of ['SELECT * FROM own.names INCLUDE DELETED', 'UNDELETE FROM own.names'])
      expect(await errorOf(sql, { key: alice })).toMatchObject({ code: 'STATEMENT_REFUSED' })
  })

  test('B10: ON CONFLICT with one key of several, through a CTE, counts PostgreSQL’s rows', async () => {
    const { results } = await server.sql(
      `WITH x AS (INSERT INTO own.lists VALUES (1, 'z'), (6, 's') ON CONFLICT (id)
         DO UPDATE SET name = excluded.name || '!' RETURNING id) SELECT id FROM x ORDER BY id;
       DELETE FROM own.lists WHERE id = 6; UPDATE own.lists SET name = 'a' WHERE id = 1`,
      { key: alice },
    )
    expect(results.map(({ row_count }) => row_count)).toEqual([2, 1, 1])
  })

  test('tables made in the same request are known in it, and not after a rollback', async () => {
    const found = await rowsOf(`
      CREATE USER TABLE own.a (id integer PRIMARY KEY);
      CREATE USER TABLE own.b (id integer PRIMARY KEY REFERENCES own.a (id) ON DELETE CASCADE);
      INSERT INTO own.a VALUES (1); INSERT INTO own.b VALUES (1) ON CONFLICT (id) DO NOTHING;
      DELETE FROM own.a; SELECT id, _deleted FROM own.b INCLUDE DELETED`)
    expect(found.at(-1)).toEqual([{ id: 1, _deleted: true }])
    const sql = `BEGIN; DROP TABLE own.b; CREATE USER TABLE own.c (id integer PRIMARY KEY);
      SELECT * FROM own.c INCLUDE DELETED; ROLLBACK; SELECT id FROM own.b INCLUDE DELETED;
      SELECT * FROM own.c INCLUDE DELETED`
    expect(await errorOf(sql)).toMatchObject({ sqlstate: '42P01', statement: 6 })
  })

  test('names are found as PostgreSQL finds them: namespace, search_path, what hides them', async () => {
    const insert = `INSERT INTO lists VALUES (1, 'q') ON CONFLICT (id) DO NOTHING`
    const inNamespace = await server.sql(insert, { key: alice, namespace: 'own' })
    expect(inNamespace.results[0]?.row_count).toBe(0)
    await server.sql(`SET search_path = own; ${insert}`, { key: alice })
    const hidden = await rowsOf(
      `SET search_path = own; CREATE TEMP TABLE lists (id integer PRIMARY KEY, name text);
       ${insert}; SELECT id, name FROM lists`,
      alice,
    )
    expect(hidden.at(-1)).toEqual([{ id: 1, name: 'q' }])
  })
})

describe('B8: INCLUDE DELETED and UNDELETE', () => {
  beforeAll(async () => {
    await server.sql(`
      CREATE NAMESPACE past;
      CREATE USER TABLE past.notes (id integer PRIMARY KEY, body text UNIQUE);
      CREATE SHARED TABLE past.prices (id integer PRIMARY KEY, price numeric);
      GRANT SELECT, INSERT, DELETE ON past.prices TO user`)
    await server.sql(
      `INSERT INTO past.notes VALUES (1, 'first'), (2, 'second');
       DELETE FROM past.notes WHERE id = 1; INSERT INTO past.notes VALUES (1, 'again');
       DELETE FROM past.notes WHERE id = 1;
       INSERT INTO past.prices VALUES (1, 1.50), (2, 2.50); DELETE FROM past.prices WHERE id = 1`,
      { key: alice },
    )
    await server.sql(`INSERT INTO past.notes VALUES (1, 'of bob'); DELETE FROM past.notes`, {
      key: bob,
    })
  })

  test.each<[string, unknown[]]>([
    [
      `SELECT id, body, _deleted, _deleted_at IS NOT NULL AS at, _deleted_by = kalam.uid() AS by
         FROM past.notes INCLUDE DELETED ORDER BY body`,
      [
        { id: 1, body: 'again', _deleted: true, at: true, by: true },
        { id: 1, body: 'first', _deleted: true, at: true, by: true },
        { id: 2, body: 'second', _deleted: false, at: false, by: null },
      ],
    ],
    [
      `SELECT past.notes.id FROM past.notes INCLUDE DELETED WHERE past.notes.body = 'first'`,
      [{ id: 1 }],
    ],
    [
      `SELECT n.body, p.price FROM past.notes n JOIN past.prices INCLUDE DELETED p ON p.id < n.id`,
      [{ body: 'second', price: '1.50' }],
    ],
    [
      `WITH notes AS (SELECT * FROM past.notes INCLUDE DELETED) SELECT count(*)::int FROM notes`,
      [{ count: 3 }],
    ],
    [
      `SELECT (SELECT count(*)::int FROM past.notes AS n INCLUDE DELETED WHERE n._deleted) AS n`,
      [{ n: 2 }],
    ],
    [`SELECT count(*)::int FROM past.notes`, [{ count: 1 }]],
  ])('%s', async (sql, expected) => {
    expect(await lastRows(sql, alice)).toEqual(expected)
  })

  test('in the sources of UPDATE, DELETE and INSERT', async () => {
    const found = await rowsOf(
      `BEGIN;
       UPDATE past.notes n SET body = p.price FROM past.prices INCLUDE DELETED p WHERE p._deleted
         RETURNING body;
       DELETE FROM past.notes USING past.prices p INCLUDE DELETED WHERE p.id = 1
         RETURNING past.notes.id;
       INSERT INTO past.notes SELECT id + 5, body FROM past.notes INCLUDE DELETED WHERE body = 'first'
         RETURNING id; ROLLBACK`,
      alice,
    )
    expect(found.slice(1, 4)).toEqual([[{ body: '1.50' }], [{ id: 2 }], [{ id: 6 }]])
  })

  test('UNDELETE brings back the newest of several under one key, once', async () => {
    const found = await rowsOf(
      `BEGIN; UNDELETE FROM past.notes AS n WHERE n.id = 1 RETURNING n.id, body, _deleted;
       UNDELETE FROM past.notes WHERE body LIKE 'sec%';
       SELECT body FROM past.notes INCLUDE DELETED WHERE _deleted; ROLLBACK`,
      alice,
    )
    expect(found[1]).toEqual([{ id: 1, body: 'again', _deleted: false }])
    expect(found[3]).toEqual([{ body: 'first' }])
  })

  test('UNDELETE that meets a live row is an error and changes nothing', async () => {
    const key = alice
    await server.sql(`INSERT INTO past.notes VALUES (1, 'live')`, { key })
    const error = await errorOf(`UNDELETE FROM past.notes`, { key })
    expect(error).toMatchObject({ code: 'CONSTRAINT_VIOLATION', sqlstate: '23505' })
    expect(await lastRows('SELECT id FROM past.notes INCLUDE DELETED', key)).toHaveLength(4)
    await server.sql(`DELETE FROM past.notes WHERE id = 1`, { key })
  })

  test('nobody recovers another’s rows, nor those of a table they may not write', async () => {
    const { results } = await server.sql(`UNDELETE FROM past.notes WHERE body <> 'of bob'`, {
      key: bob,
    })
    expect(results[0]).toMatchObject({ command: 'UNDELETE', row_count: 0 })
    await server.sql('REVOKE INSERT ON past.prices FROM user')
    expect(await errorOf('UNDELETE FROM past.prices', { key: bob })).toMatchObject({
      code: 'FORBIDDEN',
    })
    await server.sql('REVOKE SELECT ON past.prices FROM user')
    const read = 'SELECT * FROM past.prices INCLUDE DELETED'
    expect(await errorOf(read, { key: bob })).toMatchObject({ code: 'FORBIDDEN' })
  })

  test('errors keep their places in the caller’s text', async () => {
    const at = async (sql: string) => (await errorOf(sql, { key: alice }))?.position
    expect(await at(`SELECT 'é😀', nope FROM past.notes INCLUDE DELETED`)).toBe(14)
    expect(await at(`SELECT 1; SELECT * FROM past.notes INCLUDE DELETED n WHERE nope`)).toBe(60)
    expect(await at(`UNDELETE FROM past.notes WHERE nope = 1 RETURNING id`)).toBe(32)
    expect(await at(`UNDELETE FROM past.notes RETURNING nope`)).toBe(36)
    expect(await at(`SELECT 1; SELECT * FROM past.nothing INCLUDE DELETED`)).toBe(25)
  })

  test('what is not there is an error of PostgreSQL’s, what is there and keeps nothing is refused', async () => {
    await server.sql('CREATE TABLE past.plain (id int); CREATE VIEW past.seen AS SELECT 1 AS id')
    await server.sql('GRANT SELECT ON past.seen TO user')
    for (const [key, table, expected] of [
      [alice, 'past.nothing', { code: 'QUERY_REJECTED', sqlstate: '42P01' }],
      [alice, 'nowhere.notes', { code: 'QUERY_REJECTED', sqlstate: '42P01' }],
      [alice, 'past.plain', { code: 'FORBIDDEN', sqlstate: '42501' }],
      [alice, 'past.seen', { code: 'STATEMENT_REFUSED', sqlstate: '0A000' }],
      [server.adminKey, 'past.plain', { code: 'STATEMENT_REFUSED', sqlstate: '0A000' }],
    ] as const) {
      const read = { sql: `SELECT $1::int FROM ${table} INCLUDE DELETED x`, params: [1] }
      const error = await errorOf(read.sql, { key, params: read.params })
      expect(error).toMatchObject(expected)
      if (error?.sqlstate !== '42501') expect(error?.position).toBe(21)
      expect(await errorOf(`UNDELETE FROM ${table} WHERE id = 1`, { key })).toMatchObject(expected)
    }
    await server.sql('DROP TABLE past.plain; DROP VIEW past.seen')
  })

  test('a stream of rows has them too', async () => {
    const response = await fetch(`${server.url}/v1/api/sql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/x-ndjson',
        'x-api-key': alice,
      },
      body: JSON.stringify({ sql: 'SELECT id FROM past.notes INCLUDE DELETED ORDER BY id' }),
    })
    expect((await response.text()).match(/\{"id":\d\}/g)).toHaveLength(4)
  })
})

describe('A4: SET row_security = off', () => {
  const count = 'SELECT count(*)::int FROM mine.rows'
  beforeAll(async () => {
    await server.sql(
      'CREATE NAMESPACE mine; CREATE USER TABLE mine.rows (id integer PRIMARY KEY, a text)',
    )
    for (const key of [alice, bob])
      await server.sql(
        `INSERT INTO mine.rows VALUES (1, 'live'), (2, 'deleted'); DELETE FROM mine.rows WHERE id = 2`,
        { key },
      )
  })

  const counts = async (sql: string, key?: string) =>
    (await rowsOf(sql, key)).flatMap((found) => found.map((row) => row['count'] ?? []).flat())

  test('shows an admin the rows of all users, live and deleted, for the request', async () => {
    expect(
      await counts(`${count}; SET row_security = off; ${count}; ${count} INCLUDE DELETED`),
    ).toEqual([0, 2, 4])
    expect(await counts(count)).toEqual([0])
  })

  test.each(['SET row_security = on', 'RESET row_security', 'SET row_security TO DEFAULT'])(
    '%s ends it',
    async (sql) => {
      expect(await counts(`SET row_security = off; ${count}; ${sql}; ${count}`)).toEqual([2, 0])
    },
  )

  test('ends with its transaction or savepoint as any setting does', async () => {
    const off = 'SET row_security = off'
    expect(await counts(`BEGIN; ${off}; ${count}; ROLLBACK; ${count}`)).toEqual([2, 0])
    expect(await counts(`BEGIN; ${off}; COMMIT; ${count}`)).toEqual([2])
    expect(await counts(`BEGIN; SET LOCAL row_security = off; ${count}; COMMIT; ${count}`)).toEqual(
      [2, 0],
    )
    expect(
      await counts(`BEGIN; SAVEPOINT a; ${off}; ${count}; ROLLBACK TO a; ${count}; COMMIT`),
    ).toEqual([2, 0])
    expect(
      await counts(
        `BEGIN; ${off}; SAVEPOINT a; RESET row_security; ${count}; ROLLBACK TO a; ${count}; COMMIT`,
      ),
    ).toEqual([0, 2])
  })

  test('an admin changes and recovers the rows of any user', async () => {
    const { results } = await server.sql(`
      BEGIN; SET row_security = off; UPDATE mine.rows SET a = 'x';
      UNDELETE FROM mine.rows WHERE id = 2 RETURNING id; DELETE FROM mine.rows; TRUNCATE mine.rows;
      SELECT count(DISTINCT _user_id)::int AS users FROM mine.rows INCLUDE DELETED; ROLLBACK`)
    expect(results.slice(2, 6).map(({ command, row_count: n }) => `${command} ${n}`)).toEqual([
      'UPDATE 2',
      'UNDELETE 2',
      'DELETE 4',
      'TRUNCATE TABLE 0',
    ])
    expect(results[6]?.rows).toEqual([{ users: 2 }])
  })

  test('EXECUTE AS does not inherit it', async () => {
    const as = `EXECUTE AS 'alice' (${count})`
    expect(await counts(`SET row_security = off; ${as}; ${count}`)).toEqual([1, 2])
    expect(
      await counts(
        `BEGIN; SET LOCAL row_security = off; ${as}; ${count}; ROLLBACK; ${count}; ${as}`,
      ),
    ).toEqual([1, 2, 0, 1])
    const failing = `BEGIN; SET row_security = off; SAVEPOINT a; EXECUTE AS 'alice' (SELECT 1/0)`
    expect(await errorOf(failing)).toMatchObject({ sqlstate: '22012', statement: 3 })
  })

  test('what is made meanwhile belongs to all admins', async () => {
    expect(
      await lastRows(`SET row_security = off; CREATE TABLE mine.made AS SELECT 1 AS a;
        SELECT tableowner FROM pg_tables WHERE tablename = 'made'`),
    ).toEqual([{ tableowner: 'kalam_admin' }])
    const sql = `SET row_security = off; CREATE TABLE mine.copy AS SELECT * FROM mine.rows`
    expect(await errorOf(sql)).toMatchObject({ code: 'FORBIDDEN', sqlstate: '42501' })
  })

  test('is for admins', async () => {
    for (const key of [alice, service])
      for (const sql of ['SET row_security = off', 'SET LOCAL row_security TO false'])
        expect(await errorOf(`${sql}; ${count}`, { key })).toMatchObject({ code: 'FORBIDDEN' })
    expect(await counts(`SET row_security = on; RESET row_security; ${count}`, alice)).toEqual([1])
  })
})

describe('what tells of other users', () => {
  test('B2: plans are for admins', async () => {
    expect(await lastRows('EXPLAIN SELECT * FROM app.users')).not.toEqual([])
    expect(await errorOf('EXPLAIN SELECT 1', { key: alice })).toMatchObject({
      code: 'FORBIDDEN',
      hint: expect.stringContaining('rows of all users') as string,
    })
  })

  test.each(['kalam_deleted', 'kalam'])(
    'B2: no request has the namespace %s',
    async (namespace) => {
      expect(await errorOf('SELECT 1', { key: alice, namespace })).toMatchObject({
        code: 'STATEMENT_REFUSED',
      })
    },
  )
})

describe('DDL inside a function', () => {
  test('is seen by the next statement', async () => {
    await server.sql(`
      CREATE NAMESPACE inside;
      CREATE FUNCTION inside.make() RETURNS void LANGUAGE sql AS
        'CREATE TABLE inside.made (id integer PRIMARY KEY,
           _deleted boolean NOT NULL GENERATED ALWAYS AS (false) STORED)';
      CREATE FUNCTION inside.unmake() RETURNS void LANGUAGE sql AS 'DROP TABLE inside.made'`)
    const sql = 'SELECT id FROM inside.made INCLUDE DELETED'
    await server.sql('SELECT inside.make()')
    expect(await lastRows(sql)).toEqual([])
    await server.sql('SELECT inside.unmake()')
    expect(await errorOf(sql)).toMatchObject({ sqlstate: '42P01' })
    expect(await lastRows(`SELECT inside.make(); ${sql}`)).toEqual([])
  })
})

describe('B9: ALTER TABLE … SET (deleted_retention_hours = …)', () => {
  const hours = async () =>
    (await rowsOf(`SHOW TABLES IN kept`, undefined))
      .flat()
      .map((row) => row['deleted_retention_hours'])

  test('is kept, shown and reset', async () => {
    await server.sql(`CREATE NAMESPACE kept; CREATE USER TABLE kept.t (id integer PRIMARY KEY)`)
    expect(await hours()).toEqual([null])
    const { body } = await server.request('ALTER TABLE kept.t SET (deleted_retention_hours = 24)')
    expect(body).toMatchObject({ results: [{ command: 'ALTER TABLE' }] })
    expect(await hours()).toEqual([24])
    await server.sql('ALTER TABLE kept.t SET (deleted_retention_hours = 0)')
    expect(await hours()).toEqual([0])
    await server.sql('ALTER TABLE kept.t RESET (deleted_retention_hours)')
    expect(await hours()).toEqual([null])
  })

  test.each([
    ['SET (deleted_retention_hours = -1)', 'STATEMENT_REFUSED', '0A000'],
    ['SET (deleted_retention_hours = 876001)', 'STATEMENT_REFUSED', '0A000'],
    ["SET (deleted_retention_hours = 'x')", 'STATEMENT_REFUSED', '0A000'],
    ['SET (deleted_retention_hours = 1, fillfactor = 70)', 'STATEMENT_REFUSED', '0A000'],
    ['SET (deleted_retention_hours = 1), ADD COLUMN a integer', 'STATEMENT_REFUSED', '0A000'],
  ])('refuses %s', async (clause, code, sqlstate) => {
    expect(await errorOf(`ALTER TABLE kept.t ${clause}`)).toMatchObject({ code, sqlstate })
  })

  test('is for admins', async () => {
    for (const sql of [
      'ALTER TABLE kept.t SET (deleted_retention_hours = 24)',
      `CALL kalam.keep_deleted('kept.t', 1)`,
    ])
      expect(await errorOf(sql, { key: alice })).toMatchObject({ code: 'FORBIDDEN' })
  })
})
