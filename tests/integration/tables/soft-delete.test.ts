/** Deletes on managed tables: PostgreSQL's own to whoever deletes, and yet nothing is lost. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openTableWorld, systemColumns, type TableWorld } from '../../support/tables.js'

let world: TableWorld
beforeAll(async () => {
  world = await openTableWorld()
})
afterAll(() => world.close())

const ids = async (table = 'app.todos') =>
  (await world.run('alice', `SELECT id FROM ${table} ORDER BY id`)).flat()
/** Of the twins of the tables that `beforeEach` makes. */
const deleted = async (name: string) => {
  const [twin] = await world.run(
    'system',
    `SELECT twin FROM kalam.tables WHERE tab = 'app.${name}'::regclass`,
  )
  return (
    await world.run('alice', `SELECT id FROM ${String(twin?.[0])} ORDER BY id, _deleted_seq`)
  ).flat()
}

beforeEach(async () => {
  await world.run(
    'admin',
    `DROP TABLE IF EXISTS app.todos, app.lists, app.prices;
     CREATE TABLE app.lists (id int NOT NULL, name text, ${systemColumns.user},
       CONSTRAINT lists_pkey PRIMARY KEY (_user_id, id));
     CREATE TABLE app.todos (id int NOT NULL, title text, list_id int DEFAULT 0, ${systemColumns.user},
       CONSTRAINT todos_pkey PRIMARY KEY (_user_id, id),
       CONSTRAINT todos_title_key UNIQUE (_user_id, title));
     CREATE TABLE app.prices (id int PRIMARY KEY, price numeric, ${systemColumns.shared});
     GRANT ALL ON app.prices TO kalam_user`,
  )
  await world.run(
    'alice',
    `INSERT INTO app.lists VALUES (1, 'one'), (2, 'two');
     INSERT INTO app.todos VALUES (1, 'a', 1), (2, 'b', 1), (3, 'c', 2);
     INSERT INTO app.prices VALUES (1, 1.5), (2, 2.5), (3, 3.5)`,
  )
  await world.changes()
})

describe('B6, B10: a DELETE', () => {
  test.each([
    ['a condition', 'DELETE FROM app.todos WHERE id = 1', 'DELETE 1', ['1']],
    ['LIKE', `DELETE FROM app.todos WHERE title LIKE '%a%'`, 'DELETE 1', ['1']],
    ['a range', 'DELETE FROM app.todos WHERE id BETWEEN 2 AND 9', 'DELETE 2', ['2', '3']],
    [
      'a sub-select',
      `DELETE FROM app.todos WHERE list_id IN (SELECT id FROM app.lists WHERE name = 'one')`,
      'DELETE 2',
      ['1', '2'],
    ],
    [
      'USING',
      `DELETE FROM app.todos t USING app.lists l WHERE l.id = t.list_id AND l.name = 'two'`,
      'DELETE 1',
      ['3'],
    ],
    ['nothing', 'DELETE FROM app.todos', 'DELETE 3', ['1', '2', '3']],
    ['nothing that is there', 'DELETE FROM app.todos WHERE id = 9', 'DELETE 0', []],
  ])('with %s counts and keeps what it deletes', async (_name, sql, tag, gone) => {
    expect(await world.tag('alice', sql)).toBe(tag)
    expect(await deleted('todos')).toEqual(gone)
    expect(await ids()).toEqual(['1', '2', '3'].filter((id) => !gone.includes(id)))
  })

  test('answers RETURNING', async () => {
    expect(
      await world.run('alice', `DELETE FROM app.todos WHERE id < 3 RETURNING id, title, _deleted`),
    ).toEqual([
      ['1', 'a', 'f'],
      ['2', 'b', 'f'],
    ])
  })

  test('of a deleted row counts 0', async () => {
    await world.run('alice', 'DELETE FROM app.todos WHERE id = 1')
    expect(await world.tag('alice', 'DELETE FROM app.todos WHERE id = 1')).toBe('DELETE 0')
    expect(await deleted('todos')).toEqual(['1'])
  })

  test('notes when, and by whom', async () => {
    await world.run('alice', 'DELETE FROM app.prices WHERE id = 1')
    const rows = await world.run(
      'alice',
      `SELECT _deleted, _deleted_by, now() - _deleted_at < interval '1 hour' FROM kalam_deleted.t${await idOf('prices')}`,
    )
    expect(rows).toEqual([['t', world.userId('alice'), 't']])
  })

  test('in a CTE, and in MERGE', async () => {
    await world.run(
      'alice',
      `WITH gone AS (DELETE FROM app.todos WHERE id = 1 RETURNING *)
         INSERT INTO app.lists SELECT id + 10, title FROM gone;
       MERGE INTO app.todos t USING (VALUES (2), (7)) v (id) ON t.id = v.id
         WHEN MATCHED THEN DELETE
         WHEN NOT MATCHED THEN INSERT (id, title) VALUES (v.id, 'merged')`,
    )
    expect(await ids()).toEqual(['3', '7'])
    expect(await ids('app.lists')).toEqual(['1', '2', '11'])
    expect(await deleted('todos')).toEqual(['1', '2'])
  })
})

