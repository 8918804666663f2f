/** Two users, a curious admin, and what managed tables must not tell or let them do. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTableWorld, systemColumns, type TableWorld, type Who } from '../support/tables.js'

let world: TableWorld
let twins: readonly string[]
beforeAll(async () => {
  world = await openTableWorld()
  await world.run(
    'admin',
    `CREATE TABLE app.todos (id serial, title text, ${systemColumns.user},
       CONSTRAINT todos_pkey PRIMARY KEY (_user_id, id),
       CONSTRAINT todos_title_key UNIQUE (_user_id, title));
     CREATE TABLE app.prices (id int PRIMARY KEY, price int, ${systemColumns.shared});
     CREATE TABLE app.pings (id serial, note text, ${systemColumns.stream}, PRIMARY KEY (_user_id, id));
     INSERT INTO app.prices VALUES (1, 100); DELETE FROM app.prices`,
  )
  for (const who of ['alice', 'bob'] as const)
    await world.run(
      who,
      `INSERT INTO app.todos (id, title) VALUES (1, 'same'), (2, 'of ${who}'), (3, 'gone of ${who}');
       DELETE FROM app.todos WHERE id = 3;
       INSERT INTO app.pings (note) VALUES ('${who}')`,
    )
  twins = (
    await world.run('system', 'SELECT twin FROM kalam.tables WHERE twin IS NOT NULL ORDER BY id')
  ).flatMap(([twin]) => twin ?? [])
})
afterAll(() => world.close())

const denied = { fields: { sqlState: '42501' } }
const rowsOfBob = () =>
  world.run(
    'system',
    `SELECT id, title FROM app.todos WHERE title ~ 'bob|same' AND _user_id = '${world.userId('bob')}' ORDER BY id`,
  )

describe('B2: two users', () => {
  test('have the same keys and unique values, and see their own', async () => {
    for (const who of ['alice', 'bob'] as const) {
      expect(await world.run(who, 'SELECT id, title FROM app.todos ORDER BY id')).toEqual([
        ['1', 'same'],
        ['2', `of ${who}`],
      ])
      expect(await world.run(who, 'SELECT note FROM app.pings')).toEqual([[who]])
    }
    expect(await world.run('admin', 'SELECT count(*) FROM app.todos')).toEqual([['0']])
  })

  test.each([
    'UPDATE app.todos SET title = title',
    'DELETE FROM app.todos',
    `INSERT INTO app.todos (id, title) VALUES (1, 'x') ON CONFLICT (_user_id, id) DO UPDATE SET title = 'x'`,
    `MERGE INTO app.todos t USING (VALUES (2)) v (id) ON t.id = v.id WHEN MATCHED THEN UPDATE SET title = 'y'`,
    `WITH gone AS (DELETE FROM app.todos RETURNING *) SELECT count(*) FROM gone`,
    'SELECT * FROM app.todos FOR UPDATE',
  ])('change nothing of each other: %s', async (sql) => {
    const before = await rowsOfBob()
    await world.run('alice', `BEGIN; ${sql}; COMMIT`)
    await world.run(
      'alice',
      `DELETE FROM app.todos; INSERT INTO app.todos (id, title) VALUES (1, 'same'), (2, 'of alice')`,
    )
    expect(await rowsOfBob()).toEqual(before)
  })

  test('learn nothing from an error: no detail of a row, no matter whose', async () => {
    for (const sql of [
      `INSERT INTO app.todos (id, title) VALUES (1, 'new')`,
      `INSERT INTO app.todos (id, title) VALUES (9, 'same')`,
    ])
      await expect(world.run('alice', sql)).rejects.toMatchObject({
        fields: { sqlState: '23505', detail: undefined },
      })
  })

  test('do not run a function of theirs over the other’s rows', async () => {
    expect(
      await world.run(
        'alice',
        `SELECT id FROM app.todos WHERE 1 / (title <> 'of bob')::int = 1 ORDER BY id`,
      ),
    ).toEqual([['1'], ['2']])
  })
})

describe('B2: nobody forges', () => {
  test.each([
    ['whose a new row is', `INSERT INTO app.todos (id, title, _user_id) VALUES (7, 'x', '$bob')`],
    ['whose a row is', `UPDATE app.todos SET _user_id = '$bob'`],
    [
      'whose a merged row is',
      `MERGE INTO app.todos t USING (VALUES (8)) v (id) ON t.id = v.id WHEN NOT MATCHED THEN INSERT (id, _user_id) VALUES (8, '$bob')`,
    ],
    ['whose a stream’s row is', `INSERT INTO app.pings (note, _user_id) VALUES ('x', '$bob')`],
  ])('%s', async (_name, sql) => {
    for (const who of ['alice', 'admin'] as const) {
      const forged = sql.replace('$bob', world.userId('bob'))
      if (who === 'admin' && sql.startsWith('UPDATE')) continue
      await expect(world.run(who, forged)).rejects.toMatchObject(denied)
    }
  })

  test.each([
    `INSERT INTO app.todos (id, _deleted) VALUES (7, true)`,
    `UPDATE app.todos SET _deleted = true`,
  ])('that a row is deleted: %s', async (sql) => {
    for (const who of ['alice', 'admin', 'everything'] as const)
      await expect(world.run(who, sql)).rejects.toMatchObject({ fields: { sqlState: '428C9' } })
  })
})

describe('D8: the log', () => {
  test.each([
    'SELECT * FROM kalam.changes',
    'SELECT count(*) FROM kalam.changes',
    'SELECT * FROM kalam.log',
    'DELETE FROM kalam.changes',
    'UPDATE kalam.changes SET owner = NULL',
    'TRUNCATE kalam.changes',
    `INSERT INTO kalam.changes (table_id, version, op, new) VALUES (1, 1, 'I', '["1"]')`,
    `SELECT nextval('kalam.change_numbers')`,
    'SELECT last_value FROM kalam.change_numbers',
    'UPDATE kalam.tables SET twin = NULL',
    'SELECT shape FROM kalam.tables',
    `SELECT kalam.watch('app.todos')`,
    `SELECT kalam.manage(1, 'user')`,
    `SELECT kalam.forget_deleted('kalam_deleted.t1', 0, 0, 1, 1)`,
    `SELECT kalam.forget_expired('app.todos', 1)`,
    `SELECT kalam.log_shape(1, 1)`,
    `SELECT kalam.log_rights('GRANT')`,
    `SELECT kalam.refuse('', '')`,
    'ALTER FUNCTION kalam.t1_ins() RESET ALL',
    'DROP FUNCTION kalam.t1_ins() CASCADE',
    `CREATE OR REPLACE FUNCTION kalam.t1_ins() RETURNS trigger LANGUAGE plpgsql AS 'begin end'`,
    'ALTER TABLE kalam.changes OWNER TO CURRENT_USER',
    'DROP EVENT TRIGGER kalam_ddl',
    'ALTER EVENT TRIGGER kalam_ddl DISABLE',
    'SET event_triggers = off',
    'SET session_replication_role = replica',
    'SET ROLE kalam_everything',
    'SET ROLE kalam_sys',
    'GRANT kalam_everything TO kalam_user',
    'ALTER TABLE app.todos OWNER TO kalam_sys',
    'ALTER TABLE app.prices OWNER TO kalam_everything',
  ])('and what holds it are shut to users and admins: %s', async (sql) => {
    for (const who of ['alice', 'admin'] as const)
      await expect(world.run(who, sql)).rejects.toMatchObject(denied)
  })

  test('cannot be granted by an admin, who owns nothing of it', async () => {
    for (const table of ['kalam.changes', ...twins])
      await world.run('admin', `GRANT ALL ON ${table} TO PUBLIC`).catch(() => undefined)
    const granted = twins.map(
      (twin) => `has_table_privilege('public', '${twin}', 'insert, update')`,
    )
    expect(
      await world.run(
        'system',
        `SELECT has_table_privilege('public', 'kalam.changes', 'select') OR ${granted.join(' OR ')}`,
      ),
    ).toEqual([['f']])
  })

  test('takes no entries from a trigger that an admin points at its functions', async () => {
    await expect(
      world.run(
        'admin',
        `CREATE TABLE app.fake (LIKE app.prices);
         CREATE TRIGGER forge AFTER INSERT ON app.fake REFERENCING NEW TABLE AS kalam_new
           FOR EACH STATEMENT EXECUTE FUNCTION kalam.t2_ins()`,
      ),
    ).rejects.toMatchObject(denied)
  })
})

describe('B8: deleted rows', () => {
  test('are their user’s alone', async () => {
    const [todos] = twins
    for (const who of ['alice', 'bob'] as const)
      expect(
        await world.run(who, `SELECT title FROM ${String(todos)} WHERE title LIKE 'gone%'`),
      ).toEqual([[`gone of ${who}`]])
    expect(await world.run('admin', `SELECT * FROM ${String(todos)}`)).toEqual([])
  })

  test('of a shared table are for those who may read the table', async () => {
    const prices = twins[1]
    expect(await world.run('alice', `SELECT * FROM ${String(prices)}`)).toEqual([])
    expect(await world.tag('alice', `DELETE FROM ${String(prices)}`)).toBe('DELETE 0')
    expect(await world.run('admin', `SELECT id FROM ${String(prices)}`)).toEqual([['1']])
  })

  test.each([
    `INSERT INTO $ (id) VALUES (9)`,
    'UPDATE $ SET id = 9',
    'TRUNCATE $',
    'ALTER TABLE $ DISABLE ROW LEVEL SECURITY',
    'DROP POLICY kalam_rows ON $',
    'CREATE POLICY mine ON $ USING (true)',
    'DROP TABLE $',
    'CREATE TRIGGER t AFTER DELETE ON $ EXECUTE FUNCTION suppress_redundant_updates_trigger()',
    'CREATE INDEX ON $ (id)',
    'CREATE TABLE kalam_deleted.mine (id int)',
  ])('cannot be altered: %s', async (sql) => {
    for (const who of ['alice', 'admin', 'everything'] as const)
      for (const twin of twins)
        await expect(world.run(who, sql.replace('$', twin))).rejects.toMatchObject({
          fields: { sqlState: expect.stringMatching(/42501|0A000/) as string },
        })
  })
})

describe('A3: what an admin makes never runs with the system’s rights', () => {
  /** Each says as whom it ran. */
  const spy = (name: string, signature: string, value: string) =>
    `CREATE FUNCTION app.${name} LANGUAGE plpgsql ${signature} AS
       $$ BEGIN INSERT INTO app.seen VALUES (current_user, '${name}'); RETURN ${value}; END $$`

  test('casts, operators, domains, defaults, generated columns, also under DDL', async () => {
    await world.run(
      'admin',
      `CREATE TABLE app.seen (who text, what text); GRANT ALL ON app.seen TO PUBLIC;
       CREATE TYPE app.mood AS ENUM ('sad', 'ok'); CREATE TYPE app.pair AS (a int, b text);
       ${spy('mood_text(m app.mood) RETURNS text', '', `'forged'`)};
       ${spy('mood_json(m app.mood) RETURNS json', '', `'{}'`)};
       ${spy('pair_text(p app.pair) RETURNS text', '', `'forged'`)};
       ${spy('mood_number(m app.mood) RETURNS int', '', '1')};
       ${spy('is_fine(n int) RETURNS boolean', '', 'true')};
       ${spy('equal(a int, b int) RETURNS boolean', '', 'true')};
       ${spy('plain() RETURNS int', '', '1')};
       ${spy('to_json(a text[]) RETURNS json', '', `'[]'`)};
       CREATE CAST (app.mood AS text) WITH FUNCTION app.mood_text AS IMPLICIT;
       CREATE CAST (app.mood AS json) WITH FUNCTION app.mood_json AS IMPLICIT;
       CREATE CAST (app.pair AS text) WITH FUNCTION app.pair_text AS IMPLICIT;
       CREATE CAST (app.mood AS int) WITH FUNCTION app.mood_number;
       CREATE DOMAIN app.fine AS int CHECK (app.is_fine(value));
       CREATE OPERATOR public.= (LEFTARG = int, RIGHTARG = int, FUNCTION = app.equal, HASHES, MERGES);
       CREATE OPERATOR app.= (LEFTARG = int, RIGHTARG = int, FUNCTION = app.equal, HASHES, MERGES)`,
    )
    await world.run(
      'admin',
      `CREATE TABLE app.bait (id int, m app.mood, p app.pair, f app.fine, ${systemColumns.user}, PRIMARY KEY (_user_id, id))`,
    )
    await world.changes()
    await world.run(
      'alice',
      `SET search_path = app, public, pg_catalog;
       INSERT INTO bait VALUES (1, 'ok', '(1,x)', 5); UPDATE bait SET id = 2; UPDATE bait SET m = 'sad';
       DELETE FROM bait; RESET search_path`,
    )
    expect(await world.changes()).toEqual([
      ['I', ['1', 'ok', '(1,x)', '5']],
      ['D', ['1', 'ok', '(1,x)', '5']],
      ['I', ['2', 'ok', '(1,x)', '5']],
      ['U', ['2', 'ok', '(1,x)', '5'], ['2', 'sad', '(1,x)', '5']],
      ['D', ['2', 'sad', '(1,x)', '5']],
    ])
    expect(
      await world.run('system', `SELECT what FROM app.seen WHERE what ~ 'text|json|equal'`),
    ).toEqual([])
    await world.run(
      'admin',
      `ALTER TABLE app.bait ALTER m TYPE int USING 1, ADD d int DEFAULT app.plain(), ADD g app.fine DEFAULT 7,
         ALTER p TYPE text USING 'x';
       CREATE VIEW app.looks AS SELECT app.plain() FROM app.bait;
       COMMENT ON VIEW app.looks IS 'x'`,
    )
    const seen = await world.run('system', 'SELECT DISTINCT who FROM app.seen ORDER BY who')
    for (const [who] of seen) expect(['kalam_user', 'kalam_admin', 'kalam_cast']).toContain(who)
  })
})

