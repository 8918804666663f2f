import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Caller } from '#src/database/database.js'
import { openLiveServer, type LiveServer } from '../../support/live-server.js'

let live: LiveServer
let root: Caller

beforeAll(async () => {
  live = await openLiveServer()
  root = live.root
  await live.run(
    root,
    `create namespace app;
     create table app.plain (id int primary key, title text, n int);
     create shared table app.shared (id int primary key, title text, n int);
     create user table app.own (id int primary key, title text, n int);
     create shared table app.parents (id int primary key);
     create shared table app.children (id int primary key, parent int references app.parents on delete cascade);
     create table app.keyless (a int, b text);
     create stream table app.beats (id int primary key, n int) ttl '1 hour';`,
  )
})
afterAll(() => live.close())

describe.each(['plain', 'shared', 'own'])('D2: a query of one table (%s)', (table) => {
  beforeEach(() => live.run(root, `delete from app.${table}`))

  test('D4: tells each insert, update, delete once; rows enter and leave', async () => {
    const rows = await live.watch(root, `select id, title, n from app.${table} where n > 3`)
    expect(rows.mode).toBe('follow')
    await live.run(
      root,
      `insert into app.${table} values (1, 'a', 1), (2, 'b', 5);
       update app.${table} set n = 9 where id = 1;
       delete from app.${table} where id = 2;
       update app.${table} set title = 'x' where id = 1;
       update app.${table} set n = 0 where id = 1`,
    )
    await rows.until('the last leaves', () => rows.changes.length === 5)
    expect(rows.changes).toEqual([
      ['i', [2], [2, 'b', 5]],
      ['i', [1], [1, 'a', 9]],
      ['d', [2]],
      ['u', [1], [1, 'x', 9]],
      ['d', [1]],
    ])
    expect(rows.faults).toEqual([])
    rows.close()
  })

  test('decides in PostgreSQL what only PostgreSQL can', async () => {
    const sql = `select *, upper(title) as loud from app.${table} t where t.n * 2 > $1`
    const rows = await live.watch(root, sql, { params: ['8'] })
    expect(rows.mode).toBe('follow')
    await live.run(root, `insert into app.${table} values (1, 'a', 1), (2, 'b', 5)`)
    await rows.until('one row', () => rows.rows.length === 1)
    expect(rows.rows[0]?.at(-1)).toBe('B')
    await live.run(root, `update app.${table} set n = 0`)
    await rows.until('no row', () => rows.rows.length === 0)
    expect(rows.changes).toHaveLength(2)
    rows.close()
  })

  test('a change of the key is a delete and an insert', async () => {
    await live.run(root, `insert into app.${table} values (1, 'a', 1)`)
    const rows = await live.watch(root, `select id, n from app.${table}`)
    await live.run(root, `update app.${table} set id = 2`)
    await rows.until('two changes', () => rows.changes.length === 2)
    expect(rows.changes).toEqual([
      ['d', [1]],
      ['i', [2], [2, 1]],
    ])
    rows.close()
  })

  test('rows without their key are told apart by their values', async () => {
    const rows = await live.watch(root, `select title from app.${table}`)
    await live.run(root, `insert into app.${table} values (1, 'a', 1), (2, 'a', 2)`)
    await live.run(root, `update app.${table} set title = 'b' where id = 1`)
    await rows.until('three changes', () => rows.changes.length === 3)
    expect(rows.changes.at(-1)).toEqual(['u', ['a'], ['b']])
    expect(rows.sorted()).toEqual(['["a"]', '["b"]'])
    rows.close()
  })

  test('an aggregate is evaluated again', async () => {
    const rows = await live.watch(root, `select count(*), sum(n) from app.${table}`)
    expect(rows.mode).toBe('evaluated')
    await live.run(root, `insert into app.${table} values (1, 'a', 1), (2, 'b', 5)`)
    await rows.until('two', () => rows.rows[0]?.[0] === '2')
    expect(rows.rows).toEqual([['2', '6']])
    rows.close()
  })

  test('ORDER BY … LIMIT keeps its window, and tells places', async () => {
    const sql = `select id, n from app.${table} order by n desc, id limit 2`
    const rows = await live.watch(root, sql)
    await live.run(root, `insert into app.${table} values (1, '', 1), (2, '', 2), (3, '', 3)`)
    await rows.until('two rows', () => rows.rows.length === 2)
    await live.run(root, `update app.${table} set n = 9 where id = 1`)
    await rows.until('1 on top', () => rows.rows[0]?.[0] === 1)
    expect(rows.rows).toEqual([
      [1, 9],
      [3, 3],
    ])
    await live.run(root, `delete from app.${table} where id = 1`)
    await rows.until('refilled', () => rows.rows[1]?.[0] === 2)
    rows.close()
  })
})

