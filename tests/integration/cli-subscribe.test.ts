/** F2, D9: `kalam subscribe` as a process, over live queries that a test scripts. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { WatchEvent } from '#src/database/watch.js'
import { DbError } from '#src/errors.js'
import { builtinTypes } from '#src/protocol/builtin-types.js'
import type { TypeInfo } from '#src/protocol/type-info.js'
import { kalam } from '../support/kalam.js'
import { startKalam, type RunningKalam } from '../support/running-kalam.js'
import {
  openScriptedDoor,
  type ScriptedDoor,
  type ScriptedWatch,
} from '../support/scripted-door.js'
import { freePort } from '../support/free-port.js'
import { openTestServer } from '../support/server.js'

const home = mkdtempSync(join(tmpdir(), 'kalam-subscribe-'))
afterAll(() => rmSync(home, { recursive: true }))

const typeOf = (oid: number): TypeInfo => builtinTypes.get(oid) ?? { name: '', encoding: 'text' }
const columns = [
  { name: 'id', type: typeOf(23) },
  { name: 'title', type: typeOf(25) },
]
const subscribed = (more: object = {}): WatchEvent => ({
  ...{ kind: 'subscribed', columns, mode: 'follow', ordered: false, key: [0], resumed: false },
  ...more,
})
const utf8 = new TextEncoder()
const rows = (json: string): WatchEvent => ({ kind: 'rows', rows: utf8.encode(json), count: 1 })
const ready = (cursor: string): WatchEvent => ({ kind: 'ready', cursor })
const changes = (json: string, cursor: string): WatchEvent => ({
  ...{ kind: 'changes', changes: utf8.encode(json), count: 1, cursor },
})

const snapshot = [subscribed(), rows('[[1,"milk"],[10,"ü\\u001b"]]'), ready('a.1')]
const change = changes('[["i",[3],[3,"tea"]],["u",[1],[1,"oat milk"]],["d",[10]]]', 'a.2')

function start(door: ScriptedDoor, args: readonly string[]): RunningKalam {
  const env = { KALAM_URL: door.url, KALAM_API_KEY: door.adminKey }
  return startKalam(args, { home, env })
}

function deliver(watch: ScriptedWatch, events: readonly WatchEvent[]): void {
  for (const event of events) watch.deliver(event)
}

async function linesOf(run: RunningKalam, count: number): Promise<string[]> {
  const lines: string[] = []
  while (lines.length < count) lines.push(await run.line())
  return lines
}

describe('F2: formats', () => {
  test('a table, then a line for each change', async () => {
    await using door = await openScriptedDoor()
    await using run = start(door, ['subscribe', 'SELECT id, title FROM t'])
    deliver(await door.nextWatch(), [...snapshot, change])
    expect(await linesOf(run, 8)).toEqual([
      '  id | title',
      ' ----+-------',
      '   1 | milk',
      '  10 | ü\\x1b',
      '(2 rows)',
      '+  3 | tea',
      '~  1 | oat milk',
      '- 10 |',
    ])
    run.interrupt()
    expect(await run.exit).toBe(0)
    expect(run.stderr).toBe('')
  })

  test('--format json: one object a line, every digit kept', async () => {
    await using door = await openScriptedDoor()
    await using run = start(door, ['subscribe', 'SELECT 1', '--format', 'json'])
    deliver(await door.nextWatch(), [
      subscribed({ ordered: true }),
      rows('[[1,{"n": 1.10}]]'),
      ready('a.1'),
      changes('[["i",[3],[3,"tea"],0],["u",[1],[1,"x"],1],["d",[3]]]', 'a.2'),
      { kind: 'reset', reason: 'EVALUATED' },
    ])
    expect(await linesOf(run, 6)).toEqual([
      '{"type":"snapshot","row":{"id":1,"title":{"n": 1.10}},"cursor":null}',
      '{"type":"ready","cursor":"a.1"}',
      // The cursor of the message would skip its other changes.
      '{"type":"insert","row":{"id":3,"title":"tea"},"key":[3],"at":0,"cursor":"a.1"}',
      '{"type":"update","row":{"id":1,"title":"x"},"key":[1],"at":1,"cursor":"a.1"}',
      '{"type":"delete","key":[3],"cursor":"a.2"}',
      '{"type":"reset","reason":"EVALUATED","cursor":null}',
    ])
  })

  test('--format csv', async () => {
    await using door = await openScriptedDoor()
    await using run = start(door, ['subscribe', 'SELECT 1', '--format', 'csv'])
    deliver(await door.nextWatch(), [subscribed(), rows('[[1,"a,b"]]'), ready('a.1'), change])
    expect(await linesOf(run, 6)).toEqual([
      'type,cursor,id,title\r',
      'snapshot,,1,"a,b"\r',
      'ready,a.1,,\r',
      'insert,a.1,3,tea\r',
      'update,a.1,1,oat milk\r',
      'delete,a.2,10,""\r',
    ])
  })
})

describe('what it asks for', () => {
  test('--from, --params and --namespace are passed on', async () => {
    await using door = await openScriptedDoor()
    const flags = ['--from', 'a.7', '--params', '[1.10, "x"]', '--namespace', 'app']
    await using run = start(door, ['subscribe', 'SELECT $1', ...flags, '--format', 'json'])
    const watch = await door.nextWatch()
    expect(watch.request).toEqual({
      sql: 'SELECT $1',
      parameters: { single: [{ json: '1.10' }, 'x'], each: undefined },
      namespace: 'app',
      from: 'a.7',
    })
    deliver(watch, [subscribed({ resumed: true }), changes('[["d",[1]],["d",[2]]]', 'a.8')])
    expect(await linesOf(run, 2)).toEqual([
      '{"type":"delete","key":[1],"cursor":"a.7"}',
      '{"type":"delete","key":[2],"cursor":"a.8"}',
    ])
  })

  test.each([
    [['-c', 'SUBSCRIBE TO SELECT 1'], 'SELECT 1'],
    [
      ['-c', 'subscribe /* x */ to app.todos where id > 1;'],
      'SELECT * FROM app.todos where id > 1',
    ],
    [['subscribe', 'SUBSCRIBE TO app.todos'], 'SELECT * FROM app.todos'],
    [['subscribe', 'WITH t AS (SELECT 1) TABLE t'], 'WITH t AS (SELECT 1) TABLE t'],
  ])('D9: %j', async (args, sql) => {
    await using door = await openScriptedDoor()
    await using run = start(door, args)
    const watch = await door.nextWatch()
    watch.open()
    expect(watch.request.sql).toBe(sql)
    run.interrupt()
    expect(await run.exit).toBe(0)
    await watch.closed
  })
})

