/** POST /v1/api/sql: head and body in, rows out, whole or as a stream. */
import type { SqlRequest } from '../database/database.js'
import { DbError, errorAsValue } from '../errors.js'
import type { Metrics } from '../telemetry/metrics.js'
import { readIdempotencyKey, readKey } from './credentials.js'
import { sendJson, type Reply } from './reply.js'
import type { RequestHead } from './request-head.js'
import { parseSqlBody } from './sql-body.js'
import { writeSqlResponse } from './sql-response.js'
import { streamRows } from './stream-rows.js'

/** What the head says; read before the first wait. */
interface SqlHead {
  readonly key: string
  readonly idempotencyKey: string | undefined
  readonly isStreamWanted: boolean
}

/** Errors: any of the table; the router answers with what is thrown. */
export async function answerSql(reply: Reply, head: RequestHead): Promise<void> {
  const { exchange, door, cancellation } = reply
  const { body_bytes_max, parameters_max } = door.config.http
  const heading = errorAsValue(() => readSqlHead(head, door.metrics))
  // Who has no key has no right to our memory: their body is read and thrown away.
  const bytesMax = heading instanceof DbError ? 0 : body_bytes_max
  const body = await exchange.readBody(bytesMax, (bytes) =>
    errorAsValue(() => parseSqlBody(bytes, parameters_max)),
  )
  if (exchange.isOver) return
  exchange.onGone = () => cancellation.abort()
  if (heading instanceof DbError) throw heading
  const caller = await door.database.authenticate(heading.key)
  if (body instanceof DbError) throw body
  const { sql, parameters, namespace, transaction, rows } = body
  const { idempotencyKey, isStreamWanted } = heading
  const request: SqlRequest = { sql, parameters, namespace, transaction, idempotencyKey }
  if (isStreamWanted) {
    await streamRows({ reply, rows, parts: door.database.stream(caller, request, cancellation) })
    return
  }
  const outcome = await door.database.run(caller, request, cancellation)
  door.sink.clear()
  writeSqlResponse({ outcome, rows, startedMs: reply.startedMs, out: door.sink })
  sendJson(reply, 200, door.sink.view())
}

/** Errors: UNAUTHORIZED, UNSUPPORTED_MEDIA_TYPE, BAD_REQUEST. */
function readSqlHead(head: RequestHead, metrics: Metrics): SqlHead {
  const key = readKey(head, metrics)
  const contentType = head.header('content-type')
  if (!/^application\/json\s*(;|$)/i.test(contentType)) {
    throw new DbError(
      'UNSUPPORTED_MEDIA_TYPE',
      contentType === '' ? 'the body has no Content-Type' : `cannot read ${contentType}`,
      { hint: 'Send the body as Content-Type: application/json.' },
    )
  }
  return {
    key,
    idempotencyKey: readIdempotencyKey(head),
    isStreamWanted: head.header('accept').toLowerCase().includes('application/x-ndjson'),
  }
}
