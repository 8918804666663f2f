/** TLS on the Postgres wire, and SCRAM bound to its certificate. */
import { createHash } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeCertificate, type TestCertificate } from '../support/certificate.js'
import { openTestServer, type TestServer } from '../support/server.js'
import {
  WireClient,
  gssRequest,
  sslRequest,
  startupPacket,
  type WireLogin,
} from '../support/raw-wire-client.js'

let certificate: TestCertificate
let server: TestServer
let root: WireLogin
beforeAll(async () => {
  certificate = makeCertificate()
  server = await openTestServer({
    settings: {
      'postgres_wire.enabled': true,
      'postgres_wire.tls_cert': certificate.cert,
      'postgres_wire.tls_key': certificate.key,
    },
  })
  root = { user: 'root', password: server.adminKey }
})
afterAll(async () => {
  await server.close()
  certificate[Symbol.dispose]()
})

const connect = () => WireClient.connect({ port: server.wirePort })

async function connectSecurely(): Promise<WireClient> {
  const client = await connect()
  client.send(sslRequest)
  expect((await client.raw(1)).toString()).toBe('S')
  await client.secure()
  return client
}

test('I2: a login goes through TLS', async () => {
  await using client = await connectSecurely()
  await client.logIn(root)
})

test('after a no to GSS as well', async () => {
  await using client = await connect()
  client.send(gssRequest)
  expect((await client.raw(1)).toString()).toBe('N')
  client.send(sslRequest)
  expect((await client.raw(1)).toString()).toBe('S')
  await client.secure()
  await client.logIn(root)
})

test('at once, as clients with sslnegotiation=direct do', async () => {
  await using client = await connect()
  await client.secure({ alpn: ['postgresql'] })
  await client.logIn(root)
})

test('nobody gets in without it', async () => {
  await using client = await connect()
  client.send(startupPacket({ user: 'root', database: 'kalamdb' }))
  expect(await client.error()).toMatchObject({ severity: 'FATAL', code: '28000' })
  expect(await client.closed()).toEqual([])
})

test('what was slipped in before TLS began ends the connection', async () => {
  await using client = await connect()
  client.send(sslRequest, startupPacket({ user: 'root', database: 'kalamdb' }))
  expect((await client.raw(1)).toString()).toBe('S')
  // In clear: nothing may be said inside of TLS to whoever slipped it in.
  expect(await client.error()).toMatchObject({ severity: 'FATAL', code: '08P01' })
  expect(await client.closed()).toEqual([])
})

test('bytes that are no TLS end the connection, and no other', async () => {
  await using other = await connectSecurely()
  await using client = await connect()
  client.send(sslRequest)
  await client.raw(1)
  client.send(startupPacket({ user: 'root' }))
  await client.closed()
  await other.logIn(root)
})

/** node-postgres, with a login that is bound to the channel. */
class TlsClient extends Client implements AsyncDisposable {
  constructor() {
    super({
      ...{ host: '127.0.0.1', port: server.wirePort, database: 'kalamdb', ...root },
      ...{ ssl: { rejectUnauthorized: false }, enableChannelBinding: true },
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end()
  }
}

describe('SCRAM-SHA-256-PLUS', () => {
  const hashOf = (client: WireClient) => createHash('sha256').update(client.certificate).digest()

  test('binds the login to the certificate that the client sees', async () => {
    await using client = await connectSecurely()
    await client.logIn({ ...root, binding: hashOf(client) })
  })

  test('is what node-postgres does when it is asked to', async () => {
    await using client = new TlsClient()
    await client.connect()
    const { rows } = await client.query('select $1::text as said', ['hello'])
    expect(rows).toEqual([{ said: 'hello' }])
  })

  test('fails for one who sees another certificate', async () => {
    await using client = await connectSecurely()
    const login = client.logIn({ ...root, binding: Buffer.alloc(32) })
    await expect(login).rejects.toThrow('channel binding')
  })

  test('is offered first, and not to be talked away', async () => {
    await using client = await connectSecurely()
    client.send(startupPacket({ user: 'root' }))
    const { body } = await client.next()
    expect(body.toString('latin1', 4)).toBe('SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0')
    await using misled = await connectSecurely()
    await expect(misled.logIn({ ...root, flag: 'y' })).rejects.toThrow('negotiation')
  })
})

test('its certificate must be one', async () => {
  const settings = {
    'postgres_wire.enabled': true,
    'postgres_wire.tls_cert': certificate.key,
    'postgres_wire.tls_key': certificate.key,
  }
  await expect(openTestServer({ settings })).rejects.toThrow(/postgres_wire: no TLS with/u)
})
