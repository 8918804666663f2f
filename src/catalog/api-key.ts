/**
 * API keys: `kal_` and 32 random bytes in base64url. Nothing that is stored gives the key back: a
 * SHA-256 digest to look it up by, and a SCRAM-SHA-256 verifier for the Postgres wire. A plain
 * digest is enough because a key has 256 random bits; a password would need more.
 */
import { createHash, createHmac, hash, pbkdf2 } from 'node:crypto'
import { promisify } from 'node:util'
import { assert } from '../errors.js'

/** Gives that many random bytes. */
export type RandomBytes = (count: number) => Uint8Array

export const keyBytes = 32
/** Bytes of the salt that all keys of a user share. */
export const saltBytes = 16
/** PostgreSQL's default, `scram_iterations`. More would protect passwords, which keys are not. */
export const scramIterations = 4096

/** A new key. */
export function randomKey(random: RandomBytes): string {
  return `kal_${Buffer.from(random(keyBytes)).toString('base64url')}`
}

/**
 * Whether the text has the form of a key. Its last character can only carry four bits: 32 bytes
 * in base64url have one spelling, and no other opens the door.
 */
export function isKey(text: string): boolean {
  return /^kal_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/.test(text)
}

/** SHA-256 of the key, 32 bytes. */
export function digestOf(key: string): Buffer {
  return hash('sha256', key, 'buffer')
}

/** What may be shown of a key later: enough to tell one's keys apart. */
export function hintOf(key: string): string {
  return `${key.slice(0, 8)}…`
}

/**
 * PostgreSQL's form of a SCRAM-SHA-256 secret: `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`
 * (RFC 5802, section 3; RFC 7677). A key is ASCII, so SASLprep changes nothing in it.
 */
export async function scramVerifier(key: string, salt: Uint8Array): Promise<string> {
  const { storedKey, serverKey } = await scramKeys(key, salt)
  const saltText = Buffer.from(salt).toString('base64')
  const secrets = [storedKey, serverKey].map((bytes) => Buffer.from(bytes).toString('base64'))
  return `SCRAM-SHA-256$${scramIterations}:${saltText}$${secrets.join(':')}`
}

/** What a proof of a key is checked with, and answered. Neither gives the key back. */
export interface ScramKeys {
  readonly storedKey: Uint8Array
  readonly serverKey: Uint8Array
}

/** The keys of a verifier made by `scramVerifier`. */
export function scramKeysOf(verifier: string): ScramKeys {
  const [storedKey, serverKey] = (verifier.split('$').at(-1) ?? '').split(':')
  assert(storedKey !== undefined && serverKey !== undefined, 'a verifier has two keys')
  return {
    storedKey: Buffer.from(storedKey, 'base64'),
    serverKey: Buffer.from(serverKey, 'base64'),
  }
}

export async function scramKeys(key: string, salt: Uint8Array): Promise<ScramKeys> {
  const salted = await deriveKey(key, salt, scramIterations, 32, 'sha256')
  const clientKey = createHmac('sha256', salted).update('Client Key').digest()
  const storedKey = createHash('sha256').update(clientKey).digest()
  const serverKey = createHmac('sha256', salted).update('Server Key').digest()
  return { storedKey, serverKey }
}

const deriveKey = promisify(pbkdf2)
