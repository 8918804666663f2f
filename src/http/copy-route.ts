/**
 * POST /v1/api/copy?sql=COPY…: the body is the data of COPY … FROM STDIN, the answer's body that
 * of COPY … TO STDOUT. A longer text for TO STDOUT may be the body, as JSON.
 */
import type { Copying, CopyRequest } from '../database/database.js'
import { DbError } from '../errors.js'
import { ByteSink } from '../protocol/byte-sink.js'
import type { BodyStream } from './body-stream.js'
import { drainedBytesMax } from './body-collector.js'
import { readIdempotencyKey, readKey } from './credentials.js'
import { badRequest, checkText } from '../database/json-parameters.js'
import { readQuery } from './query-text.js'
import { callersError, countRequest, headersOf, sendError, sendJson, type Reply } from './reply.js'
import type { RequestHead } from './request-head.js'
import { parseSqlBody } from './sql-body.js'
import { writeSqlResponse } from './sql-response.js'
import type { Metrics } from '../telemetry/metrics.js'

type CopyTo = Copying & { readonly kind: 'to' }

/** What the head says; read before the first wait. */
interface CopyHead {
  readonly key: string
  /** Undefined: the body has it. */
  readonly sql: string | undefined
  readonly namespace: string | undefined
  readonly idempotencyKey: string | undefined
}

export async function answerCopy(reply: Reply, head: RequestHead): Promise<void> {
  const { exchange, cancellation } = reply
  const body = exchange.openBody()
  exchange.onGone = () => {
    body.leave()
    cancellation.abort()
  }
  try {
    await copy(reply, readCopyHead(head, reply.door.metrics), body)
  } catch (thrown) {
    await body.drain(drainedBytesMax)
    sendError(reply, thrown)
  }
}

/** Errors: UNAUTHORIZED, BAD_REQUEST. */
function readCopyHead(head: RequestHead, metrics: Metrics): CopyHead {
  const key = readKey(head, metrics)
  const idempotencyKey = readIdempotencyKey(head)
  const fields = readQuery(head.query, ['sql', 'namespace'])
  const sql = fields.get('sql')
  const isJson = /^application\/json\s*(;|$)/i.test(head.header('content-type'))
  if (sql === undefined && !isJson)
    throw badRequest(
      'the SQL is missing: POST /v1/api/copy?sql=COPY…',
      'For COPY … TO STDOUT it may also be the body: {"sql": "…"} as application/json.',
    )
  const namespace = fields.get('namespace')
  if (namespace !== undefined) checkText('namespace', namespace)
  return { key, sql, namespace, idempotencyKey }
}

async function copy(reply: Reply, head: CopyHead, body: BodyStream): Promise<void> {
  const { door, cancellation } = reply
  const caller = await door.database.authenticate(head.key)
  const { sql, namespace } = head.sql === undefined ? await readSql(reply, head, body) : head
  const request: CopyRequest = { sql: sql ?? '', namespace, idempotencyKey: head.idempotencyKey }
  const copying = await door.database.copy(caller, request, cancellation)
  if (copying.kind === 'to') {
    for await (const piece of body)
      if (piece.length > 0) throw badRequest('COPY … TO STDOUT takes no data')
    await sendData(reply, copying)
  } else if (head.sql === undefined) {
    throw badRequest(
      'the SQL of COPY … FROM STDIN goes into the URL: the body is its data',
      'POST /v1/api/copy?sql=COPY…',
    )
  } else await takeData(reply, copying.run(body))
}

/** Errors: BAD_REQUEST, REQUEST_TOO_LARGE. */
async function readSql(
  { door }: Reply,
  head: CopyHead,
  body: BodyStream,
): Promise<Pick<CopyHead, 'sql' | 'namespace'>> {
  const { body_bytes_max } = door.config.http
  const text = new ByteSink()
  for await (const piece of body) {
    text.append(piece)
    if (text.view().length > body_bytes_max)
      throw new DbError(
        'REQUEST_TOO_LARGE',
        `the body is larger than http.body_bytes_max, ${body_bytes_max} bytes`,
      )
  }
  const { sql, namespace = head.namespace } = parseSqlBody(text.view(), 0)
  return { sql, namespace }
}

async function takeData(
  reply: Reply,
  running: ReturnType<(Copying & { kind: 'from' })['run']>,
): Promise<void> {
  const { door, startedMs } = reply
  const outcome = await running
  door.sink.clear()
  writeSqlResponse({ outcome, rows: 'object', startedMs, out: door.sink })
  sendJson(reply, 200, door.sink.view())
}

/**
 * An error before the first byte is an error answer. After it the connection ends in the middle:
 * what is there must never be taken for all.
 */
async function sendData(reply: Reply, copying: CopyTo): Promise<void> {
  const { exchange } = reply
  const state = { isBegun: false }
  const begin = (): void => {
    if (!state.isBegun) exchange.begin(200, headersOf(reply, dataContent(copying)))
    state.isBegun = true
  }
  try {
    for await (const piece of copying.read()) {
      begin()
      await sendPiece(reply, piece)
      if (exchange.isOver) break
    }
    if (exchange.isGone) throw new DbError('CANCELLED', 'the reader went away')
    begin()
    exchange.finish()
    countRequest(reply, 200)
  } catch (thrown) {
    if (!state.isBegun) throw thrown
    exchange.disconnect()
    countRequest(reply, callersError(reply, thrown).status)
  }
}

/** Errors: CANCELLED if the reader takes nothing for too long. */
async function sendPiece({ exchange, door, cancellation }: Reply, piece: Uint8Array) {
  const idleMsMax = door.config.http.stream_idle_timeout_ms
  if (exchange.write(piece) || (await exchange.writable(idleMsMax))) return
  cancellation.abort()
  throw new DbError('CANCELLED', `the reader took nothing for ${idleMsMax} ms`)
}

const contentTypes = {
  text: 'text/tab-separated-values',
  csv: 'text/csv',
  binary: 'application/octet-stream',
} as const satisfies Record<CopyTo['format'], string>

function dataContent({ format, isUtf8 }: CopyTo) {
  const hasCharset = format !== 'binary' && isUtf8
  return {
    status: 200,
    contentType: contentTypes[format] + (hasCharset ? '; charset=utf-8' : ''),
    // nginx would collect the data.
    headers: [['x-accel-buffering', 'no']] as const,
  }
}
