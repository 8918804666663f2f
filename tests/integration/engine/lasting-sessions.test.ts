/** Sessions that last: each finds its own again, whoever used the one backend in between. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { firstError } from '#src/engine/backend-messages.js'
import type { Identity, Notification, SessionOptions } from '#src/engine/engine.js'
import { MessageWriter, simpleQuery, syncMessage } from '#src/engine/frontend-messages.js'
import {
  copyOfTemplate,
  openTestEngine,
  rowsOf,
  statusOf,
  unit,
  type TestEngine,
} from '../../support/engine.js'

let opened: TestEngine
let alice: Identity
let bob: Identity
/** May all that ordinary roles may not: functions, sizes. */
let chief: Identity
beforeAll(async () => {
  opened = await openTestEngine({
    settings: {
      'engine.transaction_timeout_ms': 60_000,
      'engine.idle_transaction_timeout_ms': 60_000,
    },
  })
  const { engine } = opened
  await engine.run(
    unit(`CREATE ROLE alice; CREATE ROLE bob; CREATE ROLE chief SUPERUSER; CREATE SCHEMA attic; GRANT ALL ON SCHEMA attic, public TO alice, bob;
      CREATE FUNCTION say(name text, value text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS
        $$ BEGIN RETURN set_config(name, value, false); END $$`),
  )
  const [oids] = rowsOf(
    await engine.run(
      unit(`SELECT 'alice'::regrole::oid, 'bob'::regrole::oid, 'chief'::regrole::oid`),
    ),
  )
  alice = { roleOid: Number(oids?.[0]), userId: 'alice', readOnly: false }
  bob = { roleOid: Number(oids?.[1]), userId: 'bob', readOnly: false }
  chief = { roleOid: Number(oids?.[2]), userId: '', readOnly: false }
})
afterAll(() => opened[Symbol.asyncDispose]())

type Rows = readonly (readonly (string | null)[])[]

/** A session that lasts, of whom it is given; simple queries, or extended ones with `sync`. */
function lasting(identity: Identity, options: SessionOptions = {}) {
  const session = opened.engine.openSession({ lasts: true, ...options })
  const run = (bytes: Uint8Array) => session.run({ ...unit('', { identity }), bytes })
  return {
    session,
    run,
    query: (sql: string) => run(simpleQuery(sql)),
    rows: async (sql: string): Promise<Rows> => rowsOf(await run(extended(sql))),
    [Symbol.asyncDispose]: () => session.close(),
  }
}

function extended(sql: string): Uint8Array {
  return new MessageWriter().parse('', sql).bind('', []).execute().sync().finish()
}

/** What somebody without a session sees, in a unit between those of sessions. */
async function outside(sql: string, identity = bob): Promise<Rows> {
  return rowsOf(await opened.engine.run({ ...unit('', { identity }), bytes: extended(sql) }))
}

const show = (...names: string[]) =>
  `SELECT ${names.map((name) => `current_setting('${name}', true)`).join(', ')}`

