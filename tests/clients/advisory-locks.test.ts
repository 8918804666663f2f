/** I3: advisory locks are between sessions, as migration tools use them. */
import type { Socket } from 'node:net'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { copyOut } from '../support/copy-client.js'
import { openWireServer, type WireLogin, type WireServer } from '../support/wire-server.js'

let server: WireServer
const open: Client[] = []
beforeAll(async () => {
  server = await openWireServer()
})
afterEach(() => Promise.all(open.splice(0).map((client) => client.end())))
afterAll(() => server.close())

const connect = async (login: WireLogin = server): Promise<Client> => {
  const { host, port, user, password, database } = login
  const client = new Client({ host, port, user, password, database })
  await client.connect()
  open.push(client)
  return client
}
const ask = async (client: Client, call: string): Promise<unknown> => {
  const { rows } = await client.query<unknown[]>({ text: `SELECT ${call}`, rowMode: 'array' })
  return rows[0]?.[0]
}

test('one session has a lock until it gives it back as often as it took it', async () => {
  const [a, b] = [await connect(), await connect()]
  expect(await ask(a, 'pg_try_advisory_lock(7)')).toBe(true)
  expect(await ask(a, 'pg_try_advisory_lock(7)')).toBe(true)
  expect(await ask(b, 'pg_try_advisory_lock(7)')).toBe(false)
  expect(await ask(b, 'pg_try_advisory_lock(7, 7)')).toBe(true)
  expect(await ask(a, 'pg_advisory_unlock(7)')).toBe(true)
  expect(await ask(b, 'pg_try_advisory_lock(7)')).toBe(false)
  expect(await ask(a, 'pg_advisory_unlock(7)')).toBe(true)
  expect(await ask(a, 'pg_advisory_unlock(7)')).toBe(false)
  expect(await ask(b, 'pg_try_advisory_lock(7)')).toBe(true)
})

test('shared ones are for many, and keep out who wants it alone', async () => {
  const [a, b] = [await connect(), await connect()]
  expect(await ask(a, 'pg_try_advisory_lock_shared(8)')).toBe(true)
  expect(await ask(b, 'pg_try_advisory_lock_shared(8)')).toBe(true)
  expect(await ask(b, 'pg_try_advisory_lock(8)')).toBe(false)
  await ask(a, 'pg_advisory_unlock_shared(8)')
  expect(await ask(b, 'pg_try_advisory_lock(8)')).toBe(true)
})

test('those of a transaction end with it; a rollback keeps those of the session', async () => {
  const [a, b] = [await connect(), await connect()]
  await a.query('BEGIN')
  expect(await ask(a, 'pg_try_advisory_xact_lock(9)')).toBe(true)
  await ask(a, 'pg_advisory_lock(10)')
  await a.query('ROLLBACK')
  expect(await ask(b, 'pg_try_advisory_lock(9)')).toBe(true)
  expect(await ask(b, 'pg_try_advisory_lock(10)')).toBe(false)
})

test('they end with their session, and with DISCARD ALL; others keep theirs', async () => {
  const [a, b, c] = [await connect(), await connect(), await connect()]
  await ask(a, 'pg_advisory_lock(11)')
  await ask(c, 'pg_advisory_lock(12)')
  await a.query('DISCARD ALL')
  expect(await ask(b, 'pg_try_advisory_lock(11)')).toBe(true)
  expect(await ask(b, 'pg_try_advisory_lock(12)')).toBe(false)
  await open.pop()?.end()
  await expect.poll(() => ask(b, 'pg_try_advisory_lock(12)')).toBe(true)
})

test('a user holds up nobody but themselves, and speaks for no other session', async () => {
  const alice = await server.createUser('alice')
  const [root, mine, other] = [await connect(), await connect(alice), await connect(alice)]
  expect(await ask(mine, 'pg_try_advisory_lock(13)')).toBe(true)
  expect(await ask(other, 'pg_try_advisory_lock(13)')).toBe(false)
  expect(await ask(root, 'pg_try_advisory_lock(13)')).toBe(true)
  const { rows } = await server.server.sql('SELECT pg_try_advisory_lock(13) AS got', {
    key: alice.password,
  })
  expect(rows).toEqual([{ got: false }])
  for (const schema of ['kalam', 'postgres.kalam', '"postgres" . "kalam"'])
    await expect(ask(other, `${schema}.pg_advisory_unlock(1, 13)`)).rejects.toMatchObject({
      message: expect.stringContaining('belong to the system') as string,
    })
})

