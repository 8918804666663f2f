/** Data of COPY between a client and its session: what is waited for, passed on and dropped. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openTestServer, type TestServer } from '../support/server.js'
import {
  WireClient,
  cancelOf,
  errorOf,
  frame,
  tagsOf,
  type WireLogin,
  type WireMessage,
} from '../support/raw-wire-client.js'

let server: TestServer
let root: WireLogin
beforeAll(async () => {
  server = await openTestServer({
    settings: {
      ...{ 'postgres_wire.enabled': true, 'postgres_wire.ahead_bytes_max': 4_096 },
    },
  })
  root = { user: 'root', password: server.adminKey }
  await server.sql('CREATE TABLE lines (a int PRIMARY KEY, b text)')
})
afterAll(() => server.close())
beforeEach(async () => {
  await server.sql('TRUNCATE lines')
})

async function enter({ wirePort, adminKey } = server): Promise<WireClient> {
  const client = await WireClient.connect({ port: wirePort })
  await client.logIn({ user: 'root', password: adminKey })
  return client
}

const copyIn = 'copy lines from stdin'
const query = (sql: string) => frame('Q', `${sql}\0`)
const data = (text: string) => frame('d', text)
const done = frame('c')
const sync = frame('S')
/** As clients send it that use the extended protocol for everything. */
const extended = (sql: string) =>
  Buffer.concat([
    frame('P', `\0${sql}\0\0\0`),
    frame('B', '\0\0\0\0\0\0\0\0'),
    frame('E', '\0\0\0\0\0'),
  ])
const rows = (count: number) => Array.from({ length: count }, (_, index) => `${index}\tx\n`)

async function countOf(client: WireClient): Promise<string> {
  const messages = await client.query('select count(*) from lines')
  return messages.find(({ tag }) => tag === 'D')?.body.toString('utf8', 6) ?? ''
}

const codesOf = (messages: readonly WireMessage[]) =>
  messages.filter(({ tag }) => tag === 'E').map((message) => errorOf(message).code)