describe('settings', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['SET', `SET TimeZone = 'Asia/Seoul'`, 'TimeZone'],
    ['SET in a transaction', `BEGIN; SET TimeZone = 'Asia/Seoul'; COMMIT`, 'TimeZone'],
    ['set_config in a function', `SELECT say('TimeZone', 'Asia/Seoul')`, 'TimeZone'],
    ['a setting of nobody', `SET app.zone = 'Asia/Seoul'`, 'app.zone'],
    ['the search path', `SET search_path = 'Asia/Seoul'`, 'search_path'],
  ]
  test.each(cases)('%s is kept, and only there', async (_name, sql, name) => {
    await using one = lasting(alice)
    await using other = lasting(bob)
    const [before] = await other.rows(show(name))
    expect(firstError(await one.query(sql))).toBeUndefined()
    expect(await outside(show(name))).toEqual([before?.map((value) => value ?? '')])
    expect(await other.rows(show(name))).toEqual([before?.map((value) => value ?? '')])
    const [[value] = []] = await one.rows(show(name))
    expect(value).toMatch(/^"?Asia\/Seoul"?$/)
    expect(one.session.settings.get(name.toLowerCase())).toBe(value)
    // By the extended protocol too, and RESET goes back.
    await one.run(extended(`RESET ${name}`))
    await outside('SELECT 1')
    expect(await one.rows(show(name))).toEqual([before?.map((found) => found ?? '')])
  })

  test('that are on for one and off for another are told apart, every one', async () => {
    const [[names] = []] = await outside(
      `SELECT string_agg(name, ' ' ORDER BY name) FROM pg_settings WHERE vartype = 'bool' AND context = 'user'
         AND name !~ '^(transaction_|default_transaction_read_only|exit_on_error)'`,
    )
    const switches = names?.split(' ') ?? []
    expect(switches.length).toBeGreaterThan(40)
    await using on = lasting(alice)
    await using off = lasting(bob)
    const all = (value: string) => switches.map((name) => `SET ${name} = ${value}`).join('; ')
    // Whatever their defaults are, some are changed to what was not there before.
    for (const value of ['on', 'off', 'on']) {
      expect(firstError(await on.query(all(value)))).toBeUndefined()
      const other = value === 'on' ? 'off' : 'on'
      expect(firstError(await off.query(all(other)))).toBeUndefined()
      expect(await on.rows(show(...switches))).toEqual([switches.map(() => value)])
      expect(await off.rows(show(...switches))).toEqual([switches.map(() => other)])
      expect(on.session.settings.get('row_security')).toBe(value)
      expect(off.session.settings.get('row_security')).toBe(other)
    }
  })

  test('are as a rollback leaves them', async () => {
    await using session = lasting(alice)
    await session.query(`SET work_mem = '5MB'`)
    await session.query(`BEGIN; SET work_mem = '6MB'; SET LOCAL statement_timeout = '7s'`)
    expect(Object.fromEntries(session.session.settings)).toMatchObject({
      work_mem: '6144',
      statement_timeout: '7000',
    })
    await session.query('SELECT 1/0')
    await session.query('ROLLBACK')
    await outside('SELECT 1')
    expect(await session.rows(show('work_mem', 'statement_timeout'))).toEqual([['5MB', '0']])
    expect(session.session.settings.get('statement_timeout')).toBeUndefined()
    // A unit that fails outside a transaction leaves what was there before it.
    await session.query(`SET work_mem = '9MB'; SELECT 1/0`)
    await outside('SELECT 1')
    expect(await session.rows(show('work_mem'))).toEqual([['5MB']])
  })

  test('begin as the session asks, and RESET ALL goes back there', async () => {
    await using session = lasting(alice, {
      settings: new Map([
        ['DateStyle', 'german'],
        ['app.who', 'me'],
        ['search_path', 'attic'],
      ]),
    })
    await session.run(syncMessage)
    expect(Object.fromEntries(session.session.settings)).toEqual({
      datestyle: 'German, DMY',
      'app.who': 'me',
      search_path: 'attic',
    })
    await outside('SELECT 1')
    await session.query(`SET datestyle = 'sql'; SET app.who = 'you'; SET search_path = public`)
    expect(await outside(show('DateStyle', 'app.who', 'search_path'))).toEqual([
      ['ISO, MDY', '', 'public'],
    ])
    await session.query('RESET ALL')
    await outside('SELECT 1')
    expect(await session.rows(show('DateStyle', 'app.who', 'search_path'))).toEqual([
      ['German, DMY', 'me', 'attic'],
    ])
  })

  const refused: readonly (readonly [string, string, string])[] = [
    ['an unknown one', 'kalam', '42704'],
    ['a wrong value', 'DateStyle', '22023'],
    ['one of superusers', 'log_statement', '42501'],
    ['one of the server', 'bonjour_name', '55P02'],
    ['the role', 'role', '42501'],
  ]
  test.each(refused)('do not begin with %s', async (_name, name, sqlState) => {
    await using session = lasting(alice, {
      settings: new Map([
        ['work_mem', '5MB'],
        [name, 'all'],
      ]),
    })
    const reply = await session.run(syncMessage)
    expect(firstError(reply)).toMatchObject({ sqlState })
    expect(statusOf(reply)).toBe('I')
    expect(await session.rows(show('work_mem'))).toEqual([['4MB']])
  })

  test('of the system are not those of the session it works in', async () => {
    await using session = lasting(alice)
    await session.query(`CREATE TABLE IF NOT EXISTS attic.shelf (n int); SET search_path = attic`)
    const system = unit('SELECT current_setting($$search_path$$)')
    expect(rowsOf(await session.session.run(system))).toEqual([['public']])
    expect(await session.rows(show('search_path'))).toEqual([['attic']])
    await session.query('BEGIN; SET LOCAL search_path = public, attic')
    expect(rowsOf(await session.session.run(system))).toEqual([['public']])
    expect(await session.rows(show('search_path'))).toEqual([['public, attic']])
    await session.query('COMMIT')
    await outside('SELECT 1')
    expect(await session.rows(show('search_path'))).toEqual([['attic']])
  })

  test('that make the caller read-only cannot be kept', async () => {
    await using session = lasting({ ...alice, readOnly: true })
    await session.query('SET default_transaction_read_only = off')
    expect(firstError(await session.query('CREATE TABLE attic.no ()'))?.sqlState).toBe('25006')
    await using writer = lasting(alice)
    await writer.query('SET default_transaction_read_only = on')
    await outside('SELECT 1')
    expect(firstError(await writer.query('CREATE TABLE attic.no ()'))?.sqlState).toBe('25006')
    expect(await outside(show('default_transaction_read_only'))).toEqual([['off']])
    const settings = new Map([['default_transaction_read_only', 'on']])
    await using reader = lasting(alice, { settings })
    expect(await reader.rows(show('transaction_read_only'))).toEqual([['on']])
    await reader.query('SET default_transaction_read_only = off')
    await outside('SELECT 1')
    expect(await reader.rows(show('transaction_read_only'))).toEqual([['off']])
    await reader.query('RESET default_transaction_read_only')
    await outside('SELECT 1')
    expect(await reader.rows(show('transaction_read_only'))).toEqual([['on']])
  })

  test('end with the session', async () => {
    const session = lasting(alice)
    await session.query(`SET app.who = 'me'; SET work_mem = '7MB'`)
    await session.session.close()
    expect(await outside(show('app.who', 'work_mem'))).toEqual([['', '4MB']])
  })
})

