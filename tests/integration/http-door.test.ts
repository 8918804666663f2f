/** The door's life around a request: callers that leave or dawdle, limits, the stop, TLS. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import {
  errorOf,
  eventually,
  metric,
  postSql,
  rawSqlHead,
  sendOnly,
  sendRaw,
} from '../support/http-client.js'
import { holdEngine } from '../support/held-engine.js'
import { openTestServer, type TestServer } from '../support/server.js'

const isFallback = /^(1|true)$/iu.test(process.env['UWS_USE_FALLBACK'] ?? '')
const endless =
  'with recursive n as (select 1 as i union all select i + 1 from n) select sum(i) from n'

describe('C9: callers that leave', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await openTestServer({ settings: { 'http.stream_idle_timeout_ms': 500 } })
  })
  afterAll(() => server.close())

  test('a statement whose caller has gone is cancelled', async () => {
    const socket = await sendOnly(server, JSON.stringify({ sql: endless }))
    await eventually(async () => (await metric(server, 'kalamdb_engine_queue_units')) > 0)
    socket.destroy()
    const startedMs = performance.now()
    expect((await server.request('select 1')).status).toBe(200)
    // Not after the statement's own deadline of 30 s.
    expect(performance.now() - startedMs).toBeLessThan(10_000)
  })

  test('an AbortController in the client is enough', async () => {
    const controller = new AbortController()
    const asked = fetch(`${server.url}/v1/api/sql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-api-key': server.adminKey },
      body: JSON.stringify({ sql: endless }),
      signal: controller.signal,
    })
    await eventually(async () => (await metric(server, 'kalamdb_engine_queue_units')) > 0)
    controller.abort()
    await expect(asked).rejects.toThrow()
    expect((await server.request('select 1')).status).toBe(200)
  })

  test.each([
    ['a transaction', { transaction: true }, ''],
    ['an Idempotency-Key', {}, 'Idempotency-Key: left\r\n'],
  ])('%s that waits for the engine is taken back', async (_name, options, headers) => {
    const pending = () => metric(server, 'kalamdb_engine_queue_units')
    const owner = await sendOnly(server, JSON.stringify({ sql: endless, transaction: true }))
    await eventually(async () => (await pending()) === 1)
    const waiter = await sendOnly(server, JSON.stringify({ sql: 'select 1', ...options }), headers)
    await eventually(async () => (await pending()) === 2)
    waiter.destroy()
    await eventually(async () => (await pending()) === 1)
    owner.destroy()
    await eventually(async () => (await pending()) === 0)
  })

  const stream = 'Accept: application/x-ndjson\r\n'
  const leftStreams = () =>
    metric(server, 'kalamdb_http_requests_total\\{route="/v1/api/sql",status="499"\\}')
  const large = `select repeat('x', 1000) as t from generate_series(1, 300000)`

  test('C5: a reader that goes away ends the stream', async () => {
    const before = await leftStreams()
    const socket = await sendOnly(server, JSON.stringify({ sql: large }), stream)
    await new Promise((resolve) => socket.resume().once('data', resolve))
    socket.destroy()
    await eventually(async () => (await leftStreams()) === before + 1)
    expect((await server.request('select 1')).status).toBe(200)
  })
})

describe('C6: rates', () => {
  test('past the rate it is 429, with the time to wait', async () => {
    await using server = await openTestServer({
      settings: { 'limits.requests_per_second_per_key': 1, 'limits.burst_requests_per_key': 2 },
    })
    // A second that passes meanwhile lets one more through.
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => postSql(server, { body: { sql: 'select 1' } })),
    )
    const refused = answers.filter(({ status }) => status === 429)
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(2)
    expect(refused.length).toBeGreaterThan(0)
    expect(refused[0]?.headers.get('retry-after')).toBe('1')
    expect(await figure(server, 'rate_limited_total')).toBe(refused.length)
  })

  test('C9: a statement past its deadline is 408', async () => {
    await using server = await openTestServer({ settings: { 'engine.statement_timeout_ms': 200 } })
    const answer = await postSql(server, { body: { sql: endless } })
    expect(answer.status).toBe(408)
    expect(errorOf(answer)).toMatchObject({ code: 'STATEMENT_TIMEOUT', sqlstate: '57014' })
  })

  test('statements are counted: 199, 200 and 201 of at most 200', async () => {
    await using server = await openTestServer({ settings: { 'http.statements_max': 200 } })
    const asked = [199, 200, 201].map((count) =>
      postSql(server, { body: { sql: 'select 1;'.repeat(count) } }),
    )
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([200, 200, 413])
  })

  test('a result larger than the bound is refused, streamed it comes', async () => {
    await using server = await openTestServer({ settings: { 'http.result_bytes_max': 100_000 } })
    const body = { sql: `select repeat('x', 1000) as t from generate_series(1, 1000)` }
    const whole = await postSql(server, { body })
    expect(whole.status).toBe(413)
    expect(errorOf(whole).code).toBe('RESULT_TOO_LARGE')
    const headers = { accept: 'application/x-ndjson' }
    const streamed = await postSql(server, { body, headers })
    expect(streamed.text.split('\n')).toHaveLength(1_003)
  })
})

/** Of the page for Prometheus. */
async function figure({ url }: { readonly url: string }, name: string): Promise<number> {
  const page = await (await fetch(`${url}/metrics`)).text()
  const line = page.split('\n').find((text) => text.startsWith(`kalamdb_${name} `))
  return Number(line?.split(' ').at(-1) ?? 0)
}

