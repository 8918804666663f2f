/** What a session carries beside rows: COPY, notifications, settings, and results of any size. */
import { serialize } from 'pg-protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DbError } from '#src/errors.js'
import { openTestServer, type TestServer } from '../../support/server.js'
import {
  inShort,
  openWire,
  statement,
  type Said,
  type TestWire,
} from '../../support/wire-session.js'

let server: TestServer
let alice: string
beforeAll(async () => {
  server = await openTestServer({
    settings: {
      ...{ 'http.result_bytes_max': 100_000, 'http.stream_piece_bytes': 20_000 },
      // Who waits for another's transaction does so until that ends, far behind what a test takes.
      ...{ 'engine.lease_wait_ms': 600_000, 'engine.idle_transaction_timeout_ms': 20_000 },
      'engine.transaction_timeout_ms': 20_000,
    },
  })
  alice = await server.createUser('alice')
  await server.sql(`CREATE NAMESPACE app; CREATE TABLE app.items (id int PRIMARY KEY, name text);
    CREATE USER TABLE app.todos (id int PRIMARY KEY, title text);
    GRANT ALL ON app.items, app.todos TO user`)
})
afterAll(() => server.close())

const errorOf = (said: readonly Said[]) => said.find(({ name }) => name === 'error')

function dataOf(...pieces: readonly string[]) {
  return async function* () {
    for (const piece of pieces) yield await Promise.resolve(Buffer.from(piece))
  }
}

/** What is said of what runs, which the client asks to end. */
async function cancelled(wire: TestWire, running: Promise<readonly Said[]>): Promise<string[]> {
  // One that comes before the statement does nothing.
  const asking = setInterval(() => wire.session.cancel(), 5)
  return [...inShort(await running.finally(() => clearInterval(asking)))]
}

const copied = (said: readonly Said[]) =>
  said
    .filter(({ name }) => name === 'copyData')
    .map(({ chunk }) => String(chunk))
    .join('')

describe('COPY', () => {
  test.each(['outside of a transaction', 'in a transaction'])('in and out, %s', async (where) => {
    await using wire = await openWire(server, { copyData: dataOf('1\ta\n2\t', 'b\n') })
    if (where === 'in a transaction') await wire.query('BEGIN')
    const said = await wire.query('COPY app.items FROM STDIN')
    expect(said.map(({ name }) => name)).toEqual([
      ...['copyInResponse', 'commandComplete', 'readyForQuery'],
    ])
    expect(inShort(said)).toContain('COPY 2')
    const out = await wire.query('COPY app.items TO STDOUT (FORMAT csv)')
    expect(copied(out)).toBe('1,a\n2,b\n')
    expect(inShort(out).slice(-2)[0]).toBe('COPY 2')
    if (where === 'in a transaction') await wire.query('ROLLBACK')
    else await wire.query('TRUNCATE app.items')
  })

  test('by the extended protocol, into a table with rows of each user', async () => {
    await using wire = await openWire(server, { key: alice, copyData: dataOf('1\tmilk\n') })
    const run = () => wire.run(...statement('COPY app.todos FROM STDIN'))
    expect(inShort(await run())).toEqual([
      ...['parseComplete', 'bindComplete', 'noData', 'copyInResponse', 'COPY 1', 'ready I'],
    ])
    expect(inShort(await wire.query('SELECT id, title FROM app.todos'))).toContain('row 1|milk')
    expect(errorOf(await run())).toMatchObject({ code: '23505', table: 'todos' })
    await wire.query('DELETE FROM app.todos')
  })

  test('as often as one likes in a transaction, into tables with rows of each user', async () => {
    await using wire = await openWire(server, { key: alice, copyData: dataOf('1\tmilk\n') })
    await wire.query('BEGIN')
    expect(inShort(await wire.query('COPY app.todos FROM STDIN'))).toContain('COPY 1')
    await wire.query('UPDATE app.todos SET id = 2')
    expect(inShort(await wire.query('COPY app.todos FROM STDIN'))).toContain('COPY 1')
    expect(inShort(await wire.query('SELECT count(*) FROM app.todos'))).toContain('row 2')
    await wire.query('ROLLBACK')
  })

  test('says what PostgreSQL says of bad data, of a missing table and of CopyFail', async () => {
    await using bad = await openWire(server, { copyData: dataOf('1\ta\nx\tb\n') })
    expect(errorOf(await bad.query('COPY app.items FROM STDIN'))).toMatchObject({
      code: '22P02',
      where: 'COPY items, line 2, column id: "x"',
    })
    expect(inShort(await bad.query('COPY app.nope FROM STDIN'))).toEqual([
      'error 42P01: relation "app.nope" does not exist',
      'ready I',
    ])
    await using failing = await openWire(server, {
      copyData: async function* () {
        yield await Promise.resolve(Buffer.from('1\ta\n'))
        throw new DbError('CANCELLED', 'changed my mind')
      },
    })
    for (const begin of [undefined, 'BEGIN']) {
      if (begin !== undefined) await failing.query(begin)
      expect(errorOf(await failing.query('COPY app.items FROM STDIN'))).toMatchObject({
        code: '57014',
        message: 'COPY from stdin failed: changed my mind',
      })
    }
    await failing.query('ROLLBACK')
    expect(inShort(await failing.query('SELECT count(*) FROM app.items'))).toContain('row 0')
  })
})

