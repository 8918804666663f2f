/** Sessions and leases: what the Postgres wire and transactions over HTTP rest on. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MessageWriter } from '#src/engine/frontend-messages.js'
import { openTestEngine, rowsOf, statusOf, unit, type TestEngine } from '../../support/engine.js'

let opened: TestEngine
beforeAll(async () => {
  opened = await openTestEngine({
    settings: {
      // Who tests a deadline asks for a short one; no slow machine meets the others.
      'engine.transaction_timeout_ms': 60_000,
      'engine.idle_transaction_timeout_ms': 60_000,
    },
  })
  await opened.engine.run(unit('CREATE TABLE counts (n int)'))
})
afterAll(() => opened[Symbol.asyncDispose]())

const rows = async (sql: string) => rowsOf(await opened.engine.run(unit(sql)))

describe('a session', () => {
  test('owns the engine while its transaction is open; others wait, then see it', async () => {
    const session = opened.engine.openSession()
    const order: string[] = []
    expect(statusOf(await session.run(unit('BEGIN; INSERT INTO counts VALUES (1)')))).toBe('T')
    const other = rows('SELECT count(*) FROM counts WHERE n = 1').then((found) => {
      order.push('other')
      return found
    })
    await session.run(unit('INSERT INTO counts VALUES (1)'))
    order.push('own')
    await session.run(unit('COMMIT'))
    expect(await other).toEqual([['2']])
    expect(order).toEqual(['own', 'other'])
    await session.close()
  })

  test('owns the engine from an extended message until Sync', async () => {
    const session = opened.engine.openSession()
    const parse = new MessageWriter().parse('', 'SELECT 7').finish()
    const flush = Buffer.concat([parse, Buffer.from([0x48, 0, 0, 0, 4])])
    await session.run({ ...unit(''), bytes: flush })
    // The unnamed statement is the backend's only one: a stranger's query in between would replace it.
    const stranger = rows('SELECT 8')
    const bytes = new MessageWriter().bind('', []).execute().sync().finish()
    expect(rowsOf(await session.run({ ...unit(''), bytes }))).toEqual([['7']])
    expect(await stranger).toEqual([['8']])
    await session.close()
  })

  test('keeps a failed transaction to itself until it is rolled back', async () => {
    const session = opened.engine.openSession()
    expect(statusOf(await session.run(unit('BEGIN; SELECT 1/0')))).toBe('E')
    const stranger = rows('SELECT 1')
    expect(statusOf(await session.run(unit('ROLLBACK')))).toBe('I')
    expect(await stranger).toEqual([['1']])
    await session.close()
  })

  test('rolls back what is open when it is closed', async () => {
    const session = opened.engine.openSession()
    await session.run(unit('BEGIN; INSERT INTO counts VALUES (99)'))
    await session.close()
    await session.close()
    expect(await rows('SELECT * FROM counts WHERE n = 99')).toEqual([])
  })

  test('that is closed runs nothing more', async () => {
    const session = opened.engine.openSession()
    await session.run(unit('SELECT 1'))
    await session.close()
    await expect(session.run(unit('SELECT 1'))).rejects.toMatchObject({ code: 'CANCELLED' })
  })

  test('leaves nothing behind: settings, tables, cursors, statements, locks, last values', async () => {
    const session = opened.engine.openSession()
    await session.hold(1_000)
    await session.run(
      unit(`CREATE TEMP TABLE mine (n serial); INSERT INTO mine DEFAULT VALUES;
            SET work_mem = '7MB'; SELECT set_config('app.who', 'me', false);
            PREPARE ask AS SELECT 1; DECLARE c CURSOR WITH HOLD FOR SELECT 1; LISTEN news;
            SELECT pg_advisory_lock(5)`),
    )
    await session.close()
    expect(await rows('SHOW work_mem')).toEqual([['4MB']])
    expect(
      await rows(`SELECT to_regclass('pg_temp.mine'), current_setting('app.who', true)`),
    ).toEqual([[null, '']])
    expect(await rows(`SELECT name FROM pg_prepared_statements WHERE name = 'ask'`)).toEqual([])
    expect(await rows(`SELECT name FROM pg_cursors WHERE name = 'c'`)).toEqual([])
    expect(await rows(`SELECT * FROM pg_listening_channels()`)).toEqual([])
    expect(await rows(`SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'`)).toEqual([['0']])
    await expect(rows('SELECT lastval()')).rejects.toMatchObject({ sqlState: '55000' })
  })

  test('begins without the last values of others', async () => {
    await opened.engine.run(unit('CREATE SEQUENCE numbers; SELECT nextval($$numbers$$)'))
    const session = opened.engine.openSession()
    await session.hold(1_000)
    const reply = await session.run(unit('SELECT lastval()'))
    expect(() => rowsOf(reply)).toThrow(/lastval is not yet defined/)
    await session.close()
  })
})

describe('a lease', () => {
  test('that is idle for too long is rolled back and says so', async () => {
    const session = opened.engine.openSession({ idleMs: 300 })
    await session.run(unit('BEGIN; INSERT INTO counts VALUES (77)'))
    expect(await rows('SELECT * FROM counts WHERE n = 77')).toEqual([])
    await expect(session.run(unit('COMMIT'))).rejects.toMatchObject({
      code: 'TRANSACTION_TIMEOUT',
      sqlState: '25P03',
    })
    await session.close()
  })

  test('that was taken back leaves nothing to whoever comes next', async () => {
    const session = opened.engine.openSession({ idleMs: 300 })
    await session.hold(1_000)
    await session.run(unit(`CREATE TEMP TABLE counts (n int); SET work_mem = '7MB'`))
    expect(await rows(`SELECT to_regclass('pg_temp.counts'), current_setting('work_mem')`)).toEqual(
      [[null, '4MB']],
    )
    await session.close()
  })

  test('that lasts too long is ended between statements and inside one', async () => {
    const session = opened.engine.openSession({ leaseMs: 600 })
    await session.run(unit('BEGIN'))
    const spin = unit('DO $$ BEGIN LOOP END LOOP; END $$')
    const spinning = session.run(spin)
    const waiting = rows('SELECT 1')
    await expect(spinning).rejects.toMatchObject({
      code: 'TRANSACTION_TIMEOUT',
      sqlState: '25P04',
    })
    await session.close()
    expect(await waiting).toEqual([['1']])
  })

  test('has its deadlines from when somebody waits, who is not of the background', async () => {
    const spin = (ms: number) =>
      unit(
        `DO $$ DECLARE start timestamptz := clock_timestamp(); BEGIN
           WHILE clock_timestamp() < start + interval '${ms} ms' LOOP END LOOP; END $$`,
      )
    for (const [options, sqlState] of [
      [{ leaseMs: 200 }, '25P04'],
      [{ idleMs: 200 }, '25P03'],
    ] as const) {
      let isOver = false
      const session = opened.engine.openSession({ ...options, onExpired: () => (isOver = true) })
      await session.run(unit('BEGIN'))
      const background = opened.engine.run(unit('SELECT 1', { waitMs: Infinity }))
      await session.run(spin(300))
      // That time passes is what this is about: there is no event to wait for.
      await new Promise((resolve) => setTimeout(resolve, 300))
      await session.run(unit('SELECT 1'))
      const askedAt = performance.now()
      const waiting = opened.engine.run(unit('SELECT 2')).then(() => performance.now() - askedAt)
      const waitedMs = await waiting
      expect(waitedMs).toBeGreaterThan(190)
      expect(isOver).toBe(true)
      await expect(session.run(unit('COMMIT'))).rejects.toMatchObject({ sqlState })
      await Promise.all([background, session.close()])
    }
  })

  test('ends though everybody who waits gives up before, and comes again', async () => {
    for (const [options, sqlState] of [
      [{ leaseMs: 500 }, '25P04'],
      [{ idleMs: 500 }, '25P03'],
    ] as const) {
      const session = opened.engine.openSession(options)
      await session.run(unit('BEGIN'))
      let isServed = false
      let gaveUp = 0
      const waiting = async () => {
        while (!isServed)
          await opened.engine.run(unit('SELECT 1', { waitMs: 100 })).then(
            () => (isServed = true),
            (error: unknown) => {
              expect(error).toMatchObject({ code: 'LEASE_TIMEOUT' })
              gaveUp += 1
            },
          )
      }
      const working = async () => {
        while ('leaseMs' in options) await session.run(unit('SELECT pg_sleep(0.01)'))
      }
      const [ended] = await Promise.allSettled([working(), waiting()])
      if (ended.status === 'rejected') expect(ended.reason).toMatchObject({ sqlState })
      else await expect(session.run(unit('COMMIT'))).rejects.toMatchObject({ sqlState })
      expect(gaveUp).toBeGreaterThan(1)
      await session.close()
    }
  })

  test('may take the time of a statement for the unit that ends it', async () => {
    const session = opened.engine.openSession({ leaseMs: 500 })
    await session.run(unit('BEGIN'))
    const spin = `DO $$ BEGIN WHILE clock_timestamp() < now() + interval '600ms' LOOP END LOOP; END $$`
    await session.run({ ...unit(`${spin}; COMMIT`), endsLease: true })
    await session.run(unit('BEGIN'))
    const ending = { ...unit(`${spin}; COMMIT`, { timeoutMs: 50 }), endsLease: true }
    await expect(session.run(ending)).rejects.toMatchObject({ code: 'STATEMENT_TIMEOUT' })
    await session.close()
  })

  test('is waited for no longer than the caller will', async () => {
    const session = opened.engine.openSession()
    await session.hold(1_000)
    await expect(opened.engine.run(unit('SELECT 1', { waitMs: 60 }))).rejects.toMatchObject({
      code: 'LEASE_TIMEOUT',
    })
    const second = opened.engine.openSession()
    await expect(second.hold(60)).rejects.toMatchObject({ code: 'LEASE_TIMEOUT' })
    await Promise.all([session.close(), second.close()])
    expect(await rows('SELECT 1')).toEqual([['1']])
  })

  test('that is waited for is let go of when the wait is cancelled or its session closed', async () => {
    const owner = opened.engine.openSession()
    await owner.hold(1_000)
    const cancelled = opened.engine.openSession()
    const closed = opened.engine.openSession()
    const waits = Promise.allSettled([cancelled.hold(60_000), closed.hold(60_000)])
    cancelled.cancel()
    await closed.close()
    const taken = { status: 'rejected', reason: { code: 'CANCELLED' } }
    expect(await waits).toMatchObject([taken, taken])
    expect(opened.engine.counters.pending).toBe(0)
    await Promise.all([owner.close(), cancelled.close()])
    expect(await rows('SELECT 1')).toEqual([['1']])
  })

  test('waits of a hundred sessions are served in the order they came', async () => {
    const order: number[] = []
    const sessions = Array.from({ length: 100 }, () =>
      opened.engine.openSession({ leavesState: false }),
    )
    await Promise.all(
      sessions.map(async (session, index) => {
        await session.run(unit('BEGIN', { waitMs: 60_000 }))
        order.push(index)
        await session.run(unit('COMMIT'))
        await session.close()
      }),
    )
    expect(order).toEqual([...order].sort((a, b) => a - b))
  })
})

test('a unit without a session may not leave a transaction open', async () => {
  await expect(
    opened.engine.run(unit('BEGIN; INSERT INTO counts VALUES (55)')),
  ).rejects.toMatchObject({
    message: expect.stringContaining('leave a transaction open') as string,
  })
  expect(await rows('SELECT * FROM counts WHERE n = 55')).toEqual([])
})
