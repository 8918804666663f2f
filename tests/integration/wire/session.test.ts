/** A session of the Postgres protocol, without its socket: what is sent, and what is said. */
import { serialize } from 'pg-protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestServer, type TestServer } from '../../support/server.js'
import { inShort, openWire, statement, type Said } from '../../support/wire-session.js'

let server: TestServer
let alice: string
beforeAll(async () => {
  server = await openTestServer()
  alice = await server.createUser('alice')
  await server.sql(`CREATE NAMESPACE app; CREATE TABLE app.items (id int PRIMARY KEY, name text);
    CREATE USER TABLE app.todos (id int PRIMARY KEY, title text);
    GRANT ALL ON app.items, app.todos TO user`)
})
afterAll(() => server.close())

const errorOf = (said: readonly Said[]) => said.find(({ name }) => name === 'error')

describe('a Query', () => {
  test('is answered as PostgreSQL answers it', async () => {
    await using wire = await openWire(server)
    expect(inShort(await wire.query("SELECT 1 AS a, 'x' AS b"))).toEqual([
      'columns a|b',
      'row 1|x',
      'SELECT 1',
      'ready I',
    ])
    expect(inShort(await wire.query('CREATE TEMP TABLE t (a int); DROP TABLE t'))).toEqual([
      'CREATE TABLE',
      'DROP TABLE',
      'ready I',
    ])
    expect(inShort(await wire.query(' ;-- nothing'))).toEqual(['emptyQuery', 'ready I'])
  })

  test('of several statements is one transaction', async () => {
    await using wire = await openWire(server)
    const said = await wire.query(`INSERT INTO app.items VALUES (1, 'a');
      INSERT INTO app.items VALUES (1, 'b'); SELECT 1`)
    expect(inShort(said)).toEqual([
      'INSERT 0 1',
      'error 23505: duplicate key value violates unique constraint "items_pkey"',
      'ready I',
    ])
    expect(inShort(await wire.query('SELECT count(*) FROM app.items'))).toContain('row 0')
  })

  test('that prepares a transaction is refused by its name', async () => {
    await using wire = await openWire(server)
    expect(errorOf(await wire.query("PREPARE TRANSACTION 'x'"))).toMatchObject({
      code: '0A000',
      message: 'PREPARE TRANSACTION is refused: the engine has no prepared transactions',
    })
  })

  test('of several statements is an implicit transaction block', async () => {
    await using wire = await openWire(server)
    const said = async (sql: string) => inShort(await wire.query(sql))
    expect(await said('LOCK TABLE app.items; SELECT')).toEqual([
      ...['LOCK TABLE', 'columns ', 'row ', 'SELECT 1', 'ready I'],
    ])
    expect(await said('LOCK TABLE app.items')).toEqual([
      ...['error 25P01: LOCK TABLE can only be used in transaction blocks', 'ready I'],
    ])
    expect(await said('DECLARE c CURSOR FOR VALUES (1), (2); MOVE 1 FROM c; FETCH c')).toContain(
      'row 2',
    )
    expect(await said("SET LOCAL work_mem = '1MB'; SET TRANSACTION READ ONLY; SELECT")).toEqual([
      ...['SET', 'SET', 'columns ', 'row ', 'SELECT 1', 'ready I'],
    ])
    const notice = 'notice'
    expect(await said('COMMIT; LOCK TABLE app.items; COMMIT; SET LOCAL jit = on')).toEqual([
      ...[notice, 'COMMIT', 'LOCK TABLE', notice, 'COMMIT', 'SET', 'ready I'],
    ])
    for (const [sql, error] of [
      ['VACUUM app.items; SELECT 1', '25001: VACUUM cannot run inside a transaction block'],
      ['DISCARD ALL; SELECT 1', '25001: DISCARD ALL cannot run inside a transaction block'],
      ['DO $$BEGIN COMMIT; END$$; SELECT 1', '2D000: invalid transaction termination'],
      ['SAVEPOINT a; SELECT 1', '25P01: SAVEPOINT can only be used in transaction blocks'],
    ] as const)
      expect(await said(sql)).toEqual([`error ${error}`, 'ready I'])
    expect((await said('BEGIN; SELECT nope')).at(-1)).toBe('ready E')
    expect(await said('ROLLBACK; LOCK TABLE app.items; SELECT 1 / 0')).toEqual([
      ...['ROLLBACK', 'LOCK TABLE', 'error 22012: division by zero', 'ready I'],
    ])
  })

  test('that is refused in its middle undoes what ran before', async () => {
    await using wire = await openWire(server)
    const said = await wire.query(`INSERT INTO app.items VALUES (2, 'a');
      UNDELETE FROM app.items; SELECT 1`)
    expect(said.map(({ name }) => name)).toEqual(['commandComplete', 'error', 'readyForQuery'])
    expect(errorOf(said)).toMatchObject({ severity: 'ERROR', code: '0A000' })
    expect(inShort(await wire.query('SELECT count(*) FROM app.items'))).toContain('row 0')
  })

  test('says where an error is in the text that was sent', async () => {
    await using wire = await openWire(server)
    const text = `SELECT 1;\nSELECT id FROM app.todos INCLUDE DELETED WHERE nope`
    const said = await wire.query(text)
    expect(errorOf(said)).toMatchObject({
      code: '42703',
      position: String(text.indexOf('nope') + 1),
    })
    expect(errorOf(await wire.query('SELECT 1 frm x y'))).toMatchObject({
      code: '42601',
      position: '14',
    })
  })

  test('keeps every field of an error', async () => {
    await using wire = await openWire(server)
    await wire.query("INSERT INTO app.items VALUES (3, 'a')")
    const said = await wire.query("INSERT INTO app.items VALUES (3, 'a'); SELECT 1")
    expect(errorOf(said)).toMatchObject({
      code: '23505',
      detail: 'Key (id)=(3) already exists.',
      schema: 'app',
      table: 'items',
      constraint: 'items_pkey',
    })
    await wire.query('DELETE FROM app.items')
  })

  test('sees tables that an earlier statement of it made', async () => {
    await using wire = await openWire(server)
    const said = await wire.query(`CREATE SHARED TABLE app.notes (id int PRIMARY KEY);
      INSERT INTO app.notes VALUES (1), (2); DELETE FROM app.notes WHERE id = 1;
      SELECT id, _deleted FROM app.notes INCLUDE DELETED ORDER BY id; DROP TABLE app.notes`)
    expect(inShort(said)).toEqual([
      'CREATE TABLE',
      'INSERT 0 2',
      'DELETE 1',
      'columns id|_deleted',
      'row 1|t',
      'row 2|f',
      'SELECT 2',
      'DROP TABLE',
      'ready I',
    ])
  })
})

