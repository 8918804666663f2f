/** The WebSocket against a real server: D1, A5, A8, C8, K4; on the native library and on `ws`. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually, metric, sendRaw } from '../support/http-client.js'
import { holdEngine } from '../support/held-engine.js'
import { openTestServer, type TestServer } from '../support/server.js'
import { enterSocket, openSocket, type TestSocket } from '../support/socket-client.js'

let server: TestServer

beforeAll(async () => {
  server = await openTestServer({
    settings: {
      'socket.message_bytes_max': 4096,
      'socket.queries_max': 3,
      'socket.buffered_bytes_max': 256 * 1024,
      'cors.allowed_origins': ['https://app.example.com'],
    },
  })
})
afterAll(() => server.close())

const endless =
  'with recursive n as (select 1 as i union all select i + 1 from n) select sum(i) from n'

async function expectClosed(socket: TestSocket, code: number, reason: string): Promise<void> {
  expect(await socket.closed).toEqual({ code, reason })
}

/** The socket's last words. */
async function lastError(socket: TestSocket): Promise<{ code: string; message: string }> {
  const { id, error } = await socket.nextOf('error')
  expect(id).toBeUndefined()
  return error as { code: string; message: string }
}

describe('D1: messages', () => {
  test('the key proves who asks, and the server says what it allows', async () => {
    const key = await server.createUser('sock')
    await using socket = await openSocket(server)
    socket.send({ type: 'authenticate', key })
    expect(await socket.next()).toEqual({
      type: 'authenticated',
      user_id: expect.any(String) as string,
      name: 'sock',
      role: 'user',
      version: '0.0.0-test',
      message_bytes_max: 4096,
      subscriptions_max: 1_000,
      idle_timeout_ms: 60_000,
    })
    socket.send({ type: 'query', id: 1, sql: 'select kalam.uid() is not null as known' })
    expect((await socket.next())['results']).toMatchObject([{ rows: [{ known: true }] }])
  })

  test('a query answers as over HTTP, every digit kept', async () => {
    await using socket = await enterSocket(server)
    socket.send(
      '{"type":"query","id":7,"sql":"select $1::numeric as a, $2 as b; select 1",' +
        '"params":[[1.10,"ü"],[]],"rows":"array","transaction":true}',
    )
    expect(await socket.next()).toEqual({
      type: 'result',
      id: 7,
      took_ms: expect.any(Number) as number,
      results: [
        {
          command: 'SELECT',
          columns: [
            { name: 'a', type: 'numeric' },
            { name: 'b', type: 'text' },
          ],
          rows: [['1.10', 'ü']],
          row_count: 1,
        },
        {
          command: 'SELECT',
          columns: [{ name: '?column?', type: 'int4' }],
          rows: [[1]],
          row_count: 1,
        },
      ],
    })
  })

  test('the same in binary frames', async () => {
    await using socket = await openSocket(server, { protocol: 'kalam.v1.bin' })
    socket.sendBinary({ kind: 'authenticate', key: server.adminKey })
    expect(await socket.next()).toMatchObject({ type: 'authenticated', user_id: 'root' })
    const sql = 'select $1::int8 as a'
    socket.sendBinary({
      kind: 'query',
      id: 300,
      sql,
      params: '[9007199254740993]',
      transaction: false,
    })
    expect(await socket.next()).toMatchObject({
      type: 'result',
      id: 300,
      results: [{ rows: [{ a: '9007199254740993' }] }],
    })
    socket.sendBinary({ kind: 'query', id: 4, sql, params: '[oops', transaction: false })
    expect(await socket.next()).toMatchObject({ id: 4, error: { code: 'BAD_REQUEST' } })
    socket.sendBinary({ kind: 'ping', id: 2 ** 32 - 1 })
    expect(await socket.next()).toEqual({ type: 'pong', id: 2 ** 32 - 1 })
  })

  test('of several sub-protocols the first that is known is taken', async () => {
    await using socket = await openSocket(server, { protocol: ['kalam.v9.x', 'kalam.v1.json'] })
    socket.send({ type: 'authenticate', key: server.adminKey })
    expect(await socket.next()).toMatchObject({ type: 'authenticated' })
  })

  test('ping is answered, with its id if it has one', async () => {
    await using socket = await enterSocket(server)
    socket.send({ type: 'ping' })
    socket.send({ type: 'ping', id: 5 })
    expect([await socket.next(), await socket.next()]).toEqual([
      { type: 'pong' },
      { type: 'pong', id: 5 },
    ])
  })

  test('what follows authenticate at once waits for the key', async () => {
    await using socket = await openSocket(server)
    socket.send({ type: 'authenticate', key: server.adminKey })
    socket.send({ type: 'query', id: 1, sql: 'select 1 as a' })
    expect((await socket.next())['type']).toBe('authenticated')
    expect(await socket.next()).toMatchObject({ type: 'result', id: 1 })
  })

  test('an error names its query, and the socket goes on', async () => {
    await using socket = await enterSocket(server)
    socket.send({ type: 'query', id: 1, sql: 'select\n  nope' })
    expect(await socket.next()).toMatchObject({
      type: 'error',
      id: 1,
      error: { code: 'QUERY_REJECTED', sqlstate: '42703', line: 2, column: 3 },
    })
    socket.send({ type: 'query', id: 1, sql: 'select 1', params: {} })
    expect(await socket.next()).toMatchObject({ id: 1, error: { code: 'BAD_REQUEST' } })
    socket.send({ type: 'query', id: 1, sql: 'select 1', idempotency_key: 'ü' })
    expect(await socket.next()).toMatchObject({ id: 1, error: { code: 'BAD_REQUEST' } })
  })

  test('a repeated write under one idempotency_key is done once', async () => {
    await server.sql('create table socket_once (n int)')
    await using socket = await enterSocket(server)
    const query = {
      type: 'query',
      sql: 'insert into socket_once values (1)',
      idempotency_key: 'k1',
    }
    socket.send({ ...query, id: 1 })
    expect((await socket.next())['replayed']).toBeUndefined()
    socket.send({ ...query, id: 2 })
    expect((await socket.next())['replayed']).toBe(true)
    expect((await server.sql('select * from socket_once')).rows).toHaveLength(1)
  })

  test('queries run at the same time; one socket does not hold another', async () => {
    await using socket = await enterSocket(server)
    await using other = await enterSocket(server)
    socket.send({ type: 'query', id: 1, sql: 'select count(*) from generate_series(1, 100000)' })
    socket.send({ type: 'query', id: 2, sql: 'select 2' })
    other.send({ type: 'query', id: 1, sql: 'select 1' })
    const ids = [(await socket.next())['id'], (await socket.next())['id']]
    expect(ids.sort()).toEqual([1, 2])
    expect(await other.next()).toMatchObject({ type: 'result', id: 1 })
  })

  test('C9: a query whose socket has gone is cancelled', async () => {
    const socket = await enterSocket(server)
    socket.send({ type: 'query', id: 1, sql: endless })
    await eventually(async () => (await metric(server, 'kalamdb_engine_queue_units')) > 0)
    const startedMs = performance.now()
    socket.cut()
    expect((await server.request('select 1')).status).toBe(200)
    expect(performance.now() - startedMs).toBeLessThan(10_000)
  })

  test('a read-only key reads only', async () => {
    await server.createUser('sock_reader')
    const made = await server.sql("CREATE APIKEY FOR 'sock_reader' READ ONLY")
    await using socket = await openSocket(server)
    socket.send({ type: 'authenticate', key: String(made.rows[0]?.['apikey']) })
    expect(await socket.next()).toMatchObject({ read_only: true })
    socket.send({ type: 'query', id: 1, sql: 'create temp table t (n int)' })
    expect(await socket.next()).toMatchObject({ type: 'error', id: 1 })
  })
})