describe('I4: COPY … FROM STDIN', () => {
  test('takes the data that comes after its answer', async () => {
    await using client = await enter()
    client.send(query(copyIn))
    expect((await client.next()).tag).toBe('G')
    for (const row of rows(100)) client.send(data(row))
    client.send(done)
    const messages = await client.upTo('Z')
    expect(tagsOf(messages)).toBe('CZ')
    expect(messages[0]?.body.toString()).toBe('COPY 100\0')
    expect(await countOf(client)).toBe('100')
  })

  test.each(['', 'select 1; '])('whose commit fails says that alone (%s)', async (before) => {
    await using client = await enter()
    await server.sql(
      'CREATE TABLE IF NOT EXISTS late (a int UNIQUE DEFERRABLE INITIALLY DEFERRED); TRUNCATE late',
    )
    const intoLate = query(`${before}copy late from stdin`)
    client.send(intoLate, data('1\n1\n'), done)
    const answer = tagsOf(await client.upTo('G'))
    expect(tagsOf(await client.upTo('Z'))).toBe('EZ')
    client.send(intoLate, data('1\n2\n'), done)
    expect(tagsOf(await client.upTo('G'))).toBe(answer)
    expect(tagsOf(await client.upTo('Z'))).toBe('CZ')
  })

  test('takes data that came with it, cut anywhere, Sync and Flush read over', async () => {
    await using client = await enter()
    const whole = Buffer.concat([
      ...[query(copyIn), data('1\to'), frame('H'), data('ne\n2\t'), sync, data('two\n'), done],
      ...[query('select 7')],
    ])
    await client.sendSlowly(whole)
    expect(tagsOf(await client.upTo('Z'))).toBe('GCZ')
    expect(tagsOf(await client.upTo('Z'))).toBe('TDCZ')
    expect(await countOf(client)).toBe('2')
  })

  test('of more data than is read ahead', async () => {
    await using client = await enter()
    const count = 20_000
    client.send(query(copyIn), data(rows(count).join('')), done)
    expect(tagsOf(await client.upTo('Z'))).toBe('GCZ')
    expect(await countOf(client)).toBe(String(count))
  })

  test('in the extended protocol is answered by one ReadyForQuery for both of its Syncs', async () => {
    await using client = await enter()
    for (let round = 0; round < 3; round++) {
      client.send(extended(copyIn), sync)
      expect(tagsOf(await client.upTo('G'))).toBe('12G')
      client.send(data(`${round}\tx\n`), done, sync)
      expect(tagsOf(await client.upTo('Z'))).toBe('CZ')
    }
    client.send(extended('select 1'), sync)
    expect(tagsOf(await client.upTo('Z'))).toBe('12DCZ')
    expect(await countOf(client)).toBe('3')
  })

  test('that is given up keeps nothing, and says in whose words', async () => {
    await using client = await enter()
    client.send(query(copyIn), data('1\tone\n'), frame('f', 'changed my mind\0'))
    const messages = await client.upTo('Z')
    expect(codesOf(messages)).toEqual(['57014'])
    const error = messages.find(({ tag }) => tag === 'E')
    expect(error && errorOf(error).message).toBe('COPY from stdin failed: changed my mind')
    expect(await countOf(client)).toBe('0')
  })

  test('that fails drops what still comes of its data', async () => {
    await using client = await enter()
    client.send(query(copyIn), data('no number\tx\n'))
    for (const row of rows(1_000)) client.send(data(row))
    client.send(done, query('select 1'))
    const failed = await client.upTo('Z')
    expect(codesOf(failed)).toEqual(['22P02'])
    expect(tagsOf(await client.upTo('Z'))).toBe('TDCZ')
    expect(await countOf(client)).toBe('0')
  })

  test('that fails in the extended protocol is over with its second Sync', async () => {
    await using client = await enter()
    client.send(extended(copyIn), sync, data('no number\tx\n'), done, sync)
    expect(codesOf(await client.upTo('Z'))).toEqual(['22P02'])
    expect(tagsOf(await client.query('select 1'))).toBe('TDCZ')
  })

  test('with another message in place of data fails', async () => {
    await using client = await enter()
    client.send(query(copyIn), data('1\tone\n'), query('select 1'))
    expect(codesOf(await client.upTo('Z'))).toHaveLength(1)
    expect(tagsOf(await client.query('select 1'))).toBe('TDCZ')
    expect(await countOf(client)).toBe('0')
  })

  test.each(['', 'begin'])('ends with a CancelRequest before its data (%s)', async (begin) => {
    await using client = await WireClient.connect({ port: server.wirePort })
    const greeting = await client.logIn(root)
    if (begin !== '') await client.query(begin)
    client.send(query(copyIn), data('1\tone\n'))
    expect((await client.next()).tag).toBe('G')
    await using canceller = await WireClient.connect({ port: server.wirePort })
    canceller.send(cancelOf(greeting))
    expect(await canceller.closed()).toEqual([])
    client.send(data('2\ttwo\n'), done)
    expect(codesOf(await client.upTo('Z'))).toEqual(['57014'])
    if (begin !== '') await client.query('rollback')
    expect(await countOf(client)).toBe('0')
  })

  test.each(['its client goes', 'Terminate comes'])('ends when %s', async (how) => {
    await using other = await enter()
    const client = await enter()
    client.send(query(copyIn), data('1\tone\n'))
    expect((await client.next()).tag).toBe('G')
    if (how === 'its client goes') client.cut()
    else client.send(frame('X'))
    expect(await countOf(other)).toBe('0')
    expect(tagsOf(await other.query(`insert into lines values (1, 'mine')`))).toBe('CZ')
    client.cut()
  })

  test('ends with its client’s key', async () => {
    const login = { user: 'alice', password: await server.createUser('alice') }
    await server.sql('GRANT ALL ON lines TO user')
    await using client = await WireClient.connect({ port: server.wirePort })
    await client.logIn(login)
    client.send(query(copyIn), data('1\tone\n'))
    expect((await client.next()).tag).toBe('G')
    await server.sql(`ALTER USER 'alice' ROTATE APIKEY`)
    const last = (await client.closed()).at(-1)
    expect(last && errorOf(last)).toMatchObject({ severity: 'FATAL', code: '57P01' })
    await using other = await enter()
    expect(await countOf(other)).toBe('0')
  })

  describe('in a transaction', () => {
    // Of its own: a busy machine would meet these deadlines elsewhere.
    let brief: TestServer
    beforeAll(async () => {
      brief = await openTestServer({
        settings: {
          ...{ 'postgres_wire.enabled': true, 'engine.idle_transaction_timeout_ms': 700 },
          'engine.transaction_timeout_ms': 1_500,
          'engine.admin_transaction_timeout_ms': 1_500,
        },
      })
      await brief.sql('CREATE TABLE lines (a int PRIMARY KEY, b text)')
    })
    afterAll(() => brief.close())

    test('whose client stops sending is idle, once somebody waits', async () => {
      await using client = await enter(brief)
      await client.query('begin')
      client.send(query(copyIn), data('1\tone\n'))
      expect((await client.next()).tag).toBe('G')
      await using other = await enter(brief)
      expect(await countOf(other)).toBe('0')
      const last = (await client.closed()).at(-1)
      expect(last && errorOf(last)).toMatchObject({ severity: 'FATAL', code: '25P03' })
    })

    test('whose client is slow ends when others have waited for long', async () => {
      await using other = await enter(brief)
      await using client = await enter(brief)
      await client.query('begin')
      client.send(query(copyIn))
      expect((await client.next()).tag).toBe('G')
      const lines = rows(100_000).values()
      const startedAt = performance.now()
      const sending = setInterval(() => client.send(data(lines.next().value ?? '')), 20)
      try {
        // Nobody waits, and it goes on for longer than it could if somebody did.
        while (performance.now() - startedAt < 2_000)
          await new Promise((resolve) => setImmediate(resolve))
        expect(await countOf(other)).toBe('0')
        expect(performance.now() - startedAt).toBeGreaterThan(3_000)
        const last = (await client.closed()).at(-1)
        expect(last && errorOf(last)).toMatchObject({ severity: 'FATAL', code: '25P04' })
      } finally {
        clearInterval(sending)
      }
    })
  })
})

describe('I4: COPY … TO STDOUT', () => {
  test('gives its data', async () => {
    await using client = await enter()
    await client.query(`insert into lines values (1, 'one'), (2, null)`)
    const messages = await client.query('copy lines to stdout')
    expect(tagsOf(messages)).toMatch(/^Hd+cCZ$/u)
    const text = messages.filter(({ tag }) => tag === 'd').map(({ body }) => body.toString())
    expect(text.join('')).toBe('1\tone\n2\t\\N\n')
  })
})