describe('temporary objects', () => {
  const open = () => [lasting(chief), lasting(chief)] as const
  const names = `SELECT relname FROM pg_class WHERE relpersistence = 't' AND relkind IN ('r', 'v') ORDER BY 1`

  test('of one name are the own of two sessions, and of nobody else', async () => {
    const [one, two] = open()
    await using first = one
    await using second = two
    await first.query(
      `CREATE TABLE attic.seen AS SELECT 'all' AS whose; CREATE TEMP TABLE mine (n serial, whose text)`,
    )
    await second.query(`CREATE TEMP TABLE mine (n serial, whose text)`)
    await first.query(`INSERT INTO mine (whose) VALUES ('first')`)
    await second.query(`INSERT INTO mine (whose) VALUES ('second'), ('again')`)
    const mine = `SELECT n, whose FROM mine ORDER BY n`
    for (let turn = 0; turn < 2; turn++) {
      expect(await first.rows(mine)).toEqual([['1', 'first']])
      expect(await second.rows(mine)).toEqual([
        ['1', 'second'],
        ['2', 'again'],
      ])
      expect(
        await outside(`SELECT to_regclass('mine'), to_regclass('pg_temp.mine')`, chief),
      ).toEqual([[null, null]])
    }
    await first.query(`CREATE TEMP VIEW looked AS SELECT upper(whose) AS whose FROM mine`)
    await second.query(
      `CREATE FUNCTION pg_temp.count() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM mine'`,
    )
    expect(await second.rows('SELECT pg_temp.count()')).toEqual([['2']])
    expect(await first.rows('SELECT whose FROM looked')).toEqual([['FIRST']])
    expect(firstError(await first.query('SELECT pg_temp.count()'))?.sqlState).toBe('42883')
    await second.session.close()
    expect(await first.rows(mine)).toEqual([['1', 'first']])
    await first.session.close()
    expect(await outside(names)).toEqual([])
  })

  test('are what a function means that all share', async () => {
    const [one, two] = open()
    await using first = one
    await using second = two
    await first.query(`CREATE TABLE IF NOT EXISTS attic.which (whose text);
      INSERT INTO attic.which VALUES ('all');
      CREATE FUNCTION attic.whose() RETURNS text LANGUAGE plpgsql SET search_path = attic AS
        $$ BEGIN RETURN (SELECT max(whose) FROM which); END $$;
      CREATE FUNCTION attic.whose_sql() RETURNS text LANGUAGE sql SET search_path = attic AS
        $$ SELECT max(whose) FROM which $$;
      GRANT SELECT ON attic.which TO bob`)
    const whose = 'SELECT attic.whose(), attic.whose_sql()'
    await first.query(`CREATE TEMP TABLE which AS SELECT 'first' AS whose`)
    await second.query(`CREATE TEMP TABLE which AS SELECT 'second' AS whose`)
    for (let turn = 0; turn < 2; turn++) {
      expect(await first.rows(whose)).toEqual([['first', 'first']])
      expect(await second.rows(whose)).toEqual([['second', 'second']])
      expect(await outside(whose)).toEqual([['all', 'all']])
    }
  })

  test('stay readable when others looked at them', async () => {
    await using owner = lasting(alice)
    await owner.query(
      `CREATE TEMP TABLE wide (n int PRIMARY KEY, body text); CREATE TEMP TABLE brief (n int) ON COMMIT DELETE ROWS`,
    )
    await owner.query(
      `INSERT INTO wide SELECT n, repeat(md5(n::text), 500) FROM generate_series(1, 50) n`,
    )
    const look = `SELECT bool_and(pg_total_relation_size(oid) >= 0) FROM pg_class WHERE relname IN ('wide', 'brief')`
    // What PostgreSQL remembers of the relations is forgotten, and they are met in another's turn.
    const granted = await opened.engine.run(
      unit(`DO $$ BEGIN EXECUTE (SELECT string_agg(format('GRANT SELECT ON %s TO bob', oid::regclass), ';')
        FROM pg_class WHERE relname IN ('wide', 'brief')); END $$`),
    )
    expect(firstError(granted)).toBeUndefined()
    expect(await outside(look, chief)).toEqual([['t']])
    await using other = lasting(bob)
    await other.query(
      'BEGIN; CREATE TEMP TABLE brief (n int) ON COMMIT DELETE ROWS; INSERT INTO brief VALUES (1); COMMIT',
    )
    expect(await other.rows('SELECT count(*) FROM brief')).toEqual([['0']])
    expect(await owner.rows('SELECT count(*), sum(length(body)) FROM wide')).toEqual([
      ['50', '800000'],
    ])
    await owner.query('BEGIN; INSERT INTO brief VALUES (1); INSERT INTO wide VALUES (51); ROLLBACK')
    expect(await owner.rows('SELECT count(*) FROM wide WHERE n > 50')).toEqual([['0']])
  })

  const gone: readonly (readonly [string, string])[] = [
    [
      'a commit with ON COMMIT DROP',
      'BEGIN; CREATE TEMP TABLE short (n int) ON COMMIT DROP; COMMIT',
    ],
    ['a rollback', 'BEGIN; CREATE TEMP TABLE short (n int); ROLLBACK'],
    ['an error', 'CREATE TEMP TABLE short (n int); SELECT 1/0'],
    ['DROP', 'CREATE TEMP TABLE short (n int); DROP TABLE short'],
    ['DISCARD', 'CREATE TEMP TABLE short (n int)'],
  ]
  test.each(gone)('are gone after %s, also for the session', async (_name, sql) => {
    await using session = lasting(alice)
    await session.query(sql)
    await outside('SELECT 1')
    if (sql.endsWith('int)')) await session.query('DROP TABLE short')
    expect(await session.rows(`SELECT to_regclass('short')`)).toEqual([[null]])
    await outside('SELECT 1')
    await session.query('CREATE TEMP TABLE short (other text)')
    await outside('SELECT 1')
    expect(await session.rows('SELECT * FROM short')).toEqual([])
  })

  test('of a unit without a session are dropped, whoever has some', async () => {
    await using session = lasting(alice)
    await session.query('CREATE TEMP TABLE kept AS SELECT 1 AS n')
    await outside('CREATE TEMP TABLE kept AS SELECT 2 AS n', alice)
    expect(await outside(names)).toEqual([['kept']])
    expect(await session.rows('SELECT n FROM kept')).toEqual([['1']])
  })
})

