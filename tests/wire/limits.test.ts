/** The bounds of the Postgres wire, each at its edge, and strangers who try to hold it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestServer, type TestServer } from '../support/server.js'
import {
  WireClient,
  cancelOf,
  errorOf,
  frame,
  packet,
  startupPacket,
  tagsOf,
  version30,
  type WireLogin,
  type WireMessage,
} from '../support/raw-wire-client.js'

const limits = {
  connections_max: 4,
  startups_max: 20,
  message_bytes_max: 4_096,
  unit_bytes_max: 8_192,
  ahead_bytes_max: 1_024,
  buffered_bytes_max: 65_536,
  notified_bytes_max: 65_536,
  channels_max: 3,
  statements_bytes_max: 65_536,
} as const
/** On a server of their own: elsewhere a busy machine would meet them. */
const deadlines = { startup_timeout_ms: 1_000, send_timeout_ms: 1_000 } as const
const burst = 200

let server: TestServer
let root: WireLogin
beforeAll(async () => {
  server = await openTestServer({
    settings: {
      ...ofWire(limits),
      ...{ 'limits.requests_per_second_per_key': 1, 'limits.burst_requests_per_key': burst },
    },
  })
  root = { user: 'root', password: server.adminKey }
})
afterAll(() => server.close())

function ofWire(values: Readonly<Record<string, number>>): Record<string, number | boolean> {
  const named = Object.entries(values).map(([name, value]) => [`postgres_wire.${name}`, value])
  return { ...(Object.fromEntries(named) as Record<string, number>), 'postgres_wire.enabled': true }
}

const connect = () => WireClient.connect({ port: server.wirePort })

async function enter(login: WireLogin = root): Promise<WireClient> {
  const client = await connect()
  await client.logIn(login)
  return client
}

async function figure(name: string, { url } = server): Promise<number> {
  const page = await (await fetch(`${url}/metrics`)).text()
  const line = page.split('\n').find((text) => text.startsWith(`kalamdb_${name} `))
  return Number(line?.split(' ').at(-1) ?? 0)
}

const pollOptions = { timeout: 20_000, interval: 20 }

test('postgres_wire.connections_max: one more is told so, until one has left', async () => {
  const clients: WireClient[] = []
  for (let index = 0; index < limits.connections_max; index++) clients.push(await enter())
  await using refused = await connect()
  await expect(refused.logIn(root)).rejects.toThrow(/53300.*sorry, too many clients already/u)
  clients[0]?.send(frame('X'))
  await clients[0]?.closed()
  await expect.poll(() => figure('wire_connections'), pollOptions).toBe(limits.connections_max - 1)
  await using next = await enter()
  expect(tagsOf(await next.query('select 1'))).toBe('TDCZ')
  for (const client of clients) client.cut()
  await expect.poll(() => figure('wire_connections'), pollOptions).toBe(1)
})

describe('strangers', () => {
  test('postgres_wire.startups_max: one more ends the oldest, and nobody is kept out', async () => {
    const idle: WireClient[] = []
    for (let index = 0; index < limits.startups_max; index++) idle.push(await connect())
    await expect
      .poll(() => figure('wire_starting_connections'), pollOptions)
      .toBe(limits.startups_max)
    await using client = await enter()
    expect(await idle[0]?.error()).toMatchObject({ severity: 'FATAL', code: '53300' })
    expect(tagsOf(await client.query('select 1'))).toBe('TDCZ')
    // The others were left alone.
    idle[1]?.send(startupPacket({ user: 'root' }))
    expect((await idle[1]?.next())?.tag).toBe('R')
    for (const one of idle) one.cut()
  })

  test('hold nobody up, whatever they send', async () => {
    await using client = await enter()
    const flood = Array.from({ length: 200 }, async (_, index) => {
      const stranger = await connect()
      const huge = Buffer.from([0x00, 0x00, 0x27, 0x10, 0, 3, 0, 0])
      const kinds = [huge, packet(version30, Buffer.alloc(9_000, 'x')), Buffer.alloc(100_000, 'x')]
      stranger.send(kinds[index % kinds.length] ?? huge)
      return stranger
    })
    for (let round = 0; round < 10; round++)
      expect(tagsOf(await client.query('select 1'))).toBe('TDCZ')
    for (const stranger of await Promise.all(flood)) stranger.cut()
    await expect.poll(() => figure('wire_starting_connections'), pollOptions).toBe(0)
  })
})