describe('a notice', () => {
  test('is passed on, unless it is the system’s own', async () => {
    await using wire = await openWire(server)
    const said = await wire.query("DO $$ BEGIN RAISE NOTICE 'told'; END $$")
    expect(said.map(({ name, message }) => [name, message])[0]).toEqual(['notice', 'told'])
    const made = await wire.query('CREATE USER TABLE app.quiet (id int PRIMARY KEY)')
    expect(inShort(made)).toEqual(['CREATE TABLE', 'ready I'])
    expect(inShort(await wire.query('DROP TABLE app.quiet'))).toEqual(['DROP TABLE', 'ready I'])
  })
})

describe('a transaction', () => {
  test('lasts over Queries, fails, and ends', async () => {
    await using wire = await openWire(server)
    expect(inShort(await wire.query('BEGIN'))).toEqual(['BEGIN', 'ready T'])
    await wire.query("INSERT INTO app.items VALUES (4, 'a')")
    expect(inShort(await wire.query('CREATE ROLE nobody')).at(-1)).toBe('ready E')
    expect(errorOf(await wire.query('SELECT 1'))).toMatchObject({ code: '25P02' })
    expect(inShort(await wire.query('COMMIT'))).toEqual(['ROLLBACK', 'ready I'])
    expect(inShort(await wire.query('SELECT count(*) FROM app.items'))).toContain('row 0')
  })

  test('that has failed ends nothing of the session', async () => {
    await using wire = await openWire(server)
    await wire.query('PREPARE s AS SELECT 8; DECLARE c CURSOR WITH HOLD FOR SELECT 9')
    await wire.query('BEGIN; SELECT nope')
    for (const text of ['DEALLOCATE ALL', 'CLOSE ALL', 'DISCARD ALL'])
      expect(errorOf(await wire.query(text))).toMatchObject({ code: '25P02' })
    await wire.query('ROLLBACK')
    expect(inShort(await wire.query('EXECUTE s; FETCH c'))).toEqual(
      expect.arrayContaining(['row 8', 'row 9']),
    )
  })

  test('sees its own tables, and another its own after the rollback', async () => {
    await using wire = await openWire(server)
    await wire.query('BEGIN; CREATE USER TABLE app.drafts (id int PRIMARY KEY)')
    await wire.query('INSERT INTO app.drafts VALUES (1)')
    expect(inShort(await wire.query('DELETE FROM app.drafts'))).toContain('DELETE 1')
    expect(
      inShort(await wire.query('SELECT id, _deleted FROM app.drafts INCLUDE DELETED')),
    ).toContain('row 1|t')
    await wire.query('ROLLBACK')
    expect(errorOf(await wire.query('SELECT * FROM app.drafts'))).toMatchObject({ code: '42P01' })
  })
})

