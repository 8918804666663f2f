/** What would let a row past its user, its twin or the log is refused, wherever the DDL comes from. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openTableWorld, systemColumns, type TableWorld } from '../../support/tables.js'

let world: TableWorld
beforeAll(async () => {
  world = await openTableWorld()
  await world.run(
    'admin',
    `CREATE TABLE app.lists (id int NOT NULL, ${systemColumns.user}, PRIMARY KEY (_user_id, id));
     CREATE TABLE app.todos (id int NOT NULL, title text, list_id int, ${systemColumns.user},
       CONSTRAINT todos_pkey PRIMARY KEY (_user_id, id));
     CREATE TABLE app.prices (id int PRIMARY KEY, todo int, owner text, ${systemColumns.shared});
     CREATE TABLE app.pings (id int NOT NULL, ${systemColumns.stream},
       CONSTRAINT pings_pkey PRIMARY KEY (_user_id, id));
     CREATE TABLE app.watched (id int PRIMARY KEY);
     CREATE TABLE app.empty_parent ();
     CREATE FUNCTION app.execute_it(command text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS
       $$ BEGIN EXECUTE command; END $$`,
  )
  await world.run('system', `SELECT kalam.watch('app.watched')`)
})
afterAll(() => world.close())

const refused = { fields: { sqlState: '0A000' } }

/** Row security, policies, triggers, columns, keys, storage, relatives. */
const forbidden = [
  'ALTER TABLE app.todos DISABLE ROW LEVEL SECURITY',
  'ALTER TABLE app.todos NO FORCE ROW LEVEL SECURITY',
  'ALTER TABLE app.pings DISABLE ROW LEVEL SECURITY',
  'ALTER TABLE app.prices ENABLE ROW LEVEL SECURITY',
  'ALTER TABLE app.prices FORCE ROW LEVEL SECURITY',
  'DROP POLICY kalam_rows ON app.todos',
  'DROP POLICY kalam_own ON app.todos',
  'DROP POLICY kalam_live ON app.pings',
  'ALTER POLICY kalam_own ON app.todos USING (true)',
  'ALTER POLICY kalam_own ON app.todos WITH CHECK (true)',
  'ALTER POLICY kalam_own ON app.todos TO kalam_user',
  'ALTER POLICY kalam_own ON app.todos RENAME TO own',
  'ALTER POLICY kalam_live ON app.pings USING (true)',
  'ALTER TABLE app.todos DISABLE TRIGGER ALL',
  'ALTER TABLE app.todos DISABLE TRIGGER USER',
  'ALTER TABLE app.todos DISABLE TRIGGER kalam_del',
  'ALTER TABLE app.prices DISABLE TRIGGER kalam_ins',
  'ALTER TABLE app.watched DISABLE TRIGGER kalam_upd',
  'ALTER TABLE app.todos ENABLE REPLICA TRIGGER kalam_tru',
  'ALTER TABLE app.todos ENABLE ALWAYS TRIGGER kalam_tru',
  'DROP TRIGGER kalam_del ON app.todos',
  'ALTER TRIGGER kalam_del ON app.todos RENAME TO gone',
  'CREATE OR REPLACE TRIGGER kalam_del AFTER DELETE ON app.todos EXECUTE FUNCTION suppress_redundant_updates_trigger()',
  'ALTER TABLE app.todos DROP COLUMN _deleted',
  'ALTER TABLE app.todos DROP COLUMN _user_id CASCADE',
  'ALTER TABLE app.pings DROP COLUMN _expires_at CASCADE',
  'ALTER TABLE app.todos RENAME _user_id TO owner',
  'ALTER TABLE app.todos ALTER _user_id DROP DEFAULT',
  `ALTER TABLE app.todos ALTER _user_id SET DEFAULT 'me'`,
  'ALTER TABLE app.todos ALTER _deleted DROP EXPRESSION',
  'ALTER TABLE app.todos ALTER _deleted SET EXPRESSION AS (true)',
  'ALTER TABLE app.prices ALTER _deleted DROP NOT NULL',
  `ALTER TABLE app.pings ALTER _expires_at SET DEFAULT 'infinity'`,
  'ALTER TABLE app.todos DROP CONSTRAINT todos_pkey',
  'ALTER TABLE app.todos DROP CONSTRAINT todos_pkey, ADD PRIMARY KEY (id)',
  'ALTER TABLE app.todos ADD COLUMN _deleted_at timestamptz',
  'ALTER TABLE app.prices RENAME todo TO _deleted_rest',
  'CREATE UNIQUE INDEX ON app.todos (title)',
  'CREATE UNIQUE INDEX ON app.todos (title) INCLUDE (_user_id)',
  `CREATE UNIQUE INDEX ON app.todos ((_user_id || ''), title)`,
  'ALTER TABLE app.todos ADD UNIQUE (title)',
  'ALTER TABLE app.todos ADD EXCLUDE USING btree (title WITH =)',
  'ALTER TABLE app.todos ADD FOREIGN KEY (title, list_id) REFERENCES app.lists (_user_id, id)',
  'ALTER TABLE app.todos ADD FOREIGN KEY (_user_id, list_id) REFERENCES app.lists ON DELETE SET NULL',
  'ALTER TABLE app.todos ADD FOREIGN KEY (_user_id, list_id) REFERENCES app.lists ON DELETE SET DEFAULT',
  'ALTER TABLE app.todos ADD FOREIGN KEY (_user_id, list_id) REFERENCES app.lists ON UPDATE SET NULL',
  'ALTER TABLE app.prices ADD FOREIGN KEY (owner, todo) REFERENCES app.todos (_user_id, id)',
  'ALTER TABLE app.watched ADD COLUMN u text, ADD FOREIGN KEY (u, id) REFERENCES app.todos',
  'ALTER TABLE app.todos SET UNLOGGED',
  'ALTER TABLE app.todos INHERIT app.empty_parent',
  'CREATE TABLE app.child (PRIMARY KEY (_user_id, id)) INHERITS (app.todos)',
  'CREATE MATERIALIZED VIEW app.copied AS SELECT * FROM app.todos',
  `CREATE TABLE app.mine (id int PRIMARY KEY, ${systemColumns.user})`,
  `CREATE TABLE app.taken (id int PRIMARY KEY, _deleted_by text, ${systemColumns.shared})`,
  `CREATE UNLOGGED TABLE app.unlogged (id int PRIMARY KEY, ${systemColumns.shared})`,
  `CREATE TABLE app.parted (id int PRIMARY KEY, ${systemColumns.shared}) PARTITION BY RANGE (id)`,
] as const