describe('a notification', () => {
  test('reaches who listens, with the process that sent it, at its commit', async () => {
    await using listener = await openWire(server, { processId: 11 })
    await using sender = await openWire(server, { processId: 22 })
    await listener.query('LISTEN news')
    await sender.query("BEGIN; NOTIFY news, 'first'")
    expect(listener.heard).toEqual([])
    await sender.query('COMMIT')
    expect(listener.heard.splice(0)).toMatchObject([
      { name: 'notification', channel: 'news', payload: 'first', processId: 22 },
    ])
    await server.sql("NOTIFY news, 'over HTTP'")
    expect(listener.heard.splice(0)).toMatchObject([{ payload: 'over HTTP' }])
    const own = await listener.query("NOTIFY news, 'own'")
    expect(inShort(own)).toEqual(['NOTIFY', 'notification', 'ready I'])
    await listener.query("BEGIN; UNLISTEN news; ROLLBACK; NOTIFY news, 'still'")
    await listener.query('UNLISTEN *')
    expect(inShort(await listener.query("NOTIFY news, 'gone'"))).toEqual(['NOTIFY', 'ready I'])
  })

  test('waits for the end of the listener’s transaction; a LISTEN undone hears nothing', async () => {
    await using listener = await openWire(server)
    await listener.query('LISTEN other; BEGIN')
    const said = await listener.query("NOTIFY other, 'x'; COMMIT")
    expect(inShort(said)).toEqual(['NOTIFY', 'COMMIT', 'notification', 'ready I'])
    await listener.query('BEGIN; LISTEN third; ROLLBACK')
    expect(inShort(await listener.query('NOTIFY third'))).toEqual(['NOTIFY', 'ready I'])
    await listener.query(
      'BEGIN; LISTEN kept; SAVEPOINT s; LISTEN third; SAVEPOINT t; UNLISTEN kept',
    )
    await listener.query('RELEASE t; ROLLBACK TO s; LISTEN again; COMMIT')
    expect(inShort(await listener.query('NOTIFY third'))).toEqual(['NOTIFY', 'ready I'])
    const notified = await listener.query('NOTIFY kept; NOTIFY again')
    expect(notified.filter(({ name }) => name === 'notification')).toHaveLength(2)
    const together = await listener.query("LISTEN fourth; NOTIFY fourth, 'y'")
    expect(inShort(together)).toContain('notification')
  })
})