describe('the extended protocol', () => {
  test('prepares, binds, describes and runs', async () => {
    await using wire = await openWire(server)
    const said = await wire.run(...statement('SELECT $1::int + 1 AS n', { values: ['41'] }))
    expect(inShort(said)).toEqual([
      'parseComplete',
      'bindComplete',
      'columns n',
      'row 42',
      'SELECT 1',
      'ready I',
    ])
    const empty = await wire.run(...statement(''))
    expect(inShort(empty)).toEqual([
      'parseComplete',
      'bindComplete',
      'noData',
      'emptyQuery',
      'ready I',
    ])
  })

  test('gives each session names of its own, the unnamed too', async () => {
    await using one = await openWire(server)
    await using other = await openWire(server)
    const prepare = (text: string) =>
      [['', text] as const, ['s', text] as const].flatMap(([name]) => [
        serialize.parse({ name, text }),
        serialize.sync(),
      ])
    const runEach = async (wire: typeof one, name: string) =>
      inShort(
        await wire.run(serialize.bind({ statement: name }), serialize.execute(), serialize.sync()),
      )
    for (const message of prepare("SELECT 'one'")) await one.run(message)
    for (const message of prepare("SELECT 'other'")) await other.run(message)
    for (const name of ['', 's']) {
      expect(await runEach(one, name)).toContain('row one')
      expect(await runEach(other, name)).toContain('row other')
    }
    const twice = await one.run(serialize.parse({ name: 's', text: 'SELECT 2' }), serialize.sync())
    expect(errorOf(twice)).toMatchObject({
      code: '42P05',
      message: 'prepared statement "s" already exists',
    })
    for (const [text, code] of [
      ['SELECT nope', '42703'],
      ['SELEC 2', '42601'],
      ['SELECT 1; SELECT 2', '42601'],
      ['ALTER SYSTEM RESET ALL', '0A000'],
    ] as const) {
      const failed = await one.run(serialize.parse({ name: 's', text }), serialize.sync())
      expect(inShort(failed)).toEqual([expect.stringContaining(`error ${code}`), 'ready I'])
    }
    expect(await runEach(one, 's')).toContain('row one')
    await one.run(serialize.close({ type: 'S', name: 's' }), serialize.sync())
    expect(
      errorOf(await one.run(serialize.bind({ statement: 's' }), serialize.sync())),
    ).toMatchObject({ code: '26000', message: 'prepared statement "s" does not exist' })
  })

  test('passes over what follows an error, up to Sync, and undoes what came before', async () => {
    await using wire = await openWire(server)
    const insert = statement("INSERT INTO app.items VALUES (5, 'a')", { end: 'none' })
    const refused = statement('ALTER SYSTEM RESET ALL', { end: 'none' })
    const said = await wire.run(...insert, ...refused, ...insert, serialize.sync())
    expect(said.map(({ name }) => name)).toEqual([
      ...['parseComplete', 'bindComplete', 'noData', 'commandComplete'],
      ...['error', 'readyForQuery'],
    ])
    expect(inShort(await wire.query('SELECT count(*) FROM app.items'))).toContain('row 0')
  })

  test('passes over what would close a statement, the unnamed one too', async () => {
    await using wire = await openWire(server)
    for (const name of ['', 's'])
      await wire.run(serialize.parse({ name, text: 'SELECT 6' }), serialize.sync())
    const close = (name: string) => serialize.close({ type: 'S', name })
    const failing = serialize.bind({ statement: 'none' })
    await wire.run(failing, close(''), close('s'), serialize.sync())
    for (const name of ['', 's']) {
      const said = await wire.run(
        ...[serialize.bind({ statement: name }), serialize.execute(), serialize.sync()],
      )
      expect(inShort(said)).toContain('row 6')
    }
  })

  test('goes on after a Flush, and is passed over after an error before it', async () => {
    await using wire = await openWire(server)
    const first = await wire.run(...statement('SELECT 1 AS a', { end: 'flush' }))
    expect(inShort(first).at(-1)).toBe('SELECT 1')
    const failed = await wire.run(...statement('SELECT nope', { end: 'flush' }))
    expect(inShort(failed)).toEqual(['error 42703: column "nope" does not exist'])
    expect(await wire.run(...statement('SELECT 2', { end: 'flush' }))).toEqual([])
    expect(inShort(await wire.run(serialize.sync()))).toEqual(['ready I'])
  })

  test('gives a portal’s rows in portions', async () => {
    await using wire = await openWire(server)
    await wire.query('BEGIN')
    const bind = [
      serialize.parse({ text: 'SELECT generate_series(1, 3) AS n' }),
      serialize.bind({ portal: 'p' }),
    ]
    const execute = serialize.execute({ portal: 'p', rows: 2 })
    const first = await wire.run(...bind, execute, serialize.sync())
    expect(inShort(first).slice(2)).toEqual(['row 1', 'row 2', 'portalSuspended', 'ready T'])
    const second = await wire.run(execute, serialize.sync())
    expect(inShort(second)).toEqual(['row 3', 'SELECT 1', 'ready T'])
    expect(
      errorOf(await wire.run(serialize.execute({ portal: 'q' }), serialize.sync())),
    ).toMatchObject({
      code: '34000',
      message: 'portal "q" does not exist',
    })
  })

  test('prepares anew when a table has become another', async () => {
    await using wire = await openWire(server)
    await server.sql('CREATE SHARED TABLE app.shelf (id int PRIMARY KEY)')
    const insert = { name: 'i', text: 'INSERT INTO app.shelf VALUES ($1)' }
    await wire.run(serialize.parse(insert), serialize.sync())
    const run = async (value: number) =>
      inShort(
        await wire.run(
          serialize.bind({ statement: 'i', values: [String(value)] }),
          serialize.execute(),
          serialize.sync(),
        ),
      )
    expect(await run(1)).toEqual(['bindComplete', 'INSERT 0 1', 'ready I'])
    await server.sql('ALTER TABLE app.shelf ADD COLUMN name text')
    expect(await run(2)).toEqual(['bindComplete', 'INSERT 0 1', 'ready I'])
    await server.sql('DROP TABLE app.shelf')
  })
})