describe('a lock that another session has', () => {
  const connections = () => Promise.all([connect(), connect(), connect(), connect()])
  /** Until so many wait for any lock. */
  const untilWaiting = async (count: number): Promise<void> => {
    const text = `SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`
    const waiting = async () => (await server.rows(text)).length
    await expect.poll(waiting, { interval: 5 }).toBe(count)
  }
  const rejected = async (outcome: Promise<unknown>): Promise<unknown> =>
    outcome.then(
      () => 'no error',
      (error: unknown) => (error as { readonly code?: string }).code,
    )

  test('is waited for, and given out in the order of asking', async () => {
    const [a, b, c, d] = await connections()
    await ask(a, 'pg_advisory_lock(21)')
    const order: string[] = []
    const asked = async (client: Client, name: string) => {
      await client.query({ name: 'lock', text: 'SELECT pg_advisory_lock($1)', values: [21] })
      order.push(name)
    }
    const first = asked(b, 'b')
    await untilWaiting(1)
    const second = asked(c, 'c')
    await untilWaiting(2)
    await ask(a, 'pg_advisory_unlock(21)')
    await first
    await ask(b, 'pg_advisory_unlock(21)')
    // Who tries does not get in between.
    expect(await ask(d, 'pg_try_advisory_lock(21)')).toBe(false)
    await second
    expect(order).toEqual(['b', 'c'])
    await untilWaiting(0)
    expect(await ask(c, 'pg_advisory_unlock(21)')).toBe(true)
    expect(await ask(c, 'pg_advisory_unlock(21)')).toBe(false)
  })

  test('is shared by all who wait for it so', async () => {
    const [a, b, c] = await connections()
    await a.query('BEGIN')
    await ask(a, 'pg_advisory_xact_lock(22)')
    const both = [ask(b, 'pg_advisory_lock_shared(22)'), ask(c, 'pg_advisory_lock_shared(22)')]
    await a.query('COMMIT')
    await Promise.all(both)
    expect(await ask(a, 'pg_try_advisory_lock(22)')).toBe(false)
  })

  test('is waited for by a transaction that has done nothing yet', async () => {
    const [a, b, c] = await connections()
    await ask(a, 'pg_advisory_lock(23)')
    await b.query('BEGIN ISOLATION LEVEL SERIALIZABLE')
    await b.query(`SET LOCAL work_mem = '7MB'`)
    const first = b.query('SELECT pg_advisory_xact_lock($1)', [23])
    // As pg-boss does.
    const whole = c.query(`BEGIN; SET LOCAL work_mem = '8MB'; SELECT pg_advisory_xact_lock(23);
      CREATE TABLE made AS SELECT current_setting('work_mem') AS memory; COMMIT`)
    await untilWaiting(2)
    await ask(a, 'pg_advisory_unlock(23)')
    await first
    expect(await ask(b, `current_setting('work_mem')`)).toBe('7MB')
    expect(await ask(b, `current_setting('transaction_isolation')`)).toBe('serializable')
    await b.query('COMMIT')
    await whole
    expect(await ask(b, 'memory FROM made')).toBe('8MB')
    expect(await ask(a, 'pg_try_advisory_lock(23)')).toBe(true)
  })

  test('is an error at once to a transaction that has done something', async () => {
    const [a, b] = await connections()
    await ask(a, 'pg_advisory_lock(24)')
    await b.query('BEGIN')
    await ask(b, 'txid_current()')
    await expect(ask(b, 'pg_advisory_lock(24)')).rejects.toMatchObject({
      code: '55P03',
      detail: 'It cannot give it back while this transaction has the engine.',
      constraint: undefined,
    })
    expect(await rejected(ask(b, '1'))).toBe('25P02')
    await b.query('ROLLBACK')
  })

  test('among several of one statement leaves none counted twice', async () => {
    const [a, b] = await connections()
    await ask(a, 'pg_advisory_lock(26)')
    const several = ask(b, 'pg_advisory_lock(25), pg_advisory_lock_shared(26)')
    await untilWaiting(1)
    expect(await ask(a, 'pg_try_advisory_lock(25)')).toBe(true)
    await ask(a, 'pg_advisory_unlock_all()')
    await several
    expect(await ask(b, 'pg_advisory_unlock(25)')).toBe(true)
    expect(await ask(b, 'pg_advisory_unlock(25)')).toBe(false)
    expect(await ask(b, 'pg_advisory_unlock_shared(26)')).toBe(true)
  })

  test('that waits for one of ours is a deadlock', async () => {
    const [a, b, c] = await connections()
    await ask(a, 'pg_advisory_lock(31)')
    await ask(b, 'pg_advisory_lock(32)')
    await ask(c, 'pg_advisory_lock(33)')
    const first = ask(a, 'pg_advisory_lock(32)')
    await untilWaiting(1)
    const second = ask(b, 'pg_advisory_lock_shared(33)')
    await untilWaiting(2)
    expect(await rejected(ask(c, 'pg_advisory_lock(31)'))).toBe('40P01')
    await ask(c, 'pg_advisory_unlock_all()')
    await second
    await ask(b, 'pg_advisory_unlock_all()')
    await first
  })

  test.each([
    { name: 'lock_timeout', code: '55P03', setting: 'lock_timeout = 250' },
    { name: 'statement_timeout', code: '57014', setting: 'statement_timeout = 250' },
  ])('is waited for no longer than $name', async ({ code, setting }) => {
    const [a, b] = await connections()
    await ask(a, 'pg_advisory_lock(27)')
    await b.query(`SET ${setting}`)
    expect(await rejected(ask(b, 'pg_advisory_lock(27)'))).toBe(code)
    // It is rolled back for the wait, which is not for the client to see.
    for (const begin of ['BEGIN', 'BEGIN; SELECT pg_advisory_lock(27)']) {
      await b.query(begin).catch(() => undefined)
      if (begin === 'BEGIN') expect(await rejected(ask(b, 'pg_advisory_lock(27)'))).toBe(code)
      expect(await rejected(ask(b, '1'))).toBe('25P02')
      await b.query('ROLLBACK')
    }
    await untilWaiting(0)
    await ask(a, 'pg_advisory_unlock(27)')
    expect(await ask(b, 'pg_advisory_lock(27)')).toBe('')
  })

  test('is given back at the end of a session that was never told of it', async () => {
    const [a, b] = await connections()
    await b.query('SET statement_timeout = 50')
    const tooLong = `pg_advisory_lock(30), (SELECT count(*) FROM generate_series(1, 100000000))`
    expect(await rejected(ask(b, tooLong))).toBe('57014')
    expect(await ask(a, 'pg_try_advisory_lock(30)')).toBe(false)
    const waiting = ask(a, 'pg_advisory_lock(30)')
    await untilWaiting(1)
    await b.end()
    expect(await waiting).toBe('')
  })

  test('is waited for until a cancel, or until the client has gone', async () => {
    const [a, b] = await connections()
    await ask(a, 'pg_advisory_lock(28)')
    const cancelled = rejected(ask(b, 'pg_advisory_lock(28)'))
    await untilWaiting(1)
    const pid = await ask(a, `pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`)
    expect(pid).toBe((b as unknown as { processID: number }).processID)
    cancel(b)
    expect(await cancelled).toBe('57014')
    const gone = rejected(ask(b, 'pg_advisory_lock(28)'))
    await untilWaiting(1)
    b.on('error', () => undefined)
    streamOf(b).destroy()
    await gone
    await untilWaiting(0)
  })

  test('is waited for by a function that asks for it, and by HTTP', async () => {
    const [a, b] = await connections()
    await server.sql(`CREATE FUNCTION guarded() RETURNS int LANGUAGE plpgsql AS $$
      BEGIN PERFORM pg_advisory_xact_lock(29); RETURN 1; END $$`)
    await ask(a, 'pg_advisory_lock(29)')
    const outcomes = [
      ask(b, 'guarded()'),
      server.server.sql('SELECT guarded()'),
      server.server.sql('SELECT pg_advisory_xact_lock($1)', { params: ['29'] }),
      server.server.sql('SELECT 1; SELECT guarded()', { transaction: true }),
    ]
    // All over HTTP are one session.
    await untilWaiting(2)
    expect(await server.server.request('SELECT 1; SELECT guarded()')).toMatchObject({
      body: { error: { sqlstate: '55P03', statement: 1 } },
    })
    await ask(a, 'pg_advisory_unlock(29)')
    await Promise.all(outcomes)
    // What a request takes for its session ends with it.
    await server.server.sql('SELECT pg_advisory_lock(29)')
    expect(await ask(a, 'pg_try_advisory_lock(29)')).toBe(true)
  })

  test('is waited for by a block of code that commits nothing, and by COPY', async () => {
    const [a, b, c, d] = await connections()
    await a.query('CREATE TABLE coded (n int)')
    const block = (rest: string) => `DO $$BEGIN INSERT INTO coded VALUES (1)
      ON CONFLICT DO NOTHING; PERFORM pg_advisory_xact_lock(31); ${rest} END$$`
    await ask(a, 'pg_advisory_lock(31)')
    const outcomes = [
      b.query(block('')),
      c.query(
        "BEGIN; SET LOCAL jit = off; DO $$BEGIN EXECUTE 'SELECT pg_advisory_xact_lock(31)'; END$$; COMMIT",
      ),
      d.query('COPY (SELECT pg_advisory_xact_lock(31)) TO STDOUT'),
      server.server.sql(block('')),
      copyOut(server.server, 'COPY (SELECT 7, pg_advisory_xact_lock(31)) TO STDOUT'),
    ]
    await untilWaiting(4)
    expect(await ask(a, 'pg_advisory_unlock(31)')).toBe(true)
    expect((await Promise.all(outcomes)).at(-1)).toMatchObject({ text: '7\t\n' })
    expect(await ask(a, 'count(*)::int FROM coded')).toBe(2)
  })

  test('is an error at once to what may have committed something', async () => {
    const [a, b] = await connections()
    await ask(a, 'pg_advisory_lock(32)')
    await a.query(`CREATE PROCEDURE locks() LANGUAGE plpgsql
      AS $$BEGIN PERFORM pg_advisory_xact_lock(32); END$$`)
    await a.query(`CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$BEGIN COMMIT; END$$;
      CREATE FUNCTION calls() RETURNS void LANGUAGE plpgsql AS $$BEGIN CALL commits(); END$$`)
    // On this rests what is known of the text of DO.
    for (const sql of [
      `EXECUTE 'CALL commits()'`,
      `EXECUTE 'DO ''BEGIN COMMIT; END'''`,
      'PERFORM calls()',
    ])
      expect(await rejected(b.query(`DO $$BEGIN ${sql}; END$$`))).toBe('2D000')
    for (const sql of ['CALL locks()', 'DO $$BEGIN CALL locks(); END$$'])
      expect(await rejected(b.query(sql))).toBe('55P03')
    const calls = b.query('BEGIN; CALL locks(); COMMIT')
    await untilWaiting(1)
    await ask(a, 'pg_advisory_unlock(32)')
    await calls
  })

  test('is nobody else’s, however many want it', async () => {
    const clients = [...(await connections()), ...(await connections())]
    const inside = { count: 0, max: 0 }
    const work = async (client: Client, index: number) => {
      const isOfTransaction = index % 2 === 0
      for (let round = 0; round < 20; round++) {
        if (isOfTransaction) await client.query('BEGIN')
        await ask(client, `pg_advisory_${isOfTransaction ? 'xact_' : ''}lock(34)`)
        inside.max = Math.max(inside.max, ++inside.count)
        await ask(client, '1')
        inside.count -= 1
        if (isOfTransaction) await client.query('COMMIT')
        else await ask(client, 'pg_advisory_unlock(34)')
      }
    }
    await Promise.all(clients.map(work))
    expect(inside.max).toBe(1)
    expect(await server.rows(`SELECT FROM pg_locks WHERE locktype = 'advisory'`)).toEqual([])
  })

  test('is one of no more than a session may have', async () => {
    const [a] = await connections()
    const take = (count: number) =>
      ask(a, `count(pg_advisory_lock(g)) FROM generate_series(1, ${count}) g`)
    expect(await take(1000)).toBe('1000')
    // One that it has counts no more.
    expect(await ask(a, 'pg_try_advisory_lock(1000)')).toBe(true)
    expect(await rejected(ask(a, 'pg_try_advisory_lock(1001)'))).toBe('53400')
  })
})

function streamOf(client: Client): Socket {
  return (client as unknown as { connection: { stream: Socket } }).connection.stream
}

function cancel(client: Client): void {
  const { host, port } = server
  // Neither is in the types.
  const canceller = new Client({ host, port }) as unknown as {
    cancel(client: Client, query: unknown): void
  }
  const { activeQuery } = client as unknown as { readonly activeQuery?: unknown }
  canceller.cancel(client, activeQuery ?? undefined)
}
