/** What the socket makes of live queries, event by event: D1, D6; on the native library and `ws`. */
import { describe, expect, test } from 'vitest'
import type { WatchEvent } from '#src/database/watch.js'
import { DbError } from '#src/errors.js'
import { builtinTypes } from '#src/protocol/builtin-types.js'
import type { TypeInfo } from '#src/protocol/type-info.js'
import { openScriptedDoor, type ScriptedDoor } from '../support/scripted-door.js'
import { enterSocket, openSocket, type TestSocket } from '../support/socket-client.js'

const int4: TypeInfo = builtinTypes.get(23) ?? { name: 'int4', encoding: 'text' }
const text: TypeInfo = builtinTypes.get(25) ?? { name: 'text', encoding: 'text' }

const subscribed: WatchEvent = {
  kind: 'subscribed',
  columns: [
    { name: 'id', type: int4 },
    { name: 'title', type: text },
  ],
  mode: 'follow',
  ordered: false,
  key: [0],
  resumed: false,
}

const utf8 = new TextEncoder()
const rows = (json: string): WatchEvent => ({ kind: 'rows', rows: utf8.encode(json), count: 1 })
const ready = (cursor: string): WatchEvent => ({ kind: 'ready', cursor })
const changes = (json: string, cursor: string): WatchEvent => ({
  kind: 'changes',
  changes: utf8.encode(json),
  count: 1,
  cursor,
})

/** Subscribes under the id and gives the watch that was made of it. */
async function subscribe(door: ScriptedDoor, socket: TestSocket, id = 1, more = {}) {
  socket.send({ type: 'subscribe', id, sql: 'select id, title from t', ...more })
  const watch = await door.nextWatch()
  watch.open()
  return watch
}