test('what is said at a Query’s commit comes before its last statement’s end', async () => {
  await using wire = await openWire(server)
  await wire.query(`CREATE TABLE told (n int); CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql
    AS $$BEGIN RAISE NOTICE 'told'; RETURN new; END$$;
    CREATE CONSTRAINT TRIGGER told AFTER INSERT ON told DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION tell()`)
  expect(
    inShort(await wire.query('INSERT INTO told VALUES (1); INSERT INTO told VALUES (2)')),
  ).toEqual(['INSERT 0 1', 'notice', 'notice', 'INSERT 0 1', 'ready I'])
  await wire.query('DROP TABLE told; DROP FUNCTION tell')
})

test('a Query whose commit fails says that alone, and a pipeline what came before it', async () => {
  await using wire = await openWire(server)
  await wire.query(`CREATE TABLE later2 (n int PRIMARY KEY);
    CREATE TABLE later (n int REFERENCES later2 DEFERRABLE INITIALLY DEFERRED)`)
  const shortOf = async (said: Promise<readonly Said[]>) =>
    inShort(await said).map((each) => each.slice(0, 11))
  const insert = 'INSERT INTO later VALUES (7)'
  expect(await shortOf(wire.query(insert))).toEqual(['error 23503', 'ready I'])
  expect(await shortOf(wire.query(`${insert}; ${insert}`))).toEqual([
    ...['INSERT 0 1', 'error 23503', 'ready I'],
  ])
  expect(await shortOf(wire.query(`${insert}; ${insert}; SELECT 1 / 0; SELECT 1`))).toEqual([
    ...['INSERT 0 1', 'INSERT 0 1', 'error 22012', 'ready I'],
  ])
  expect((await shortOf(wire.run(...statement(insert)))).slice(-3)).toEqual([
    ...['INSERT 0 1', 'error 23503', 'ready I'],
  ])
  await wire.query('DROP TABLE later; DROP TABLE later2')
})

