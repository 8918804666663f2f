/** The log of changes: every row's, each once, in an order that replays right. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openTableWorld, systemColumns, type TableWorld } from '../../support/tables.js'

let world: TableWorld
beforeAll(async () => {
  world = await openTableWorld()
  await world.run(
    'admin',
    `CREATE TABLE app.todos (id int NOT NULL, n int, ${systemColumns.user},
       CONSTRAINT todos_pkey PRIMARY KEY (_user_id, id));
     CREATE TABLE app.parts (a text, b int, n int, ${systemColumns.shared}, PRIMARY KEY (b, a));
     CREATE TABLE app.plain (id int PRIMARY KEY, n int);
     CREATE TABLE app.keyless (n int);
     GRANT ALL ON app.parts, app.plain, app.keyless TO kalam_user`,
  )
  for (const table of ['plain', 'keyless'])
    await world.run('system', `SELECT kalam.watch('app.${table}')`)
})
afterAll(() => world.close())

beforeEach(async () => {
  await world.run('everything', 'DELETE FROM app.todos; DELETE FROM app.parts')
  await world.run('admin', 'DELETE FROM app.plain; DELETE FROM app.keyless')
  await world.run('alice', 'INSERT INTO app.todos VALUES (1, 10), (2, 20), (3, 30)')
  await world.changes()
})

describe('D2: a statement', () => {
  test('that changes a key logs a delete and an insert', async () => {
    await world.run('alice', 'UPDATE app.todos SET id = CASE id WHEN 1 THEN 7 ELSE id END')
    expect(await world.changes()).toEqual(
      expect.arrayContaining([
        ['D', ['1', '10']],
        ['I', ['7', '10']],
        ['U', ['2', '20'], ['2', '20']],
        ['U', ['3', '30'], ['3', '30']],
      ]),
    )
  })

  test('that shifts keys replays right', async () => {
    await world.run(
      'admin',
      `ALTER TABLE app.todos DROP CONSTRAINT todos_pkey,
         ADD CONSTRAINT todos_pkey PRIMARY KEY (_user_id, id) DEFERRABLE`,
    )
    await world.changes()
    await world.run('alice', 'UPDATE app.todos SET id = id + 1')
    const changes = await world.changes()
    expect(
      replay(changes, [
        ['1', '10'],
        ['2', '20'],
        ['3', '30'],
      ]),
    ).toEqual(
      new Map([
        ['2', '10'],
        ['3', '20'],
        ['4', '30'],
      ]),
    )
    await world.run(
      'admin',
      `ALTER TABLE app.todos DROP CONSTRAINT todos_pkey,
         ADD CONSTRAINT todos_pkey PRIMARY KEY (_user_id, id)`,
    )
  })

  test('that gives rows to somebody else takes them from their owner', async () => {
    await world.run(
      'everything',
      `UPDATE app.todos SET _user_id = '${world.userId('bob')}' WHERE id = 1`,
    )
    const rows = await world.run(
      'system',
      `SELECT op, owner, old, new FROM kalam.changes ORDER BY seq DESC LIMIT 2`,
    )
    expect(rows).toEqual([
      ['I', world.userId('bob'), null, '["1","10"]'],
      ['D', world.userId('alice'), '["1","10"]', null],
    ])
  })

  test('with several writing parts logs them all', async () => {
    await world.run(
      'alice',
      `WITH a AS (UPDATE app.todos SET n = 11 WHERE id = 1), b AS (DELETE FROM app.todos WHERE id = 2),
            c AS (UPDATE app.todos SET n = 31 WHERE id = 3)
       INSERT INTO app.todos VALUES (4, 40)`,
    )
    const changes = await world.changes()
    expect(
      replay(changes, [
        ['1', '10'],
        ['2', '20'],
        ['3', '30'],
      ]),
    ).toEqual(
      new Map([
        ['1', '11'],
        ['3', '31'],
        ['4', '40'],
      ]),
    )
  })

  test('that changes nothing logs nothing', async () => {
    await world.run(
      'alice',
      'UPDATE app.todos SET n = 1 WHERE id = 9; DELETE FROM app.todos WHERE id = 9',
    )
    expect(await world.changes()).toEqual([])
  })

  test('on 10,000 rows takes time in proportion: OLD and NEW are hashed, not searched', async () => {
    await world.run('alice', 'INSERT INTO app.todos SELECT g, g FROM generate_series(10, 10009) g')
    // The function's plan was made for few rows, and stays.
    await world.run('alice', 'UPDATE app.todos SET n = n + 1')
    await world.run('alice', 'DELETE FROM app.todos')
    const [row] = await world.run(
      'system',
      `SELECT count(*) FILTER (WHERE op = 'I'), count(*) FILTER (WHERE op = 'U'), count(*) FILTER (WHERE op = 'D')
         FROM (SELECT op FROM kalam.changes ORDER BY seq DESC LIMIT 30006) newest`,
    )
    expect(row).toEqual(['10000', '10003', '10003'])
  })
})

/** What somebody who keeps rows by key ends up with. */
function replay(
  changes: readonly (readonly unknown[])[],
  rows: readonly (readonly [string, string | null])[],
): Map<unknown, unknown> {
  const kept = new Map<unknown, unknown>(rows)
  for (const [op, first, second] of changes) {
    const row = (op === 'U' ? second : first) as readonly string[]
    if (op === 'D') kept.delete(row[0])
    else kept.set(row[0], row[1])
  }
  return kept
}

