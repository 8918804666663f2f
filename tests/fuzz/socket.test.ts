/**
 * Ten thousand malformed frames: cut off, badly masked, reserved bits, wrong lengths, broken UTF-8,
 * messages changed byte by byte, on both sub-protocols. The server answers well-formed ones
 * throughout, and what it held for the others it lets go.
 * `KALAM_TEST_SEED` sets others, `KALAM_TEST_FUZZ_FRAMES` sets the number.
 */
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { countOf, seed } from '../support/counts.js'
import { randomFrom, type Random } from '../support/random.js'
import { openTestServer, type TestServer } from '../support/server.js'
import { enterSocket } from '../support/socket-client.js'

const frameCount = countOf('KALAM_TEST_FUZZ_FRAMES', 10_000)
const framesPerSocket = 20
const socketsAtOnce = 25

let server: TestServer
beforeAll(async () => {
  server = await openTestServer({
    settings: { 'socket.message_bytes_max': 4096, 'socket.authenticate_timeout_ms': 200 },
  })
})
afterAll(() => server.close())

test(`K4: ${frameCount} malformed frames end sockets, never the server (seed ${seed})`, async () => {
  const random = randomFrom(seed)
  const before = process.memoryUsage().rss
  await using witness = await enterSocket(server)
  const socketCount = Math.ceil(frameCount / framesPerSocket)
  for (let done = 0; done < socketCount; done += socketsAtOnce) {
    await Promise.all(Array.from({ length: socketsAtOnce }, () => sendGarbage(random)))
    witness.send({ type: 'query', id: 1, sql: 'select 1 as a' })
    expect(await witness.next()).toMatchObject({ type: 'result', results: [{ rows: [{ a: 1 }] }] })
  }
  const figures = await (await fetch(`${server.url}/metrics`)).text()
  expect(Number(/^kalamdb_sockets_opened_total (\d+)$/mu.exec(figures)?.[1])).toBeGreaterThan(
    socketCount / 2,
  )
  expect(process.memoryUsage().rss - before).toBeLessThan(300 * 1024 * 1024)
  await gone()
}, 300_000)

/** Waits until the witness is the only socket. */
async function gone(): Promise<void> {
  const deadlineMs = performance.now() + 20_000
  for (;;) {
    const page = await (await fetch(`${server.url}/metrics`)).text()
    if (/^kalamdb_sockets 1$/mu.test(page)) return
    if (performance.now() > deadlineMs) throw new Error('sockets were left open')
  }
}

/** Opens a socket, sends frames until it is ended or all are sent, and leaves. */
function sendGarbage(random: Random): Promise<void> {
  const isBinary = random.below(2) === 0
  const parts: Buffer[] = []
  if (random.below(4) > 0) parts.push(frame(random, authenticate(isBinary), isBinary ? 2 : 1))
  for (let i = 0; i < framesPerSocket; i++) parts.push(garbage(random, isBinary))
  return new Promise((resolve) => {
    const socket = connect(server.port, '127.0.0.1')
    const end = () => {
      socket.destroy()
      resolve()
    }
    socket.setTimeout(400, end)
    socket.once('error', end)
    socket.once('close', end)
    socket.resume()
    socket.write(handshake(isBinary), () => {
      socket.write(Buffer.concat(parts), () => {
        // Some wait for the end, some hang up.
        if (random.below(3) > 0) socket.end()
      })
    })
  })
}

const messages = [
  '{"type":"ping","id":1}',
  '{"type":"query","id":1,"sql":"select $1","params":[1.10,"ü",null,{"a":[1]}]}',
  '{"type":"subscribe","id":2,"sql":"select 1","from":"a.1"}',
  '{"type":"unsubscribe","id":2}',
]
const frames = [
  '0500',
  '041f7f0953454c454354202431115b5b315d2c7b2261223a206e756c6c7d5d03617070056172726179036b2d31',
  '020fac020953454c4543542024310b5b312e31302c22c3bc225d0361707003612e370135',
  '03ffffffff0f',
]

function authenticate(isBinary: boolean): Buffer {
  const key = server.adminKey
  if (!isBinary) return Buffer.from(JSON.stringify({ type: 'authenticate', key }))
  return Buffer.concat([Buffer.from([1, 0, key.length]), Buffer.from(key)])
}

/** One of the ways in which a frame can be wrong. */
function garbage(random: Random, isBinary: boolean): Buffer {
  const opcode = isBinary ? 2 : 1
  const message = isBinary
    ? Buffer.from(random.of(frames), 'hex')
    : Buffer.from(random.of(messages))
  switch (random.below(9)) {
    case 0:
      return frame(random, changed(random, message), opcode)
    case 1:
      return frame(random, message.subarray(0, random.below(message.length)), opcode)
    case 2:
      return frame(random, random.bytes(random.below(200)), opcode)
    case 3:
      // Any opcode, reserved bits, not the last fragment.
      return frame(random, message, random.below(256))
    case 4:
      return random.bytes(1 + random.below(40))
    case 5:
      // Claims more than comes, up to 2^63 bytes.
      return Buffer.concat([Buffer.from([0x80 | opcode, 0xff]), random.bytes(8 + random.below(20))])
    case 6:
      return frame(random, Buffer.alloc(4090 + random.below(20), ' '), opcode)
    case 7:
      return frame(random, Buffer.concat([message, random.bytes(3)]), opcode)
    default:
      // Without a mask, which clients must have.
      return Buffer.concat([Buffer.from([0x80 | opcode, message.length & 0x7f]), message])
  }
}

function changed(random: Random, message: Buffer): Buffer {
  const copy = Buffer.from(message)
  for (let i = 0; i <= random.below(3); i++) copy[random.below(copy.length)] = random.below(256)
  return copy
}

/** A masked frame; `first` is its opcode, or any first byte. */
function frame(random: Random, payload: Buffer, first: number): Buffer {
  const mask = random.bytes(4)
  const masked = payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0))
  const head = first < 16 ? 0x80 | first : first
  if (payload.length < 126)
    return Buffer.concat([Buffer.from([head, 0x80 | payload.length]), mask, masked])
  const length = Buffer.from([head, 0xfe, payload.length >> 8, payload.length & 0xff])
  return Buffer.concat([length, mask, masked])
}

function handshake(isBinary: boolean): string {
  return (
    'GET /v1/ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
    'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
    `Sec-WebSocket-Protocol: kalam.v1.${isBinary ? 'bin' : 'json'}\r\n\r\n`
  )
}
