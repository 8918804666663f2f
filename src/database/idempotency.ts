/**
 * Outcomes under an Idempotency-Key, kept in the transaction of what they tell of: either both are
 * there or neither, whenever the power goes.
 */
import { createHash } from 'node:crypto'
import { DbError } from '../errors.js'
import type { QueryRunner } from '../engine/queries.js'
import type { SqlRequest, StatementOutcome } from './database.js'

/** What makes a request the same request; `dataDigest` is that of a COPY's data. */
export function requestDigest(request: SqlRequest, dataDigest?: string): string {
  const { sql, parameters, namespace, transaction } = request
  const values = [sql, parameters.single, namespace ?? null, transaction]
  const text = JSON.stringify(dataDigest === undefined ? values : [...values, dataDigest])
  return createHash('sha256').update(text).digest('hex')
}

/** The first outcome of this key, if there is one. Errors: IDEMPOTENCY_KEY_REUSED. */
export async function findOutcome(
  runner: QueryRunner,
  key: OutcomeKey,
): Promise<readonly StatementOutcome[] | undefined> {
  const { rows } = await runner.query(
    `select encode(request_digest, 'hex'), convert_from(response, 'UTF8')
       from kalam.idempotency where user_id = $1 and key = $2`,
    [key.userId, key.key],
  )
  const [digest, response] = rows[0] ?? []
  if (typeof response !== 'string') return undefined
  if (digest === key.digest) return decodeOutcome(response)
  throw new DbError('IDEMPOTENCY_KEY_REUSED', 'this Idempotency-Key was used for another request', {
    hint: 'use a new key for each new request',
  })
}

export interface OutcomeKey {
  readonly userId: string
  readonly key: string
  readonly digest: string
}

/** Errors: RESULT_TOO_LARGE; BAD_REQUEST in a transaction that was made read only. */
export async function keepOutcome(
  runner: QueryRunner,
  key: OutcomeKey,
  outcome: { readonly results: readonly StatementOutcome[]; readonly bytesMax: number },
): Promise<void> {
  const response = encodeOutcome(outcome.results)
  const bytes = Buffer.byteLength(response)
  if (bytes > outcome.bytesMax)
    throw new DbError(
      'RESULT_TOO_LARGE',
      `an outcome of ${bytes} bytes cannot be kept under an Idempotency-Key`,
      { hint: 'return less with RETURNING; http.idempotency_bytes_max is the bound' },
    )
  try {
    await runner.query(
      `insert into kalam.idempotency (user_id, key, request_digest, response, created_at)
       values ($1, $2, decode($3, 'hex'), convert_to($4, 'UTF8'), now())`,
      [key.userId, key.key, key.digest, response],
    )
  } catch (cause) {
    if (cause instanceof DbError && cause.fields.sqlState === readOnlyState) throw isReadOnly(cause)
    throw cause
  }
}

/** PostgreSQL's read_only_sql_transaction. */
const readOnlyState = '25006'

function isReadOnly(cause: DbError): DbError {
  return new DbError(
    'BAD_REQUEST',
    'a transaction that was made read only cannot keep its outcome under an Idempotency-Key; ' +
      'nothing was done',
    { hint: 'leave the key out: what only reads may be sent again safely' },
    { cause },
  )
}

function encodeOutcome(results: readonly StatementOutcome[]): string {
  return JSON.stringify(
    results.map(({ command, columns, rowCount, frames }) => ({
      ...{ command, columns, rowCount },
      frames: Buffer.from(frames).toString('base64'),
    })),
  )
}

/** `encodeOutcome` wrote it. */
function decodeOutcome(response: string): readonly StatementOutcome[] {
  const results = JSON.parse(response) as (Omit<StatementOutcome, 'frames' | 'described'> & {
    frames: string
  })[]
  return results.map((result) => ({
    ...result,
    described: [],
    frames: Buffer.from(result.frames, 'base64'),
  }))
}