test('a table that a function has changed is another to the next statement', async () => {
  await using wire = await openWire(server)
  await wire.query('CREATE USER TABLE app.before (id int PRIMARY KEY)')
  await wire.query('INSERT INTO app.before VALUES (1); DELETE FROM app.before')
  await wire.query(`CREATE FUNCTION app.rename() RETURNS void LANGUAGE plpgsql
    AS 'BEGIN ALTER TABLE app.before RENAME TO behind; END'`)
  await wire.query('SELECT count(*) FROM app.before INCLUDE DELETED; SELECT app.rename()')
  const count = 'SELECT count(*) FROM app.behind INCLUDE DELETED'
  expect(inShort(await wire.query(count))).toContain('row 1')
  await wire.query('DROP FUNCTION app.rename; DROP TABLE app.behind')
})

describe('names', () => {
  test('of prepared statements and cursors are a session’s own', async () => {
    await using one = await openWire(server)
    await using other = await openWire(server)
    const long = 'n'.repeat(60)
    for (const [wire, value] of [
      [one, 'one'],
      [other, 'other'],
    ] as const) {
      await wire.query(`PREPARE s (int) AS SELECT '${value}' || $1; PREPARE ${long} AS SELECT 1`)
      await wire.query(`DECLARE c CURSOR WITH HOLD FOR SELECT '${value} held'`)
    }
    expect(inShort(await one.query('EXECUTE s (1)'))).toContain('row one1')
    expect(inShort(await other.query('EXPLAIN (COSTS off) EXECUTE s (2)'))).toContain('EXPLAIN')
    const bound = await other.run(
      serialize.bind({ statement: 's', values: ['3'] }),
      serialize.execute(),
      serialize.sync(),
    )
    expect(inShort(bound)).toContain('row other3')
    expect(inShort(await one.query('FETCH NEXT FROM c'))).toContain('row one held')
    expect(inShort(await other.query('FETCH c'))).toContain('row other held')
    expect(errorOf(await one.query('EXECUTE t'))).toMatchObject({
      code: '26000',
      message: 'prepared statement "t" does not exist',
    })
    expect(inShort(await one.query('DEALLOCATE ALL; CLOSE ALL'))).toEqual([
      'DEALLOCATE ALL',
      'CLOSE CURSOR ALL',
      'ready I',
    ])
    expect(errorOf(await one.query('EXECUTE s (1)'))).toMatchObject({ code: '26000' })
    expect(errorOf(await one.query('FETCH c'))).toMatchObject({ code: '34000' })
    expect(inShort(await other.query(`EXECUTE s (4); EXECUTE ${long}`))).toContain('row other4')
    expect(inShort(await other.query('DISCARD ALL'))).toEqual(['DISCARD ALL', 'ready I'])
    expect(errorOf(await other.query(`EXECUTE ${long}`))).toMatchObject({ code: '26000' })
  })

  test('are forgotten with what the same text made', async () => {
    await using wire = await openWire(server)
    const closed = await wire.query('DECLARE c CURSOR WITH HOLD FOR SELECT 1; CLOSE ALL; FETCH c')
    expect(errorOf(closed)).toMatchObject({ code: '34000' })
    const forgotten = await wire.query('PREPARE s AS SELECT 1; DEALLOCATE ALL; EXECUTE s')
    expect(errorOf(forgotten)).toMatchObject({ code: '26000' })
  })

  test('that differ past what PostgreSQL keeps of them are two', async () => {
    await using wire = await openWire(server)
    const long = 'n'.repeat(60)
    await wire.query(`PREPARE ${long}1 AS SELECT 'one'; PREPARE ${long}2 AS SELECT 'two'`)
    expect(inShort(await wire.query(`EXECUTE ${long}1; EXECUTE ${long}2`))).toEqual(
      expect.arrayContaining(['row one', 'row two']),
    )
  })

  test('of temporary tables too, until DISCARD', async () => {
    await using one = await openWire(server)
    await using other = await openWire(server)
    await one.query('CREATE TEMP TABLE mine (a int); INSERT INTO mine VALUES (1)')
    expect(errorOf(await other.query('SELECT * FROM mine'))).toMatchObject({ code: '42P01' })
    expect(inShort(await one.query('SELECT a FROM mine'))).toContain('row 1')
    expect(inShort(await one.query('DISCARD ALL'))).toEqual(['DISCARD ALL', 'ready I'])
    expect(errorOf(await one.query('SELECT * FROM mine'))).toMatchObject({ code: '42P01' })
    expect(errorOf(await one.query('BEGIN; DISCARD ALL'))).toMatchObject({ code: '25001' })
    // The other's end waits for the engine.
    await one.query('ROLLBACK')
  })

  test('of a cursor tell the row to change', async () => {
    await using wire = await openWire(server)
    const said = await wire.query(`BEGIN; INSERT INTO app.items VALUES (1, 'a'), (2, 'b');
      DECLARE c CURSOR FOR SELECT * FROM app.items ORDER BY id FOR UPDATE; MOVE 1 FROM c;
      UPDATE app.items SET name = 'c' WHERE CURRENT OF c RETURNING id; ROLLBACK`)
    expect(inShort(said)).toContain('row 1')
  })
})