describe('D1: subscriptions', () => {
  test('each event is a message', async () => {
    await using door = await openScriptedDoor()
    await using socket = await enterSocket(door)
    const watch = await subscribe(door, socket, 7, {
      params: [1.1, 'x'],
      namespace: 'app',
      from: 'a.1',
      from_id: '5',
    })
    expect(watch.request).toEqual({
      sql: 'select id, title from t',
      parameters: { single: [{ json: '1.1' }, 'x'], each: undefined },
      namespace: 'app',
      from: 'a.1',
      fromId: '5',
    })
    const change = '[["i",[2],[2,"ü"]],["u",[1],[1,"b"],0],["d",[2]]]'
    for (const event of [
      subscribed,
      rows('[[1,"a"]]'),
      ready('a.2'),
      changes(change, 'a.3'),
      { kind: 'reset', reason: 'CURSOR_EXPIRED' } as const,
    ])
      watch.deliver(event)
    expect(await socket.next()).toEqual({
      type: 'subscribed',
      id: 7,
      columns: [
        { name: 'id', type: 'int4' },
        { name: 'title', type: 'text' },
      ],
      key: [0],
      mode: 'follow',
    })
    expect(await socket.next()).toEqual({ type: 'rows', id: 7, rows: [[1, 'a']] })
    expect(await socket.next()).toEqual({ type: 'ready', id: 7, cursor: 'a.2' })
    expect(await socket.next()).toEqual({
      type: 'changes',
      id: 7,
      cursor: 'a.3',
      changes: JSON.parse(change) as unknown,
    })
    expect(await socket.next()).toEqual({ type: 'reset', id: 7, reason: 'CURSOR_EXPIRED' })
  })

  test('the same in binary frames', async () => {
    await using door = await openScriptedDoor()
    await using socket = await openSocket(door, { protocol: 'kalam.v1.bin' })
    socket.sendBinary({ kind: 'authenticate', key: 'scripted' })
    await socket.next()
    socket.sendBinary({ kind: 'subscribe', id: 1, sql: 'select 1' })
    const watch = await door.nextWatch()
    watch.deliver({ ...subscribed, ordered: true, resumed: true })
    watch.deliver(rows('[[1,"a"],[2,null]]'))
    watch.deliver(changes('[["u",[1],[1,"b"],4],["d",[2]]]', 'a.3'))
    expect(await socket.next()).toMatchObject({ type: 'subscribed', ordered: true, resumed: true })
    expect((await socket.next())['rows']).toEqual([
      [1, 'a'],
      [2, null],
    ])
    expect((await socket.next())['changes']).toEqual([
      ['u', [1], [1, 'b'], 4],
      ['d', [2]],
    ])
  })

  test('one body is shared by many sockets', async () => {
    await using door = await openScriptedDoor()
    const sockets = await Promise.all([1, 2, 3].map(() => enterSocket(door)))
    const watches = []
    for (const socket of sockets) watches.push(await subscribe(door, socket))
    const shared = changes('[["d",[1]]]', 'a.1')
    for (const watch of watches) watch.deliver(shared)
    for (const socket of sockets)
      expect(await socket.next()).toMatchObject({ id: 1, changes: [['d', [1]]] })
    await Promise.all(sockets.map((socket) => socket[Symbol.asyncDispose]()))
  })

  test('unsubscribe closes the live query; its id can be used again', async () => {
    await using door = await openScriptedDoor()
    await using socket = await enterSocket(door)
    const watch = await subscribe(door, socket)
    socket.send({ type: 'unsubscribe', id: 1 })
    expect(await socket.next()).toEqual({ type: 'unsubscribed', id: 1 })
    await watch.closed
    watch.deliver(ready('a.1'))
    const again = await subscribe(door, socket)
    again.deliver(ready('b.1'))
    expect(await socket.next()).toEqual({ type: 'ready', id: 1, cursor: 'b.1' })
  })

  test('an unsubscribe before it is set up closes it then', async () => {
    await using door = await openScriptedDoor()
    await using socket = await enterSocket(door)
    socket.send({ type: 'subscribe', id: 1, sql: 'select 1' })
    const watch = await door.nextWatch()
    socket.send({ type: 'unsubscribe', id: 1 })
    await socket.nextOf('unsubscribed')
    watch.open()
    await watch.closed
  })

  test('a refused one is an error of its id', async () => {
    await using door = await openScriptedDoor()
    await using socket = await enterSocket(door)
    socket.send({ type: 'subscribe', id: 1, sql: 'select now()' })
    const watch = await door.nextWatch()
    watch.refuse(new DbError('STATEMENT_REFUSED', 'now() is not live', { position: 8 }))
    expect(await socket.next()).toMatchObject({
      type: 'error',
      id: 1,
      error: { code: 'STATEMENT_REFUSED', position: 8 },
    })
  })

  test('one that ends is an error of its id, and the socket goes on', async () => {
    await using door = await openScriptedDoor()
    await using socket = await enterSocket(door)
    const watch = await subscribe(door, socket)
    watch.deliver({ kind: 'ended', error: new DbError('FORBIDDEN', 'no longer yours') })
    expect(await socket.next()).toMatchObject({
      type: 'error',
      id: 1,
      error: { code: 'FORBIDDEN' },
    })
    await watch.closed
    await subscribe(door, socket)
  })

  test('a socket that goes closes its live queries', async () => {
    await using door = await openScriptedDoor()
    const socket = await enterSocket(door)
    const watches = [await subscribe(door, socket, 1), await subscribe(door, socket, 2)]
    socket.cut()
    await Promise.all(watches.map(({ closed }) => closed))
    watches[0]?.deliver(ready('a.1'))
    await watches[0]?.writable()
  })

  test('an id that a subscription has is in use', async () => {
    await using door = await openScriptedDoor()
    await using socket = await enterSocket(door)
    const watch = await subscribe(door, socket)
    socket.send({ type: 'subscribe', id: 1, sql: 'select 2' })
    expect((await socket.closed).code).toBe(4400)
    await watch.closed
  })

  test('C6: of socket.subscriptions_max one more is refused', async () => {
    await using door = await openScriptedDoor({ 'socket.subscriptions_max': 2 })
    await using socket = await enterSocket(door)
    for (const id of [1, 2]) await subscribe(door, socket, id)
    socket.send({ type: 'subscribe', id: 3, sql: 'select 1' })
    expect(await socket.next()).toMatchObject({ id: 3, error: { code: 'TOO_MANY_SUBSCRIPTIONS' } })
    expect(await door.metrics()).toMatch(/^kalamdb_socket_subscriptions 2$/mu)
    socket.send({ type: 'unsubscribe', id: 1 })
    await socket.next()
    await subscribe(door, socket, 3)
  })

  test('what a live query throws is a bug that ends nothing else', async () => {
    await using door = await openScriptedDoor()
    await using socket = await enterSocket(door)
    socket.send({ type: 'subscribe', id: 1, sql: 'select 1' })
    const watch = await door.nextWatch()
    // Not a DbError: what a bug throws.
    watch.refuse(new TypeError('oops') as unknown as DbError)
    expect(await socket.next()).toMatchObject({ id: 1, error: { code: 'INTERNAL' } })
  })
})