describe('D2: a table', () => {
  test('with a key of several columns, in another order than theirs', async () => {
    await world.run(
      'alice',
      `INSERT INTO app.parts VALUES ('x', 1, 1), ('y', 1, 2); UPDATE app.parts SET n = 3 WHERE a = 'y'`,
    )
    expect(await world.changes()).toEqual([
      ['I', ['x', '1', '1']],
      ['I', ['y', '1', '2']],
      ['U', ['y', '1', '2'], ['y', '1', '3']],
    ])
  })

  test('that is plain is logged from the first watch on, TRUNCATE too', async () => {
    await world.run('alice', 'INSERT INTO app.plain VALUES (1, 1); UPDATE app.plain SET n = 2')
    await world.run('admin', 'TRUNCATE app.plain')
    expect(await world.changes()).toEqual([
      ['I', ['1', '1']],
      ['U', ['1', '1'], ['1', '2']],
      ['D', ['1', '2']],
    ])
    await world.run('system', `SELECT kalam.watch('app.plain')`)
    expect(await world.changes()).toEqual([])
  })

  test('without a key logs what was and what is', async () => {
    await world.run('alice', 'INSERT INTO app.keyless VALUES (1); UPDATE app.keyless SET n = 2')
    expect(await world.changes()).toEqual([
      ['I', ['1']],
      ['D', ['1']],
      ['I', ['2']],
    ])
  })

  test('says when it changes its shape, and when it is gone', async () => {
    await world.run(
      'admin',
      `CREATE TABLE app.short (id int PRIMARY KEY, ${systemColumns.shared});
       INSERT INTO app.short VALUES (1);
       ALTER TABLE app.short ADD COLUMN note text;
       INSERT INTO app.short (id, note) VALUES (2, 'x');
       DROP TABLE app.short`,
    )
    const rows = await world.run(
      'system',
      `SELECT op, version, new FROM kalam.changes WHERE op <> 'G' ORDER BY seq DESC LIMIT 5`,
    )
    expect(rows.toReversed()).toEqual([
      ['S', '1', null],
      ['I', '1', '["1"]'],
      ['S', '2', null],
      ['I', '2', '["2","x"]'],
      ['X', '2', null],
    ])
  })

  test.each([
    'GRANT SELECT ON app.plain TO kalam_service',
    'REVOKE SELECT ON app.plain FROM kalam_service',
    'ALTER TABLE app.keyless ENABLE ROW LEVEL SECURITY',
    'CREATE POLICY p ON app.keyless USING (true)',
    'ALTER POLICY p ON app.keyless USING (false)',
    'DROP POLICY p ON app.keyless',
    'ALTER TABLE app.keyless DISABLE ROW LEVEL SECURITY',
  ])('says that rights have changed: %s', async (sql) => {
    await world.run('admin', sql)
    expect(await world.changes({ rights: true })).toEqual([['G']])
  })

  test('and so does a user whose role changes', async () => {
    await world.catalog.users.createUser({ name: 'carol', role: 'user', ifNotExists: false })
    await world.run(
      'system',
      `SELECT kalam.set_user_role(user_id, 'service') FROM kalam.users WHERE name = 'carol'`,
    )
    expect(await world.changes({ rights: true })).toEqual([['G']])
  })
})