test('temporary objects of sessions that nobody ended are dropped at the next start', async () => {
  const folder = copyOfTemplate()
  try {
    {
      await using stopped = await openTestEngine({ folder })
      for (const table of ['one', 'two', 'three']) {
        const session = stopped.engine.openSession({ lasts: true })
        await session.run(unit(`CREATE TEMP TABLE ${table} (body text)`))
      }
    }
    await using started = await openTestEngine({ folder })
    const left = `SELECT nspname FROM pg_namespace WHERE nspname LIKE 'pg%temp\\_0\\_%'
      UNION ALL SELECT relname FROM pg_class WHERE relpersistence = 't'`
    expect(rowsOf(await started.engine.run(unit(left)))).toEqual([])
  } finally {
    rmSync(join(folder, '..'), { recursive: true, force: true })
  }
})

describe('sequences', () => {
  test('have a last value for each session', async () => {
    await opened.engine.run(
      unit('CREATE SEQUENCE attic.ticket; GRANT ALL ON SEQUENCE attic.ticket TO alice, bob'),
    )
    await using one = lasting(alice)
    await using two = lasting(bob)
    const take = `SELECT nextval('attic.ticket')`
    const last = `SELECT currval('attic.ticket'), lastval()`
    expect(await one.rows(take)).toEqual([['1']])
    expect(firstError(await two.run(extended(last)))?.sqlState).toBe('55000')
    expect(await two.rows(take)).toEqual([['2']])
    await outside(take)
    expect(await one.rows(last)).toEqual([['1', '1']])
    expect(await two.rows(last)).toEqual([['2', '2']])
    await two.query('DISCARD SEQUENCES')
    expect(await one.rows(last)).toEqual([['1', '1']])
    expect(firstError(await two.run(extended(last)))?.sqlState).toBe('55000')
  })
})