const idOf = async (name: string) =>
  (await world.run('system', `SELECT id FROM kalam.tables WHERE tab = 'app.${name}'::regclass`))
    .flat()
    .join('')

describe('B10: an UPDATE', () => {
  test('to equal values counts', async () => {
    expect(await world.tag('alice', 'UPDATE app.todos SET title = title')).toBe('UPDATE 3')
  })
})

describe('B7: what was deleted', () => {
  test('gives its key and its unique values free', async () => {
    await world.run(
      'alice',
      `DELETE FROM app.todos WHERE id = 1;
       INSERT INTO app.todos VALUES (1, 'a', 1);
       DELETE FROM app.todos WHERE id = 1;
       INSERT INTO app.todos VALUES (1, 'x', 1), (4, 'a', 1)`,
    )
    expect(await ids()).toEqual(['1', '2', '3', '4'])
    expect(await deleted('todos')).toEqual(['1', '1'])
  })

  test('is no conflict: ON CONFLICT acts on live rows', async () => {
    await world.run('alice', 'DELETE FROM app.todos WHERE id = 1')
    const upsert = `INSERT INTO app.todos VALUES (1, 'again'), (2, 'again 2')
      ON CONFLICT (_user_id, id) DO UPDATE SET title = excluded.title RETURNING id, title`
    expect(await world.run('alice', upsert)).toEqual([
      ['1', 'again'],
      ['2', 'again 2'],
    ])
    expect(await world.changes()).toEqual([
      ['D', ['1', 'a', '1']],
      ['U', ['2', 'b', '1'], ['2', 'again 2', '1']],
      ['I', ['1', 'again', '0']],
    ])
  })
})

describe('B8: the deleted rows of a shared table', () => {
  const twin = async () => `kalam_deleted.t${await idOf('prices')}`
  const take = async () => world.run('bob', `DELETE FROM ${await twin()} WHERE id = 1 RETURNING id`)
  const grantOnly = (rights: string) =>
    world.run(
      'admin',
      `REVOKE ALL ON app.prices FROM kalam_user; GRANT ${rights} ON app.prices TO kalam_user`,
    )
  beforeEach(() => world.run('alice', 'DELETE FROM app.prices WHERE id = 1'))

  test('are seen, and not taken, by who may only read it', async () => {
    await grantOnly('SELECT')
    expect(await world.run('bob', `SELECT id FROM ${await twin()}`)).toEqual([['1']])
    expect(await take()).toEqual([])
    expect(await world.tag('bob', `DELETE FROM ${await twin()}`)).toBe('DELETE 0')
  })

  test('are neither by who may only insert', async () => {
    await grantOnly('INSERT')
    expect(await take()).toEqual([])
    expect(await world.tag('bob', `DELETE FROM ${await twin()}`)).toBe('DELETE 0')
  })

  test('are taken by who may read and insert', async () => {
    await grantOnly('SELECT, INSERT')
    expect(await take()).toEqual([['1']])
  })
})

