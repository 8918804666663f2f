import { cpSync, existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { copyOfTemplate } from '../../support/engine.js'
import { openLiveServer, type LiveServer } from '../../support/live-server.js'
import { watch } from '../../support/live.js'

const table = `create namespace app; create table app.notes (id int primary key, n int)`
const sql = 'select id, n from app.notes where n > 0'
const resets = (rows: { events: readonly { kind: string }[] }) =>
  rows.events.flatMap((event) => ('reason' in event ? [event.reason] : []))

describe('D5: from a cursor', () => {
  let live: LiveServer

  beforeAll(async () => {
    live = await openLiveServer()
    await live.run(live.root, table)
  })
  afterAll(() => live.close())

  test('a followed query gets every change since, and no rows', async () => {
    const { root, database } = live
    await live.run(root, 'insert into app.notes values (1, 1), (2, 2)')
    const first = await live.watch(root, sql)
    await live.run(root, 'insert into app.notes values (3, 3)')
    await first.until('3', () => first.rows.length === 3)
    first.close()
    await live.run(
      root,
      `insert into app.notes values (4, 4); update app.notes set n = 0 where id = 1;
       update app.notes set n = 22 where id = 2; delete from app.notes where id = 3`,
    )
    const from = first.cursor ?? ''
    const again = await watch(database, root, sql, { from }, first)
    await again.until('all four', () => again.changes.length === 4)
    expect(again.events[0]).toMatchObject({ kind: 'subscribed', resumed: true })
    expect(again.events.some(({ kind }) => kind === 'rows' || kind === 'ready')).toBe(false)
    expect(again.changes).toEqual([
      ['i', [4], [4, 4]],
      ['d', [1]],
      ['u', [2], [2, 22]],
      ['d', [3]],
    ])
    await live.run(root, 'insert into app.notes values (5, 5)')
    await again.until('5', () => again.changes.length === 5)
    expect(again.faults).toEqual([])
    again.close()
  })

  test('1,000 missed changes come in order, each once', async () => {
    const { root, database } = live
    await live.run(root, 'delete from app.notes')
    const first = await live.watch(root, sql)
    first.close()
    await live.run(root, 'insert into app.notes select g, g from generate_series(1, 1000) g')
    const again = await watch(database, root, sql, { from: first.cursor ?? '' }, first)
    await again.until('1,000', () => again.changes.length >= 1000)
    expect(again.rows.map(([id]) => id)).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1))
    expect(again.faults).toEqual([])
    again.close()
  })

  test('an evaluated query begins anew, and says so', async () => {
    const { root, database } = live
    const counting = 'select count(*) from app.notes'
    const first = await live.watch(root, counting)
    first.close()
    const again = await watch(database, root, counting, { from: first.cursor ?? '' }, first)
    await again.ready()
    expect(resets(again)).toEqual(['EVALUATED'])
    again.close()
  })

  test('of another log, or of the future: CURSOR_FOREIGN and the rows', async () => {
    const { root, database } = live
    const [incarnation = '', sequence = ''] = (await live.watch(root, sql)).cursor?.split('.') ?? []
    for (const from of [`${'0'.repeat(32)}.${sequence}`, `${incarnation}.00000000ffffffff`]) {
      const again = await watch(database, root, sql, { from })
      await again.ready()
      expect(resets(again)).toEqual(['CURSOR_FOREIGN'])
      expect(again.rows.length).toBeGreaterThan(0)
      again.close()
    }
  })

  test('that is none: BAD_REQUEST', async () => {
    await expect(watch(live.database, live.root, sql, { from: 'yesterday' })).rejects.toMatchObject(
      { code: 'BAD_REQUEST' },
    )
  })

  test('that retention has passed: CURSOR_EXPIRED and the rows', async () => {
    await using small = await openLiveServer({
      settings: { 'changes.retention_bytes': 65_536, 'engine.upkeep_interval_ms': 100 },
    })
    const { root, database } = small
    await small.run(root, table)
    const first = await small.watch(root, sql)
    first.close()
    await small.run(root, 'insert into app.notes select g, g from generate_series(1, 2000) g')
    const comeBack = async (): Promise<string> => {
      const again = await watch(database, root, sql, { from: first.cursor ?? '' })
      await again.until('rows', () => again.rows.length === 2000)
      again.close()
      return resets(again).join()
    }
    await expect.poll(comeBack, { timeout: 20_000 }).toBe('CURSOR_EXPIRED')
  })

  test('of before the table had this shape: SCHEMA_CHANGED and the rows', async () => {
    const { root, database } = live
    const first = await live.watch(root, sql)
    first.close()
    await live.run(root, 'alter table app.notes add column extra text')
    const again = await watch(database, root, sql, { from: first.cursor ?? '' })
    await again.ready()
    expect(resets(again)).toEqual(['SCHEMA_CHANGED'])
    again.close()
  })

  test('from_id: of the first rows only those with a greater key', async () => {
    const { root } = live
    await live.run(
      root,
      'delete from app.notes; insert into app.notes values (1, 1), (2, 2), (3, 3)',
    )
    const rows = await live.watch(root, sql, { fromId: '1' })
    expect(rows.rows).toEqual([
      [2, 2],
      [3, 3],
    ])
    rows.close()
    const keyless = watch(live.database, root, 'select n from app.notes', { fromId: '1' })
    await expect(keyless).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  })
})