describe('through lost connections', () => {
  test('it comes back by itself and continues after the last cursor', async () => {
    await using door = await openScriptedDoor()
    await using run = start(door, ['subscribe', 'SELECT 1', '--format', 'json'])
    const first = await door.nextWatch()
    deliver(first, [subscribed(), ready('a.1'), changes('[["d",[1]]]', 'a.2')])
    await linesOf(run, 2)
    door.cutSockets()
    const second = await door.nextWatch()
    expect(second.request.from).toBe('a.2')
    deliver(second, [subscribed({ resumed: true }), changes('[["d",[2]]]', 'a.3')])
    expect(await run.line()).toBe('{"type":"delete","key":[2],"cursor":"a.3"}')
    await run.told('connected again')
    expect(run.stderr).toMatch(/trying again in \d+\.\d s/u)
  })

  test('-q says nothing of it', async () => {
    await using door = await openScriptedDoor()
    await using run = start(door, ['-q', 'subscribe', 'SELECT 1', '--format', 'json'])
    deliver(await door.nextWatch(), [subscribed(), ready('a.1')])
    await run.line()
    door.cutSockets()
    deliver(await door.nextWatch(), [subscribed({ resumed: true }), ready('a.2')])
    await run.line()
    expect(run.stderr).toBe('')
  })

  test('D6: a reader that takes nothing is waited for, and misses nothing', async () => {
    await using door = await openScriptedDoor({ 'socket.buffered_bytes_max': 256 * 1024 })
    await using run = start(door, ['subscribe', 'SELECT 1', '--format', 'json'])
    let watch = await door.nextWatch()
    watch.open()
    deliver(watch, [subscribed(), ready('a.0')])
    await run.line()
    run.pause()
    const title = 'x'.repeat(50_000)
    const count = 400
    for (let n = 1; n <= count; n++)
      watch.deliver(changes(`[["i",[${n}],[${n},"${title}"]]]`, `a.${n}`))
    await watch.closed
    run.resume()
    const told: unknown[] = []
    const take = async () => told.push((JSON.parse(await run.line()) as { cursor: string }).cursor)
    watch = await door.nextWatch()
    const from = Number(watch.request.from?.slice(2))
    expect(from).toBeLessThan(count)
    watch.deliver(subscribed({ resumed: true }))
    watch.deliver(changes(`[["d",[0]]]`, `a.${count}`))
    while (told.at(-1) !== `a.${count}`) await take()
    expect(told).toEqual([
      ...Array.from({ length: from }, (_, index) => `a.${index + 1}`),
      `a.${count}`,
    ])
  })
})

