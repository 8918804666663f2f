/** How a client of the Postgres wire gets in, and who does not. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestServer, type TestServer } from '../support/server.js'
import {
  WireClient,
  cancelRequest,
  errorOf,
  frame,
  gssRequest,
  packet,
  saslInitial,
  sslRequest,
  startupPacket,
  version30,
  type WireLogin,
} from '../support/raw-wire-client.js'

let server: TestServer
let alice: WireLogin
beforeAll(async () => {
  server = await openTestServer({ settings: { 'postgres_wire.enabled': true } })
  alice = { user: 'alice', password: await server.createUser('alice') }
})
afterAll(() => server.close())

const connect = () => WireClient.connect({ port: server.wirePort })

/** The key's part of a login that must fail, and why it did. */
async function failing(login: WireLogin) {
  await using client = await connect()
  try {
    await client.logIn(login)
  } catch (error) {
    return JSON.parse(error instanceof Error ? error.message : '') as {
      severity: string
      code: string
      message: string
    }
  }
  throw new Error('it got in')
}

const wrongKey = (user: string) => ({
  severity: 'FATAL',
  code: '28P01',
  message: `password authentication failed for user "${user}"`,
})

async function keyOf(sql: string): Promise<string> {
  const { rows } = await server.sql(sql)
  return String(rows[0]?.['apikey'])
}

describe('I2: a login', () => {
  test('is a name and a key of that user: greeting, status, key for a cancel', async () => {
    await using client = await connect()
    const messages = await client.logIn(alice)
    const tags = messages.map(({ tag }) => tag).join('')
    expect(tags).toMatch(/^RS+KZ$/u)
    expect(messages.at(-1)?.body.toString()).toBe('I')
    expect(messages.find(({ tag }) => tag === 'K')?.body).toHaveLength(8)
  })

  test('may come a byte at a time', async () => {
    await using client = await connect()
    await client.sendSlowly(sslRequest)
    expect((await client.raw(1)).toString()).toBe('N')
    await client.sendSlowly(startupPacket({ user: 'alice', database: 'kalamdb' }))
    await client.prove(alice)
    await client.upTo('Z')
  })

  test('with any of the user’s keys', async () => {
    const keys = [
      await keyOf(`CREATE APIKEY FOR 'alice'`),
      await keyOf(`CREATE APIKEY FOR 'alice'`),
    ]
    for (const password of [alice.password, ...keys]) {
      await using client = await connect()
      await client.logIn({ ...alice, password })
    }
  })

  test('of root, with this machine’s token', async () => {
    await using client = await connect()
    await client.logIn({ user: 'root', password: server.adminKey })
  })

  test.each(['kalamdb', '', 'alice'])('may name the database %j', async (database) => {
    await using client = await connect()
    await client.logIn({ ...alice, parameters: { database } })
  })

  test('of forty at once', async () => {
    const clients = await Promise.all(Array.from({ length: 40 }, connect))
    await Promise.all(clients.map((client) => client.logIn(alice)))
    for (const client of clients) client.cut()
  })
})