describe('B2: statistics and sizes', () => {
  const forAdmins = [
    `SELECT reltuples FROM pg_class WHERE oid = 'app.todos'::regclass`,
    'SELECT relpages, relallvisible FROM pg_class LIMIT 1',
    'SELECT * FROM pg_class LIMIT 1',
    'SELECT * FROM pg_stat_user_tables',
    'SELECT * FROM pg_statio_user_tables',
    'SELECT * FROM pg_stat_database',
    'SELECT * FROM pg_stat_activity',
    `SELECT pg_stat_get_tuples_inserted('app.todos'::regclass)`,
    `SELECT pg_relation_size('app.todos')`,
    `SELECT pg_table_size('app.todos')`,
    `SELECT pg_indexes_size('app.todos')`,
    `SELECT pg_total_relation_size('app.todos')`,
    `SELECT pg_database_size(current_database())`,
    'SELECT pg_current_wal_lsn()',
    'SELECT pg_current_wal_insert_lsn()',
    'SELECT pg_current_xact_id()',
    'SELECT txid_current()',
    'SELECT pg_current_snapshot()',
    `SELECT age('3'::xid)`,
    `SELECT currtid2('app.todos', '(0,1)')`,
    'SELECT checkpoint_lsn FROM pg_control_checkpoint()',
    'SELECT * FROM pg_locks',
    'SELECT * FROM pg_lock_status()',
  ] as const

  test.each(forAdmins)('are for admins: %s', async (sql) => {
    await expect(world.run('alice', sql)).rejects.toMatchObject(denied)
    await world.run('admin', sql)
  })

  test('of tablespaces are for nobody', async () => {
    const sql = `SELECT pg_tablespace_location(3)`
    for (const who of ['alice', 'admin'] as const)
      await expect(world.run(who, sql)).rejects.toMatchObject(denied)
  })

  test('the order of deleted rows counts nothing', async () => {
    await world.run(
      'alice',
      'INSERT INTO app.todos VALUES (91, 1); DELETE FROM app.todos WHERE id = 91',
    )
    const [twin] = await world.run(
      'system',
      `SELECT twin FROM kalam.tables WHERE tab = 'app.todos'::regclass`,
    )
    const orders = await world.run('alice', `SELECT pg_typeof(_deleted_seq) FROM ${String(twin)}`)
    expect(orders[0]).toEqual(['uuid'])
  })

  test('of a user table are for nobody, in pg_stats', async () => {
    await world.run('system', 'ANALYZE app.todos')
    for (const who of ['alice', 'admin'] as const)
      expect(await world.run(who, `SELECT * FROM pg_stats WHERE tablename = 'todos'`)).toEqual([])
  })

  test.each<readonly [Who, number]>([
    ['alice', 2],
    ['admin', 3],
  ])('tools still introspect as %s', async (who, count) => {
    const tables = await world.run(
      who,
      `SELECT table_name FROM information_schema.tables WHERE table_schema = 'app' AND table_name IN ('todos', 'pings', 'prices')`,
    )
    expect(tables).toHaveLength(count)
    for (const sql of introspection)
      expect((await world.run(who, sql)).length, sql).toBeGreaterThan(0)
  })
})

