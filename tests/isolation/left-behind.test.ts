/** What a function leaves in the one backend must not reach the next caller, whoever made it. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTestServer, type TestServer } from '../support/server.js'

let server: TestServer
let alice: string
let bob: string
beforeAll(async () => {
  server = await openTestServer()
  alice = await server.createUser('alice')
  bob = await server.createUser('bob')
  await server.sql(`
    CREATE FUNCTION sql_zone() RETURNS void LANGUAGE sql AS $$ SET TimeZone = 'Asia/Seoul' $$;
    CREATE FUNCTION block_zone() RETURNS void LANGUAGE plpgsql AS $$ BEGIN SET TimeZone = 'Asia/Seoul'; END $$;
    CREATE FUNCTION tenant(name text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS
      $$ BEGIN RETURN set_config('app.tenant', name, false); END $$;
    CREATE FUNCTION path() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS
      $$ BEGIN RETURN set_config('search_path', 'kalam', false); END $$;
    CREATE FUNCTION scratch(value text) RETURNS bigint LANGUAGE plpgsql AS
      $$ BEGIN CREATE TEMP TABLE scratch AS SELECT value; RETURN (SELECT count(*) FROM pg_temp.scratch); END $$;
    CREATE TABLE notes (body text); GRANT ALL ON notes TO user;
    CREATE FUNCTION on_note() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN CREATE TEMP TABLE last_note AS SELECT new.body; SET TimeZone = 'Asia/Tokyo'; RETURN new; END $$;
    CREATE TRIGGER on_note BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION on_note()`)
})
afterAll(() => server.close())

const seenByBob = `SELECT current_setting('TimeZone') AS zone, current_setting('app.tenant', true) AS tenant,
  current_setting('search_path') AS path, to_regclass('pg_temp.scratch') AS scratch, to_regclass('pg_temp.last_note') AS note`
const untouched = { zone: 'UTC', path: 'public', scratch: null, note: null }

const cases: readonly (readonly [string, string])[] = [
  ['SET in an SQL function', 'SELECT sql_zone()'],
  ['SET in a block', 'SELECT block_zone()'],
  ['a custom setting', `SELECT tenant('acme')`],
  ['the search path', 'SELECT path()'],
  ['a temporary table', `SELECT scratch('secret')`],
  ['a trigger', `INSERT INTO notes VALUES ('secret')`],
  ['a function that fails afterwards', 'SELECT block_zone(), 1 / 0'],
]

test.each(cases)('%s, in a statement of its own', async (_name, sql) => {
  await server.request(sql, { key: alice })
  const { tenant, ...rest } = (await server.sql(seenByBob, { key: bob })).rows[0] ?? {}
  expect(rest).toEqual(untouched)
  expect(tenant ?? '').toBe('')
})

test.each(cases)('%s, with parameters and a prepared statement', async (_name, sql) => {
  for (let time = 0; time < 3; time++) {
    await server.request(sql.replace('SELECT', 'SELECT $1::int,'), {
      key: alice,
      params: [time],
    })
    const { tenant, ...rest } = (await server.sql(seenByBob, { key: bob })).rows[0] ?? {}
    expect(rest).toEqual(untouched)
    expect(tenant ?? '').toBe('')
  }
})

test.each(cases)('%s, in a transaction', async (_name, sql) => {
  await server.request(`SELECT 1; ${sql}`, { key: alice, transaction: true })
  const { tenant, ...rest } = (await server.sql(seenByBob, { key: bob })).rows[0] ?? {}
  expect(rest).toEqual(untouched)
  expect(tenant ?? '').toBe('')
})

test('procedures that commit on the way, VACUUM and REINDEX still run', async () => {
  await server.sql(`CREATE PROCEDURE steps() LANGUAGE plpgsql AS
    $$ BEGIN FOR n IN 1..3 LOOP DELETE FROM notes; COMMIT; END LOOP; END $$`)
  await server.sql('CALL steps()')
  await server.sql('VACUUM notes')
  await server.sql('CREATE INDEX CONCURRENTLY ON notes (body)')
  await server.sql('REINDEX TABLE CONCURRENTLY notes')
  expect((await server.sql(seenByBob, { key: bob })).rows[0]).toMatchObject(untouched)
})
