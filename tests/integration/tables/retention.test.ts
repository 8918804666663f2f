/** What is kept long enough goes, and nothing else does. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Retention } from '#src/catalog/retention.js'
import type { QueryRunner } from '#src/engine/queries.js'
import { openTestServer } from '../../support/server.js'
import { openTableWorld, systemColumns, type TableWorld } from '../../support/tables.js'

let world: TableWorld
beforeAll(async () => {
  world = await openTableWorld()
})
afterAll(() => world.close())

const everything = { deletedHours: 0, changesHours: 1_000, changesBytes: 2 ** 30 }
const forget = (settings = {}) =>
  new Retention(world.catalog.queries, { ...everything, ...settings }).runOnce()
const count = async (from: string) =>
  Number((await world.run('system', `SELECT count(*) FROM ${from}`))[0]?.[0])
const forgotten = async () =>
  Number((await world.run('system', 'SELECT forgotten FROM kalam.log'))[0]?.[0])
const twin = async () =>
  (await world.run('system', `SELECT twin FROM kalam.tables WHERE kind = 'user'`)).flat().join('')

beforeEach(async () => {
  await world.run(
    'admin',
    `DROP TABLE IF EXISTS app.todos, app.pings;
     CREATE TABLE app.todos (id int NOT NULL, ${systemColumns.user}, PRIMARY KEY (_user_id, id));
     CREATE TABLE app.pings (id int NOT NULL, ${systemColumns.stream}, PRIMARY KEY (_user_id, id))`,
  )
  await world.run('system', 'DELETE FROM kalam.changes')
})

test('an admin’s trigger on what is forgotten does not run as the superuser', async () => {
  await world.run(
    'admin',
    `CREATE TABLE app.seen (who text, super boolean);
     CREATE FUNCTION app.look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       INSERT INTO app.seen SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user;
       RETURN NULL; END $$;
     CREATE TRIGGER look AFTER DELETE ON app.pings FOR EACH ROW EXECUTE FUNCTION app.look();
     GRANT INSERT ON app.seen TO PUBLIC`,
  )
  await world.run(
    'alice',
    `INSERT INTO app.pings (id, _expires_at) VALUES (1, now() - interval '1 second')`,
  )
  await forget()
  expect(await world.run('system', 'SELECT * FROM app.seen')).toEqual([['kalam_reaper', 'f']])
  await world.run('admin', 'DROP TABLE app.seen; DROP FUNCTION app.look CASCADE')
})

describe('B9: deleted rows', () => {
  beforeEach(async () => {
    await world.run(
      'alice',
      'INSERT INTO app.todos SELECT g FROM generate_series(1, 2500) g; DELETE FROM app.todos WHERE id < 2500',
    )
    await world.run(
      'system',
      `UPDATE ${await twin()} SET _deleted_at = now() - interval '2 hours 1 second' WHERE id <= 2400`,
    )
  })

  test('are kept for ever by default', async () => {
    await forget()
    expect(await count(await twin())).toBe(2499)
  })

  test('go when they are older than tables.deleted_retention_hours', async () => {
    await forget({ deletedHours: 3 })
    expect(await count(await twin())).toBe(2499)
    await forget({ deletedHours: 2 })
    expect(await count(await twin())).toBe(99)
    expect(await count('app.todos')).toBe(1)
  })

  test('go by their table’s own retention, where it has one', async () => {
    await world.run('system', `UPDATE kalam.tables SET deleted_retention = '1 hour'`)
    await forget()
    expect(await count(await twin())).toBe(99)
    await world.run('system', `UPDATE kalam.tables SET deleted_retention = '0'`)
    await forget({ deletedHours: 1 })
    expect(await count(await twin())).toBe(99)
  })
})

test('B9: a large twin is read and emptied in pieces, which others’ statements go between', async () => {
  await world.run(
    'system',
    `INSERT INTO ${await twin()} (_deleted_at, id, _user_id)
       SELECT now() - interval '1 hour' * (g / 30000), g, repeat('u', 40) FROM generate_series(1, 60000) g`,
  )
  const pages = await count(`generate_series(1, pg_relation_size('${await twin()}') / 8192)`)
  const pieces: { readonly page: number; readonly gone: number }[] = []
  const queries: QueryRunner = {
    query: async (sql, parameters) => {
      const answer = await world.catalog.queries.query(sql, parameters)
      if (sql.includes('forget_deleted'))
        pieces.push({ page: Number(parameters?.[2]), gone: Number(answer.rows[0]?.[0]) })
      return answer
    },
  }
  const retention = new Retention(queries, { ...everything, deletedHours: 1 })
  const round = retention.runOnce()
  await world.run('alice', 'SELECT 1')
  expect(pieces.length).toBeLessThan(10)
  await round
  expect(await count(await twin())).toBe(29_999)
  expect(Math.max(...pieces.map(({ gone }) => gone))).toBe(1_000)
  // 500 pages a piece.
  expect(new Set(pieces.map(({ page }) => page)).size).toBe(Math.ceil(pages / 500))
  // From the front again, and nothing to do there.
  pieces.length = 0
  await retention.runOnce()
  expect(pieces.map(({ gone }) => gone)).toEqual(Array(Math.ceil(pages / 500)).fill(0))
})

test('a trigger that fails keeps its own rows, and no others, from being removed', async () => {
  await world.run(
    'admin',
    `CREATE FUNCTION app.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'never'; END $$;
     CREATE TRIGGER fail BEFORE DELETE ON app.pings FOR EACH ROW EXECUTE FUNCTION app.fail();
     CREATE TABLE app.other (id int NOT NULL, ${systemColumns.stream}, PRIMARY KEY (_user_id, id))`,
  )
  await world.run(
    'alice',
    'INSERT INTO app.pings (id, _expires_at) VALUES (1, now()); INSERT INTO app.other (id, _expires_at) VALUES (1, now())',
  )
  await world.run('system', `UPDATE kalam.changes SET at = now() - interval '25 hours'`)
  await expect(forget({ changesHours: 24 })).rejects.toThrow('never')
  expect(await count('app.pings')).toBe(1)
  expect(await count('app.other')).toBe(0)
  // But for that of the row that went.
  expect(await count('kalam.changes')).toBe(1)
  await world.run('admin', 'DROP TABLE app.other; DROP FUNCTION app.fail CASCADE')
})

describe('D5: the log of changes', () => {
  beforeEach(() =>
    world.run('alice', 'INSERT INTO app.todos SELECT g FROM generate_series(1, 2500) g'),
  )

  test('is kept within its hours and bytes', async () => {
    await forget()
    expect(await count('kalam.changes')).toBe(2500)
  })

  test('loses what is older than changes.retention_hours, and notes how far', async () => {
    const [row] = await world.run('system', 'SELECT min(seq) + 1999 FROM kalam.changes')
    const last = Number(row?.[0])
    await world.run(
      'system',
      `UPDATE kalam.changes SET at = now() - interval '25 hours' WHERE seq <= ${last}`,
    )
    await forget({ changesHours: 26 })
    expect(await count('kalam.changes')).toBe(2500)
    await forget({ changesHours: 24 })
    expect(await count('kalam.changes')).toBe(500)
    expect(await forgotten()).toBe(last)
  })

  test('loses all of it when all is old', async () => {
    const [row] = await world.run('system', 'SELECT max(seq) FROM kalam.changes')
    await world.run('system', `UPDATE kalam.changes SET at = now() - interval '25 hours'`)
    await forget({ changesHours: 24 })
    expect(await count('kalam.changes')).toBe(0)
    expect(await forgotten()).toBe(Number(row?.[0]))
    await forget({ changesHours: 24 })
    expect(await forgotten()).toBe(Number(row?.[0]))
  })

  test('loses its oldest when it takes more than changes.retention_bytes', async () => {
    await forget({ changesBytes: 64 * 1024 })
    const left = await count('kalam.changes')
    expect(left).toBeGreaterThan(200)
    expect(left).toBeLessThan(655)
    const [row] = await world.run('system', 'SELECT min(seq) FROM kalam.changes')
    expect(await forgotten()).toBe(Number(row?.[0]) - 1)
  })
})

describe('B4: rows of a stream', () => {
  beforeEach(async () => {
    await world.run(
      'alice',
      `INSERT INTO app.pings (id, _expires_at) SELECT g, now() + interval '1 hour' * (g % 2 * 2 - 1)
         FROM generate_series(1, 2500) g`,
    )
    await world.changes()
  })

  test('are out of sight as soon as their time is over', async () => {
    expect(await world.run('alice', 'SELECT count(*) FROM app.pings')).toEqual([['1250']])
    expect(await count('app.pings')).toBe(2500)
  })

  test('and then go, which the log tells', async () => {
    await forget()
    expect(await count('app.pings')).toBe(1250)
    const changes = await world.changes()
    expect(changes).toHaveLength(1250)
    expect(changes[0]).toEqual(['D', ['2']])
  })
})

test('the server does it by itself', async () => {
  await using server = await openTestServer({ settings: { 'engine.upkeep_interval_ms': 100 } })
  await server.sql(`
    CREATE NAMESPACE app;
    CREATE TABLE app.pings (id int NOT NULL, ${systemColumns.stream}, PRIMARY KEY (_user_id, id));
    INSERT INTO app.pings (id, _expires_at) VALUES (1, now()), (2, now() + interval '1 hour')`)
  // Once all is vacuumed away, statistics count what is there.
  const rows = async () =>
    (
      await server.sql(
        `SELECT n_tup_del::int AS gone FROM pg_stat_user_tables WHERE relname = 'pings'`,
      )
    ).rows
  await expect.poll(rows, { timeout: 20_000 }).toEqual([{ gone: 1 }])
})
