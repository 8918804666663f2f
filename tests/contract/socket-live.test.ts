/** Live queries over the socket of a real server: D1 to D8 as a client sees them, A8. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestServer, type TestServer } from '../support/server.js'
import {
  enterSocket,
  openSocket,
  type Received,
  type TestSocket,
} from '../support/socket-client.js'

let server: TestServer

beforeAll(async () => {
  server = await openTestServer()
  await server.sql(
    'create namespace app; create user table app.mine (id int primary key, title text);' +
      'create shared table app.todos (id int primary key, title text, done bool default false);' +
      'grant select, insert, update, delete on app.todos to user',
  )
})
afterAll(() => server.close())

/** Subscribes and waits for `ready`; the rows of the snapshot. */
async function follow(
  socket: TestSocket,
  sql: string,
  { id = 1, ...more }: { id?: number; from?: string; params?: unknown } = {},
): Promise<{ rows: unknown[]; cursor: string; subscribed: Received }> {
  socket.send({ type: 'subscribe', id, sql, ...more })
  const rows: unknown[] = []
  let subscribed: Received = {}
  for (;;) {
    const message = await socket.next()
    if (message['type'] === 'subscribed') subscribed = message
    else if (message['type'] === 'rows') rows.push(...(message['rows'] as unknown[]))
    else if (message['type'] === 'ready')
      return { rows, cursor: String(message['cursor']), subscribed }
    else throw new Error(`not of a snapshot: ${JSON.stringify(message)}`)
  }
}

async function changes(socket: TestSocket, count = 1): Promise<unknown[]> {
  const all: unknown[] = []
  while (all.length < count) all.push(...((await socket.nextOf('changes'))['changes'] as unknown[]))
  return all
}

describe('what is written is told', () => {
  test('D7: over HTTP, over the socket itself, by cascades; a rollback is not', async () => {
    await server.sql('insert into app.todos values (1, $1)', { params: ['milk'] })
    await using socket = await enterSocket(server)
    const sql = 'select id, title from app.todos where id < 100'
    const { rows, subscribed } = await follow(socket, sql)
    expect(rows).toEqual([[1, 'milk']])
    expect(subscribed).toMatchObject({ mode: 'follow', key: [0] })
    await server.sql("begin; insert into app.todos values (5, 'never'); rollback")
    await server.sql("insert into app.todos values (2, 'tea')")
    expect(await changes(socket)).toEqual([['i', [2], [2, 'tea']]])
    socket.send({ type: 'query', id: 2, sql: "update app.todos set title = 'jam' where id = 2" })
    expect(await changes(socket)).toEqual([['u', [2], [2, 'jam']]])
    await server.sql('delete from app.todos where id in (1, 2)')
    expect(await changes(socket, 2)).toEqual([
      ['d', [1]],
      ['d', [2]],
    ])
  })

  test('D4: what starts to match comes as an insert, what stops to as a delete', async () => {
    await server.sql("insert into app.todos values (101, 'x', false)")
    await using socket = await enterSocket(server)
    const sql = 'select id from app.todos where done and id > $1'
    expect((await follow(socket, sql, { params: [100] })).rows).toEqual([])
    await server.sql('update app.todos set done = true where id = 101')
    expect(await changes(socket)).toEqual([['i', [101], [101]]])
    await server.sql('update app.todos set done = false where id = 101')
    expect(await changes(socket)).toEqual([['d', [101]]])
  })

  test('in binary frames, many on one socket', async () => {
    await using socket = await openSocket(server, { protocol: 'kalam.v1.bin' })
    socket.sendBinary({ kind: 'authenticate', key: server.adminKey })
    await socket.nextOf('authenticated')
    for (const id of [1, 2, 3])
      socket.sendBinary({
        ...{ kind: 'subscribe', id, sql: 'select id, title from app.todos where id = $1' },
        params: `[${200 + id}]`,
      })
    for (let ready = 0; ready < 3; ready++) await socket.nextOf('ready')
    await server.sql("insert into app.todos values (202, 'ü')")
    expect(await socket.next()).toMatchObject({ id: 2, changes: [['i', [202], [202, 'ü']]] })
  })

  test('D3: an ordered window, by place', async () => {
    await server.sql("insert into app.todos values (301, 'b'), (302, 'd')")
    await using socket = await enterSocket(server)
    const sql = "select title from app.todos where id > 300 and title < 'z' order by title limit 2"
    const { rows, subscribed } = await follow(socket, sql)
    expect(rows).toEqual([['b'], ['d']])
    expect(subscribed).toMatchObject({ mode: 'evaluated', ordered: true })
    await server.sql("insert into app.todos values (303, 'a')")
    expect(await changes(socket, 2)).toEqual([
      ['d', ['d']],
      ['i', ['a'], ['a'], 0],
    ])
  })

  test('D8: each user sees their own rows', async () => {
    const [alice, bob] = [await server.createUser('alice'), await server.createUser('bob')]
    await using hers = await enterSocket(server, { key: alice })
    await using his = await enterSocket(server, { key: bob })
    const sql = 'select id, title from app.mine'
    await follow(hers, sql)
    await follow(his, sql)
    await server.sql("insert into app.mine values (1, 'hers')", { key: alice })
    await server.sql("insert into app.mine values (1, 'his')", { key: bob })
    expect(await changes(hers)).toEqual([['i', [1], [1, 'hers']]])
    expect(await changes(his)).toEqual([['i', [1], [1, 'his']]])
    hers.send({ type: 'ping' })
    expect((await hers.next())['type']).toBe('pong')
  })
})

