/** A client of the Postgres wire that is in: units, cancels, and the ways in which it ends. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { openTestServer, type TestServer } from '../support/server.js'
import {
  WireClient,
  cancelOf,
  cancelRequest,
  errorOf,
  frame,
  tagsOf,
  type WireLogin,
  type WireMessage,
} from '../support/raw-wire-client.js'

let server: TestServer
let root: WireLogin
beforeAll(async () => {
  server = await openTestServer({ settings: { 'postgres_wire.enabled': true } })
  root = { user: 'root', password: server.adminKey }
})
afterAll(() => server.close())

async function enter(login: WireLogin = root) {
  const client = await WireClient.connect({ port: server.wirePort })
  const greeting = await client.logIn(login)
  return { client, greeting, [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() }
}

type Entered = Awaited<ReturnType<typeof enter>>

const sync = frame('S')
const flush = frame('H')
const parse = (sql: string) => frame('P', `\0${sql}\0\0\0`)
const bind = frame('B', '\0\0\0\0\0\0\0\0')
const execute = frame('E', '\0\0\0\0\0')
const selects = (value: number) => Buffer.concat([parse(`select ${value}`), bind, execute])
/** Longer than any test; nobody waits for it. */
const endless = 'select count(*) from generate_series(1, 100000000000)'

const valueOf = ({ body }: WireMessage) => body.toString('utf8', 6)
const valuesOf = (messages: readonly WireMessage[]) =>
  messages.filter(({ tag }) => tag === 'D').map(valueOf)

/** Resolves when so many units more than before have begun. */
async function unitsAfter(count: number): Promise<void> {
  await expect.poll(() => figure('wire_units_total'), pollOptions).toBeGreaterThanOrEqual(count)
}

const pollOptions = { timeout: 20_000, interval: 10 }

async function figure(name: string): Promise<number> {
  const page = await (await fetch(`${server.url}/metrics`)).text()
  const [, value = '0'] = new RegExp(`^kalamdb_${name} (\\d+)$`, 'mu').exec(page) ?? []
  return Number(value)
}

describe('I4: units', () => {
  test('are answered in their order, however many come at once', async () => {
    await using entered = await enter()
    const { client } = entered
    const count = 50
    client.send(...Array.from({ length: count }, (_, index) => [selects(index), sync]).flat())
    for (let index = 0; index < count; index++) {
      const messages = await client.upTo('Z')
      expect(tagsOf(messages)).toBe('12DCZ')
      expect(valuesOf(messages)).toEqual([String(index)])
    }
  })

  test('are the same a byte at a time', async () => {
    await using entered = await enter()
    const { client } = entered
    await client.sendSlowly(Buffer.concat([selects(1), flush, selects(2), sync]))
    expect(valuesOf(await client.upTo('Z'))).toEqual(['1', '2'])
    await client.sendSlowly(frame('Q', 'select 3\0'))
    expect(valuesOf(await client.upTo('Z'))).toEqual(['3'])
  })

  test('of a Flush are answered before their Sync comes', async () => {
    await using entered = await enter()
    const { client } = entered
    client.send(selects(1), flush)
    expect(tagsOf(await client.upTo('C'))).toBe('12DC')
    client.send(sync)
    expect(tagsOf(await client.upTo('Z'))).toBe('Z')
  })

  test('after an error are passed over up to Sync, a Query too', async () => {
    await using entered = await enter()
    const { client } = entered
    client.send(parse('select 1/0'), bind, execute, frame('Q', 'select 1\0'), sync)
    client.send(frame('Q', 'select 2\0'))
    expect(tagsOf(await client.upTo('Z'))).toBe('1EZ')
    expect(valuesOf(await client.upTo('Z'))).toEqual(['2'])
  })

  test('that are passed over prepare and forget nothing', async () => {
    await using entered = await enter()
    const { client } = entered
    const named = (sql: string) => frame('P', `kept\0${sql}\0\0\0`)
    const bindNamed = frame('B', '\0kept\0\0\0\0\0\0\0')
    const answer = async (...messages: readonly Buffer[]) => {
      client.send(...messages, sync)
      const heard = await client.upTo('Z')
      const error = heard.find(({ tag }) => tag === 'E')
      return error === undefined ? valuesOf(heard).join() : errorOf(error).code
    }
    await answer(named('select 4'))
    await client.query('select 1/0; deallocate all')
    expect(await answer(parse('select 1'), frame('E', 'no\0\0\0\0\0'))).toBe('34000')
    expect(await answer(frame('E', 'no\0\0\0\0\0'), parse('select 2'), parse('select 3'))).toBe(
      '34000',
    )
    expect(await answer(bind, execute)).toBe('1')
    expect(await answer(bindNamed, execute)).toBe('4')
    // PostgreSQL has forgotten it with this, and so did we not forget it before.
    await client.query('discard all')
    expect(await answer(bindNamed, execute)).toBe('26000')
  })

  test('find nothing of a Query before them', async () => {
    await using entered = await enter()
    const { client } = entered
    for (const message of [execute, frame('D', 'P\0')]) {
      await client.query('begin; select 1')
      client.send(message, sync)
      const [error] = await client.upTo('Z')
      expect(error && errorOf(error)).toMatchObject({ code: '34000' })
      await client.query('rollback')
    }
  })

  test('of many clients go on side by side', async () => {
    const entered = await Promise.all(Array.from({ length: 10 }, () => enter()))
    const answers = await Promise.all(
      entered.map(async ({ client }, index) => {
        for (let round = 0; round < 20; round++) {
          client.send(selects(index), sync)
          if (valuesOf(await client.upTo('Z'))[0] !== String(index)) return 'another’s answer'
        }
        return 'own'
      }),
    )
    expect(new Set(answers)).toEqual(new Set(['own']))
    for (const { client } of entered) client.cut()
  })

  test('with data of a COPY that nobody waits for are as without it', async () => {
    await using entered = await enter()
    const { client } = entered
    client.send(frame('d', 'left over\n'), frame('c'), frame('f', 'late\0'), selects(1), sync)
    expect(valuesOf(await client.upTo('Z'))).toEqual(['1'])
  })
})

