/**
 * Opens the HTTP door: listens, gives every request a reply and a route, and closes gracefully.
 */
import type { Database } from '../database/database.js'
import type { PostRoute } from '../database/post-route.js'
import type { Config } from '../config/settings.js'
import { DbError } from '../errors.js'
import { ByteSink } from '../protocol/byte-sink.js'
import type { Log } from '../telemetry/log.js'
import type { Metrics } from '../telemetry/metrics.js'
import { errorJson } from './error-response.js'
import { createCors, type Cors } from './cors.js'
import { Cancellation, sendError, type Door, type Reply } from './reply.js'
import { RunningReplies } from './running-replies.js'
import { routeName, routeRequest } from './router.js'
import { affordableConnections, descriptorLimit } from './connection-count.js'
import type { RequestHead } from './request-head.js'
import { Sockets } from './sockets.js'
import { upgradeRefusal, type UpgradeRules } from './upgrade.js'
import { listen, type Exchange, type Listener } from './uws.js'

export interface HttpOptions {
  readonly config: Config
  readonly database: Database
  readonly log: Log
  readonly metrics: Metrics
  /** Of the server; shown by the health check. */
  readonly version: string
  /** What adapters serve here, by path. */
  readonly postRoutes: ReadonlyMap<string, PostRoute>
}

export interface HttpServer {
  /** The port it listens on, chosen if server.port is 0. */
  readonly port: number
  /**
   * Takes no more requests, lets those that run end within server.shutdown_timeout_ms, cancels
   * the rest. The database must stay open until then. Safe twice.
   */
  close(): Promise<void>
}

/** Errors: CONFIG_INVALID if the address cannot be had, or TLS is not possible. */
export async function openHttp(options: HttpOptions): Promise<HttpServer> {
  const { config } = options
  const cors = createCors(config.cors.allowed_origins)
  const door: Door = {
    ...options,
    sink: new ByteSink(),
    bodySink: new ByteSink(),
    isStopping: false,
    upgradeRefusal: (head) => upgradeRefusal(rules, head),
  }
  const sockets = new Sockets(door)
  const rules: UpgradeRules = {
    cors,
    socketsMax: config.socket.sockets_max,
    openCount: () => sockets.openCount,
    isStopping: () => door.isStopping,
  }
  const running = new RunningReplies()
  const listener = await listen({
    host: config.server.host,
    port: config.server.port,
    tls: tlsOf(config),
    connectionsMax: connectionsMaxOf(options),
    handler: (head, exchange) => accept({ door, cors, running, head, exchange }),
    onCrowded: (head, exchange) =>
      accept({ door, cors, running, head, exchange, refusal: tooManyConnections() }),
    crowdedBody: errorJson(tooManyConnections()),
    sockets,
    onBug: (error) => options.log.error('internal error in the HTTP door', { error }),
  })
  const { port } = listener
  options.log.info('listening', { host: config.server.host, port })
  let closing: Promise<void> | undefined
  return { port, close: () => (closing ??= close({ door, running, sockets, listener })) }
}

function connectionsMaxOf({ config, log }: HttpOptions): number {
  const wanted = config.http.connections_max
  const limit = descriptorLimit()
  const max = affordableConnections(wanted, limit)
  if (max < wanted)
    log.warn('the process may open too few files for http.connections_max; raise `ulimit -n`', {
      connections_max: wanted,
      used: max,
      files: limit,
    })
  return max
}

function tlsOf({ server }: Config) {
  if (server.tls_cert === '') return undefined
  return { certificateFile: server.tls_cert, keyFile: server.tls_key }
}

interface Arrival {
  readonly door: Door
  readonly cors: Cors
  readonly running: RunningReplies
  readonly head: RequestHead
  readonly exchange: Exchange
  /** Why it is not even looked at. */
  readonly refusal?: DbError
}

function accept({ door, cors, running, head, exchange, refusal }: Arrival): void {
  const isPreflight =
    head.method === 'OPTIONS' && head.header('access-control-request-method') !== ''
  const reply: Reply = {
    door,
    exchange,
    corsHeaders: isPreflight
      ? cors.preflight(head, door.postRoutes.get(head.path)?.requestHeaders)
      : cors.headers(head),
    route: routeName(head.path, door.postRoutes),
    startedMs: performance.now(),
    cancellation: new Cancellation(),
  }
  running.add(reply)
  const refused = refusal ?? refusalOf(door, head)
  if (refused === undefined) {
    routeRequest(reply, head)
    return
  }
  exchange.isLast = true
  sendError(reply, refused)
}

function tooManyConnections(): DbError {
  return new DbError('OVERLOADED', 'there are more connections than http.connections_max', {
    retryAfterS: 1,
    hint: 'use fewer connections, or raise http.connections_max',
  })
}

function refusalOf(door: Door, { isAmbiguous }: RequestHead): DbError | undefined {
  // A connection that was open before the stop brings another request.
  if (door.isStopping) return new DbError('UNAVAILABLE', 'the server is stopping')
  if (!isAmbiguous) return undefined
  return new DbError('BAD_REQUEST', 'where the body ends is ambiguous', {
    hint: 'send one Content-Length, or Transfer-Encoding: chunked',
  })
}

/** Time for cancelled requests to say so to their callers. */
const farewellMs = 500

interface Parts {
  readonly door: Door
  readonly running: RunningReplies
  readonly sockets: Sockets
  readonly listener: Listener
}

async function close({ door, running, sockets, listener }: Parts): Promise<void> {
  door.isStopping = true
  listener.stopAccepting()
  for (const { exchange } of running) exchange.isLast = true
  sockets.stop()
  const emptied = (ms: number) => Promise.all([running.emptied(ms), sockets.emptied(ms)])
  await emptied(door.config.server.shutdown_timeout_ms)
  for (const { cancellation } of running) cancellation.abort()
  sockets.cancel()
  await emptied(farewellMs)
  listener.closeConnections()
}