test('postgres_wire.statements_bytes_max: one more fails, until one was closed', async () => {
  await using client = await enter()
  const ask = async (...messages: readonly Uint8Array[]) => {
    client.send(...messages, frame('S'))
    const said = await client.upTo('Z')
    return said.filter(({ tag }) => tag === 'E').map((each) => errorOf(each).code)
  }
  // 1 KiB and its text each.
  const parse = (name: string, bytes: number) => {
    const text = 'select 1'.padEnd(bytes - 1024)
    return frame('P', `${name}\0${text}\0\0\0`)
  }
  for (let index = 0; index < 15; index++) expect(await ask(parse(`s${index}`, 4_096))).toEqual([])
  expect(await ask(parse('last', 4_097))).toEqual(['53400'])
  expect(await ask(parse('last', 4_096))).toEqual([])
  expect(await ask(parse('more', 1_040))).toEqual(['53400'])
  expect(await ask(parse('', 4_000))).toEqual([])
  expect(await ask(frame('C', 'Ss3\0'))).toEqual([])
  expect(await ask(parse('more', 1_040))).toEqual([])
  expect(await ask(frame('B', '\0last\0\0\0\0\0\0\0'), frame('E', '\0\0\0\0\0'))).toEqual([])
})

test('postgres_wire.channels_max: LISTEN to one more fails, until one was given up', async () => {
  await using client = await enter()
  await client.query('listen a; listen b')
  expect(tagsOf(await client.query('begin; listen c; listen a'))).toBe('CCCZ')
  const refused = (await client.query('listen d')).find(({ tag }) => tag === 'E')
  expect(refused && errorOf(refused)).toMatchObject({ code: '53400' })
  await client.query('rollback')
  expect(tagsOf(await client.query('listen d'))).toBe('CZ')
  expect(tagsOf(await client.query('listen e'))).toBe('EZ')
  expect(tagsOf(await client.query('unlisten a'))).toBe('CZ')
  expect(tagsOf(await client.query('listen e'))).toBe('CZ')
})

describe('postgres_wire.message_bytes_max', () => {
  const query = (bytes: number) => frame('Q', `select 1${' '.repeat(bytes - 13)}\0`)

  test('bytes are taken, length included', async () => {
    await using client = await enter()
    const message = query(limits.message_bytes_max)
    expect(message.readUInt32BE(1)).toBe(limits.message_bytes_max)
    client.send(message)
    expect(tagsOf(await client.upTo('Z'))).toBe('TDCZ')
  })

  test('and one more end the connection', async () => {
    await using client = await enter()
    client.send(query(limits.message_bytes_max + 1))
    const error = await client.error()
    expect(error).toMatchObject({ severity: 'FATAL', code: '54000' })
    expect(error.message).toContain('postgres_wire.message_bytes_max is 4096')
  })
})

describe('postgres_wire.unit_bytes_max', () => {
  const sync = frame('S')
  /** So many bytes of statements that are parsed, all told. */
  const parses = (bytes: number) => {
    const one = (length: number) => frame('P', `\0${' '.repeat(length - 9)}\0\0\0`)
    return [one(3_000), one(3_000), one(bytes - 6_000)]
  }

  test('bytes are taken up to a Sync', async () => {
    await using client = await enter()
    client.send(...parses(limits.unit_bytes_max - sync.length), sync)
    expect(tagsOf(await client.upTo('Z'))).toMatch(/^1+Z$/u)
  })

  test('and one more end the connection', async () => {
    await using client = await enter()
    client.send(...parses(limits.unit_bytes_max - sync.length + 1), sync)
    const error = await client.error()
    expect(error).toMatchObject({ severity: 'FATAL', code: '54000' })
    expect(error.message).toContain('postgres_wire.unit_bytes_max')
  })
})

