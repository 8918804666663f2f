/** Results of any size: they run once, are passed on while they come, and hold up nobody but who asked. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
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

const MiB = 1024 * 1024

const settings = {
  ...{ 'postgres_wire.enabled': true, 'postgres_wire.buffered_bytes_max': 65_536 },
  ...{ 'http.stream_piece_bytes': 20_000, 'http.copy_spool_bytes_max': 24 * MiB },
}

let server: TestServer
let root: WireLogin
beforeAll(async () => {
  server = await openTestServer({ settings })
  root = { user: 'root', password: server.adminKey }
  await server.sql('CREATE TABLE kept (n int, t text); CREATE SEQUENCE counted')
})
afterAll(() => server.close())

interface Entered extends AsyncDisposable {
  readonly client: WireClient
  /** Sends a CancelRequest, which has arrived by the end of this. */
  readonly cancel: () => Promise<void>
}

async function enter(): Promise<Entered> {
  const client = await WireClient.connect({ port: server.wirePort })
  const greeting = await client.logIn(root)
  return {
    client,
    cancel: async () => {
      await using canceller = await WireClient.connect({ port: server.wirePort })
      canceller.send(cancelOf(greeting))
      await canceller.closed()
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  }
}

const query = (sql: string) => frame('Q', `${sql}\0`)
const steps = (sql: string) =>
  Buffer.concat([
    frame('P', `\0${sql}\0\0\0`),
    frame('B', '\0\0\0\0\0\0\0\0'),
    frame('E', '\0\0\0\0\0'),
  ])
const sync = frame('S')

/** More than the kernel takes of one who does not read: 16 MiB. */
const rows = 16_000
const large = `select n, repeat('x', 1000) from generate_series(1, ${rows}) n`

/** `TD16000C`: runs of one tag as their count. */
function inShort(messages: readonly WireMessage[]): string {
  return tagsOf(messages).replace(/(.)\1+/gu, (run, tag: string) => `${tag}${run.length}`)
}

function codesOf(messages: readonly WireMessage[]): readonly string[] {
  return messages.filter(({ tag }) => tag === 'E').map((message) => errorOf(message).code)
}

/** Longer than a piece. */
const longText = "repeat('x', 100000)"

const valueOf = (messages: readonly WireMessage[]) =>
  messages.find(({ tag }) => tag === 'D')?.body.toString('utf8', 6)

describe('I4: a result that its client does not read', () => {
  const copy = `copy (${large}) to stdout`
  test.each([
    ['of a SELECT', query(large), `TD${rows}CZ`],
    ['of a pipeline', Buffer.concat([steps(large), steps('select 1'), sync]), `12D${rows}C12DCZ`],
    ['of a COPY', query(copy), `Hd${rows}cCZ`],
    ['of a COPY before another statement', query(`${copy}; select 1`), `Hd${rows}cCTDCZ`],
    ['of a transaction', query(`begin; ${large}; commit`), `CTD${rows}C2Z`],
    [
      'of a change',
      query(
        `insert into kept select n, repeat('x', 1000) from generate_series(1, ${rows}) n returning *`,
      ),
      `TD${rows}CZ`,
    ],
  ])('%s holds up nobody else', async (_, sent, answer) => {
    await using slow = await enter()
    await using other = await enter()
    slow.client.socket.pause()
    slow.client.send(sent)
    expect(tagsOf(await other.client.query('select 1'))).toBe('TDCZ')
    slow.client.socket.resume()
    expect(inShort(await slow.client.upTo('Z'))).toBe(answer)
  })

  test('is there at once when it asks to end it, and its connection is as before', async () => {
    await using slow = await enter()
    await using other = await enter()
    slow.client.socket.pause()
    slow.client.send(query(large))
    expect(tagsOf(await other.client.query('select 1'))).toBe('TDCZ')
    await slow.cancel()
    slow.client.socket.resume()
    const messages = await slow.client.upTo('Z')
    expect(tagsOf(messages)).toMatch(/^TD+EZ$/u)
    expect(messages.length).toBeLessThan(rows)
    expect(messages.slice(-2, -1).map(errorOf)).toMatchObject([
      { code: '57014', message: 'canceling statement due to user request' },
    ])
    expect(valueOf(await slow.client.query('select 7'))).toBe('7')
  })

  test('in a transaction ends that too when it is cancelled', async () => {
    await using slow = await enter()
    await using other = await enter()
    await slow.client.query('begin')
    slow.client.socket.pause()
    slow.client.send(query(large))
    await slow.cancel()
    slow.client.socket.resume()
    const messages = await slow.client.upTo('Z')
    expect(codesOf(messages)).toEqual(['57014'])
    expect(messages.at(-1)?.body.toString()).toBe('E')
    await slow.client.query('rollback')
    expect(valueOf(await other.client.query('select 7'))).toBe('7')
  })

  test('of a change is not cancelled any more: it is kept, and said whole', async () => {
    await using slow = await enter()
    await using other = await enter()
    await other.client.query('truncate kept')
    slow.client.socket.pause()
    slow.client.send(query(`insert into kept ${large} returning *`))
    expect(valueOf(await other.client.query('select count(*) from kept'))).toBe(String(rows))
    await slow.cancel()
    slow.client.socket.resume()
    expect(inShort(await slow.client.upTo('Z'))).toBe(`TD${rows}CZ`)
  })

  test('past the disk’s bound fails, keeps nothing, and leaves the connection as it was', async () => {
    await using slow = await enter()
    await using other = await enter()
    await other.client.query('truncate kept')
    slow.client.socket.pause()
    const many = `select n, repeat('x', 1000) from generate_series(1, 48000) n`
    slow.client.send(query(`insert into kept ${many} returning *`))
    expect(valueOf(await other.client.query('select count(*) from kept'))).toBe('0')
    slow.client.socket.resume()
    const messages = await slow.client.upTo('Z')
    expect(tagsOf(messages)).toMatch(/^TD+EZ$/u)
    expect(messages.slice(-2, -1).map(errorOf)).toMatchObject([
      {
        code: '53400',
        message: 'temporary file size exceeds "http.copy_spool_bytes_max" (24576kB)',
      },
    ])
    expect(valueOf(await slow.client.query('select 7'))).toBe('7')
    // All of the disk is free again.
    slow.client.socket.pause()
    slow.client.send(query(large))
    expect(tagsOf(await other.client.query('select 1'))).toBe('TDCZ')
    slow.client.socket.resume()
    expect(inShort(await slow.client.upTo('Z'))).toBe(`TD${rows}CZ`)
  })
})

describe('I4: a large result', () => {
  test('is of one run', async () => {
    await using entered = await enter()
    const { client } = entered
    const counting = `select nextval('counted'), repeat('x', 100) from generate_series(1, 5000)`
    expect(inShort(await client.query(counting))).toBe('TD5000CZ')
    expect(valueOf(await client.query('select last_value from counted'))).toBe('5000')
  })

  test('whose rows are long comes whole, with what stands around it', async () => {
    await using entered = await enter()
    const { client } = entered
    const length = 5 * MiB
    client.send(steps(`select repeat('ab', ${length / 2}), 1 from generate_series(1, 3)`))
    client.send(steps('select 7'), sync)
    const messages = await client.upTo('Z')
    expect(inShort(messages)).toBe('12D3C12DCZ')
    const [row] = messages.filter(({ tag }) => tag === 'D')
    expect(row?.body.subarray(6, 6 + length).equals(Buffer.alloc(length, 'ab'))).toBe(true)
    expect(row?.body.subarray(6 + length).toString('latin1')).toBe('\0\0\0\u00011')
  })

  test('whose commit fails is not said to have come to its end', async () => {
    await using own = await enter()
    await own.client.query(`create table first (n int primary key);
      create table second (n int references first deferrable initially deferred)`)
    const change = `insert into second values (1) returning ${longText}`
    expect(inShort(await own.client.query(change))).toBe('TDEZ')
    expect(inShort(await own.client.query(`${change}; ${change}`))).toBe('TDCTDEZ')
    expect(inShort(await own.client.query(`insert into first values (1); ${change}`))).toBe('CTDCZ')
    await own.client.query('drop table second, first')
  })

  test('that fails or is cancelled in its middle says so after its rows', async () => {
    await using entered = await enter()
    const { client, cancel } = entered
    const failing = `select 1 / (n - 4000), repeat('x', 100) from generate_series(1, 5000) n`
    const failed = await client.query(failing)
    expect(inShort(failed)).toBe('TD3999EZ')
    expect(codesOf(failed)).toEqual(['22012'])
    client.send(query('select n from generate_series(1, 10000) n, generate_series(1, 10000)'))
    await client.upTo('D')
    await cancel()
    const messages = await client.upTo('Z')
    expect(codesOf(messages)).toEqual(['57014'])
    expect(valueOf(await client.query('select 7'))).toBe('7')
  })

  test('comes with what was notified and made on its way', async () => {
    await using entered = await enter()
    const { client } = entered
    await client.query('listen news')
    const messages = await client.query(
      `create temp table mine as ${large}; notify news; table mine`,
    )
    expect(inShort(messages)).toBe(`C2TD${rows}CAZ`)
    expect(valueOf(await client.query('select count(*) from mine'))).toBe(String(rows))
    await using other = await enter()
    expect(codesOf(await other.client.query('table mine'))).toEqual(['42P01'])
  })

  test('in a transaction is no idleness while its client reads', async () => {
    const idleMs = 1_000
    // Of its own: a busy machine would meet this deadline elsewhere.
    await using brief = await openTestServer({
      settings: { ...settings, 'engine.idle_transaction_timeout_ms': idleMs },
    })
    await using client = await WireClient.connect({ port: brief.wirePort })
    await client.logIn({ user: 'root', password: brief.adminKey })
    await client.query('begin')
    const startedAt = performance.now()
    // Slowly at first, so that it takes longer than it may be idle.
    const isSlow = () => performance.now() - startedAt < 1.2 * idleMs
    client.socket.on('data', () => isSlow() && client.socket.pause())
    const pace = setInterval(() => client.socket.resume(), 6)
    client.send(query(large))
    const waiting = server.sql('SELECT 1')
    expect(inShort(await client.upTo('Z'))).toBe(`TD${rows}CZ`)
    expect(performance.now() - startedAt).toBeGreaterThan(idleMs)
    expect(tagsOf(await client.query('commit'))).toBe('CZ')
    await waiting
    clearInterval(pace)
  })
})

describe('I4: a portal whose rows are taken in portions', () => {
  const flush = frame('H')
  const bound = (sql: string) =>
    Buffer.concat([frame('P', `\0${sql}\0\0\0`), frame('B', '\0\0\0\0\0\0\0\0')])
  const portion = (count: number) => {
    const body = Buffer.alloc(5)
    body.writeInt32BE(count, 1)
    return Buffer.concat([frame('E', body), flush])
  }

  test('leaves the engine to others from its second on', async () => {
    await using slow = await enter()
    await using other = await enter()
    const { client } = slow
    client.send(bound('select n from generate_series(1, 5000) n'), portion(1000))
    expect(inShort(await client.upTo('s'))).toBe('12D1000s')
    for (let from = 1001; from <= 4001; from += 1000) {
      client.send(portion(1000))
      const messages = await client.upTo('s')
      expect(inShort(messages)).toBe('D1000s')
      expect(valueOf(messages)).toBe(String(from))
      expect(valueOf(await other.client.query('select 7'))).toBe('7')
    }
    for (let again = 0; again < 2; again++) {
      client.send(portion(1000))
      expect((await client.upTo('C')).map(({ body }) => body.toString())).toEqual(['SELECT 0\0'])
    }
    client.send(frame('C', 'P\0'), sync)
    expect(tagsOf(await client.upTo('Z'))).toBe('3Z')
    expect(valueOf(await client.query('select 7'))).toBe('7')
  })

  test('says an error at its place, and forgets its rows at Sync', async () => {
    await using entered = await enter()
    const { client } = entered
    client.send(bound('select 10 / (2500 - n) from generate_series(1, 5000) n'), portion(1000))
    expect(inShort(await client.upTo('s'))).toBe('12D1000s')
    client.send(portion(1000))
    expect(inShort(await client.upTo('s'))).toBe('D1000s')
    client.send(portion(1000), portion(1000), sync)
    const failed = await client.upTo('Z')
    expect(inShort(failed)).toBe('D499EZ')
    expect(codesOf(failed)).toEqual(['22012'])
    client.send(bound(`select repeat('x', 3000000) from generate_series(1, 4)`), portion(1))
    client.send(portion(1))
    expect(inShort([...(await client.upTo('s')), ...(await client.upTo('s'))])).toBe('12DsDs')
    client.send(sync, portion(1), sync)
    expect(tagsOf(await client.upTo('Z'))).toBe('Z')
    expect(codesOf(await client.upTo('Z'))).toEqual(['34000'])
  })
})

describe('I4: COPY … FROM STDIN before another statement', () => {
  test('holds up nobody while its data comes', async () => {
    await using slow = await enter()
    await using other = await enter()
    await other.client.query('truncate kept')
    slow.client.send(query('copy kept from stdin; select count(*) from kept'))
    expect((await slow.client.next()).tag).toBe('G')
    expect(tagsOf(await other.client.query(`insert into kept values (1, 'mine')`))).toBe('CZ')
    slow.client.send(frame('d', '2\ttwo\n'), frame('c'))
    const messages = await slow.client.upTo('Z')
    expect(tagsOf(messages)).toBe('CTDCZ')
    expect(valueOf(messages)).toBe('2')
  })

  test('comes after what its client has not read before it', async () => {
    await using slow = await enter()
    const { client } = slow
    await client.query('truncate kept')
    client.socket.pause()
    client.send(query(`${large}; copy kept from stdin`))
    client.socket.resume()
    expect(inShort(await client.upTo('G'))).toBe(`TD${rows}CG`)
    client.send(frame('d', '2\ttwo\n'), frame('c'))
    expect(tagsOf(await client.upTo('Z'))).toBe('CZ')
  })
})

describe('I4: a CancelRequest', () => {
  test.each(['', '; select 1'])('ends a COPY … FROM STDIN%s that waits for data', async (next) => {
    await using entered = await enter()
    const { client, cancel } = entered
    await client.query('truncate kept')
    client.send(query(`copy kept from stdin${next}`), frame('d', '1\tone\n'))
    expect((await client.next()).tag).toBe('G')
    await cancel()
    const messages = await client.upTo('Z')
    expect(messages.map(({ tag }) => tag)).toEqual(['E', 'Z'])
    expect(messages.slice(0, 1).map(errorOf)).toMatchObject([
      { code: '57014', message: 'canceling statement due to user request' },
    ])
    client.send(frame('d', '2\ttwo\n'), frame('c'))
    expect(valueOf(await client.query('select count(*) from kept'))).toBe('0')
  })

  test('ends what waits for another’s transaction to know its tables', async () => {
    await using holder = await enter()
    await using waiting = await enter()
    await holder.client.query('begin; create table made (a int)')
    waiting.client.send(query('select * from kept'))
    await waiting.cancel()
    expect(codesOf(await waiting.client.upTo('Z'))).toEqual(['57014'])
    await holder.client.query('rollback')
  })
})