describe('I4: a CancelRequest', () => {
  test('ends what runs, and the client goes on', async () => {
    await using entered = await enter()
    const { client, greeting } = entered
    const before = await figure('wire_units_total')
    client.send(frame('Q', `${endless}\0`))
    await unitsAfter(before + 1)
    for (const other of [cancelRequest(1, Buffer.alloc(4)), wrongSecret(cancelOf(greeting))]) {
      await using stranger = await WireClient.connect({ port: server.wirePort })
      stranger.send(other)
      expect(await stranger.closed()).toEqual([])
    }
    await using canceller = await WireClient.connect({ port: server.wirePort })
    canceller.send(cancelOf(greeting))
    expect(await canceller.closed()).toEqual([])
    const messages = await client.upTo('Z')
    expect(messages.filter(({ tag }) => tag === 'E').map(errorOf)).toMatchObject([
      { severity: 'ERROR', code: '57014' },
    ])
    expect(valuesOf(await client.query('select 1'))).toEqual(['1'])
  })

  test('of one who runs nothing does nothing', async () => {
    await using entered = await enter()
    const { client, greeting } = entered
    await using canceller = await WireClient.connect({ port: server.wirePort })
    canceller.send(cancelOf(greeting))
    expect(await canceller.closed()).toEqual([])
    expect(valuesOf(await client.query('select 1'))).toEqual(['1'])
  })
})

function wrongSecret(request: Buffer): Buffer {
  const wrong = Buffer.from(request)
  wrong[15] = (wrong[15] ?? 0) ^ 1
  return wrong
}