describe('what ends a socket', () => {
  test('A5: a key that is not known', async () => {
    await using socket = await openSocket(server)
    socket.send({ type: 'authenticate', key: `kal_${'A'.repeat(43)}` })
    expect((await lastError(socket)).code).toBe('UNAUTHORIZED')
    await expectClosed(socket, 4401, 'UNAUTHORIZED')
  })

  test('a message before authenticate', async () => {
    await using socket = await openSocket(server)
    socket.send({ type: 'ping' })
    expect((await lastError(socket)).message).toContain('ping came before authenticate')
    await expectClosed(socket, 4401, 'UNAUTHORIZED')
  })

  test('E2: a user_id that the key does not belong to', async () => {
    await using right = await openSocket(server)
    right.send({ type: 'authenticate', key: server.adminKey, user_id: 'root' })
    expect(await right.next()).toMatchObject({ type: 'authenticated' })
    await using wrong = await openSocket(server)
    wrong.send({ type: 'authenticate', key: server.adminKey, user_id: 'someone' })
    await expectClosed(wrong, 4403, 'FORBIDDEN')
  })

  test('a second authenticate', async () => {
    await using socket = await enterSocket(server)
    socket.send({ type: 'authenticate', key: server.adminKey })
    expect((await lastError(socket)).message).toContain('once')
    await expectClosed(socket, 4400, 'BAD_REQUEST')
  })

  test.each([
    ['{"type":"subscrib","id":1}', 'unknown message "subscrib"'],
    ['{"type":"ping","oops":1}', 'ping: unknown field "oops"'],
    ['{"type":"query","id":1}', 'query: "sql" must be a string'],
    ['{"type":"query","id":-1,"sql":""}', 'query: "id" must be a whole number'],
    ['{"type":"query","id":4294967296,"sql":""}', 'query: "id" must be a whole number'],
    ['{"type":"query","id":1,"sql":"","transaction":1}', '"transaction" must be true or false'],
    ['{"id":1}', '"type" is missing'],
    ['[]', 'must be a JSON object'],
    ['', 'not JSON'],
    ['{"type":"ping"', 'not JSON'],
  ])('K4: %s', async (message, reason) => {
    await using socket = await enterSocket(server)
    socket.send(message)
    expect((await lastError(socket)).message).toContain(reason)
    await expectClosed(socket, 4400, 'BAD_REQUEST')
  })

  test('K4: binary frames in JSON, and text frames in binary', async () => {
    await using json = await enterSocket(server)
    json.send(Buffer.from('{"type":"ping"}'))
    await expectClosed(json, 4400, 'BAD_REQUEST')
    await using binary = await openSocket(server, { protocol: 'kalam.v1.bin' })
    binary.send({ type: 'ping' })
    await expectClosed(binary, 4400, 'BAD_REQUEST')
  })

  test('K4: text that is not UTF-8 ends the socket', async () => {
    // Not as one that does not tell its key.
    const late = () => metric(server, 'kalamdb_sockets_ended_total\\{code="SOCKET_TIMEOUT"\\}')
    const before = await late()
    const frame = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe])
    const socket = connect(server.port, '127.0.0.1')
    socket.write(handshake())
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(String(answer)).toContain('101 Switching Protocols')
    socket.write(frame)
    await once(socket.resume(), 'close')
    expect(await late()).toBe(before)
  })

  test('an id that is in use', async () => {
    await using socket = await enterSocket(server)
    socket.send({ type: 'query', id: 1, sql: endless })
    socket.send({ type: 'query', id: 1, sql: 'select 1' })
    expect((await lastError(socket)).message).toContain('id 1 is in use')
    await expectClosed(socket, 4400, 'BAD_REQUEST')
  })

  test('C6: a message of 4095 and 4096 bytes is taken, one of 4097 is not', async () => {
    await using socket = await enterSocket(server)
    for (const bytes of [4095, 4096]) {
      socket.send(pingOf(bytes))
      expect(await socket.next()).toEqual({ type: 'pong' })
    }
    socket.send(pingOf(4097))
    expect((await lastError(socket)).code).toBe('REQUEST_TOO_LARGE')
    await expectClosed(socket, 4413, 'REQUEST_TOO_LARGE')
  })

  test('C6: a message of two megabytes is not even read', async () => {
    await using socket = await enterSocket(server)
    socket.send(pingOf(2 * 1024 * 1024))
    expect([1006, 1009]).toContain((await socket.closed).code)
  })

  test('too much before the key was looked up', async () => {
    await using socket = await openSocket(server)
    socket.send({ type: 'authenticate', key: `kal_${'B'.repeat(42)}A` })
    for (let i = 0; i < 3; i++) socket.send(pingOf(4000))
    expect([4401, 4413]).toContain((await socket.closed).code)
  })

  test('no authenticate in time', async () => {
    await using quick = await openTestServer({ settings: { 'socket.authenticate_timeout_ms': 50 } })
    await using socket = await openSocket(quick)
    await expectClosed(socket, 4408, 'SOCKET_TIMEOUT')
  })
})