describe('C7: metrics', () => {
  test('need a key if metrics.require_key says so', async () => {
    await using server = await openTestServer({ settings: { 'metrics.require_key': true } })
    const open = await fetch(`${server.url}/metrics`)
    expect(open.status).toBe(401)
    const headers = { authorization: `Bearer ${server.adminKey}` }
    expect((await fetch(`${server.url}/metrics`, { headers })).status).toBe(200)
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
  })

  test('are not there if metrics.enabled is false', async () => {
    await using server = await openTestServer({ settings: { 'metrics.enabled': false } })
    expect((await fetch(`${server.url}/metrics`)).status).toBe(404)
  })
})

describe('C8: other origins', () => {
  test('only those that are listed', async () => {
    await using server = await openTestServer({
      settings: { 'cors.allowed_origins': ['https://app.example.com'] },
    })
    const allowed = async (origin: string) =>
      (await fetch(`${server.url}/health`, { headers: { origin } })).headers.get(
        'access-control-allow-origin',
      )
    expect(await allowed('https://app.example.com')).toBe('https://app.example.com')
    expect(await allowed('http://localhost:5173')).toBeNull()
  })
})

describe('the stop', () => {
  test('requests that run may end; new connections are not taken', async () => {
    const server = await openTestServer()
    const letGo = await holdEngine(server)
    const running = server.sql('select 1 as n')
    await eventually(async () => (await metric(server, 'kalamdb_engine_queue_units')) > 0)
    const closed = server.close()
    await letGo()
    expect((await running).rows).toEqual([{ n: 1 }])
    await closed
    await expect(fetch(`${server.url}/health`)).rejects.toThrow()
  })

  test('past server.shutdown_timeout_ms they are cancelled, and told so', async () => {
    const server = await openTestServer({ settings: { 'server.shutdown_timeout_ms': 100 } })
    const running = server.request(endless)
    await eventually(async () => (await metric(server, 'kalamdb_engine_queue_units')) > 0)
    await server.close()
    const { status, body } = await running
    expect(status).toBe(503)
    expect(body.error?.code).toBe('UNAVAILABLE')
  })

  test('two servers cannot have one port', async () => {
    await using server = await openTestServer()
    const second = openTestServer({ settings: { 'server.port': server.port } })
    await expect(second).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })
})

describe('K4: what is hardly HTTP', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await openTestServer()
  })
  afterAll(() => server.close())

  test('a body with a length and chunks is not taken for two', async () => {
    const head = `${rawSqlHead(server)}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n`
    const answer = await sendRaw(server.port, [head, '12\r\n{"sql":"select 1"}\r\n0\r\n\r\n'])
    expect(answer).not.toContain('200 OK')
  })

  test('a head of 3.5 KiB that comes in single bytes is taken', async () => {
    const head = `GET /health HTTP/1.1\r\nHost: x\r\nCookie: ${'a'.repeat(3_500)}\r\n\r\n`
    expect(await sendRaw(server.port, Array.from(head))).toMatch(/^HTTP\/1.1 200 OK/u)
  })

  test('a head without end does not stay', async () => {
    const endless = Array.from({ length: 40 }, () => `X-Filler: ${'a'.repeat(16 * 1024)}\r\n`)
    const answer = await sendRaw(server.port, ['GET /health HTTP/1.1\r\nHost: x\r\n', ...endless])
    expect(answer).not.toContain('200 OK')
  })
})

describe('C10: TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kalam-tls-'))
  const certificate = join(folder, 'cert.pem')
  const key = join(folder, 'key.pem')
  const settings = { 'server.tls_cert': certificate, 'server.tls_key': key }
  beforeAll(() => {
    const subject = ['-subj', '/CN=localhost', '-days', '2', '-nodes', '-newkey', 'rsa:2048']
    const files = ['-keyout', key, '-out', certificate]
    execFileSync('openssl', ['req', '-x509', ...subject, ...files], { stdio: 'ignore' })
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  test.skipIf(isFallback)('the server speaks HTTPS', async () => {
    await using server = await openTestServer({ settings })
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const options = { port: server.port, path: '/health', rejectUnauthorized: false }
      const asked = httpsRequest(options, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
      asked.on('error', reject).end()
    })
    expect(status).toBe(200)
  })

  test.skipIf(isFallback)('WebSockets open over it', async () => {
    await using server = await openTestServer({ settings })
    const url = `wss://127.0.0.1:${server.port}/v1/ws`
    const socket = new WebSocket(url, ['kalam.v1.json'], { rejectUnauthorized: false })
    const answer = await new Promise((resolve, reject) => {
      socket.once('error', reject)
      socket.once('open', () =>
        socket.send(JSON.stringify({ type: 'authenticate', key: server.adminKey })),
      )
      socket.once('message', (bytes: Buffer) => resolve(JSON.parse(String(bytes))))
    })
    expect(answer).toMatchObject({ type: 'authenticated', user_id: 'root' })
    socket.terminate()
  })

  test.runIf(isFallback)('the fallback refuses to start with it', async () => {
    const started = openTestServer({ settings })
    await expect(started).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    await expect(started).rejects.toThrow(/server\.tls_cert.*fallback/u)
  })

  test('files that are no certificate stop the start', async () => {
    const wrong = { ...settings, 'server.tls_cert': key }
    await expect(openTestServer({ settings: wrong })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    })
  })
})