/** What an admin's default or cast may try when it computes for a twin. */
const plants = [
  'CREATE TRIGGER spy AFTER INSERT ON %s EXECUTE FUNCTION app.spy()',
  'CREATE POLICY leak ON %s USING (true)',
  'GRANT ALL ON %s TO PUBLIC',
  'DELETE FROM %s',
  'CREATE TEMP TABLE planted (n int)',
  `INSERT INTO app.side VALUES ('planted')`,
  `SET transaction_read_only = off; INSERT INTO app.side VALUES ('planted')`,
  `SET TRANSACTION READ WRITE; INSERT INTO app.side VALUES ('planted')`,
  `SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE; INSERT INTO app.side VALUES ('planted')`,
  'ALTER FUNCTION kalam.computed() SECURITY INVOKER',
  'ALTER FUNCTION kalam.computed(int) SECURITY INVOKER',
  'ALTER ROLE kalam_cast SET search_path = app',
] as const

describe('what an admin made computes for deleted rows', () => {
  beforeAll(() =>
    world.run(
      'admin',
      `CREATE TABLE app.side (t text);
       GRANT ALL ON app.side TO PUBLIC;
       CREATE FUNCTION app.spy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
       CREATE TABLE app.plan (command text);
       GRANT SELECT ON app.plan TO PUBLIC;
       CREATE FUNCTION app.sneak() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
         IF current_user <> 'kalam_admin' THEN
           EXECUTE (SELECT command FROM app.plan);
         END IF;
         RETURN current_user; END $$;
       CREATE TYPE app.cast_by AS (n int, who text);
       CREATE FUNCTION app.to_cast_by(int) RETURNS app.cast_by LANGUAGE plpgsql AS
         'BEGIN RETURN ($1, app.sneak()); END';
       CREATE CAST (int AS app.cast_by) WITH FUNCTION app.to_cast_by(int) AS ASSIGNMENT`,
    ),
  )
  afterAll(() =>
    world.run(
      'admin',
      'DROP TABLE app.side, app.plan; DROP TYPE app.cast_by CASCADE; DROP FUNCTION app.spy, app.sneak',
    ),
  )
  afterEach(() => world.run('admin', 'DROP TABLE app.sly'))
  const twin = async () =>
    (await world.run('system', `SELECT twin FROM kalam.tables WHERE tab = 'app.sly'::regclass`))
      .flat()
      .join('')
  const make = async (command: string) => {
    await world.run(
      'admin',
      `CREATE TABLE app.sly (id int NOT NULL, n int, ${systemColumns.user}, PRIMARY KEY (_user_id, id));
       INSERT INTO app.sly (id, n) VALUES (1, 5), (2, 6);
       DELETE FROM app.sly;
       DELETE FROM app.plan`,
    )
    const text = command.replace('%s', await twin())
    await world.run('admin', `INSERT INTO app.plan VALUES ($plan$${text}$plan$)`)
  }
  const state = async () =>
    world.run(
      'system',
      `SELECT relacl, (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid),
              (SELECT count(*) FROM pg_trigger WHERE tgrelid = c.oid),
              (SELECT count(*) FROM app.side), to_regclass('pg_temp.planted'), relowner::regrole,
              (SELECT count(*) FROM pg_shdepend WHERE refobjid = 'kalam_cast'::regrole AND deptype = 'o'),
              (SELECT rolconfig FROM pg_roles WHERE rolname = 'kalam_cast'),
              (SELECT count(*) FROM ${await twin()})
         FROM pg_class c WHERE oid = '${await twin()}'::regclass`,
    )

  test.each(plants)('can do nothing else: %s', async (command) => {
    await make(command)
    const before = await state()
    await world.run('admin', 'ALTER TABLE app.sly ADD z text DEFAULT app.sneak()')
    await world.run('admin', 'ALTER TABLE app.sly ALTER n TYPE app.cast_by')
    expect(await state()).toEqual(before)
    expect(await world.run('system', `SELECT z, n, _deleted_rest FROM ${await twin()}`)).toEqual([
      [null, null, '{"n": "5"}'],
      [null, null, '{"n": "6"}'],
    ])
  })

  test('is computed by a role without rights, and leaves the transaction as it was', async () => {
    await make('SELECT 1')
    await world.run(
      'admin',
      `BEGIN;
       ALTER TABLE app.sly ADD z text DEFAULT app.sneak();
       ALTER TABLE app.sly ALTER n TYPE app.cast_by;
       ALTER TABLE app.sly ADD last int;
       DELETE FROM app.plan;
       COMMIT`,
    )
    expect(
      await world.run('system', `SELECT id, z, n, _deleted_rest FROM ${await twin()}`),
    ).toEqual([
      ['1', 'kalam_cast', '(5,kalam_cast)', null],
      ['2', 'kalam_cast', '(6,kalam_cast)', null],
    ])
  })
})