describe('EXECUTE of what Parse has prepared', () => {
  test('does to the session what that does', async () => {
    await using wire = await openWire(server)
    await using other = await openWire(server, { processId: 2 })
    const prepare = (name: string, text: string) => serialize.parse({ name, text })
    await wire.run(
      prepare('l', 'LISTEN told'),
      prepare('u', 'UNLISTEN *'),
      prepare('d', 'DECLARE c CURSOR WITH HOLD FOR SELECT 1'),
      serialize.sync(),
    )
    const settings = 'SET application_name = told'
    expect(inShort(await wire.query(`EXECUTE l; NOTIFY told; ${settings}`))).toEqual([
      ...['LISTEN', 'NOTIFY', 'SET', 'notification', 'parameterStatus', 'ready I'],
    ])
    await wire.query('BEGIN; EXECUTE u; ROLLBACK')
    expect(inShort(await wire.query('NOTIFY told'))).toContain('notification')
    expect(inShort(await wire.query('EXECUTE u'))).toEqual(['UNLISTEN', 'ready I'])
    expect(inShort(await wire.query('NOTIFY told'))).toEqual(['NOTIFY', 'ready I'])
    expect(inShort(await wire.query('EXECUTE d; FETCH c'))).toContain('row 1')
    expect(errorOf(await other.query('FETCH c'))).toMatchObject({ code: '34000' })
    await wire.query('CLOSE ALL')
    expect(errorOf(await wire.query('FETCH c'))).toMatchObject({ code: '34000' })
  })

  test('ends the transaction that it ends', async () => {
    await using wire = await openWire(server)
    await wire.run(serialize.parse({ name: 'r', text: 'ROLLBACK' }), serialize.sync())
    expect(inShort(await wire.query('BEGIN; LISTEN undone; EXECUTE r')).at(-1)).toBe('ready I')
    expect(inShort(await wire.query('NOTIFY undone'))).toEqual(['NOTIFY', 'ready I'])
  })
})