describe('the end of a connection', () => {
  test('is what Terminate asks for', async () => {
    await using entered = await enter()
    entered.client.send(frame('X'))
    expect(await entered.client.closed()).toEqual([])
  })

  test('of a client that goes away ends what it runs', async () => {
    await using other = await enter()
    const { client } = await enter()
    const before = await figure('wire_units_total')
    client.send(frame('Q', `${endless}\0`))
    await unitsAfter(before + 1)
    client.cut()
    // There is one engine: it is free again.
    expect(valuesOf(await other.client.query('select 1'))).toEqual(['1'])
  })

  test.each([
    ['a message of no known kind', Buffer.from('G'), '08P01'],
    ['another proof', frame('p', 'kal_'), '08P01'],
    ['a length of three', Buffer.from([0x51, 0, 0, 0, 3]), '08P01'],
    ['a length of two gigabytes', Buffer.from([0x51, 0x7f, 0xff, 0xff, 0xff]), '54000'],
  ])('follows %s', async (_, bytes, code) => {
    await using entered = await enter()
    entered.client.send(bytes)
    const [message] = await entered.client.closed()
    expect(message && errorOf(message)).toMatchObject({ severity: 'FATAL', code })
  })

  test('A8: follows the end of its key, whether it runs something or not', async () => {
    const login = { user: 'alice', password: await server.createUser('alice') }
    await using idle = await enter(login)
    await using busy = await enter(login)
    const before = await figure('wire_units_total')
    busy.client.send(frame('Q', `${endless}\0`))
    await unitsAfter(before + 1)
    // Nobody waits for the other's statement: the change itself does, until it is done.
    const endedMs = performance.now()
    const revoked = server.sql(`ALTER USER 'alice' ROTATE APIKEY`)
    await using canceller = await WireClient.connect({ port: server.wirePort })
    canceller.send(cancelOf(busy.greeting))
    await revoked
    for (const { client } of [idle, busy]) {
      const message = (await client.closed()).at(-1)
      expect(message && errorOf(message)).toMatchObject({
        ...{ severity: 'FATAL', code: '57P01' },
        message: 'terminating connection: the API key was revoked',
      })
    }
    expect(performance.now() - endedMs).toBeLessThan(10_000)
  })

  test('A8: follows a change of its role', async () => {
    const login = { user: 'dave', password: await server.createUser('dave') }
    await using entered = await enter(login)
    await server.sql(`ALTER USER 'dave' ROLE service`)
    const [message] = await entered.client.closed()
    expect(message && errorOf(message)).toMatchObject({
      ...{ severity: 'FATAL', code: '57P01' },
      message: 'terminating connection: your role or your rights have changed',
    })
    await using again = await enter(login)
    expect(tagsOf(await again.client.query('select 1'))).toBe('TDCZ')
  })

  test('A8: follows the end of its user', async () => {
    const login = { user: 'bob', password: await server.createUser('bob') }
    await using entered = await enter(login)
    await server.sql(`DROP USER 'bob'`)
    const [message] = await entered.client.closed()
    expect(message && errorOf(message).message).toBe('terminating connection: the user was dropped')
  })
})

describe('A8: who has gone is told nothing more of their key', () => {
  test.each([
    ['who says so', ({ client }: Entered) => client.send(frame('X'))],
    ['who is cut off', ({ client }: Entered) => client.cut()],
    ['who is ended', ({ client }: Entered) => client.send(Buffer.from('G'))],
  ])('%s', async (_, leave) => {
    const left = vi.fn()
    const enterProven = server.database.enterProven.bind(server.database)
    const entering = vi.spyOn(server.database, 'enterProven')
    entering.mockImplementation(async (keyId, onEnd) => {
      const presence = await enterProven(keyId, onEnd)
      return {
        ...presence,
        leave: () => {
          left()
          presence.leave()
        },
      }
    })
    await using entered = await enter()
    entering.mockRestore()
    expect(left).not.toHaveBeenCalled()
    leave(entered)
    await expect.poll(() => left.mock.calls.length).toBe(1)
  })
})

test('I2: a client is who its key says', async () => {
  const login = { user: 'carol', password: await server.createUser('carol') }
  await using entered = await enter(login)
  const messages = await entered.client.query(
    'select name from system.users where user_id = kalam.uid()',
  )
  expect(valuesOf(messages).map((text) => text.replace(/^.*\0/u, ''))).toEqual([
    expect.stringMatching(/carol$/u),
  ])
})

test('figures count connections, units and bytes', async () => {
  const names = ['wire_opened_total', 'wire_units_total', 'wire_bytes_total{direction="in"}']
  const read = async () => {
    const page = await (await fetch(`${server.url}/metrics`)).text()
    return names.map((name) => {
      const line = page.split('\n').find((text) => text.startsWith(`kalamdb_${name} `))
      return Number(line?.split(' ').at(-1) ?? 0)
    })
  }
  const [opened = 0, units = 0, bytes = 0] = await read()
  await using entered = await enter()
  expect(await figure('wire_connections')).toBeGreaterThanOrEqual(1)
  await entered.client.query('select 1')
  const after = await read()
  expect(after[0]).toBe(opened + 1)
  expect(after[1]).toBe(units + 1)
  expect(after[2]).toBeGreaterThan(bytes + 100)
})