test('what PostgreSQL computes ahead for the triggers’ role cannot alter their functions', async () => {
  await world.run(
    'admin',
    `CREATE TABLE app.plain_seen (who text); GRANT ALL ON app.plain_seen TO PUBLIC;
     CREATE TABLE app.sly (id int NOT NULL, n int, t text, ${systemColumns.user}, PRIMARY KEY (_user_id, id));
     CREATE FUNCTION app.lead() RETURNS text VOLATILE LANGUAGE plpgsql AS $$ BEGIN
       INSERT INTO app.plain_seen VALUES (current_user);
       IF current_user = 'kalam_sys' THEN
         EXECUTE (SELECT format('ALTER FUNCTION %s SECURITY INVOKER', tgfoid::regprocedure) FROM pg_trigger
           WHERE tgname = 'kalam_ins' AND tgrelid = 'app.sly'::regclass);
       END IF;
       RETURN 'x'; EXCEPTION WHEN insufficient_privilege THEN
         INSERT INTO app.plain_seen VALUES ('refused'); RETURN 'x'; END $$;
     CREATE FUNCTION app.fold() RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN app.lead(); END';
     CREATE STATISTICS app.folded ON (app.fold() || t), n FROM app.sly;
     TRUNCATE app.plain_seen`,
  )
  await world.run('alice', 'INSERT INTO app.sly VALUES (1); UPDATE app.sly SET n = 2')
  expect(await world.run('system', 'SELECT DISTINCT who FROM app.plain_seen ORDER BY 1')).toEqual(
    expect.arrayContaining([['refused']]),
  )
  expect(
    await world.run(
      'system',
      `SELECT DISTINCT prosecdef FROM pg_trigger g JOIN pg_proc p ON p.oid = tgfoid
        WHERE tgname = 'kalam_ins'`,
    ),
  ).toEqual([['t']])
  await world.run('admin', 'DROP TABLE app.sly, app.plain_seen; DROP FUNCTION app.fold, app.lead')
})

