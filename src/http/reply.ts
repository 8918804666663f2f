/** One request on its way to an answer, with what every route needs to give it. */
import type { CancelSignal, Database } from '../database/database.js'
import type { PostRoute } from '../database/post-route.js'
import { DbError } from '../errors.js'
import type { Config } from '../config/settings.js'
import type { ByteSink } from '../protocol/byte-sink.js'
import type { Log } from '../telemetry/log.js'
import type { Metrics } from '../telemetry/metrics.js'
import { errorHeaders, errorJson, toDbError } from './error-response.js'
import type { RequestHead } from './request-head.js'
import type { Exchange, Header } from './uws.js'

/** What all requests share. */
export interface Door {
  readonly database: Database
  readonly config: Config
  readonly log: Log
  readonly metrics: Metrics
  readonly version: string
  readonly postRoutes: ReadonlyMap<string, PostRoute>
  /** For one answer at a time: cleared, written and sent without a wait in between. */
  readonly sink: ByteSink
  /** The same, for what becomes a part of it. */
  readonly bodySink: ByteSink
  /** Why a request for a WebSocket gets none; undefined if it gets one. */
  readonly upgradeRefusal: (head: RequestHead) => DbError | undefined
  /** The server is stopping. */
  isStopping: boolean
}

export interface Reply {
  readonly door: Door
  readonly exchange: Exchange
  readonly corsHeaders: readonly Header[]
  /** The path's pattern, for the metrics. */
  readonly route: string
  /** A `performance.now()`. */
  readonly startedMs: number
  /** Tells the work that nobody waits for its result any more. */
  readonly cancellation: Cancellation
}

/** Fires at most once. */
export class Cancellation implements CancelSignal {
  aborted = false
  readonly #listeners: (() => void)[] = []

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.push(listener)
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    const index = this.#listeners.indexOf(listener)
    if (index !== -1) this.#listeners.splice(index, 1)
  }

  abort(): void {
    if (this.aborted) return
    this.aborted = true
    for (const listener of [...this.#listeners]) listener()
  }
}

const safetyHeaders: readonly Header[] = [
  ['cache-control', 'no-store'],
  ['x-content-type-options', 'nosniff'],
]

export interface Content {
  readonly status: number
  readonly contentType: string
  readonly headers?: readonly Header[]
  readonly body: Uint8Array | string
}

export function send(reply: Reply, content: Content): void {
  reply.exchange.respond(content.status, headersOf(reply, content), content.body)
  countRequest(reply, content.status)
}

export function sendJson(reply: Reply, status: number, body: Uint8Array | string): void {
  send(reply, { status, contentType: 'application/json', body })
}

/** Answers with what was thrown, whatever it is. */
export function sendError(reply: Reply, thrown: unknown, headers: readonly Header[] = []): void {
  const error = callersError(reply, thrown)
  send(reply, {
    status: error.status,
    contentType: 'application/json',
    headers: [...errorHeaders(error), ...headers],
    body: errorJson(error),
  })
}

/** What the caller is told of what was thrown. */
export function callersError({ door }: Reply, thrown: unknown): DbError {
  return doorsError(door, thrown)
}

/** The same where there is no request. */
export function doorsError(door: Pick<Door, 'log' | 'isStopping'>, thrown: unknown): DbError {
  const error = toDbError(thrown, door.log)
  if (error.code !== 'CANCELLED' || !door.isStopping) return error
  return new DbError('UNAVAILABLE', 'the server is stopping', {}, { cause: error })
}

export function headersOf(reply: Reply, content: Omit<Content, 'body'>): Header[] {
  return [
    ['content-type', content.contentType],
    ...safetyHeaders,
    ...(content.headers ?? []),
    ...reply.corsHeaders,
  ]
}

export function countRequest({ door, route, startedMs }: Reply, status: number): void {
  door.metrics.httpRequest({ route, status, seconds: (performance.now() - startedMs) / 1_000 })
}
