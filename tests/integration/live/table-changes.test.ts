import { firstValueFrom, take, toArray } from 'rxjs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openLiveServer, type LiveServer } from '../../support/live-server.js'

let live: LiveServer

beforeAll(async () => {
  live = await openLiveServer()
  await live.run(
    live.root,
    `create namespace app;
     create user table app.todos (id bigint primary key, title text, at timestamptz, tags text[]);
     create table app.plain (id int primary key)`,
  )
})
afterAll(() => live.close())

const next = (table: string, count: number, after?: string) =>
  firstValueFrom(live.database.changes(table, after).pipe(take(count), toArray()))

test('db.changes: typed events of one table, with cursors to go on from', async () => {
  const seen = next('app.todos', 3)
  const written = live.run(
    live.root,
    `insert into app.plain values (1);
     insert into app.todos values (1, 'a', '2026-01-02 03:04:05+00', '{x,y}');
     update app.todos set title = 'b'; delete from app.todos`,
  )
  // Whether it was there before the insert is not the point here.
  await written
  await live.run(
    live.root,
    `insert into app.todos values (2, 'c'); update app.todos set title = 'd'; delete from app.todos`,
  )
  const changes = await seen
  expect(changes.length).toBe(3)
  const all = await next('app.todos', 2, changes[0]?.cursor)
  expect(all).toEqual(changes.slice(1))
  for (const { owner } of changes) expect(owner).toBe('root')
})

test('values are those of rows over HTTP', async () => {
  const cursor = (await cursorNow()) ?? ''
  await live.run(
    live.root,
    `insert into app.todos values (9007199254740993, 'x', '2026-01-02 03:04:05+00', '{a,null}')`,
  )
  const [change] = await next('app.todos', 1, cursor)
  expect(change).toMatchObject({
    kind: 'insert',
    new: { id: '9007199254740993', title: 'x', at: '2026-01-02T03:04:05Z', tags: ['a', null] },
  })
})

test('a table that is not there is an error', async () => {
  await expect(next('app.nowhere', 1)).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

test('a name is any that SQL can write', async () => {
  await live.run(live.root, 'create table app."a,""b" (id int primary key)')
  const cursor = await cursorOf('select id from app."a,""b"')
  await live.run(live.root, 'insert into app."a,""b" values (1)')
  expect(await next('app."a,""b"', 1, cursor)).toMatchObject([{ new: { id: 1 } }])
})

test('a cursor from before a plain table was logged is no cursor of it', async () => {
  const cursor = (await cursorNow()) ?? ''
  await live.run(
    live.root,
    'create table app.later (id int primary key); insert into app.later values (1)',
  )
  await expect(next('app.later', 1, cursor)).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

async function cursorOf(sql: string): Promise<string | undefined> {
  const rows = await live.watch(live.root, sql)
  rows.close()
  return rows.cursor
}

async function cursorNow(): Promise<string | undefined> {
  return cursorOf('select id from app.todos')
}