describe('exit codes', () => {
  test('1: the query is refused, with its place', async () => {
    await using door = await openScriptedDoor()
    await using run = start(door, ['-c', 'SUBSCRIBE TO\n  SELECT now()'])
    const watch = await door.nextWatch()
    watch.refuse(new DbError('STATEMENT_REFUSED', 'now() cannot be live', { position: 8 }))
    expect(await run.exit).toBe(1)
    expect(run.stderr).toContain('ERROR: now() cannot be live (0A000)\nLINE 2:   SELECT now()')
  })

  test('4: the right is lost', async () => {
    await using door = await openScriptedDoor()
    await using run = start(door, ['subscribe', 'SELECT 1'])
    const watch = await door.nextWatch()
    watch.deliver({ kind: 'ended', error: new DbError('FORBIDDEN', 'permission denied for t') })
    expect(await run.exit).toBe(4)
  })

  test('2: --params that is no list, -c beside it, SUBSCRIBE in a transaction', async () => {
    const env = { KALAM_URL: 'http://127.0.0.1:9', KALAM_API_KEY: 'k' }
    const run = (args: readonly string[]) => kalam(args, { home, env })
    expect((await run(['subscribe', 'SELECT 1', '--params', '{}'])).exit).toBe(2)
    expect((await run(['-c', 'SELECT 1', 'subscribe', 'SELECT 1'])).exit).toBe(2)
    expect((await run(['-c', 'BEGIN; SUBSCRIBE TO t'])).exit).toBe(2)
    expect((await run(['-c', 'SUBSCRIBE TO'])).exit).toBe(2)
  })

  test('3: nothing listens; 4: no key, or one that is not known', async () => {
    const unreachable = { KALAM_URL: `http://127.0.0.1:${await freePort()}`, KALAM_API_KEY: 'k' }
    const missing = await kalam(['subscribe', 'SELECT 1'], { home, env: unreachable })
    expect(missing.exit).toBe(3)
    expect(missing.stderr).toContain('nothing listens there')
    await using server = await openTestServer()
    const noKey = await kalam(['subscribe', 'SELECT 1'], { home, env: { KALAM_URL: server.url } })
    expect(noKey.exit).toBe(4)
    const wrongKey = { KALAM_URL: server.url, KALAM_API_KEY: `kal_${'A'.repeat(43)}` }
    const refused = await kalam(['subscribe', 'SELECT 1'], { home, env: wrongKey })
    expect(refused.exit).toBe(4)
    expect(refused.stderr).toContain('does not accept the key from the environment')
  })
})