describe('settings of the caller', () => {
  test('that quote all names hide nothing of what a table is', async () => {
    await world.run(
      'admin',
      `SET quote_all_identifiers = on;
       CREATE TABLE app.quoted (id int NOT NULL, ${systemColumns.user}, PRIMARY KEY (_user_id, id));
       CREATE TABLE app.flow (id int NOT NULL, ${systemColumns.stream}, PRIMARY KEY (_user_id, id));
       ALTER TABLE app.quoted ADD a int;
       RESET quote_all_identifiers`,
    )
    expect(
      await world.run(
        'system',
        `SELECT tab, kind FROM kalam.tables WHERE tab IN ('app.quoted'::regclass, 'app.flow'::regclass) ORDER BY id`,
      ),
    ).toEqual([
      ['app.quoted', 'user'],
      ['app.flow', 'stream'],
    ])
    await world.run('admin', 'DROP TABLE app.quoted, app.flow')
  })
})

test.each([
  'ALTER FUNCTION kalam.forget_expired(regclass, integer) SECURITY INVOKER',
  'DROP FUNCTION kalam.forget_expired(regclass, integer)',
  'GRANT EXECUTE ON FUNCTION kalam.forget_expired(regclass, integer) TO PUBLIC',
  'CREATE TEMP TABLE planted (n int)',
])('a trigger on rows that expire cannot %s', async (command) => {
  await world.run(
    'admin',
    `CREATE FUNCTION app.sly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       EXECUTE '${command}'; RETURN NULL; END $$;
     CREATE TRIGGER sly AFTER DELETE ON app.pings FOR EACH ROW EXECUTE FUNCTION app.sly()`,
  )
  await world.run('alice', `INSERT INTO app.pings (id, _expires_at) VALUES (1, now())`)
  await expect(
    world.run('system', `SELECT kalam.forget_expired('app.pings', 10)`),
  ).rejects.toMatchObject({ fields: { sqlState: '42501' } })
  await world.run('system', 'DROP FUNCTION app.sly CASCADE; DELETE FROM app.pings')
})