/** What psql, JDBC and pg clients ask on \\d, getTables, getColumns. */
const introspection = [
  `SELECT n.nspname, c.relname, c.relkind, pg_catalog.pg_get_userbyid(c.relowner) FROM pg_catalog.pg_class c
     LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
    WHERE c.relkind IN ('r','p','v','m','S','f','') AND n.nspname = 'app'`,
  `SELECT c.relchecks, c.relkind, c.relhasindex, c.relhasrules, c.relhastriggers, c.relrowsecurity, c.relforcerowsecurity,
          c.relispartition, c.reltablespace, c.reloftype, c.relpersistence, c.relreplident, am.amname
     FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_class tc ON c.reltoastrelid = tc.oid
     LEFT JOIN pg_catalog.pg_am am ON c.relam = am.oid WHERE c.oid = 'app.todos'::regclass`,
  `SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), pg_catalog.pg_get_expr(d.adbin, d.adrelid, true)
     FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = 'app.todos'::regclass AND a.attnum > 0`,
  `SELECT c2.relname, i.indisprimary, pg_catalog.pg_get_indexdef(i.indexrelid, 0, true), pg_catalog.pg_get_constraintdef(con.oid, true)
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_index i ON c.oid = i.indrelid JOIN pg_catalog.pg_class c2 ON i.indexrelid = c2.oid
     LEFT JOIN pg_catalog.pg_constraint con ON con.conindid = i.indexrelid WHERE c.oid = 'app.todos'::regclass`,
  `SELECT pol.polname, pg_catalog.pg_get_expr(pol.polqual, pol.polrelid) FROM pg_catalog.pg_policy pol WHERE pol.polrelid = 'app.todos'::regclass`,
  `SELECT t.tgname, pg_catalog.pg_get_triggerdef(t.oid, true) FROM pg_catalog.pg_trigger t WHERE t.tgrelid = 'app.todos'::regclass`,
  `SELECT * FROM information_schema.columns WHERE table_name = 'todos'`,
  `SELECT * FROM pg_catalog.pg_tables WHERE schemaname = 'app'`,
  `SELECT * FROM pg_catalog.pg_indexes WHERE schemaname = 'app'`,
  `SELECT * FROM pg_catalog.pg_sequences WHERE schemaname = 'app'`,
]

test('B12: system.tables tells kinds, and leaves the twins out', async () => {
  const rows = await world.run(
    'admin',
    `SELECT name, kind FROM system.tables WHERE namespace = 'app' AND name IN ('todos', 'prices', 'pings', 'seen', 'looks') ORDER BY name`,
  )
  expect(rows).toEqual([
    ['looks', 'view'],
    ['pings', 'stream table'],
    ['prices', 'shared table'],
    ['seen', 'table'],
    ['todos', 'user table'],
  ])
  for (const view of ['tables', 'columns'])
    expect(
      await world.run('admin', `SELECT * FROM system.${view} WHERE namespace = 'kalam_deleted'`),
    ).toEqual([])
  expect(await world.run('admin', `SELECT * FROM system.namespaces WHERE name ~ 'kalam'`)).toEqual(
    [],
  )
})