describe('I2, A5: no login', () => {
  test.each([
    ['no key at all', ''],
    ['a key that nobody has', 'kal_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
  ])('with %s', async (_, password) => {
    expect(await failing({ user: 'alice', password })).toMatchObject(wrongKey('alice'))
  })

  test('with another user’s key', async () => {
    const password = await server.createUser('bob')
    expect(await failing({ user: 'alice', password })).toMatchObject(wrongKey('alice'))
    expect(await failing({ user: 'root', password })).toMatchObject(wrongKey('root'))
  })

  test('with a key that was revoked, or of a user that was dropped', async () => {
    const password = await server.createUser('carol')
    const { rows } = await server.sql(`SELECT id FROM system.apikeys WHERE name = 'carol'`)
    await server.sql(`REVOKE APIKEY '${String(rows[0]?.['id'])}'`)
    expect(await failing({ user: 'carol', password })).toMatchObject(wrongKey('carol'))
    const next = await keyOf(`CREATE APIKEY FOR 'carol'`)
    await server.sql(`DROP USER 'carol'`)
    expect(await failing({ user: 'carol', password: next })).toMatchObject(wrongKey('carol'))
  })

  test('with a key that has expired, which its owner is told', async () => {
    const password = await keyOf(`CREATE APIKEY FOR 'alice' EXPIRES '1 milliseconds'`)
    expect(await failing({ user: 'alice', password })).toMatchObject({
      ...{ severity: 'FATAL', code: '28P01', message: 'the API key has expired' },
    })
  })

  test('for a name that nobody has: as for a wrong key, with one salt each time', async () => {
    const password = 'kal_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
    expect(await failing({ user: 'nobody', password })).toMatchObject(wrongKey('nobody'))
    const salts = await Promise.all(['nobody', 'nobody', 'noone', 'alice', 'alice'].map(saltOf))
    expect(salts.map((salt) => salt.length)).toEqual(Array(5).fill(salts[0]?.length))
    expect(new Set(salts).size).toBe(3)
  })

  test('to another database', async () => {
    const parameters = { database: 'postgres' }
    expect(await failing({ ...alice, parameters })).toMatchObject({
      ...{ severity: 'FATAL', code: '3D000', message: 'database "postgres" does not exist' },
    })
    // A stranger is told of the key, not of databases.
    expect(await failing({ user: 'alice', password: '', parameters })).toMatchObject(
      wrongKey('alice'),
    )
  })
})

async function saltOf(user: string): Promise<string> {
  await using client = await connect()
  client.send(startupPacket({ user }))
  await client.next()
  client.send(saslInitial('SCRAM-SHA-256', 'n,,n=,r=abc'))
  const { body } = await client.next()
  return /,s=([^,]*)/u.exec(body.toString())?.[1] ?? ''
}

describe('a packet', () => {
  const user = { user: 'alice', database: 'kalamdb' }
  test.each([
    ['without a user', startupPacket({ database: 'kalamdb' }), '28000'],
    ['of protocol 2', startupPacket(user, 2 << 16), '0A000'],
    ['for replication', startupPacket({ ...user, replication: 'database' }), '0A000'],
    ['with another encoding', startupPacket({ ...user, client_encoding: 'LATIN1' }), '22023'],
    ['with options that are none', startupPacket({ ...user, options: '-x' }), '42601'],
    ['that does not end', packet(version30, Buffer.from('user\0alice')), '08P01'],
    ['of seven bytes', Buffer.from([0, 0, 0, 7, 0, 3, 0]), '08P01'],
    ['of 10,001 bytes', packet(version30, Buffer.alloc(9_993, 'x')), '08P01'],
    ['of a gigabyte', Buffer.from([0x40, 0, 0, 0]), '08P01'],
    ['of HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n'), '08P01'],
    ['that asks twice for TLS', Buffer.concat([sslRequest, sslRequest]), '08P01'],
  ])('%s is refused', async (_, bytes, code) => {
    await using client = await connect()
    client.send(bytes)
    if (bytes.subarray(0, 8).equals(sslRequest)) await client.raw(1)
    expect(await client.error()).toMatchObject({ severity: 'FATAL', code })
    expect(await client.closed()).toEqual([])
  })

  test('of the most bytes, 10,000, is taken', async () => {
    await using client = await connect()
    const rest = 10_000 - startupPacket({ ...user, application_name: '' }).length
    const bytes = startupPacket({ ...user, application_name: 'x'.repeat(rest) })
    expect(bytes).toHaveLength(10_000)
    client.send(bytes)
    expect((await client.next()).tag).toBe('R')
  })

  test('for GSS and one for TLS are answered with no, in any order', async () => {
    for (const requests of [[gssRequest, sslRequest], [sslRequest, gssRequest], [gssRequest]]) {
      await using client = await connect()
      for (const request of requests) {
        client.send(request)
        expect((await client.raw(1)).toString()).toBe('N')
      }
      await client.logIn(alice)
    }
  })
})