test('postgres_wire.ahead_bytes_max: no more is read while a statement runs', async () => {
  await using client = await connect()
  const greeting = await client.logIn(root)
  const units = await figure('wire_units_total')
  client.send(frame('Q', 'select count(*) from generate_series(1, 100000000000)\0'))
  await expect.poll(() => figure('wire_units_total'), pollOptions).toBe(units + 1)
  const before = await figure(bytesIn)
  // Data of a COPY that there is not, which is read over, and a statement behind it.
  const skipped = Array.from({ length: 500 }, () => frame('d', Buffer.alloc(1_000)))
  client.send(...skipped, frame('Q', 'select 1\0'))
  await expect.poll(() => figure(bytesIn), pollOptions).toBeGreaterThan(before)
  await using other = await connect()
  other.send(cancelOf(greeting))
  // The bound, and what a read may bring at once: 64 KiB.
  expect((await figure(bytesIn)) - before).toBeLessThan(3 * 65_536)
  await other.closed()
  // Then it goes on where it was.
  expect(tagsOf(await client.upTo('Z'))).toContain('E')
  expect(tagsOf(await client.upTo('Z'))).toBe('TDCZ')
})

const bytesIn = 'wire_bytes_total{direction="in"}'

describe('deadlines', () => {
  let brief: TestServer
  beforeAll(async () => {
    brief = await openTestServer({ settings: ofWire({ ...limits, ...deadlines }) })
  })
  afterAll(() => brief.close())
  const connectBriefly = () => WireClient.connect({ port: brief.wirePort })

  test('postgres_wire.startup_timeout_ms: whoever does not log in is ended', async () => {
    const startedMs = performance.now()
    await using silent = await connectBriefly()
    await using slow = await connectBriefly()
    await using halfway = await connectBriefly()
    slow.send(startupPacket({ user: 'root' }).subarray(0, 9))
    halfway.send(startupPacket({ user: 'root' }))
    for (const client of [silent, slow, halfway]) {
      const last = (await client.closed()).at(-1)
      expect(last && errorOf(last)).toMatchObject({ severity: 'FATAL', code: '08006' })
    }
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(deadlines.startup_timeout_ms - 100)
  })

  test('postgres_wire.send_timeout_ms: whoever reads nothing is ended, and others go on', async () => {
    const name = 'wire_ended_total{code="SOCKET_TIMEOUT"}'
    const before = await figure(name, brief)
    const login = { user: 'root', password: brief.adminKey }
    const [client, other] = [await connectBriefly(), await connectBriefly()]
    await Promise.all([client.logIn(login), other.logIn(login)])
    client.socket.pause()
    client.send(frame('Q', `select repeat('x', 1000) from generate_series(1, 30000)\0`))
    await expect.poll(() => figure(name, brief), pollOptions).toBe(before + 1)
    expect(tagsOf(await other.query('select 1'))).toBe('TDCZ')
    client.cut()
    other.cut()
  })
})