describe('D5: cursors', () => {
  test('another socket continues after the last one', async () => {
    await server.sql("insert into app.todos values (401, 'a')")
    const sql = 'select id, title from app.todos where id between 400 and 499'
    const first = await enterSocket(server)
    const { cursor } = await follow(first, sql)
    first.cut()
    await server.sql("insert into app.todos values (402, 'b')")
    await server.sql('delete from app.todos where id = 401')
    await using second = await enterSocket(server)
    second.send({ type: 'subscribe', id: 9, sql, from: cursor })
    expect(await second.next()).toMatchObject({ type: 'subscribed', id: 9, resumed: true })
    expect(await changes(second, 2)).toEqual([
      ['i', [402], [402, 'b']],
      ['d', [401]],
    ])
  })

  test('of another log: a named reset, then all rows', async () => {
    await using socket = await enterSocket(server)
    const from = `${'0'.repeat(32)}.0000000000000001`
    const sql = 'select id from app.todos where id < 0'
    socket.send({ type: 'subscribe', id: 1, sql, from })
    const seen: unknown[] = []
    let message = await socket.next()
    for (; message['type'] !== 'ready'; message = await socket.next())
      seen.push(message['type'] === 'reset' ? message['reason'] : message['type'])
    expect(seen).toContain('CURSOR_FOREIGN')
  })

  test('that is no cursor is refused', async () => {
    await using socket = await enterSocket(server)
    socket.send({ type: 'subscribe', id: 1, sql: 'select id from app.todos', from: 'oops' })
    expect(await socket.nextOf('error')).toMatchObject({ id: 1, error: { code: 'BAD_REQUEST' } })
  })

  test('a restarted server is continued with', async () => {
    const first = await openTestServer()
    await first.sql('create shared table t (id int primary key)')
    const socket = await enterSocket(first)
    const { cursor } = await follow(socket, 'select id from t')
    await first.sql('insert into t values (1)')
    await socket.nextOf('changes')
    const { closed } = socket
    await first.sql('insert into t values (2)')
    await first.stop()
    expect((await closed).code).toBe(4503)
    const second = await openTestServer({ folder: first.folder })
    await using again = await enterSocket(second)
    again.send({ type: 'subscribe', id: 1, sql: 'select id from t', from: cursor })
    expect(await again.next()).toMatchObject({ type: 'subscribed', resumed: true })
    expect(await changes(again, 2)).toEqual([
      ['i', [1], [1]],
      ['i', [2], [2]],
    ])
    await second.close()
    await first.close()
  })
})