describe('B11: refused by name', () => {
  test.each(forbidden)('%s', async (sql) => {
    await expect(world.run('admin', sql)).rejects.toMatchObject(refused)
  })

  test.each(['DO $do$ BEGIN EXECUTE $sql$%$sql$; END $do$', 'SELECT app.execute_it($sql$%$sql$)'])(
    'inside %s',
    async (frame) => {
      for (const sql of forbidden)
        await expect(
          world.run(
            'admin',
            frame.replace('%', () => sql),
          ),
        ).rejects.toMatchObject(refused)
    },
  )

  test('before anything happens between off and on', async () => {
    await world.run('alice', `INSERT INTO app.todos VALUES (1, 'a')`)
    await expect(
      world.run(
        'admin',
        `DO $$ BEGIN
           ALTER TABLE app.todos DISABLE ROW LEVEL SECURITY; DELETE FROM app.todos;
           ALTER TABLE app.todos ENABLE ROW LEVEL SECURITY;
         END $$`,
      ),
    ).rejects.toMatchObject(refused)
    expect(await world.run('alice', 'SELECT id FROM app.todos')).toEqual([['1']])
  })
})

test('a table with the system’s columns is managed from its primary key on, with the rows it has', async () => {
  await world.run(
    'admin',
    `CREATE TABLE app.late (id int NOT NULL, ${systemColumns.user});
     INSERT INTO app.late (id, _user_id) VALUES (1, '${world.userId('alice')}'), (1, '${world.userId('bob')}')`,
  )
  await world.run('system', `SELECT kalam.watch('app.late')`)
  await expect(world.run('alice', 'SELECT id FROM app.late')).rejects.toMatchObject({
    fields: { sqlState: '42501' },
  })
  await expect(
    world.run('admin', 'ALTER TABLE app.late ADD PRIMARY KEY (id, _user_id)'),
  ).rejects.toMatchObject(refused)
  await world.changes()
  await world.run('admin', 'ALTER TABLE app.late ADD PRIMARY KEY (_user_id, id)')
  expect(await world.run('alice', 'DELETE FROM app.late RETURNING id')).toEqual([['1']])
  expect(await world.run('bob', 'SELECT id FROM app.late')).toEqual([['1']])
  expect((await world.changes()).map(([op]) => op)).toEqual(['X', 'S', 'D'])
  await world.run('admin', 'DROP TABLE app.late')
})

