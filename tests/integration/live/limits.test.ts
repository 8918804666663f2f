import { describe, expect, test } from 'vitest'
import { openLiveServer } from '../../support/live-server.js'
import { watch } from '../../support/live.js'

const table = `create namespace app; create table app.notes (id int primary key, n int, title text)`

describe('limits', () => {
  test('live.queries_max and live.queries_per_user_max, at their edge', async () => {
    await using live = await openLiveServer({
      settings: { 'live.queries_max': 3, 'live.queries_per_user_max': 2 },
    })
    await live.run(live.root, `${table}; grant select on app.notes to user`)
    const alice = await live.caller('alice')
    const bob = await live.caller('bob')
    const sql = 'select id from app.notes'
    const first = await live.watch(alice, sql)
    await live.watch(alice, sql)
    await expect(watch(live.database, alice, sql)).rejects.toMatchObject({ code: 'LIVE_LIMIT' })
    await live.watch(bob, sql)
    await expect(watch(live.database, bob, sql)).rejects.toMatchObject({ code: 'LIVE_LIMIT' })
    first.close()
    await live.watch(bob, sql)
  })

  test('live.result_bytes_max bounds what is kept of a re-evaluated query', async () => {
    await using live = await openLiveServer({ settings: { 'live.result_bytes_max': 4_096 } })
    await live.run(live.root, table)
    const rows = await live.watch(live.root, 'select id, title from app.notes order by id')
    await live.run(live.root, `insert into app.notes values (1, 1, repeat('x', 1000))`)
    await rows.until('one', () => rows.rows.length === 1)
    await live.run(live.root, `insert into app.notes values (2, 2, repeat('x', 5000))`)
    await rows.until('ended', () => rows.ended !== undefined)
    expect(rows.ended).toMatchObject({ code: 'RESULT_TOO_LARGE' })
  })

  test('D6: a large snapshot comes in pieces, and waits for its reader', async () => {
    await using live = await openLiveServer({ settings: { 'live.piece_bytes': 16_384 } })
    await live.run(live.root, table)
    await live.run(
      live.root,
      `insert into app.notes select g, g, 'title ' || g from generate_series(1, 20000) g`,
    )
    let asked = 0
    let open: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const rows = await watch(live.database, live.root, 'select id, n from app.notes', {
      writable: () => (asked++ === 2 ? gate : Promise.resolve()),
    })
    // While it waits the engine is free, and what changes is told after the rows.
    await live.run(
      live.root,
      'update app.notes set n = -1 where id = 20000; delete from app.notes where id = 1',
    )
    expect(rows.isReady).toBe(false)
    open()
    await rows.ready()
    await rows.until('both changes', () => rows.changes.length === 2)
    expect(rows.rows).toHaveLength(19_999)
    expect(rows.events.filter(({ kind }) => kind === 'rows').length).toBeGreaterThan(5)
    expect(rows.faults).toEqual([])
    const evaluated = await live.watch(live.root, 'select id, n from app.notes order by id')
    expect(evaluated.events.filter(({ kind }) => kind === 'rows').length).toBeGreaterThan(5)
    expect(evaluated.rows).toHaveLength(19_999)
  })

  test(
    'a transaction of 100,000 rows comes in bounded pieces; others go on',
    { timeout: 120_000 },
    async () => {
      await using live = await openLiveServer({
        settings: { 'live.held_changes_max': 2_000, 'engine.transaction_timeout_ms': 60_000 },
      })
      await live.run(live.root, `${table}; create table app.other (id int primary key)`)
      const followed = await live.watch(live.root, 'select id, n from app.notes where n % 2 = 0')
      const counted = await live.watch(live.root, 'select count(*) from app.notes')
      const other = await live.watch(live.root, 'select id from app.other')
      await live.run(
        live.root,
        'insert into app.notes select g, g from generate_series(1, 100000) g',
      )
      await live.run(live.root, 'insert into app.other values (1)')
      await other.until('1', () => other.rows.length === 1)
      await counted.until('all', () => counted.rows[0]?.[0] === '100000')
      await followed.until('half', () => followed.changes.length === 50_000)
      const largest = followed.events.flatMap((event) =>
        event.kind === 'changes' ? [event.count] : [],
      )
      expect(Math.max(...largest)).toBeLessThanOrEqual(1_000)
      expect(counted.changes.length).toBeLessThan(20)
    },
  )
})

describe('D9: what is live', () => {
  test('is listed, to admins all, to others their own; KILL ends', async () => {
    await using live = await openLiveServer()
    await live.run(live.root, `${table}; grant select on app.notes to user`)
    const alice = await live.caller('alice')
    const bob = await live.caller('bob')
    const sql = 'select id from app.notes'
    const ofAlice = await live.watch(alice, sql)
    const ofBob = await live.watch(bob, 'select count(*) from app.notes')
    await live.run(live.root, 'insert into app.notes values (1)')
    await ofAlice.until('1', () => ofAlice.rows.length === 1)
    const { rows } = await live.server.sql('SHOW LIVE QUERIES')
    expect(rows).toMatchObject([
      { user_name: 'alice', mode: 'follow', sql, delivered: '1' },
      { user_name: 'bob', mode: 'evaluated' },
    ])
    const list = async (caller: typeof alice) => {
      const own = await live.database.run(
        caller,
        {
          sql: 'select id from system.live_queries',
          parameters: { single: [], each: undefined },
          transaction: false,
        },
        new AbortController().signal,
      )
      return own.results[0]?.rowCount
    }
    expect(await list(bob)).toBe(1)
    const reading = 'BEGIN READ ONLY; SHOW LIVE QUERIES; SELECT 2 AS two; COMMIT'
    expect((await live.server.sql(reading)).results[2]?.rows).toEqual([{ two: 2 }])
    const [first, second] = rows.map(({ id }) => String(id))
    await expect(live.run(bob, `KILL LIVE QUERY '${first}'`)).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
    await live.run(live.root, `KILL LIVE QUERY '${first}'`)
    expect(ofAlice.ended).toMatchObject({ code: 'CANCELLED' })
    await live.run(bob, `kill live query '${second}'`)
    expect(ofBob.ended).toMatchObject({ code: 'CANCELLED' })
    expect((await live.server.sql('SHOW LIVE QUERIES')).rows).toEqual([])
  })
})