describe('D5: across restarts', () => {
  test('of the engine: open queries go on, nothing lost, nothing twice', async () => {
    const home = copyOfTemplate()
    const disk = new URL('../../support/disks/faulty.mjs', import.meta.url)
    const fault = join(home, '..', 'fault')
    disk.searchParams.set('switch', fault)
    await using live = await openLiveServer({ folder: home, diskModule: disk.href })
    const { root } = live
    await live.run(root, table)
    const followed = await live.watch(root, sql)
    const counted = await live.watch(root, 'select count(*) from app.notes')
    let written = 0
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 20; n++)
        await live
          .run(root, `insert into app.notes values (${written + 1}, 1)`)
          .then(() => written++)
      writeFileSync(fault, 'wal-sync EIO')
      await live
        .run(root, `insert into app.notes values (${1000 + round}, 1)`)
        .catch(() => undefined)
      rmSync(fault)
      await expect
        .poll(
          () =>
            live.run(root, 'select 1').then(
              () => 'up',
              () => 'down',
            ),
          { timeout: 20_000 },
        )
        .toBe('up')
    }
    await live.run(root, 'insert into app.notes values (5000, 1)')
    await followed.until('the last', () => followed.rows.some(([id]) => id === 5000))
    const fresh = await live.watch(root, sql)
    expect(followed.sorted()).toEqual(fresh.sorted())
    await counted.until('all', () => counted.rows[0]?.[0] === String(fresh.rows.length))
    expect(followed.faults).toEqual([])
    expect(counted.faults).toEqual([])
  })

  test('of the server: a cursor goes on where it was', async () => {
    const folder = copyOfTemplate()
    const before = await openLiveServer({ folder })
    await before.run(before.root, table)
    const first = await before.watch(before.root, sql)
    await before.run(before.root, 'insert into app.notes values (1, 1)')
    await first.until('1', () => first.rows.length === 1)
    await before.close()
    expect(first.ended).toMatchObject({ code: 'UNAVAILABLE' })
    await using after = await openLiveServer({ folder })
    await after.run(after.root, 'insert into app.notes values (2, 2)')
    const again = await watch(after.database, after.root, sql, { from: first.cursor ?? '' }, first)
    await again.until('2', () => again.changes.length === 1)
    expect(again.sorted()).toEqual(['[1,1]', '[2,2]'])
    rmSync(join(folder, '..'), { recursive: true, force: true })
  })
})

describe('D5: with durability = os', () => {
  const settings = { 'engine.durability': 'os' }
  let folder: string
  /** The disk as it was before the last writes. */
  let disk: string
  /** As it is when the process is killed: the system still has all that was written. */
  let killed: string
  let cursor: string

  beforeAll(async () => {
    folder = copyOfTemplate()
    disk = join(folder, '..', 'disk')
    killed = join(folder, '..', 'killed')
    const before = await openLiveServer({ folder, settings })
    await before.run(before.root, table)
    await before.run(before.root, 'insert into app.notes values (1, 1)')
    await before.close()
    expect(existsSync(join(folder, 'kalam.unsynced'))).toBe(false)
    cpSync(folder, disk, { recursive: true })
    const running = await openLiveServer({ folder, settings })
    // It is written, and synced, before anything that is not.
    cpSync(join(folder, 'kalam.unsynced'), join(disk, 'kalam.unsynced'))
    await running.run(running.root, 'insert into app.notes values (2, 2), (3, 3)')
    cursor = (await running.watch(running.root, sql)).cursor ?? ''
    cpSync(folder, killed, { recursive: true, filter: (file) => !file.endsWith('kalam.lock') })
    await running.close()
  })
  afterAll(() => rmSync(join(folder, '..'), { recursive: true, force: true }))

  /** Begins on what is on the disk, writes what was not there before, and comes back with the cursor. */
  const comeBack = async (durability: 'os' | 'fsync') => {
    await using live = await openLiveServer({
      folder: disk,
      settings: { 'engine.durability': durability },
    })
    const others = 'insert into app.notes values (11, 11), (12, 12), (13, 13), (14, 14)'
    await live.run(live.root, `delete from app.notes where id > 1; ${others}`)
    const rows = await watch(live.database, live.root, sql, { from: cursor }, { rows: [] })
    await rows.until('reset', () => resets(rows).length > 0 && rows.isReady)
    return { reasons: resets(rows), rows: rows.sorted() }
  }

  test.each(['os', 'fsync'] as const)(
    'a power cut that took writes makes every cursor foreign (then: %s)',
    async (durability) => {
      writeFileSync(join(disk, 'kalam.unsynced'), 'another boot')
      expect(await comeBack(durability)).toEqual({
        reasons: ['CURSOR_FOREIGN'],
        rows: ['[1,1]', '[11,11]', '[12,12]', '[13,13]', '[14,14]'],
      })
      expect(existsSync(join(disk, 'kalam.unsynced'))).toBe(false)
    },
  )

  test('an end of the process alone leaves them good', async () => {
    await using live = await openLiveServer({ folder: killed, settings })
    await live.run(live.root, 'insert into app.notes values (4, 4)')
    const rows = await watch(live.database, live.root, sql, { from: cursor }, { rows: [] })
    await rows.until('4', () => rows.changes.length === 1)
    expect(rows.changes).toEqual([['i', [4], [4, 4]]])
    expect(resets(rows)).toEqual([])
  })
})