describe('the protocol', () => {
  test.each([
    [version30, undefined, 4],
    [version30 + 2, undefined, 32],
    // 3.9999 is what clients send to see whether servers negotiate.
    [version30 + 9999, version30 + 2, 32],
  ])('%d is spoken, or what comes closest', async (version, spoken, secretBytes) => {
    await using client = await connect()
    client.send(startupPacket({ user: 'alice', database: 'kalamdb' }, version))
    if (spoken !== undefined) {
      const { tag, body } = await client.next()
      expect([tag, body.readInt32BE(0), body.readInt32BE(4)]).toEqual(['v', spoken, 0])
    }
    await client.prove(alice)
    const messages = await client.upTo('Z')
    expect(messages.find(({ tag }) => tag === 'K')?.body).toHaveLength(4 + secretBytes)
  })

  test('says which of its options it does not know', async () => {
    await using client = await connect()
    client.send(startupPacket({ user: 'alice', '_pq_.a': '1', '_pq_.b': '' }))
    const { tag, body } = await client.next()
    expect([tag, body.readInt32BE(0), body.toString('latin1', 4)]).toEqual([
      ...['v', version30, '\0\0\0\x02_pq_.a\0_pq_.b\0'],
    ])
    await client.prove(alice)
    await client.upTo('Z')
  })
})

describe('in place of a proof', () => {
  test.each([
    ['a query', frame('Q', 'select 1\0'), 'expected SASL response'],
    ['a message of 1,025 bytes', frame('p', Buffer.alloc(1_021)), '1024'],
    ['a message of a gigabyte', Buffer.from([0x70, 0x40, 0, 0, 0]), '1024'],
    ['a mechanism of none', saslInitial('PLAIN', 'n,,n=,r=a'), 'invalid SASL'],
    [
      'channel binding without TLS',
      saslInitial('SCRAM-SHA-256-PLUS', 'p=x,,n=,r=a'),
      'invalid SASL',
    ],
    ['a length that is wrong', frame('p', 'SCRAM-SHA-256\0\0\0\0\x09abc'), 'malformed'],
    ['nothing', frame('p'), 'malformed'],
    ['a password in clear', frame('p', 'secret\0'), 'malformed'],
    ['words without a nonce', saslInitial('SCRAM-SHA-256', 'n,,n=,r='), 'malformed'],
  ])('%s ends the login', async (_, bytes, reason) => {
    await using client = await connect()
    client.send(startupPacket({ user: 'alice' }))
    await client.next()
    client.send(bytes)
    const error = await client.error()
    expect(error.severity).toBe('FATAL')
    expect(error.message).toContain(reason)
    expect(await client.closed()).toEqual([])
  })
})

describe('I4: a CancelRequest', () => {
  test.each([
    ['of nobody', cancelRequest(1, Buffer.alloc(4))],
    ['with a long secret', cancelRequest(1, Buffer.alloc(256))],
    ['after a no to TLS', Buffer.concat([sslRequest, cancelRequest(1, Buffer.alloc(4))])],
  ])('%s is heard and not answered', async (_, bytes) => {
    await using client = await connect()
    client.send(bytes)
    if (bytes.subarray(0, 8).equals(sslRequest)) await client.raw(1)
    expect(await client.closed()).toEqual([])
  })
})

test('A8: a key that ends during the login ends the login', async () => {
  const password = await server.createUser('dora')
  await using client = await connect()
  client.send(startupPacket({ user: 'dora', database: 'kalamdb' }))
  await server.sql(`ALTER USER 'dora' ROTATE APIKEY`)
  const login = client.prove({ user: 'dora', password })
  await expect(login).rejects.toThrow('28P01')
})

test('errors have the severity that does not change with the language', async () => {
  await using client = await connect()
  client.send(startupPacket({}))
  const message = await client.next()
  expect(errorOf(message).severity).toBe('FATAL')
  expect(message.body.toString()).toMatch(/^SFATAL\0VFATAL\0C28000\0M/u)
})
