import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Caller } from '#src/database/database.js'
import { openTestServer, type TestServer } from '../../support/server.js'
import { watch } from '../../support/live.js'

let server: TestServer
let root: Caller

beforeAll(async () => {
  server = await openTestServer()
  root = await server.database.authenticate(server.adminKey)
  await server.sql(`create schema app; create table app.plain (id int primary key, title text, n int);
  create table app.shared (id int primary key, title text, n int, _deleted boolean not null generated always as (false) stored);
  create table app.todos (id int, title text, n int, _user_id text not null default kalam.uid(), _deleted boolean not null generated always as (false) stored, primary key (_user_id, id))`)
})
afterAll(() => server.close())

describe.each(['plain', 'shared', 'todos'])('%s', (table) => {
  test('follow', async () => {
    const rows = await watch(
      server.database,
      root,
      `select id, title, n from app.${table} where n > 3`,
    )
    await rows.ready()
    expect(rows.mode).toBe('follow')
    await server.sql(`insert into app.${table} values (1,'a',1),(2,'b',5)`)
    await rows.until('2', () => rows.rows.length === 1)
    await server.sql(
      `update app.${table} set n = 9 where id = 1; delete from app.${table} where id = 2; update app.${table} set title = 'x' where id = 1`,
    )
    await rows.until('x', () => rows.rows[0]?.[1] === 'x')
    expect(rows.changes).toEqual([
      ['i', [2], [2, 'b', 5]],
      ['i', [1], [1, 'a', 9]],
      ['d', [2]],
      ['u', [1], [1, 'x', 9]],
    ])
    expect(rows.faults).toEqual([])
    rows.close()
  })
  test('evaluated', async () => {
    await server.sql(`delete from app.${table}`)
    const rows = await watch(server.database, root, `select count(*), sum(n) from app.${table}`)
    await rows.ready()
    expect(rows.mode).toBe('evaluated')
    await server.sql(`insert into app.${table} values (1,'a',1),(2,'b',5)`)
    await rows.until('2', () => rows.rows[0]?.[0] === '2')
    rows.close()
  })
  test('sql judged', async () => {
    await server.sql(`delete from app.${table}`)
    const rows = await watch(
      server.database,
      root,
      `select *, upper(title) from app.${table} t where t.n * 2 > $1`,
      { params: ['8'] },
    )
    await rows.ready()
    expect(rows.mode).toBe('follow')
    await server.sql(`insert into app.${table} values (1,'a',1),(2,'b',5)`)
    await rows.until('2', () => rows.rows.length === 1)
    await server.sql(`update app.${table} set n = 0`)
    await rows.until('0', () => rows.rows.length === 0)
    expect(rows.changes).toHaveLength(2)
    rows.close()
  })
})
