import { DbError } from '../errors.js'
import type { Metrics } from '../telemetry/metrics.js'
import type { RequestHead } from './request-head.js'

/**
 * Errors: UNAUTHORIZED if there is no key, which is counted here as no other room gets to see it;
 * BAD_REQUEST if there are two different ones.
 */
export function readKey(head: RequestHead, metrics: Pick<Metrics, 'authenticationFailed'>): string {
  const header = head.header('x-api-key').trim()
  const bearer = readBearer(head.header('authorization'))
  if (header !== '' && bearer !== '' && header !== bearer) {
    throw new DbError(
      'BAD_REQUEST',
      'X-API-KEY and Authorization hold two different keys; send one',
    )
  }
  const key = header !== '' ? header : bearer
  if (key !== '') return key
  metrics.authenticationFailed('missing')
  throw new DbError('UNAUTHORIZED', 'no API key', {
    hint: 'Send it as X-API-KEY or as Authorization: Bearer.',
  })
}

/** Other schemes are no key of ours: as if there was none. */
function readBearer(authorization: string): string {
  return /^bearer +(\S+) *$/i.exec(authorization)?.[1] ?? ''
}

const visibleAscii = /^[\x21-\x7e]{1,255}$/

/** Errors: BAD_REQUEST. */
export function readIdempotencyKey(head: RequestHead): string | undefined {
  const key = head.header('idempotency-key')
  return key === '' ? undefined : checkIdempotencyKey(key)
}

/** Errors: BAD_REQUEST. */
export function checkIdempotencyKey(key: string): string {
  if (visibleAscii.test(key)) return key
  throw new DbError('BAD_REQUEST', 'Idempotency-Key must be 1 to 255 visible ASCII characters')
}