describe('settings', () => {
  test('are a session’s own, from its start on, and reported when they change', async () => {
    await using one = await openWire(server, { settings: { application_name: 'one' } })
    await using other = await openWire(server, { settings: { DateStyle: 'German' } })
    expect(one.session.parameters.get('application_name')).toBe('one')
    expect(other.session.parameters.get('DateStyle')).toBe('German, DMY')
    const said = await one.query("SET application_name = 'uno'; SET search_path = app")
    expect(said.filter(({ name }) => name === 'parameterStatus')).toMatchObject([
      { parameterName: 'application_name', parameterValue: 'uno' },
      { parameterName: 'search_path', parameterValue: 'app' },
    ])
    expect(inShort(await other.query("SELECT date '2026-02-01'"))).toEqual([
      'columns date',
      'row 01.02.2026',
      'SELECT 1',
      'ready I',
    ])
    expect(inShort(await one.query('SHOW application_name; DELETE FROM items'))).toEqual([
      ...['columns application_name', 'row uno', 'SHOW', 'DELETE 0', 'ready I'],
    ])
    expect(inShort(await one.query('RESET ROLE; SET SESSION AUTHORIZATION DEFAULT'))).toEqual([
      ...['RESET', 'SET', 'ready I'],
    ])
  })

  test('that no session may have are refused at its start', async () => {
    const open = (settings: Readonly<Record<string, string>>) => openWire(server, { settings })
    await expect(open({ TimeZone: 'nowhere' })).rejects.toMatchObject({ sqlState: '22023' })
    await expect(open({ role: 'kalam_admin' })).rejects.toMatchObject({ sqlState: '0A000' })
    await expect(open({ search_path: 'public, kalam' })).rejects.toMatchObject({
      sqlState: '0A000',
    })
  })

  test('show an admin the rows of all, with row_security off', async () => {
    await using wire = await openWire(server)
    await using own = await openWire(server, { key: alice })
    await own.query("INSERT INTO app.todos VALUES (1, 'of alice')")
    expect(inShort(await wire.query('SELECT count(*) FROM app.todos'))).toContain('row 0')
    const all = 'SET row_security = off; SELECT count(*) FROM app.todos'
    expect(inShort(await wire.query(all))).toContain('row 1')
    expect(inShort(await own.query('SELECT count(*) FROM app.todos'))).toContain('row 1')
    await own.query('DELETE FROM app.todos')
  })

  test('end a statement at the client’s own statement_timeout', async () => {
    await using wire = await openWire(server)
    await wire.query('BEGIN; SET LOCAL statement_timeout = 50')
    const endless = 'SELECT count(*) FROM generate_series(1, 100000000)'
    const said = await wire.query(endless)
    expect(errorOf(said)).toMatchObject({
      code: '57014',
      message: 'canceling statement due to statement timeout',
    })
    expect(inShort(said).at(-1)).toBe('ready E')
    await wire.query('ROLLBACK')
    expect(await cancelled(wire, wire.query(endless))).toEqual([
      'error 57014: canceling statement due to user request',
      'ready I',
    ])
  })
})

test('a statement that is cancelled before it began, or just then, fails its transaction', async () => {
  await using wire = await openWire(server)
  const long = 'SELECT count(*) FROM generate_series(1, 1000000000)'
  for (let ticks = 0; ticks < 12; ticks++) {
    await wire.query(`BEGIN; INSERT INTO app.items VALUES (${ticks}, '')`)
    const running = wire.query(`SELECT 1; ${long}`)
    for (let tick = 0; tick < ticks; tick++) await Promise.resolve()
    wire.session.cancel()
    expect(inShort(await running).slice(-2)).toEqual([
      'error 57014: canceling statement due to user request',
      'ready E',
    ])
    await wire.query('ROLLBACK')
  }
})

