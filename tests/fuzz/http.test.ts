/**
 * Ten thousand malformed requests over raw sockets: cut off, misspelt, oversized, badly chunked,
 * noise. The server answers well-formed ones throughout, and what it held for the others it lets go.
 * `KALAM_TEST_SEED` sets others, `KALAM_TEST_FUZZ_REQUESTS` sets the number.
 */
import { existsSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { countOf, seed } from '../support/counts.js'
import { randomFrom } from '../support/random.js'
import { openTestServer, type TestServer } from '../support/server.js'

const requestCount = countOf('KALAM_TEST_FUZZ_REQUESTS', 10_000)
const atOnce = 100
/** Ten times what it takes on two busy cores. */
const msPerRequestMax = 12

let server: TestServer
beforeAll(async () => {
  server = await openTestServer({ settings: { 'http.body_bytes_max': 64 * 1024 } })
})
afterAll(() => server.close())

describe('K4: malformed requests', () => {
  test(
    `${requestCount} of them harm nobody (seed ${seed})`,
    async () => {
      await send(atOnce * 5)
      const before = process.memoryUsage().rss
      for (let sent = 0; sent < requestCount; sent += atOnce) {
        await send(atOnce)
        const { status } = await server.request('select 1')
        expect(status).toBe(200)
      }
      expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1024 * 1024)
      await connectionsAreGone(server.port)
    },
    requestCount * msPerRequestMax,
  )
})

async function send(count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, () => sendOne(malformed())))
}

/** Writes the parts and hangs up: at an answer, or as soon as all is written. */
function sendOne(parts: readonly Buffer[]): Promise<void> {
  return new Promise((resolve) => {
    const socket: Socket = connect(server.port, '127.0.0.1')
    const done = () => {
      socket.destroy()
      resolve()
    }
    socket.once('data', done)
    socket.once('error', done)
    socket.once('close', done)
    parts.forEach((part, index) => {
      socket.write(part, () => {
        // One turn for the server's answer to come in; most have none.
        if (index === parts.length - 1) setImmediate(done)
      })
    })
  })
}

const random = randomFrom(seed)
const below = (max: number) => random.below(max)
const pick = <T>(values: readonly T[]) => random.of(values)
const noise = (lengthMax: number) => random.bytes(below(lengthMax))

function malformed(): Buffer[] {
  const kind = pick([
    cutOff,
    noiseOnly,
    damaged,
    wrongHead,
    hugeHead,
    wrongLength,
    wrongChunks,
    wrongJson,
    manyPieces,
    pipelined,
  ])
  return kind().map((part) => (typeof part === 'string' ? Buffer.from(part) : part))
}

type Parts = (string | Buffer)[]

function head(more = ''): string {
  return (
    'POST /v1/api/sql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n' +
    `X-API-KEY: ${server.adminKey}\r\n${more}`
  )
}

function whole(body: string | Buffer): Buffer {
  const length = `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n`
  return Buffer.concat([Buffer.from(head(length)), Buffer.from(body as string)])
}

function good(): Buffer {
  return whole('{"sql":"select $1::int as a","params":[1]}')
}

function cutOff(): Parts {
  const bytes = good()
  return [bytes.subarray(0, below(bytes.length))]
}

function noiseOnly(): Parts {
  return [noise(2_000)]
}

function damaged(): Parts {
  const bytes = good()
  for (let i = 0; i <= below(5); i++) bytes[below(bytes.length)] = below(256)
  return [bytes]
}

function wrongHead(): Parts {
  const method = pick(['POST', 'GET', 'BREW', 'post', '', 'P OST', 'CONNECT', 'TRACE', '\0'])
  const path = pick(['/v1/api/sql', '*', '//', '/%00', '/../..', 'http://x/', '/\u00ff', '?', ''])
  const version = pick(['HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/9', 'http/1.1', ''])
  const line = pick(['Host: x', ': x', 'Host x', 'Host:', 'X: \0', ' X: y', 'X\t: y', 'Host: x\r'])
  const end = pick(['\r\n', '\n', '\r', '\r\n\r\n\r\n'])
  return [`${method} ${path} ${version}${end}${line}${end}${end}`]
}

function hugeHead(): Parts {
  const one = () => head(`Cookie: ${'c'.repeat(below(100_000))}\r\n\r\n`)
  const many = () => head(`${'X-Filler: y\r\n'.repeat(below(2_000))}\r\n`)
  const path = () => `GET /${'p'.repeat(below(100_000))} HTTP/1.1\r\nHost: x\r\n\r\n`
  return [pick([one, many, path])()]
}

function wrongLength(): Parts {
  const length = pick(['-1', '1e9', '0x10', '99999999999999999999', '4, 4', '', '3', '1000', 'NaN'])
  return [head(`Content-Length: ${length}\r\n\r\n`), '{"sql":"select 1"}']
}

function wrongChunks(): Parts {
  const size = pick(['zz', '-1', 'ffffffffffffffff', '12;ext=1', '', '5', '100000', '0', ' 12'])
  const twice = pick(['', 'Content-Length: 5\r\n', 'Transfer-Encoding: identity\r\n'])
  return [
    head(`Transfer-Encoding: chunked\r\n${twice}\r\n`),
    `${size}\r\n{"sql":"select 1"}\r\n${pick(['0\r\n\r\n', '0', '\r\n', ''])}`,
  ]
}

function wrongJson(): Parts {
  const body = pick<() => string | Buffer>([
    () => noise(500),
    () => '['.repeat(below(60_000)),
    () => `{"sql":${'{"a":'.repeat(below(5_000))}`,
    () => '{"sql":"select 1","params":[' + '[1,'.repeat(below(1_000)),
    () => `{"sql":"select 1","params":[${'1'.repeat(below(10_000))}e${below(9_999)}]}`,
    () => '{"sql":"\\ud800"}',
    () => '{"sql":"select \\u0000"}',
    () => '{"__proto__":{"sql":"x"}}',
    () => Buffer.from('{"sql":"\xff\xfe"}', 'latin1'),
    () => `{"sql":"${'x'.repeat(70_000)}"}`,
    () => '{"sql":"select 1","rows":[[]]}',
    () => '{"sql":"select $1","params":[{"a":[1,{"b":"]}\\\\"}]},"]","\\""]}',
    () => '',
  ])()
  return [whole(body)]
}

function manyPieces(): Parts {
  const bytes = good()
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    const size = 1 + below(60)
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return pieces
}

function pipelined(): Parts {
  return Array.from({ length: 1 + below(20) }, good)
}

/** Resolves when the server has let go of all connections but fetch's own few. Linux only. */
async function connectionsAreGone(port: number): Promise<void> {
  const deadlineMs = performance.now() + 20_000
  while (openConnections(port) > 10) {
    if (performance.now() > deadlineMs) throw new Error(`${openConnections(port)} are still open`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** The server's side of TCP connections that are not closed. */
function openConnections(port: number): number {
  if (!existsSync('/proc/net/tcp')) return 0
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const [established, closeWait] = ['01', '08']
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .map((line) => line.trim().split(/\s+/u))
    .filter(([, address = '', , state = '']) => {
      return address.endsWith(local) && (state === established || state === closeWait)
    }).length
}