describe('what is no error of the socket', () => {
  test('C6: one query more than socket.queries_max is refused', async () => {
    await using socket = await enterSocket(server)
    for (const id of [1, 2, 3]) socket.send({ type: 'query', id, sql: 'select pg_sleep(0)' })
    const sql = 'select count(*) from generate_series(1, 300000)'
    for (const id of [11, 12, 13, 14]) socket.send({ type: 'query', id, sql })
    const answers = new Map<unknown, unknown>()
    while (answers.size < 7) {
      const { id, error } = await socket.next()
      answers.set(id, (error as { code?: string } | undefined)?.code)
    }
    expect(answers.get(14)).toBe('OVERLOADED')
  })

  test('C6: a result over half of socket.buffered_bytes_max is refused', async () => {
    await using socket = await enterSocket(server)
    const sql = "select repeat('x', $1::int) as t"
    socket.send({ type: 'query', id: 1, sql, params: [120_000] })
    expect((await socket.next())['type']).toBe('result')
    socket.send({ type: 'query', id: 2, sql, params: [140_000] })
    expect(await socket.next()).toMatchObject({ id: 2, error: { code: 'RESULT_TOO_LARGE' } })
  })

  test('C6: requests over the rate of the key', async () => {
    await using rated = await openTestServer({
      settings: { 'limits.requests_per_second_per_key': 1, 'limits.burst_requests_per_key': 2 },
    })
    await using socket = await enterSocket(rated)
    const kinds: unknown[] = []
    // A second that passes meanwhile lets one more through.
    for (let id = 1; id <= 9; id++) socket.send({ type: 'query', id, sql: 'select 1' })
    while (kinds.length < 9) kinds.push((await socket.next())['type'])
    expect(new Set(kinds)).toEqual(new Set(['error', 'result']))
    const page = await (await fetch(`${rated.url}/metrics`)).text()
    const refused = kinds.filter((kind) => kind === 'error').length
    expect(page).toMatch(new RegExp(`^kalamdb_rate_limited_total ${refused}$`, 'm'))
  })

  test('an unsubscribe of what is not there is answered', async () => {
    await using socket = await enterSocket(server)
    socket.send({ type: 'unsubscribe', id: 9 })
    expect(await socket.next()).toEqual({ type: 'unsubscribed', id: 9 })
  })
})

