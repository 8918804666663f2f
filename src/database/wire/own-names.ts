/**
 * What a session's statements, portals and cursors are called in the one backend: the client's names
 * behind the session's prefix. SQL cuts names at 63 bytes, so a longer one is a digest of itself.
 */
import { createHash } from 'node:crypto'

/** PostgreSQL's NAMEDATALEN - 1. */
const nameBytesMax = 63

export function nameInPostgres(prefix: string, name: string): string {
  if (name === '') return ''
  const whole = prefix + name
  // No UTF-16 unit takes more than three bytes.
  if (whole.length * 3 <= nameBytesMax || Buffer.byteLength(whole) <= nameBytesMax) return whole
  return prefix + createHash('sha256').update(name).digest('base64url').slice(0, digestLength)
}

/** 120 bits: the prefix has room beside it. */
const digestLength = 20