describe('what ends a subscription', () => {
  test('a query that cannot be live is refused with its place', async () => {
    await using socket = await enterSocket(server)
    socket.send({ type: 'subscribe', id: 1, sql: 'select now()' })
    expect(await socket.next()).toMatchObject({
      type: 'error',
      id: 1,
      error: { code: 'LIVE_REFUSED' },
    })
    socket.send({ type: 'subscribe', id: 1, sql: 'select nope from app.todos' })
    expect(await socket.next()).toMatchObject({ id: 1, error: { sqlstate: '42703', column: 8 } })
    socket.send({ type: 'subscribe', id: 1, sql: 'delete from app.todos' })
    expect(await socket.next()).toMatchObject({ id: 1, error: { code: 'LIVE_REFUSED' } })
  })

  test('D8: a table that is dropped, a right that is revoked', async () => {
    await server.sql('create shared table app.gone (id int primary key)')
    await server.sql('create shared table app.taken (id int primary key)')
    await server.sql('grant select on app.taken to user')
    await using socket = await enterSocket(server)
    await follow(socket, 'select id from app.gone')
    await server.sql('drop table app.gone')
    expect(await socket.nextOf('error')).toMatchObject({ id: 1 })
    await using users = await enterSocket(server, { key: await server.createUser('revokee') })
    await follow(users, 'select id from app.taken')
    await server.sql('revoke select on app.taken from user')
    await server.sql('insert into app.taken values (1)')
    expect(await users.nextOf('error')).toMatchObject({ id: 1, error: { sqlstate: '42501' } })
  })

  test('A8: a revoked key: nothing is told of what is written after it', async () => {
    const key = await server.createUser('leaver')
    await using socket = await enterSocket(server, { key })
    await follow(socket, 'select id from app.todos where id > 500')
    await server.sql("ALTER USER 'leaver' ROTATE APIKEY")
    await server.sql("insert into app.todos values (501, 'secret')")
    const told: unknown[] = []
    for (;;) {
      const message = await socket.next().catch(() => undefined)
      if (message === undefined) break
      told.push(message['type'])
    }
    expect(told).toEqual(['error'])
    expect((await socket.closed).code).toBe(4401)
  })

  test('D9: KILL LIVE QUERY, by the id that SHOW LIVE QUERIES has', async () => {
    await using socket = await enterSocket(server)
    await follow(socket, 'select id from app.todos where id > 700')
    const { rows } = await server.sql('SHOW LIVE QUERIES')
    const shown = rows.find((row) =>
      Object.values(row).some((value) => String(value).includes('> 700')),
    )
    await server.sql(`KILL LIVE QUERY '${String(Object.values(shown ?? {})[0])}'`)
    const { id, error } = await socket.next()
    expect({ id, code: typeof (error as { code: unknown }).code }).toEqual({
      id: 1,
      code: 'string',
    })
    socket.send({ type: 'ping' })
    expect((await socket.next())['type']).toBe('pong')
  })

  test('unsubscribe: nothing more is told', async () => {
    await using socket = await enterSocket(server)
    await follow(socket, 'select id from app.todos where id > 600')
    socket.send({ type: 'unsubscribe', id: 1 })
    expect(await socket.next()).toEqual({ type: 'unsubscribed', id: 1 })
    await server.sql("insert into app.todos values (601, 'x')")
    socket.send({ type: 'ping' })
    expect((await socket.next())['type']).toBe('pong')
  })
})

describe('D6: a large result', () => {
  test('a snapshot of 30,000 rows comes whole, at the pace of the reader', async () => {
    await server.sql('create shared table app.many (id int primary key, pad text)')
    await server.sql(
      "insert into app.many select n, repeat('x', 500) from generate_series(1, 30000) n",
    )
    await using socket = await enterSocket(server)
    socket.send({ type: 'subscribe', id: 1, sql: 'select id, pad from app.many' })
    await socket.nextOf('subscribed')
    let count = 0
    for (;;) {
      const message = await socket.next()
      if (message['type'] === 'ready') break
      count += (message['rows'] as unknown[]).length
    }
    expect(count).toBe(30_000)
    await server.sql('delete from app.many where id = 7')
    expect(await changes(socket)).toEqual([['d', [7]]])
  })
})