describe('another’s transaction', () => {
  test('keeps nobody from preparing, but from running', async () => {
    await using holder = await openWire(server)
    await using other = await openWire(server, { settings: { lock_timeout: '300' } })
    await holder.query('BEGIN')
    const prepared = await other.run(
      serialize.parse({ name: 'p', text: 'SELECT $1::int' }),
      serialize.parse({ name: 'q', text: 'SELECT nope' }),
      serialize.sync(),
    )
    expect(inShort(prepared)).toEqual(['parseComplete', 'parseComplete', 'ready I'])
    const wrong = await other.run(serialize.parse({ text: 'SELECT frm x y' }), serialize.sync())
    expect(errorOf(wrong)).toMatchObject({ code: '42601' })
    expect(errorOf(await other.query('SELECT 1'))).toMatchObject({ code: '55P03' })
    await holder.query('COMMIT')
    const run = (name: string, values: string[]) =>
      other.run(serialize.bind({ statement: name, values }), serialize.execute(), serialize.sync())
    expect(inShort(await run('p', ['7']))).toEqual(['bindComplete', 'row 7', 'SELECT 1', 'ready I'])
    expect(errorOf(await run('q', []))).toMatchObject({ code: '42703', position: '8' })
    expect(inShort(await run('p', ['8']))).toContain('row 8')
  })

  test.each([
    ['for the engine', 'SELECT 1', 'SELECT count(*) FROM app.items'],
    ['for a lock', 'SELECT pg_advisory_lock(7)', 'SELECT pg_advisory_lock(7)'],
  ])('is not waited for, %s, by who was cancelled', async (_what, first, waiting) => {
    await using holder = await openWire(server)
    await using other = await openWire(server, { processId: 2 })
    // What the tables are is known then: that is waited for in another way.
    await other.query('SELECT count(*) FROM app.items')
    await holder.query(first)
    const running = first === waiting ? other.query(waiting) : undefined
    await holder.query('BEGIN')
    expect(await cancelled(other, running ?? other.query(waiting))).toEqual([
      'error 57014: canceling statement due to user request',
      'ready I',
    ])
    expect(inShort(await holder.query('COMMIT'))).toEqual(['COMMIT', 'ready I'])
    expect(inShort(await other.query('SELECT 1'))).toContain('row 1')
  })

  test('ends with its session, by the server’s bound or the client’s', async () => {
    await using idle = await openWire(server)
    await idle.query("SET idle_in_transaction_session_timeout = '50ms'")
    await idle.query("BEGIN; INSERT INTO app.items VALUES (9, 'x')")
    expect(await idle.ended).toMatchObject({
      sqlState: '25P03',
      message: 'terminating connection due to idle-in-transaction timeout',
    })
    await idle.session.close()
    await using other = await openWire(server)
    expect(inShort(await other.query('SELECT count(*) FROM app.items'))).toContain('row 0')
  })
})

describe('a large result', () => {
  const rows = 5_000
  const query = `SELECT n, repeat('x', 50) FROM generate_series(1, ${rows}) n`

  test.each(['outside of a transaction', 'in a transaction'])('comes whole, %s', async (where) => {
    await using wire = await openWire(server)
    if (where === 'in a transaction') await wire.query('BEGIN')
    const names = (said: readonly Said[]) => said.map(({ name }) => name)
    const simple = await wire.query(query)
    expect(names(simple).filter((name) => name === 'dataRow')).toHaveLength(rows)
    expect(inShort(simple).slice(0, 1)).toEqual(['columns n|repeat'])
    expect(inShort(simple).at(-2)).toBe(`SELECT ${rows}`)
    const text = `SELECT n, repeat($1, 50) FROM generate_series(1, $2::int) n`
    const extended = await wire.run(...statement(text, { values: ['y', String(rows)] }))
    expect(names(extended).slice(0, 3)).toEqual(['parseComplete', 'bindComplete', 'rowDescription'])
    expect(names(extended).filter((name) => name === 'dataRow')).toHaveLength(rows)
    expect(inShort(extended).at(-2)).toBe(`SELECT ${rows}`)
  })

  test('that fails in its middle says so', async () => {
    await using wire = await openWire(server)
    const said = await wire.query(`SELECT 1 / (n - 4000), repeat('x', 50)
      FROM generate_series(1, ${rows}) n`)
    expect(inShort(said).slice(-2)).toEqual(['error 22012: division by zero', 'ready I'])
  })

  test('of a change in a transaction is counted whole', async () => {
    await using wire = await openWire(server)
    const said = await wire.query(`BEGIN`)
    expect(said).toHaveLength(2)
    const inserted = await wire.query(
      `INSERT INTO app.items SELECT n, '' FROM generate_series(1, 1000) n RETURNING id`,
    )
    expect(inShort(inserted).slice(-2)).toEqual(['INSERT 0 1000', 'ready T'])
    await wire.query('ROLLBACK')
  })
})
