import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { ScramExchange, type ScramOptions } from '#adapters/postgres/scram-exchange.js'
import { randomKey, scramKeys } from '#src/catalog/api-key.js'
import { scramClient } from '../../support/raw-wire-client.js'

const salt = Buffer.alloc(16, 7)
const keys = Array.from({ length: 3 }, () => randomKey(randomBytes))
const secrets = {
  salt,
  iterations: 4096,
  keys: await Promise.all(
    keys.map(async (key, index) => ({ keyId: `key ${index}`, ...(await scramKeys(key, salt)) })),
  ),
}
const open = (options: Partial<ScramOptions> = {}) =>
  new ScramExchange({
    mechanism: 'SCRAM-SHA-256',
    certificateHash: undefined,
    secrets,
    nonce: randomBytes(18).toString('base64'),
    ...options,
  })

test('RFC 7677: the exchange of its example', async () => {
  const rfcSalt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
  const exchange = open({
    secrets: {
      ...{ salt: rfcSalt, iterations: 4096 },
      keys: [{ keyId: 'pencil', ...(await scramKeys('pencil', rfcSalt)) }],
    },
    nonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  })
  expect(exchange.first('n,,n=user,r=rOprNGfwEbeRWgbNEkqO')).toBe(
    'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  )
  const final =
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,' +
    'p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ='
  expect(exchange.final(final)).toEqual({
    keyId: 'pencil',
    serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
  })
})

describe('a proof', () => {
  test.each(keys.map((key, index) => [index, key] as const))(
    'tells which key it is: %d',
    (index, password) => {
      const exchange = open()
      const client = scramClient({ password })
      const proof = exchange.final(client.final(exchange.first(client.first)))
      expect(proof?.keyId).toBe(`key ${index}`)
      client.check(proof?.serverFinal ?? '')
    },
  )

  test('of another key, or where nobody has one, is none', () => {
    const zeros = new Uint8Array(32)
    const nobodys = [{ keyId: 'nobody', storedKey: zeros, serverKey: zeros }]
    for (const own of [secrets, { ...secrets, keys: nobodys }]) {
      const exchange = open({ secrets: own })
      const client = scramClient({ password: randomKey(randomBytes) })
      expect(exchange.final(client.final(exchange.first(client.first)))).toBeUndefined()
    }
  })

  test('that was seen before is of no use', () => {
    const client = scramClient({ password: keys[0] ?? '' })
    const seen = open()
    const final = client.final(seen.first(client.first))
    expect(seen.final(final)?.keyId).toBe('key 0')
    const exchange = open()
    exchange.first(client.first)
    expect(() => exchange.final(final)).toThrow('malformed')
  })
})

describe('channel binding', () => {
  const certificateHash = Buffer.alloc(32, 1)
  const run = (
    options: Partial<ScramOptions>,
    client: { readonly binding?: Uint8Array; readonly flag?: string },
  ) => {
    const exchange = open(options)
    const sent = scramClient({ password: keys[1] ?? '', ...client })
    return exchange.final(sent.final(exchange.first(sent.first)))?.keyId
  }
  const plus = { mechanism: 'SCRAM-SHA-256-PLUS', certificateHash }

  test('holds to the certificate that the client saw', () => {
    expect(run(plus, { binding: certificateHash })).toBe('key 1')
    expect(() => run(plus, { binding: Buffer.alloc(32, 2) })).toThrow('malformed')
    expect(() => run(plus, {})).toThrow('malformed')
  })

  test('y, where the server can, means that somebody took the offer away', () => {
    expect(run({}, { flag: 'y' })).toBe('key 1')
    expect(() => run({ certificateHash }, { flag: 'y' })).toThrow(
      expect.objectContaining({ sqlState: '28000' }) as Error,
    )
    expect(run({ certificateHash }, {})).toBe('key 1')
  })

  test('is offered only where there is a channel to bind to', () => {
    expect(() => open({ mechanism: 'SCRAM-SHA-256-PLUS' })).toThrow('invalid SASL')
    expect(() => open({ mechanism: 'PLAIN' })).toThrow('invalid SASL')
    expect(() => run({}, { binding: certificateHash })).toThrow('malformed')
  })
})

test.each([
  '',
  'n,,',
  'n,,n=,r=',
  'n,,m=x,n=,r=abc',
  'x,,n=,r=abc',
  'n,n=,r=abc',
  'n,,n=,r=a b',
  'n,,n=,r=a\0b',
  'n,a=root,n=,r=abc',
])('a first message %j is refused', (text) => {
  expect(() => open().first(text)).toThrow(/malformed|identity/u)
})

test.each([
  '',
  'c=biws,r=NONCE',
  'c=biws,r=NONCE,p=',
  'c=biws,r=NONCE,p=AAAA',
  'c=biws,r=other,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=',
  'c=eSws,r=NONCE,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=',
  'r=NONCE,c=biws,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=',
])('a last message %j is refused', (text) => {
  const exchange = open()
  const [, nonce = ''] = /^r=([^,]*)/u.exec(exchange.first('n,,n=,r=abc')) ?? []
  expect(() => exchange.final(text.replace('NONCE', nonce))).toThrow('malformed')
})