describe('the upgrade', () => {
  test('a plain GET is told what to ask for', async () => {
    const response = await fetch(`${server.url}/v1/ws`)
    expect(response.status).toBe(426)
    expect(response.headers.get('sec-websocket-version')).toBe('13')
    expect(await response.json()).toMatchObject({ error: { code: 'UPGRADE_REQUIRED' } })
    expect((await fetch(`${server.url}/v1/ws`, { method: 'POST' })).status).toBe(405)
  })

  test.each([
    ['no sub-protocol', { 'Sec-WebSocket-Protocol': undefined }, 400],
    ['an unknown sub-protocol', { 'Sec-WebSocket-Protocol': 'kalam.v0.json, x' }, 400],
    ['another version', { 'Sec-WebSocket-Version': '8' }, 426],
    ['a key that is none', { 'Sec-WebSocket-Key': 'short' }, 426],
    ['another upgrade', { Upgrade: 'h2c' }, 426],
    ['C8: a page of another origin', { Origin: 'https://evil.example.com' }, 403],
  ])('%s is answered like any request', async (_name, headers, status) => {
    const answer = await sendRaw(server.port, [handshake(headers)])
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `, 'u'))
    expect(answer).toContain('"status":"error"')
  })

  test.each([
    ['C8: an allowed page', { Origin: 'https://app.example.com' }],
    ['C8: a page of this server', { Origin: 'http://test.example', Host: 'test.example' }],
    ['capitals', { Upgrade: 'WebSocket' }],
  ])('%s gets a socket', async (_name, headers) => {
    const isUpgraded = (received: string) => received.includes('\r\n\r\n')
    const answer = await sendRaw(server.port, [handshake(headers)], isUpgraded)
    expect(answer).toMatch(/^HTTP\/1.1 101 /u)
    expect(answer.toLowerCase()).toContain('sec-websocket-protocol: kalam.v1.json')
  })

  test('another path is not there, and curl --http2 is answered', async () => {
    const elsewhere = handshake().replace('/v1/ws', '/v1/other')
    expect(await sendRaw(server.port, [elsewhere])).toMatch(/^HTTP\/1.1 404 /u)
    const http2 = 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'
    expect(await sendRaw(server.port, [http2])).toMatch(/^HTTP\/1.1 200 /u)
  })

  test('C6: one more than socket.sockets_max is told to come back', async () => {
    await using small = await openTestServer({ settings: { 'socket.sockets_max': 2 } })
    await using first = await openSocket(small)
    const second = await openSocket(small)
    const refused = await sendRaw(small.port, [handshake()])
    expect(refused).toMatch(/^HTTP\/1.1 503 [^]*retry-after: 1[^]*OVERLOADED/iu)
    second.cut()
    await eventually(async () => {
      const socket = await openSocket(small).catch(() => undefined)
      await socket?.[Symbol.asyncDispose]()
      return socket !== undefined
    })
    first.send({ type: 'authenticate', key: small.adminKey })
    expect(await first.next()).toMatchObject({ type: 'authenticated' })
  })
})

describe('A8: what a key no longer proves ends its sockets', () => {
  /** The code that the socket ends with, which was told to it before the change was answered. */
  async function endOf(socket: TestSocket, change: string): Promise<number> {
    const ended = 'kalamdb_sockets_ended_total\\{code="(?:UNAUTHORIZED|CALLER_CHANGED)"\\}'
    const before = await sum(ended)
    await server.sql(change)
    expect(await sum(ended)).toBe(before + 1)
    return (await socket.closed).code
  }

  /** Of all figures with such a name. */
  async function sum(name: string): Promise<number> {
    const page = await (await fetch(`${server.url}/metrics`)).text()
    const figures = page.matchAll(new RegExp(`^${name} (\\S+)$`, 'gmu'))
    return Array.from(figures, ([, value]) => Number(value)).reduce((all, one) => all + one, 0)
  }

  test('a revoked key, and no other of the user', async () => {
    const first = await server.createUser('revoked')
    const { rows } = await server.sql("CREATE APIKEY FOR 'revoked'")
    await using staying = await enterSocket(server, { key: first })
    await using socket = await enterSocket(server, { key: String(rows[0]?.['apikey']) })
    const id = Object.values(rows[0] ?? {})[0]
    expect(await endOf(socket, `REVOKE APIKEY '${String(id)}'`)).toBe(4401)
    staying.send({ type: 'ping' })
    expect(await staying.next()).toEqual({ type: 'pong' })
  })

  test.each([
    ['a dropped user', "DROP USER 'ended_0'", 4401],
    ['rotated keys', "ALTER USER 'ended_1' ROTATE APIKEY", 4401],
    ['another role', "ALTER USER 'ended_2' ROLE service", 4409],
  ])('%s', async (_name, change, expected) => {
    const name = /ended_\d/u.exec(change)?.[0] ?? ''
    await using socket = await enterSocket(server, { key: await server.createUser(name) })
    expect(await endOf(socket, change)).toBe(expected)
  })

  test('a GRANT to the user, which gives them a role of their own', async () => {
    await server.sql('create table granted (n int)')
    await using socket = await enterSocket(server, { key: await server.createUser('granted') })
    await server.sql("GRANT SELECT ON granted TO 'granted'")
    expect((await socket.closed).code).toBe(4409)
    const again = await server.createUser('granted_twice')
    await server.sql("GRANT SELECT ON granted TO 'granted_twice'")
    await using staying = await enterSocket(server, { key: again })
    await server.sql("GRANT INSERT ON granted TO 'granted_twice'")
    staying.send({ type: 'query', id: 1, sql: 'insert into granted values (1)' })
    expect(await staying.next()).toMatchObject({ type: 'result', id: 1 })
  })

  /** With a key that will expire. A busy machine may take longer than the key lives. */
  async function enterBriefly(name: string): Promise<TestSocket> {
    await server.createUser(name)
    for (let seconds = 1; ; seconds *= 4) {
      const { rows } = await server.sql(`CREATE APIKEY FOR '${name}' EXPIRES '${seconds} second'`)
      const key = String(rows[0]?.['apikey'])
      const socket = await enterSocket(server, { key }).catch(() => undefined)
      if (socket !== undefined) return socket
    }
  }

  test('a key that expires', async () => {
    await using socket = await enterBriefly('expiring')
    // Sooner than the test waits for anything, and than a quiet socket is looked at.
    await expectClosed(socket, 4401, 'UNAUTHORIZED')
  })

  test('what runs for it is cancelled', async () => {
    await using socket = await enterBriefly('running')
    socket.send({ type: 'query', id: 1, sql: endless })
    await expectClosed(socket, 4401, 'UNAUTHORIZED')
    expect((await server.request('select 1')).status).toBe(200)
  })
})

describe('heartbeats', () => {
  test('a quiet client that answers pings stays, one that is gone is ended', async () => {
    await using quick = await openTestServer({
      settings: { 'socket.heartbeat_ms': 200, 'socket.idle_timeout_ms': 1_500 },
    })
    await using quiet = await enterSocket(quick)
    // Never answers a ping.
    const dead = connect(quick.port, '127.0.0.1')
    dead.write(handshake())
    await once(dead.resume(), 'close')
    quiet.send({ type: 'ping', id: 1 })
    expect(await quiet.next()).toEqual({ type: 'pong', id: 1 })
  })
})

describe('the stop', () => {
  test('queries end, then sockets are told to come back', async () => {
    const stopping = await openTestServer()
    const idle = await enterSocket(stopping)
    const busy = await enterSocket(stopping)
    const letGo = await holdEngine(stopping)
    busy.send({ type: 'query', id: 1, sql: 'select 1 as n' })
    busy.send({ type: 'ping' })
    await busy.next()
    const closed = stopping.close()
    await expectClosed(idle, 4503, 'UNAVAILABLE')
    busy.send({ type: 'query', id: 2, sql: 'select 1' })
    expect(await busy.next()).toMatchObject({ id: 2, error: { code: 'UNAVAILABLE' } })
    await letGo()
    expect(await busy.next()).toMatchObject({ id: 1, results: [{ rows: [{ n: 1 }] }] })
    await expectClosed(busy, 4503, 'UNAVAILABLE')
    await closed
  })

  test('past server.shutdown_timeout_ms they are cancelled', async () => {
    const stopping = await openTestServer({ settings: { 'server.shutdown_timeout_ms': 100 } })
    const busy = await enterSocket(stopping)
    busy.send({ type: 'query', id: 1, sql: endless })
    busy.send({ type: 'ping' })
    await busy.next()
    await stopping.close()
    expect(await busy.next()).toMatchObject({ id: 1, error: { code: 'UNAVAILABLE' } })
    await expectClosed(busy, 4503, 'UNAVAILABLE')
  })
})

test('sockets, messages and ends are counted', async () => {
  const ended = await metric(server, 'kalamdb_sockets_ended_total\\{code="CLOSED"\\}')
  const socket = await enterSocket(server)
  expect(await metric(server, 'kalamdb_sockets')).toBeGreaterThan(0)
  expect(
    await metric(server, 'kalamdb_socket_messages_total\\{direction="out"\\}'),
  ).toBeGreaterThan(0)
  socket.close()
  expect((await socket.closed).code).toBe(1000)
  await eventually(
    async () => (await metric(server, 'kalamdb_sockets_ended_total\\{code="CLOSED"\\}')) > ended,
  )
})

/** A JSON ping of that many bytes. */
function pingOf(bytes: number): string {
  return '{"type":"ping"}'.padEnd(bytes, ' ')
}

function handshake(headers: Readonly<Record<string, string | undefined>> = {}): string {
  const all = {
    Host: 'test',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Protocol': 'kalam.v1.json',
    ...headers,
  }
  const lines = Object.entries(all).flatMap(([name, value]: [string, string | undefined]) =>
    value === undefined ? [] : [`${name}: ${value}\r\n`],
  )
  return `GET /v1/ws HTTP/1.1\r\n${lines.join('')}\r\n`
}