describe('C4: an image', () => {
  test('is PostgreSQL’s text of each value, whatever the session is set to', async () => {
    await world.run(
      'admin',
      `CREATE TABLE app.kinds (id int PRIMARY KEY, b bool, i8 int8, n numeric, f float8, t text, c char(4),
         d date, ts timestamptz, iv interval, by bytea, u uuid, j jsonb, ip inet, a int[], r int4range,
         v int GENERATED ALWAYS AS (id * 2), s int GENERATED ALWAYS AS (id * 3) STORED, ${systemColumns.shared})`,
    )
    await world.changes()
    await world.run(
      'admin',
      `BEGIN; SET LOCAL datestyle = 'German'; SET LOCAL timezone = 'Asia/Seoul'; SET LOCAL intervalstyle = 'iso_8601';
       SET LOCAL bytea_output = 'escape'; SET LOCAL extra_float_digits = -10;
       INSERT INTO app.kinds VALUES (1, true, 9007199254740993, 1.50, 0.1::float8 + 0.2, 'a"\\é', 'ab',
         '2026-01-02', '2026-01-02 03:04:05+00', '1 day 2 hours', '\\x00ff', '00000000-0000-0000-0000-000000000001',
         '{"a": [1, null]}', '10.0.0.1', '{1,NULL}', '[1,5)'); COMMIT`,
    )
    expect(await world.changes()).toEqual([
      [
        'I',
        [
          ...['1', 't', '9007199254740993', '1.50', '0.30000000000000004', 'a"\\é', 'ab  '],
          ...['2026-01-02', '2026-01-02 03:04:05+00', '1 day 02:00:00', '\\x00ff'],
          ...['00000000-0000-0000-0000-000000000001', '{"a": [1, null]}', '10.0.0.1'],
          ...['{1,NULL}', '[1,5)', '2', '3'],
        ],
      ],
    ])
  })

  test('has null for null, and may have no columns at all', async () => {
    await world.run(
      'admin',
      `CREATE TABLE app.nulls (id int PRIMARY KEY, t text, ${systemColumns.shared});
       CREATE TABLE app.only_me (${systemColumns.user}, PRIMARY KEY (_user_id))`,
    )
    await world.changes()
    await world.run(
      'admin',
      'INSERT INTO app.nulls VALUES (1); INSERT INTO app.only_me DEFAULT VALUES',
    )
    expect(await world.changes()).toEqual([
      ['I', ['1', null]],
      ['I', []],
    ])
  })
})

describe('kalam.watch', () => {
  const watch = async (table: string) =>
    (await world.run('system', `SELECT kalam.watch('${table}')`)).flat().join()

  test('logs no table whose changes may come by another', async () => {
    await world.run(
      'admin',
      `CREATE TABLE app.parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
       CREATE TABLE app.part PARTITION OF app.parted DEFAULT;
       CREATE TABLE app.parent (id int PRIMARY KEY);
       CREATE TABLE app.child () INHERITS (app.parent)`,
    )
    for (const table of ['app.parted', 'app.part', 'app.parent', 'app.child'])
      expect(await watch(table)).toBe('f')
    expect(await watch('app.plain')).toBe('t')
  })

  test('ends when the table becomes a parent', async () => {
    await world.run('admin', 'CREATE TABLE app.grown (id int PRIMARY KEY)')
    expect(await watch('app.grown')).toBe('t')
    await world.changes()
    await world.run('admin', 'CREATE TABLE app.heir () INHERITS (app.grown)')
    expect(await world.changes()).toEqual([['X']])
    await world.run('admin', 'INSERT INTO app.grown VALUES (1); DROP TABLE app.grown CASCADE')
    expect(await world.changes()).toEqual([])
  })

  test('logs TRUNCATE under row security', async () => {
    await world.run(
      'admin',
      `CREATE TABLE app.hidden (id int PRIMARY KEY);
       ALTER TABLE app.hidden ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY`,
    )
    expect(await watch('app.hidden')).toBe('t')
    await world.run('system', 'INSERT INTO app.hidden VALUES (1), (2)')
    await world.changes()
    await world.run('admin', 'TRUNCATE app.hidden')
    expect(await world.changes()).toEqual([
      ['D', ['1']],
      ['D', ['2']],
    ])
  })
})