describe('B11: works', () => {
  test.each([
    'CREATE INDEX ON app.todos (title)',
    'CREATE UNIQUE INDEX ON app.todos (title, _user_id)',
    'ALTER TABLE app.todos ADD CONSTRAINT u UNIQUE (_user_id, title)',
    'ALTER TABLE app.todos ADD CONSTRAINT x EXCLUDE USING btree (_user_id WITH =, title WITH =)',
    `ALTER TABLE app.todos ADD CONSTRAINT c CHECK (title <> '')`,
    'ALTER TABLE app.todos ADD CONSTRAINT f FOREIGN KEY (_user_id, list_id) REFERENCES app.lists ON DELETE SET NULL (list_id)',
    'ALTER TABLE app.todos ADD CONSTRAINT p FOREIGN KEY (list_id) REFERENCES app.prices ON DELETE SET NULL',
    'CREATE POLICY narrow ON app.todos AS RESTRICTIVE USING (title IS NOT NULL)',
    'CREATE POLICY wide ON app.todos USING (true)',
    `COMMENT ON TABLE app.todos IS 'what is to be done'`,
    'ALTER TABLE app.todos ADD COLUMN done boolean NOT NULL DEFAULT false',
    'ALTER TABLE app.todos RENAME CONSTRAINT todos_pkey TO todos_key',
    'ALTER TABLE app.todos CLUSTER ON todos_key',
    'CREATE STATISTICS app.s ON title, done FROM app.todos',
    'CREATE MATERIALIZED VIEW app.list AS SELECT * FROM app.prices',
    'CREATE TABLE app.copy (LIKE app.todos INCLUDING ALL)',
    'CREATE TABLE app.rows AS SELECT * FROM app.todos',
    'CREATE TEMPORARY TABLE scratch AS SELECT * FROM app.todos',
  ])('%s', async (sql) => {
    await world.run('admin', sql)
  })

  test('a policy of an admin’s can only narrow', async () => {
    await world.run('bob', `INSERT INTO app.todos VALUES (1, 'b')`)
    await world.run(
      'everything',
      `INSERT INTO app.todos (id, title, _user_id) VALUES (2, NULL, '${world.userId('bob')}')`,
    )
    expect(await world.run('bob', 'SELECT id FROM app.todos')).toEqual([['1']])
    expect(await world.run('alice', 'SELECT id, title FROM app.todos')).toEqual([['1', 'a']])
  })

  test('a view runs as who reads it, unless it says otherwise', async () => {
    await world.run(
      'admin',
      `CREATE VIEW app.mine AS SELECT id FROM app.todos;
       CREATE VIEW app.of_mine AS SELECT id FROM app.mine;
       CREATE VIEW app.theirs WITH (security_invoker = false) AS SELECT id FROM app.todos;
       CREATE VIEW app.shared AS SELECT id FROM app.prices`,
    )
    const options = await world.run(
      'system',
      `SELECT relname, reloptions::text FROM pg_class
        WHERE relnamespace = 'app'::regnamespace AND relkind = 'v' ORDER BY 1`,
    )
    expect(options).toEqual([
      ['mine', '{security_invoker=true}'],
      ['of_mine', '{security_invoker=true}'],
      ['shared', null],
      ['theirs', '{security_invoker=false}'],
    ])
  })

  test.each(['mine', 'of_mine', 'theirs'])('and %s shows each their own', async (view) => {
    await world.run('admin', `GRANT SELECT ON app.${view} TO PUBLIC`)
    expect(await world.run('alice', `SELECT id FROM app.${view}`)).toEqual([['1']])
    expect(await world.run('admin', `SELECT id FROM app.${view}`)).toEqual([])
  })
})

describe('A4: with row security off', () => {
  test('an admin sees and changes everybody’s rows, deleted ones too', async () => {
    await world.run('alice', 'DELETE FROM app.todos WHERE id = 1')
    expect(await world.run('everything', 'SELECT id FROM app.todos ORDER BY id')).toEqual([
      ['1'],
      ['2'],
    ])
    expect(
      await world.run(
        'everything',
        `SELECT t.id FROM kalam.tables k, kalam_deleted.t2 t WHERE k.tab = 'app.todos'::regclass`,
      ),
    ).toEqual([['1']])
  })

  test('what is made belongs to the admins, who do not lend its eyes', async () => {
    await world.run(
      'everything',
      `CREATE FUNCTION app.eyes() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM app.todos';
       CREATE VIEW app.seen WITH (security_invoker = false) AS SELECT * FROM app.todos;
       GRANT SELECT ON app.seen TO PUBLIC;
       CREATE SCHEMA made;
       CREATE TABLE made.notes (id int NOT NULL, ${systemColumns.user}, PRIMARY KEY (_user_id, id))`,
    )
    expect(await world.run('alice', 'SELECT app.eyes()')).toEqual([['0']])
    expect(await world.run('alice', 'SELECT * FROM app.seen')).toEqual([])
    expect(await world.run('alice', 'INSERT INTO made.notes VALUES (1) RETURNING id')).toEqual([
      ['1'],
    ])
    expect(
      await world.run(
        'system',
        `SELECT count(*) FROM pg_shdepend WHERE refobjid = 'kalam_everything'::regrole AND deptype = 'o' AND classid <> 'pg_default_acl'::regclass`,
      ),
    ).toEqual([['0']])
  })
})
