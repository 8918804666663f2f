/** A twin and the log follow their table through every ALTER. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openTableWorld, systemColumns, type TableWorld } from '../../support/tables.js'

let world: TableWorld
beforeAll(async () => {
  world = await openTableWorld()
})
afterAll(() => world.close())

beforeEach(async () => {
  await world.run(
    'admin',
    `CREATE TABLE app.t (id int PRIMARY KEY, a text, n int, ${systemColumns.shared});
     GRANT ALL ON app.t TO PUBLIC;
     INSERT INTO app.t VALUES (1, '10', 100), (2, 'x', 200); DELETE FROM app.t`,
  )
  await world.changes()
})
afterEach(() => world.run('admin', 'DROP TABLE IF EXISTS app.t CASCADE'))

const twinOf = async (table = 'app.t') =>
  (await world.run('system', `SELECT twin FROM kalam.tables WHERE tab = '${table}'::regclass`))
    .flat()
    .join('')
const deleted = async (columns: string) =>
  world.run('admin', `SELECT ${columns} FROM ${await twinOf()} ORDER BY id, _deleted_seq`)

describe('B11: ALTER TABLE', () => {
  test.each([
    ['ADD COLUMN', 'ADD m int', 'm', [[null], [null]]],
    ['ADD COLUMN with a default', 'ADD m int NOT NULL DEFAULT 7', 'm', [['7'], ['7']]],
    ['ADD COLUMN with a function', `ADD m text DEFAULT upper('m')`, 'm', [['M'], ['M']]],
    ['ADD COLUMN serial', 'ADD m serial', 'm', [[null], [null]]],
    ['ADD COLUMN identity', 'ADD m int GENERATED ALWAYS AS IDENTITY', 'm', [[null], [null]]],
    ['ADD COLUMN stored', 'ADD m int GENERATED ALWAYS AS (n + 1) STORED', 'm', [[null], [null]]],
    ['ADD COLUMN virtual', 'ADD m int GENERATED ALWAYS AS (n + 1)', 'm', [[null], [null]]],
    [
      'DROP COLUMN',
      'DROP a',
      'id, n',
      [
        ['1', '100'],
        ['2', '200'],
      ],
    ],
    ['DROP and ADD under one name', 'DROP n, ADD n text', 'n', [[null], [null]]],
    ['RENAME COLUMN', 'RENAME a TO "B ""b"" é"', '"B ""b"" é"', [['10'], ['x']]],
    ['RENAME of the key', 'RENAME id TO key', 'key', undefined],
    [
      'ALTER TYPE',
      'ALTER n TYPE bigint',
      'n, pg_typeof(n)',
      [
        ['100', 'bigint'],
        ['200', 'bigint'],
      ],
    ],
    ['ALTER TYPE of the key', 'ALTER id TYPE text', 'id', [['1'], ['2']]],
    ['ALTER TYPE with USING', `ALTER n TYPE text USING 'new'`, 'n', [['100'], ['200']]],
    ['COLLATE', 'ALTER a TYPE text COLLATE "C"', 'a', [['10'], ['x']]],
    ['SET NOT NULL', 'ALTER a SET NOT NULL', 'a', [['10'], ['x']]],
    ['SET DEFAULT', 'ALTER n SET DEFAULT 5', 'n', [['100'], ['200']]],
    ['ADD CHECK', 'ADD CHECK (n > 1000)', 'n', [['100'], ['200']]],
    ['RENAME TO', 'RENAME TO "T é"', undefined, undefined],
    ['SET SCHEMA', 'SET SCHEMA public', undefined, undefined],
  ] as const)('%s', async (_name, alter, columns, rows) => {
    await world.run('admin', `ALTER TABLE app.t ${alter}`)
    if (columns !== undefined && rows !== undefined) expect(await deleted(columns)).toEqual(rows)
    const [name] = (await world.run('system', 'SELECT tab FROM kalam.tables')).flat()
    const key = alter.includes('key') ? 'key' : 'id'
    await world
      .run('admin', `INSERT INTO ${String(name)} (${key}, a) VALUES (3, 'y')`)
      .catch(() =>
        world
          .run('admin', `INSERT INTO ${String(name)} (${key}, n) VALUES (3, 2000)`)
          .catch(() => world.run('admin', `INSERT INTO ${String(name)} (${key}) VALUES (3)`)),
      )
    await world.run('admin', `DELETE FROM ${String(name)}`)
    const ops = (await world.changes({ rights: true })).map(([op]) => op)
    expect(ops.join('')).toMatch(/^S?GID$/)
    await world.run('admin', `DROP TABLE ${String(name)}`)
  })

  test('TYPE: what cannot become the new type is kept as text', async () => {
    await world.run('admin', `ALTER TABLE app.t ALTER a TYPE int USING 0`)
    expect(await deleted('a, _deleted_rest')).toEqual([
      [null, '{"a": "10"}'],
      [null, '{"a": "x"}'],
    ])
  })

  test('may change the key: the twin is found by the new one', async () => {
    await world.run('admin', 'ALTER TABLE app.t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (n, id)')
    await world.run('admin', `INSERT INTO app.t VALUES (1, 'y', 1); UPDATE app.t SET n = 2`)
    expect((await world.changes()).slice(1)).toEqual([
      ['I', ['1', 'y', '1']],
      ['D', ['1', 'y', '1']],
      ['I', ['1', 'y', '2']],
    ])
    const [index] = await world.run(
      'system',
      `SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = '${await twinOf()}'::regclass`,
    )
    expect(index?.[0]).toMatch(/\(n, id\)$/)
  })

  test('renews the twin’s index when the key is another, and only then', async () => {
    const indexes = async () =>
      world.run(
        'system',
        `SELECT indexrelid::bigint FROM pg_index WHERE indrelid = '${await twinOf()}'::regclass`,
      )
    const first = await indexes()
    expect(first).toHaveLength(1)
    for (const alter of ['ADD m int DEFAULT 1', 'RENAME id TO key', 'DROP a', 'ADD CHECK (m > 0)'])
      await world.run('admin', `ALTER TABLE app.t ${alter}`)
    expect(await indexes()).toEqual(first)
    await world.run('admin', 'ALTER TABLE app.t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (key, n)')
    const second = await indexes()
    expect(second).toHaveLength(1)
    expect(second).not.toEqual(first)
    await world.run('admin', 'ALTER TABLE app.t RENAME key TO id')
    expect(await indexes()).toEqual(second)
  })

  test('ADD: deleted rows get the very value that the table’s rows got', async () => {
    await world.run(
      'admin',
      `CREATE TYPE app.mixed AS (a int, b text);
       CREATE TABLE app.unreadable (n int); INSERT INTO app.unreadable VALUES (42);
       CREATE FUNCTION app.look() RETURNS int STABLE LANGUAGE sql AS 'SELECT n FROM app.unreadable';
       ALTER TABLE app.t ADD m text DEFAULT current_user, ADD l int[] DEFAULT '{1,2}',
         ADD b box DEFAULT '((1,1),(0,0))', ADD q text DEFAULT $q$"\'{,}$q$,
         ADD c app.mixed DEFAULT '(,x)', ADD f float8 DEFAULT 0.1::float8 + 0.2, ADD v varchar(3) DEFAULT 'abc',
         ADD u int DEFAULT app.look()`,
    )
    const added = 'm, l, b, q, c, f, v, u'
    const value = ['kalam_admin', '{1,2}', '(1,1),(0,0)', `"\'{,}`, '(,x)', '0.30000000000000004']
    expect(await deleted(added)).toEqual([
      [...value, 'abc', '42'],
      [...value, 'abc', '42'],
    ])
    await world.run(
      'admin',
      'ALTER TABLE app.t DROP u, ALTER c DROP DEFAULT, ALTER c TYPE int USING 0; DROP FUNCTION app.look; DROP TABLE app.unreadable',
    )
    // A row with a null in it is a value as well.
    expect(await deleted('c, _deleted_rest')).toEqual([
      [null, '{"c": "(,x)"}'],
      [null, '{"c": "(,x)"}'],
    ])
    await world.run('admin', 'DROP TYPE app.mixed')
  })

  test('of a type, a domain, an enum in use', async () => {
    await world.run(
      'admin',
      `CREATE DOMAIN app.positive AS int CHECK (value > 0);
       CREATE TYPE app.mood AS ENUM ('sad', 'ok');
       CREATE TYPE app.pair AS (a int, b text);
       ALTER TABLE app.t ADD p app.positive DEFAULT 1, ADD m app.mood DEFAULT 'ok', ADD c app.pair DEFAULT '(1,x)';
       ALTER DOMAIN app.positive ADD CHECK (value < 10);
       ALTER TYPE app.mood RENAME VALUE 'ok' TO 'fine';
       ALTER TYPE app.mood RENAME TO feeling;
       INSERT INTO app.t (id) VALUES (5); DELETE FROM app.t`,
    )
    expect(await deleted('id, p, m, c')).toEqual([
      ['1', '1', 'fine', '(1,x)'],
      ['2', '1', 'fine', '(1,x)'],
      ['5', '1', 'fine', '(1,x)'],
    ])
    await world.run('admin', 'DROP TYPE app.feeling CASCADE')
    await world.run('admin', 'INSERT INTO app.t (id) VALUES (6); DELETE FROM app.t')
    expect(await deleted('id')).toEqual([['1'], ['2'], ['5'], ['6']])
    await world.run('admin', 'DROP TYPE app.pair, app.positive CASCADE')
  })
})

describe('a table', () => {
  test.each([51, 101, 300])('may have %i columns', async (count) => {
    const columns = Array.from({ length: count }, (_, index) => `c${index} int DEFAULT ${index}`)
    await world.run(
      'admin',
      `CREATE TABLE app.wide (id int PRIMARY KEY, ${columns.join(', ')}, ${systemColumns.shared});
       INSERT INTO app.wide (id) VALUES (1); UPDATE app.wide SET c0 = 1; DELETE FROM app.wide`,
    )
    const changes = await world.changes()
    expect(changes.map(([op]) => op)).toEqual(['S', 'I', 'U', 'D'])
    expect(changes[3]?.[1]).toHaveLength(count + 1)
    await world.run('admin', 'DROP TABLE app.wide')
  })

  test('may have any names, also those that PL/pgSQL and the log use', async () => {
    const names = [
      '__n',
      '__o',
      'new',
      'old',
      'kalam_old',
      'tg_op',
      'found',
      'seq',
      'select',
      'A b',
      'é☂',
      'x"y',
      `z'z`,
      '$b$',
      '%I',
      'owner',
      'op',
    ]
    const columns = names.map(
      (name) => `"${name.replaceAll('"', '""')}" text DEFAULT '${name.replaceAll("'", "''")}'`,
    )
    await world.run(
      'admin',
      `CREATE SCHEMA "S é"; CREATE TABLE "S é"."T ""q""" ("I D" int PRIMARY KEY, ${columns.join(', ')}, ${systemColumns.shared});
       INSERT INTO "S é"."T ""q""" ("I D") VALUES (1); UPDATE "S é"."T ""q""" SET "I D" = 2; UPDATE "S é"."T ""q""" SET "é☂" = 'n';
       TRUNCATE "S é"."T ""q"""`,
    )
    const row = (id: string, last = 'é☂') => [
      id,
      ...names.map((name) => (name === 'é☂' ? last : name)),
    ]
    expect(await world.changes()).toEqual([
      ['S'],
      ['I', row('1')],
      ['D', row('1')],
      ['I', row('2')],
      ['U', row('2'), row('2', 'n')],
      ['D', row('2', 'n')],
    ])
    await world.run('admin', 'DROP SCHEMA "S é" CASCADE')
  })

  test.each(['DROP TABLE app.t', 'DROP SCHEMA app CASCADE', 'DROP OWNED BY CURRENT_USER'])(
    'that goes with %s leaves nothing',
    async (sql) => {
      await world.run('admin', sql)
      expect(
        await world.run(
          'system',
          `SELECT relname FROM pg_class WHERE relnamespace = 'kalam_deleted'::regnamespace
           UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'kalam'::regnamespace AND proname ~ '^t\\d+_'
           UNION ALL SELECT tab::text FROM kalam.tables`,
        ),
      ).toEqual([])
      expect((await world.changes()).map(([op]) => op)).toContain('X')
      await world.run('admin', 'CREATE SCHEMA IF NOT EXISTS app')
    },
  )

  test('whose creation is undone leaves nothing', async () => {
    await world.run(
      'admin',
      `BEGIN; CREATE TABLE app.undone (id int PRIMARY KEY, ${systemColumns.shared}); ROLLBACK`,
    )
    expect(await world.changes()).toEqual([])
    expect(await world.run('system', 'SELECT tab FROM kalam.tables')).toEqual([['app.t']])
  })

  test('that is temporary is not managed', async () => {
    await world.run('admin', `CREATE TEMPORARY TABLE app_temp (id int, ${systemColumns.shared})`)
    expect(await world.run('system', 'SELECT tab FROM kalam.tables')).toEqual([['app.t']])
  })
})
