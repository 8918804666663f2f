/**
 * Malformed connections of the Postgres wire: packets and messages that are cut off, changed byte by
 * byte, of wrong lengths, in any order, in any pieces, before the login and after it. The server
 * answers a well-behaved client throughout, and what it held for the others it lets go.
 * `KALAM_TEST_SEED` sets others, `KALAM_TEST_FUZZ_WIRE` sets the number.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { countOf, seed } from '../support/counts.js'
import { randomFrom, type Random } from '../support/random.js'
import { openTestServer, type TestServer } from '../support/server.js'
import {
  WireClient,
  cancelRequest,
  frame,
  gssRequest,
  packet,
  saslInitial,
  sslRequest,
  startupPacket,
  tagsOf,
  version30,
  type WireLogin,
} from '../support/raw-wire-client.js'

const connectionCount = countOf('KALAM_TEST_FUZZ_WIRE', 1_000)
const connectionsAtOnce = 50
/** One in so many logs in first. */
const loginsShare = 4

let server: TestServer
let alice: WireLogin
beforeAll(async () => {
  server = await openTestServer({
    settings: {
      'postgres_wire.enabled': true,
      'postgres_wire.startup_timeout_ms': 20_000,
      'postgres_wire.message_bytes_max': 65_536,
      'postgres_wire.unit_bytes_max': 131_072,
    },
  })
  alice = { user: 'alice', password: await server.createUser('alice') }
})
afterAll(() => server.close())

test(`K4: ${connectionCount} malformed connections end, never the server (seed ${seed})`, async () => {
  const random = randomFrom(seed)
  const before = process.memoryUsage().rss
  await using witness = await WireClient.connect({ port: server.wirePort })
  await witness.logIn({ user: 'root', password: server.adminKey })
  for (let done = 0; done < connectionCount; done += connectionsAtOnce) {
    await Promise.all(
      Array.from({ length: connectionsAtOnce }, (_, index) => sendGarbage(random, done + index)),
    )
    expect(tagsOf(await witness.query('select 1'))).toBe('TDCZ')
  }
  expect(process.memoryUsage().rss - before).toBeLessThan(300 * 1024 * 1024)
  const figure = async (name: string) => {
    const page = await (await fetch(`${server.url}/metrics`)).text()
    return Number(new RegExp(`^kalamdb_wire_${name} (\\d+)$`, 'mu').exec(page)?.[1])
  }
  expect(await figure('opened_total')).toBe(connectionCount + 1)
  const gone = { timeout: 20_000, interval: 20 }
  await expect.poll(() => figure('starting_connections'), gone).toBe(0)
  await expect.poll(() => figure('connections'), gone).toBe(1)
}, 1_800_000)

/** Each from an address of a few, so that ports which wait to be used again are not all. */
async function sendGarbage(random: Random, index: number): Promise<void> {
  const localAddress = `127.0.0.${1 + (index % 100)}`
  await using client = await WireClient.connect({ port: server.wirePort, localAddress })
  if (random.below(loginsShare) === 0) {
    await client.logIn(alice)
    await sendPieces(client, random, messages(random))
  } else await sendPieces(client, random, opening(random))
  // Some wait for the end, some hang up, some leave half of it open.
  if (random.below(3) > 0) return
  client.socket.end()
  await client.closed()
}

async function sendPieces(client: WireClient, random: Random, bytes: Buffer): Promise<void> {
  const pieces = 1 + random.below(4)
  const size = Math.ceil(bytes.length / pieces)
  for (let at = 0; at < bytes.length; at += size) {
    client.send(bytes.subarray(at, at + size))
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
}

/** What comes in place of a login. */
function opening(random: Random): Buffer {
  const login = startupPacket({ user: 'alice', database: 'kalamdb', application_name: 'ü' })
  const parts = [
    ...[login, sslRequest, gssRequest, packet(random.below(2 ** 31), random.bytes(20))],
    ...[cancelRequest(random.below(2 ** 31), random.bytes(4)), packet(version30, random.bytes(40))],
    ...[saslInitial('SCRAM-SHA-256', 'n,,n=,r=abc'), frame('p', random.bytes(30))],
    ...[random.bytes(12), Buffer.from([0x16, 3, 1, 0, 200, 1]), Buffer.alloc(10_001)],
  ]
  return some(random, parts)
}

/** What comes after one. */
function messages(random: Random): Buffer {
  const parse = frame('P', 's\0select $1::int\0\0\0')
  const bind = frame('B', 'p\0s\0\0\0\0\x01\0\0\0\x011\0\0')
  const parts = [
    ...[frame('Q', 'select 1\0'), frame('Q', 'select 1'), frame('Q', random.bytes(20))],
    ...[parse, bind, frame('D', 'Ss\0'), frame('D', 'Pp\0'), frame('E', 'p\0\0\0\0\0')],
    ...[frame('C', 'Ss\0'), frame('S'), frame('H'), frame('F', random.bytes(20)), frame('X')],
    ...[frame('d', random.bytes(50)), frame('c'), frame('f', 'no\0'), frame('p', 'kal_')],
    ...[Buffer.from([0x51, 0, 0xff, 0xff, 0xff]), Buffer.from([0x51, 0xff, 0xff, 0xff, 0xff])],
    ...[Buffer.from([0x53, 0, 0, 0, 3]), random.bytes(10), frame('B', random.bytes(40))],
  ]
  return some(random, parts)
}

/** A few of the parts in any order, changed or cut off now and then. */
function some(random: Random, parts: readonly Buffer[]): Buffer {
  const count = 1 + random.below(6)
  const chosen = Array.from({ length: count }, () => Buffer.from(random.of(parts)))
  const bytes = Buffer.concat(chosen)
  if (random.below(3) === 0) bytes[random.below(bytes.length)] = random.below(256)
  return random.below(4) === 0 ? bytes.subarray(0, random.below(bytes.length)) : bytes
}