describe('postgres_wire.notified_bytes_max', () => {
  /** Tag, length, process, channel `news`. */
  const headBytes = 1 + 4 + 4 + 5
  const count = 64
  const fitting = limits.notified_bytes_max / count - headBytes - 1

  /** Notifies somebody who cannot be told yet: the data of a COPY is waited for. */
  async function notifiedMeanwhile(bytes: number): Promise<WireClient> {
    const client = await enter({ user: 'reader', password: await readersKey })
    await client.query('listen news')
    client.send(frame('Q', 'copy heard from stdin\0'))
    expect((await client.next()).tag).toBe('G')
    await server.sql(`select pg_notify('news', rpad(n::text, ${bytes}, 'x'))
      from generate_series(1, ${count}) n`)
    return client
  }

  let readersKey: Promise<string>
  beforeAll(async () => {
    readersKey = server.createUser('reader')
    await server.sql('create table heard (a int); grant insert on heard to user')
  })

  test('bytes wait for whoever is busy', async () => {
    await using client = await notifiedMeanwhile(fitting)
    client.send(frame('c'))
    expect(tagsOf(await client.upTo('Z'))).toBe(`C${'A'.repeat(count)}Z`)
  })

  test('and one more for each end the connection', async () => {
    await using client = await notifiedMeanwhile(fitting + 1)
    const [message] = await client.closed()
    expect(message && errorOf(message)).toMatchObject({ severity: 'FATAL', code: '53400' })
    expect(message && errorOf(message).hint).toContain('postgres_wire.notified_bytes_max')
  })

  test('and whoever reads nothing is ended, busy or not', async () => {
    await using client = await enter({ user: 'reader', password: await readersKey })
    await client.query('listen news')
    client.socket.pause()
    const name = 'wire_ended_total{code="SUBSCRIBER_TOO_SLOW"}'
    const before = await figure(name)
    const notify = `select pg_notify('news', rpad(n::text, 7900, 'x')) from generate_series(1, 1000) n`
    // The kernel takes some megabytes.
    for (let round = 0; (await figure(name)) === before; round++) {
      expect(round).toBeLessThan(10)
      await server.sql(notify)
      expect(await figure('wire_buffered_bytes')).toBeLessThan(
        // What was being sent when the last of them came.
        limits.buffered_bytes_max + 2 * limits.notified_bytes_max,
      )
    }
  })
})

describe('limits.requests_per_second_per_key', () => {
  const select = frame('Q', 'select 1\0')

  /** Sends statements until one is refused, which a slow machine's may be later. */
  async function spend(client: WireClient): Promise<readonly WireMessage[]> {
    for (let sent = 0; sent < 2 * burst; sent++) {
      const messages = await client.query('select 1')
      if (tagsOf(messages) === 'EZ') return messages
    }
    throw new Error('none was refused')
  }

  test('takes as many as it says, refuses one too many, and the client stays', async () => {
    const login = { user: 'eager', password: await server.createUser('eager') }
    await using client = await enter(login)
    // A login is the first of its requests.
    client.send(...Array.from({ length: burst - 1 }, () => select))
    for (let index = 1; index < burst; index++) expect(tagsOf(await client.upTo('Z'))).toBe('TDCZ')
    const before = await figure('rate_limited_total')
    const messages = await spend(client)
    expect(await figure('rate_limited_total')).toBe(before + 1)
    expect(messages[0] && errorOf(messages[0])).toMatchObject({ severity: 'ERROR', code: '53400' })
    expect(messages[1]?.body.toString()).toBe('I')
    // All up to the Sync, unless a second has passed and it is taken.
    const parse = frame('P', '\0select 1\0\0\0')
    const refused = async (): Promise<string> => {
      client.send(parse, frame('H'), parse, frame('Q', 'select 2\0'), frame('S'))
      const tags = tagsOf(await client.upTo('Z'))
      // Then the Query was one of its own.
      if (tags !== 'EZ') await client.upTo('Z')
      return tags
    }
    await expect.poll(refused).toBe('EZ')
  })

  test('lets a transaction that has begun go on', async () => {
    const login = { user: 'busy', password: await server.createUser('busy') }
    await using client = await enter(login)
    await spend(client)
    // One is given back each second.
    const begun = async () => tagsOf(await client.query('begin'))
    await expect.poll(begun).toBe('CZ')
    for (let index = 0; index < 5; index++)
      expect(tagsOf(await client.query('select 1'))).toBe('TDCZ')
    expect(tagsOf(await client.query('commit'))).toBe('CZ')
  })
})