describe('D6: readers that are slow', () => {
  const bufferedBytesMax = 256 * 1024
  const large = changes(`[["i",[1],[1,"${'x'.repeat(100_000)}"]]]`, 'a.9')
  /** More than the sockets' own buffers on both sides. */
  const many = 400

  test('past socket.buffered_bytes_max the socket is ended with a resumable code', async () => {
    await using door = await openScriptedDoor({ 'socket.buffered_bytes_max': bufferedBytesMax })
    await using other = await enterSocket(door)
    const healthy = await subscribe(door, other)
    await using socket = await enterSocket(door)
    const watch = await subscribe(door, socket)
    socket.pause()
    for (let i = 0; i < many; i++) watch.deliver(large)
    await watch.closed
    expect(await door.metrics()).toMatch(/ended_total\{code="SUBSCRIBER_TOO_SLOW"\} 1$/mu)
    expect(await door.metrics()).toMatch(/^kalamdb_sockets 1$/mu)
    healthy.deliver(ready('a.1'))
    expect(await other.next()).toMatchObject({ type: 'ready' })
    socket.resume()
    expect((await socket.nextOf('changes'))['cursor']).toBe('a.9')
    const { code, reason } = await socket.closed
    expect({ code, reason }).toEqual({ code: 4429, reason: 'SUBSCRIBER_TOO_SLOW' })
  })

  test('writable waits for the reader, so that a snapshot of any size passes', async () => {
    await using door = await openScriptedDoor({ 'socket.buffered_bytes_max': bufferedBytesMax })
    await using socket = await enterSocket(door)
    const watch = await subscribe(door, socket)
    const piece = rows(`[[1,"${'x'.repeat(60_000)}"]]`)
    socket.pause()
    let sent = 0
    const send = async () => {
      for (; sent < many; sent++) {
        await watch.writable()
        watch.deliver(piece)
      }
    }
    const sending = send()
    socket.send({ type: 'ping' })
    await waitFor(async () => /^kalamdb_socket_buffered_bytes [1-9]/mu.test(await door.metrics()))
    expect(sent).toBeLessThan(many)
    socket.resume()
    for (let received = 0; received < many;) {
      if ((await socket.next())['type'] === 'rows') received++
    }
    await sending
  })

  test('a socket that ends lets who waits for it go on', async () => {
    await using door = await openScriptedDoor({ 'socket.buffered_bytes_max': bufferedBytesMax })
    await using socket = await enterSocket(door)
    const watch = await subscribe(door, socket)
    socket.pause()
    const send = async () => {
      for (let i = 0; i < many; i++) {
        await watch.writable()
        watch.deliver(rows(`[[1,"${'x'.repeat(60_000)}"]]`))
      }
    }
    const sending = send()
    await waitFor(async () => /^kalamdb_socket_buffered_bytes [1-9]/mu.test(await door.metrics()))
    socket.cut()
    await sending
    await watch.closed
  })
})

async function waitFor(check: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 20_000
  while (!(await check())) {
    if (performance.now() > deadlineMs) throw new Error('it did not happen within 20 s')
    await new Promise((resolve) => setImmediate(resolve))
  }
}