describe('D2: the last entry of a key tells its state, when', () => {
  const rows = async (sql = 'SELECT id, n FROM app.todos') =>
    new Map((await world.run('alice', sql)).map(([key, value]) => [key, value]))
  const before: [string, string][] = [
    ['1', '10'],
    ['2', '20'],
    ['3', '30'],
  ]

  test.each([
    [
      'an INSERT reads a part of what a DELETE takes',
      `WITH gone AS (DELETE FROM app.todos RETURNING id, n)
       INSERT INTO app.todos SELECT id, n FROM gone LIMIT 1`,
    ],
    [
      'an INSERT takes a key that an UPDATE gives up',
      `WITH moved AS (UPDATE app.todos SET id = id + 10 RETURNING id)
       INSERT INTO app.todos SELECT id - 10, 5 FROM moved LIMIT 1`,
    ],
    [
      'rows are made, deleted and made again in one transaction',
      `BEGIN; INSERT INTO app.todos VALUES (4, 40);
       WITH gone AS (DELETE FROM app.todos RETURNING id, n)
       INSERT INTO app.todos SELECT id, n FROM gone; COMMIT`,
    ],
  ])('%s', async (_when, sql) => {
    await world.run('alice', sql)
    expect(replay(await world.changes(), before)).toEqual(await rows())
  })

  test.each([
    ['INSERT', 'UPDATE app.todos SET n = n + 1 WHERE id = new.id'],
    ['INSERT', 'DELETE FROM app.todos WHERE id = new.id'],
    ['DELETE', 'INSERT INTO app.todos VALUES (old.id, old.n + 1)'],
    ['UPDATE', 'DELETE FROM app.todos WHERE id = new.id'],
    ['UPDATE', 'UPDATE app.todos SET n = 99 WHERE id = new.id AND n <> 99'],
    // Of the rows none is left as the statement made it.
    [
      'INSERT',
      `DELETE FROM app.todos WHERE id = new.id AND id = 4;
       UPDATE app.todos SET n = 51 WHERE id = new.id`,
    ],
    // Whether the transaction has logged anything is nothing that SQL can say.
    [
      'INSERT',
      `UPDATE app.todos SET n = n + 1 WHERE id = new.id;
       SET kalam.logged = ''; RESET ALL; DISCARD SEQUENCES`,
    ],
  ])('a trigger after %s runs %s', async (event, body) => {
    await world.run(
      'admin',
      `CREATE FUNCTION app.again() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN ${body}; RETURN NULL; END $$;
       CREATE TRIGGER again AFTER ${event} ON app.todos
         FOR EACH ROW EXECUTE FUNCTION app.again()`,
    )
    await world.changes()
    await world.run(
      'alice',
      {
        INSERT: 'INSERT INTO app.todos VALUES (4, 40), (5, 50)',
        DELETE: 'DELETE FROM app.todos WHERE id < 3',
        UPDATE: 'UPDATE app.todos SET n = n + 5, id = id + 4 WHERE id > 1',
      }[event] ?? '',
    )
    const changes = await world.changes()
    expect(replay(changes, before)).toEqual(await rows())
    await world.run('admin', 'DROP FUNCTION app.again CASCADE')
  })

  test('a trigger before INSERT deletes what has the key', async () => {
    await world.run(
      'admin',
      `CREATE FUNCTION app.make_room() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN DELETE FROM app.todos WHERE id = new.id; RETURN new; END $$;
       CREATE TRIGGER make_room BEFORE INSERT ON app.todos
         FOR EACH ROW EXECUTE FUNCTION app.make_room()`,
    )
    await world.changes()
    await world.run('alice', 'INSERT INTO app.todos VALUES (2, 40), (5, 50)')
    expect(replay(await world.changes(), before)).toEqual(await rows())
    await world.run('admin', 'DROP FUNCTION app.make_room CASCADE')
  })

  test('nobody else may use the schema', async () => {
    await world.run('admin', 'REVOKE USAGE ON SCHEMA app FROM PUBLIC')
    await world.changes()
    await world.run(
      'admin',
      'BEGIN; INSERT INTO app.plain VALUES (1, 1); DELETE FROM app.plain; COMMIT',
    )
    expect(await world.changes()).toHaveLength(2)
    await world.run('admin', 'GRANT USAGE ON SCHEMA app TO PUBLIC')
  })

  test('row security is off, and the rows are of others', async () => {
    await world.run(
      'everything',
      `SET row_security = off;
       WITH gone AS (DELETE FROM app.todos RETURNING _user_id, id, n)
       INSERT INTO app.todos (_user_id, id, n) SELECT _user_id, id, n FROM gone LIMIT 1;
       SET row_security = on`,
    )
    expect(replay(await world.changes(), before)).toEqual(await rows())
  })

  test('keys refer to keys of the same table', async () => {
    await world.run(
      'admin',
      `CREATE TABLE app.tree (id int PRIMARY KEY, up int REFERENCES app.tree ON UPDATE CASCADE,
         ${systemColumns.shared}); GRANT ALL ON app.tree TO kalam_user`,
    )
    await world.run('alice', 'INSERT INTO app.tree VALUES (1, NULL), (2, 1), (3, 2)')
    await world.changes()
    await world.run('alice', 'UPDATE app.tree SET id = id + 10')
    expect(
      replay(await world.changes(), [
        ['1', null],
        ['2', '1'],
        ['3', '2'],
      ]),
    ).toEqual(await rows('SELECT id, up FROM app.tree'))
  })
})