describe('B7: a foreign key', () => {
  const reference = (rest: string) =>
    world.run(
      'admin',
      `ALTER TABLE app.todos ADD CONSTRAINT fk FOREIGN KEY (_user_id, list_id)
         REFERENCES app.lists (_user_id, id) ${rest}`,
    )

  test('ON DELETE CASCADE deletes the children softly', async () => {
    await reference('ON DELETE CASCADE')
    expect(await world.tag('alice', 'DELETE FROM app.lists WHERE id = 1')).toBe('DELETE 1')
    expect(await ids()).toEqual(['3'])
    expect(await deleted('todos')).toEqual(['1', '2'])
    expect(await deleted('lists')).toEqual(['1'])
  })

  test('ON DELETE SET NULL keeps whose the children are', async () => {
    await reference('ON DELETE SET NULL (list_id)')
    await world.run('alice', 'DELETE FROM app.lists WHERE id = 1')
    expect(await world.run('alice', 'SELECT id, list_id FROM app.todos ORDER BY id')).toEqual([
      ['1', null],
      ['2', null],
      ['3', '2'],
    ])
    expect(await deleted('todos')).toEqual([])
  })

  test('RESTRICT refuses, and nothing is kept', async () => {
    await reference('ON DELETE RESTRICT')
    await expect(world.run('alice', 'DELETE FROM app.lists WHERE id = 1')).rejects.toMatchObject({
      fields: { sqlState: '23001' },
    })
    expect(await deleted('lists')).toEqual([])
    expect(await world.changes({ rights: true })).toEqual([['G']])
  })

  test('deferred is checked at the end', async () => {
    await reference('DEFERRABLE INITIALLY DEFERRED')
    await expect(
      world.run('alice', 'BEGIN; DELETE FROM app.lists WHERE id = 1; COMMIT'),
    ).rejects.toMatchObject({ fields: { sqlState: '23503' } })
    expect(await deleted('lists')).toEqual([])
    await world.run(
      'alice',
      'BEGIN; DELETE FROM app.lists WHERE id = 1; DELETE FROM app.todos WHERE list_id = 1; COMMIT',
    )
    expect(await deleted('todos')).toEqual(['1', '2'])
  })

  test('does not reach a deleted row, nor another user’s', async () => {
    await reference('')
    await world.run(
      'alice',
      'DELETE FROM app.todos WHERE list_id = 2; DELETE FROM app.lists WHERE id = 2',
    )
    for (const [who, list] of [
      ['alice', 2],
      ['bob', 1],
    ] as const)
      await expect(
        world.run(who, `INSERT INTO app.todos VALUES (9, 'z', ${list})`),
      ).rejects.toMatchObject({ fields: { sqlState: '23503' } })
  })
})

describe('TRUNCATE', () => {
  test('of a shared table keeps its rows', async () => {
    await world.run('admin', 'TRUNCATE app.prices')
    expect(await ids('app.prices')).toEqual([])
    expect(await deleted('prices')).toEqual(['1', '2', '3'])
    expect((await world.changes()).map(([op]) => op)).toEqual(['D', 'D', 'D'])
  })

  test.each(['admin', 'everything', 'system'] as const)(
    'of a user table would take every user’s rows: refused to %s',
    async (who) => {
      await expect(world.run(who, 'TRUNCATE app.todos')).rejects.toMatchObject({
        fields: { sqlState: '0A000' },
      })
      expect(await ids()).toEqual(['1', '2', '3'])
    },
  )
})

describe('D7: what is undone', () => {
  test('by ROLLBACK leaves nothing in the twin and the log', async () => {
    await world.run(
      'alice',
      'BEGIN; DELETE FROM app.todos; INSERT INTO app.lists VALUES (7); ROLLBACK',
    )
    expect(await deleted('todos')).toEqual([])
    expect(await world.changes()).toEqual([])
  })

  test('by ROLLBACK TO leaves what was before it', async () => {
    await world.run(
      'alice',
      `BEGIN; DELETE FROM app.todos WHERE id = 1; SAVEPOINT s; DELETE FROM app.todos WHERE id = 2;
       ROLLBACK TO s; UPDATE app.todos SET title = 'c2' WHERE id = 3; COMMIT`,
    )
    expect(await deleted('todos')).toEqual(['1'])
    expect(await world.changes()).toEqual([
      ['D', ['1', 'a', '1']],
      ['U', ['3', 'c', '2'], ['3', 'c2', '2']],
    ])
  })
})