describe('KalamDB’s statements', () => {
  test('answer in a Query as PostgreSQL would', async () => {
    await using wire = await openWire(server)
    const said = await wire.query("CREATE USER 'bob'")
    expect(inShort(said)[0]).toBe('columns user_id|name|role|apikey')
    expect(inShort(said).slice(2)).toEqual(['CREATE USER', 'ready I'])
    expect(inShort(await wire.query("ALTER USER 'bob' SET ROLE service; SELECT 1"))).toContain(
      'ALTER USER',
    )
    expect(errorOf(await wire.query("SELECT 1; DROP USER 'bob'"))).toMatchObject({ code: '25001' })
    expect(inShort(await wire.query("DROP USER 'bob'"))).toContain('DROP USER')
    expect(errorOf(await wire.query("DROP USER 'bob'"))).toMatchObject({ code: '42704' })
  })

  test('are described before they run, and answer in the formats asked for', async () => {
    await using wire = await openWire(server)
    const parse = serialize.parse({ name: 'k', text: "CREATE APIKEY FOR 'alice' READ ONLY" })
    const described = await wire.run(
      parse,
      serialize.describe({ type: 'S', name: 'k' }),
      serialize.sync(),
    )
    const columns = 'columns id|user_id|name|apikey|read_only|expires_at'
    expect(inShort(described)).toEqual([
      'parseComplete',
      'parameterDescription',
      columns,
      'ready I',
    ])
    const ran = await wire.run(
      serialize.bind({ statement: 'k', binary: true }),
      serialize.execute(),
      serialize.sync(),
    )
    expect(inShort(ran)[0]).toBe('bindComplete')
    expect(inShort(ran)[1]).toMatch(/^row .*\|alice\|kal_.*\|\u0001\|$/)
    expect(inShort(ran).slice(2)).toEqual(['CREATE APIKEY', 'ready I'])
    const shown = await wire.run(...statement('SHOW NAMESPACES'))
    expect(inShort(shown)).toContain('SELECT 2')
  })
})

describe('who asks', () => {
  test('sees their own rows only', async () => {
    await using root = await openWire(server)
    await using own = await openWire(server, { key: alice })
    await root.query("INSERT INTO app.todos VALUES (1, 'of root')")
    await own.query("INSERT INTO app.todos VALUES (1, 'of alice')")
    expect(inShort(await own.query('SELECT title FROM app.todos'))).toContain('row of alice')
    const as = await root.query("EXECUTE AS 'alice' (SELECT title FROM app.todos)")
    expect(inShort(as)).toEqual(['columns title', 'row of alice', 'SELECT 1', 'ready I'])
    await root.query('DELETE FROM app.todos')
    await own.query('DELETE FROM app.todos')
  })

  test('may act for another no longer than that may be, prepared or not', async () => {
    const key = await server.createUser('jobs', 'service')
    await server.createUser('carol')
    await using wire = await openWire(server, { key })
    const text = "EXECUTE AS 'carol' (SELECT kalam.uid() IS NOT NULL)"
    await wire.run(serialize.parse({ name: 'as', text }), serialize.sync())
    const run = () =>
      wire.run(serialize.bind({ statement: 'as' }), serialize.execute(), serialize.sync())
    for (let round = 0; round < 2; round++) expect(inShort(await run())).toContain('row t')
    await server.sql("ALTER USER 'carol' ROLE admin")
    expect(errorOf(await run())).toMatchObject({ code: '42501' })
  })
})
