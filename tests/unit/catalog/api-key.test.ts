import { createHash, createHmac, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { digestOf, hintOf, isKey, randomKey, scramVerifier } from '#src/catalog/api-key.js'
import { propertyRuns } from '../../support/counts.js'

test('A1: a key is kal_ and 32 random bytes in base64url', () => {
  const bytes = Uint8Array.from({ length: 32 }, (_, index) => index * 8)
  const key = randomKey((count) => bytes.subarray(0, count))
  expect(key).toBe(`kal_${Buffer.from(bytes).toString('base64url')}`)
  expect(key).toHaveLength(47)
})

test('A1: every key that can be made has the form of a key', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      expect(isKey(randomKey(() => bytes))).toBe(true)
    }),
    propertyRuns(),
  )
})

const key = randomKey(randomBytes)

test.each([
  ['', 'empty'],
  [key.slice(0, -1), 'one character less'],
  [`${key}A`, 'one character more'],
  [` ${key}`, 'a space before'],
  [`${key}\n`, 'a line break after'],
  [key.slice(4), 'no prefix'],
  [key.toUpperCase(), 'another case'],
  [`${key.slice(0, -2)}+A`, 'plain base64'],
  [`${key.slice(0, -1)}B`, 'bits that 32 bytes do not have'],
  [`${key.slice(0, -1)}é`, 'another letter'],
])('A5: %j is no key (%s)', (text) => {
  expect(isKey(text)).toBe(false)
})

test('A1: the digest is SHA-256 of the text', () => {
  expect(digestOf(key)).toEqual(createHash('sha256').update(key).digest())
})

test('A1: a hint shows four characters of 43', () => {
  expect(hintOf(key)).toBe(`${key.slice(0, 8)}…`)
})

/** The exchange of RFC 7677, section 3: user `user`, password `pencil`. */
test('A1: the verifier passes the test vector of SCRAM-SHA-256', async () => {
  const nonce = 'rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
  const salt = 'W22ZaJ0SNY7soEsUEjb6gQ=='
  const message = `n=user,r=rOprNGfwEbeRWgbNEkqO,r=${nonce},s=${salt},i=4096,c=biws,r=${nonce}`
  const verifier = await scramVerifier('pencil', Buffer.from(salt, 'base64'))
  const parts = /^SCRAM-SHA-256\$4096:(.+)\$(.+):(.+)$/.exec(verifier) ?? []
  const [storedKey, serverKey] = [2, 3].map((index) => Buffer.from(parts[index] ?? '', 'base64'))
  expect(parts[1]).toBe(salt)
  const sign = (by: Buffer | undefined) =>
    createHmac('sha256', by ?? '')
      .update(message)
      .digest()
  expect(sign(serverKey).toString('base64')).toBe('6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=')
  const proof = Buffer.from('dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=', 'base64')
  const clientKey = sign(storedKey).map((byte, index) => byte ^ (proof[index] ?? 0))
  expect(createHash('sha256').update(clientKey).digest()).toEqual(storedKey)
})