describe('D7: whatever wrote it', () => {
  test('a rollback sends nothing, nor does a statement that fails', async () => {
    const rows = await live.watch(root, 'select id from app.plain')
    await live.run(root, `begin; insert into app.plain values (50, '', 0); rollback`)
    await expect(
      live.run(root, `insert into app.plain values (51, '', 0), (51, '', 0)`),
    ).rejects.toMatchObject({ code: 'CONSTRAINT_VIOLATION' })
    await live.run(
      root,
      `begin; insert into app.plain values (52, '', 0);
      savepoint s; insert into app.plain values (53, '', 0); rollback to s; commit`,
    )
    await rows.until('52', () => rows.changes.length > 0)
    expect(rows.changes).toEqual([['i', [52], [52]]])
    rows.close()
  })

  test('cascades, CTEs, TRUNCATE and UNDELETE are seen', async () => {
    const children = await live.watch(root, 'select id from app.children')
    await live.run(
      root,
      `insert into app.parents values (1), (2);
       insert into app.children values (1, 1), (2, 1), (3, 2);
       delete from app.parents where id = 1`,
    )
    await children.until('one child', () => children.changes.length === 5)
    expect(children.rows).toEqual([[3]])
    await live.run(root, 'with gone as (delete from app.children returning id) select * from gone')
    await children.until('none', () => children.rows.length === 0)
    await live.run(root, 'undelete from app.children where id = 3')
    await children.until('3 again', () => children.rows.length === 1)
    await live.run(root, 'truncate app.children')
    await children.until('none again', () => children.rows.length === 0)
    children.close()
  })

  test('TRUNCATE of a user table is of the caller’s rows', async () => {
    await live.run(root, `insert into app.own values (70, '', 0)`)
    const rows = await live.watch(root, 'select id from app.own')
    await live.run(root, 'truncate app.own')
    await rows.until('none', () => rows.rows.length === 0)
    rows.close()
  })

  test('a function', async () => {
    await live.run(
      root,
      `create function app.add() returns void language sql as
         $$ insert into app.plain values (60, 'by function', 0) $$`,
    )
    const rows = await live.watch(root, 'select id from app.plain where id = 60')
    await live.run(root, 'select app.add()')
    await rows.until('60', () => rows.rows.length === 1)
    rows.close()
  })

  test('a stream: inserts come, and their time goes', async () => {
    const rows = await live.watch(root, 'select id, n from app.beats where n > 1')
    expect(rows.mode).toBe('follow')
    await live.run(root, 'insert into app.beats values (1, 1), (2, 2)')
    await rows.until('2', () => rows.rows.length === 1)
    expect(rows.rows).toEqual([[2, 2]])
    const all = await live.watch(root, 'select * from app.beats')
    expect(all.mode).toBe('evaluated')
    rows.close()
    all.close()
  })

  test('a table without a key, by re-evaluation', async () => {
    const rows = await live.watch(root, 'select a, b from app.keyless')
    expect(rows.mode).toBe('evaluated')
    await live.run(
      root,
      `insert into app.keyless values (1, 'x'), (1, 'x'); update app.keyless set b = 'y' where ctid = '(0,1)'`,
    )
    await rows.until('both', () => rows.sorted().join() === '[1,"x"],[1,"y"]')
    rows.close()
  })

  test('INCLUDE DELETED is live', async () => {
    await live.run(root, `delete from app.shared; insert into app.shared values (80, 'a', 1)`)
    const sql =
      'select id, _deleted from app.shared include deleted where id = 80 order by _deleted'
    const rows = await live.watch(root, sql)
    expect(rows.rows).toEqual([[80, false]])
    await live.run(root, 'delete from app.shared where id = 80')
    await rows.until('deleted', () => rows.rows[0]?.[1] === true)
    rows.close()
  })
})

describe('equal queries', () => {
  test('are one group, encoded once for all who follow', async () => {
    const sqls = [
      'select id from app.plain where n = 7',
      'SELECT id\n FROM app.plain -- same\n WHERE n = 7',
    ]
    const receivers = await Promise.all(
      Array.from({ length: 10 }, (_, index) => live.watch(root, sqls[index % 2] ?? '')),
    )
    await live.run(root, `insert into app.plain values (77, '', 7)`)
    for (const rows of receivers) await rows.until('77', () => rows.rows.length === 1)
    const encoded = new Set(
      receivers.flatMap(({ events }) =>
        events.flatMap((event) => (event.kind === 'changes' ? [event.changes] : [])),
      ),
    )
    expect(encoded.size).toBe(1)
    for (const rows of receivers) rows.close()
  })

  test('nothing is delivered after close', async () => {
    const rows = await live.watch(root, 'select id from app.plain where n = 8')
    const other = await live.watch(root, 'select id from app.plain where n = 8')
    rows.close()
    rows.close()
    await live.run(root, `insert into app.plain values (88, '', 8)`)
    await other.until('88', () => other.rows.length === 1)
    expect(rows.changes).toEqual([])
    other.close()
  })
})