describe('names', () => {
  test('with the prefix of the session go with it, and no others', async () => {
    const session = lasting(alice, { namePrefix: 'kalam_1_' })
    await using other = lasting(alice, { namePrefix: 'kalam_2_' })
    for (const [{ query }, prefix] of [
      [session, 'kalam_1_'],
      [other, 'kalam_2_'],
    ] as const)
      await query(`PREPARE ${prefix}s AS SELECT 1; BEGIN;
        DECLARE ${prefix}c CURSOR WITH HOLD FOR SELECT 1; COMMIT`)
    const left = `SELECT name FROM pg_prepared_statements WHERE name LIKE 'kalam\\__\\_%'
      UNION ALL SELECT name FROM pg_cursors WHERE name LIKE 'kalam%' ORDER BY 1`
    expect((await outside(left, chief)).flat()).toEqual([
      'kalam_1_c',
      'kalam_1_s',
      'kalam_2_c',
      'kalam_2_s',
    ])
    await session.session.close()
    expect((await outside(left, chief)).flat()).toEqual(['kalam_2_c', 'kalam_2_s'])
  })
})

describe('a deadline', () => {
  test('tells the session at once, and takes back all it had', async () => {
    const told = new Promise((resolve) => {
      session = lasting(alice, { idleMs: 50, onExpired: resolve })
    })
    await session?.query(`CREATE TEMP TABLE late AS SELECT 1; SET app.who = 'me'`)
    await session?.query(`BEGIN; CREATE TABLE attic.late (n int)`)
    // For whoever waits.
    await outside('SELECT 1')
    expect(await told).toMatchObject({ code: 'TRANSACTION_TIMEOUT', sqlState: '25P03' })
    expect(
      await outside(`SELECT to_regclass('attic.late'), current_setting('app.who', true)`),
    ).toEqual([[null, '']])
    expect(await outside(`SELECT count(*) FROM pg_class WHERE relname = 'late'`)).toEqual([['0']])
    await expect(session?.query('SELECT 1')).rejects.toMatchObject({ sqlState: '25P03' })
    await session?.session.close()
  })
  let session: ReturnType<typeof lasting> | undefined
})

describe('notifications', () => {
  test('reach the engine, in order, from whoever commits them, and are in no reply', async () => {
    const { engine } = opened
    const heard: Notification[] = []
    const stop = engine.onNotification((notification) => heard.push(notification))
    await using listener = lasting(alice, { processId: 7 })
    await using sender = lasting(bob, { processId: 8 })
    await listener.query('LISTEN news')
    await engine.run(
      unit(`CREATE TABLE IF NOT EXISTS attic.told (n int);
      CREATE FUNCTION attic.tell() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_notify('news', 'row ' || new.n); RETURN new; END $$;
      CREATE TRIGGER tell AFTER INSERT ON attic.told FOR EACH ROW EXECUTE FUNCTION attic.tell();
      GRANT ALL ON attic.told TO bob`),
    )
    await sender.query(`BEGIN; NOTIFY news, 'one'; NOTIFY news, 'two'; NOTIFY other, 'x'`)
    expect(heard).toEqual([])
    const reply = await sender.query('COMMIT')
    expect(tagsOf(reply)).toBe('CZ')
    expect(heard.splice(0)).toEqual([
      { channel: 'news', payload: 'one', processId: 8 },
      { channel: 'news', payload: 'two', processId: 8 },
    ])
    await sender.query(`BEGIN; NOTIFY news, 'never'; ROLLBACK`)
    await outside('INSERT INTO attic.told VALUES (1), (2)')
    await listener.query(`NOTIFY news`)
    expect(heard.splice(0)).toEqual([
      { channel: 'news', payload: 'row 1', processId: 0 },
      { channel: 'news', payload: 'row 2', processId: 0 },
      { channel: 'news', payload: '', processId: 7 },
    ])
    // Another's end takes nobody's LISTEN away.
    const passing = opened.engine.openSession()
    await passing.run(unit('SELECT 1'))
    await passing.close()
    await sender.session.close()
    await outside(`SELECT pg_notify('news', 'still')`)
    expect(heard.splice(0)).toMatchObject([{ payload: 'still' }])
    await listener.query('UNLISTEN news')
    await outside(`SELECT pg_notify('news', 'too late')`)
    expect(heard).toEqual([])
    stop()
  })
})

describe('Flush', () => {
  const flush = Buffer.from([0x48, 0, 0, 0, 4])
  const bindMany = (sql: string) =>
    Buffer.concat([new MessageWriter().parse('', sql).bind('', []).finish(), flush])
  /** Execute of the unnamed portal, for so many rows. */
  const execute = (rows: number) => Buffer.from([0x45, 0, 0, 0, 9, 0, 0, 0, 0, rows])

  test('keeps the engine and the portal until Sync', async () => {
    await using session = lasting(alice)
    await using other = lasting(bob)
    await session.query(`SET app.who = 'me'`)
    expect(tagsOf(await session.run(bindMany('SELECT generate_series(1, 5)')))).toBe('12')
    expect([session.session.mustWait, other.session.mustWait]).toEqual([false, true])
    const stranger = other.rows(`SELECT 8, current_setting('app.who', true)`)
    const fetch = () => session.run(Buffer.concat([execute(2), flush]))
    expect(tagsOf(await fetch())).toBe('DDs')
    expect(tagsOf(await fetch())).toBe('DDs')
    expect(tagsOf(await fetch())).toBe('DC')
    expect(tagsOf(await session.run(syncMessage))).toBe('Z')
    expect(await stranger).toEqual([['8', '']])
    expect(other.session.mustWait).toBe(false)
    expect(await session.rows(show('app.who'))).toEqual([['me']])
  })

  test('skips to Sync after an error, over units', async () => {
    await using session = lasting(alice)
    const reply = await session.run(bindMany('SELECT nothing'))
    expect(tagsOf(reply)).toBe('E')
    expect(tagsOf(await session.run(Buffer.concat([execute(2), flush])))).toBe('')
    expect(tagsOf(await session.run(syncMessage))).toBe('Z')
    expect(await session.rows('SELECT 1')).toEqual([['1']])
  })

  test.each([
    ['a portal', 'CREATE TABLE attic.half ()'],
    ['an error', 'SELECT nothing'],
  ])('leaves nothing when the session closes after %s', async (_name, sql) => {
    const session = lasting(alice)
    await session.run(bindMany(sql))
    await session.run(Buffer.concat([execute(0), flush]))
    await session.session.close()
    expect(await outside(`SELECT to_regclass('attic.half')`)).toEqual([[null]])
  })
})

function tagsOf(reply: Uint8Array): string {
  let tags = ''
  for (let at = 0; at < reply.length; at += 1 + Buffer.from(reply).readInt32BE(at + 1))
    tags += String.fromCharCode(reply[at] ?? 0)
  return tags.replaceAll(/[SN]/g, '')
}
