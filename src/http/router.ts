/** Which request goes where: a table of paths and methods, and what HTTP asks of the rest. */
import { DbError } from '../errors.js'
import type { PostRoute } from '../database/post-route.js'
import { answerCopy } from './copy-route.js'
import { answerPost } from './post-answer.js'
import { readKey } from './credentials.js'
import { sendError, sendJson, send, type Reply } from './reply.js'
import { socketPath, upgradeHeaders } from './upgrade.js'
import type { RequestHead } from './request-head.js'
import { answerSql } from './sql-route.js'

/** Answers a request. The head must be read before the first wait. */
type Handler = (reply: Reply, head: RequestHead) => void | Promise<void>

interface Route {
  readonly path: string
  readonly get?: Handler
  readonly post?: Handler
}

const routes = new Map(
  [
    { path: '/v1/api/sql', post: answerSql },
    { path: '/v1/api/copy', post: answerCopy },
    { path: socketPath, get: refuseSocket },
    { path: '/v1/api/healthcheck', get: answerHealthcheck },
    { path: '/health', get: answerHealth },
    { path: '/ready', get: answerReady },
    { path: '/metrics', get: answerMetrics },
  ].map((route: Route) => [route.path, route]),
)

/** The path's pattern, for the metrics: a closed set, whatever is asked for. */
export function routeName(path: string, postRoutes: ReadonlyMap<string, PostRoute>): string {
  return routes.has(path) || postRoutes.has(path) ? path : 'other'
}

/** Finds the request's handler and runs it. Every request is answered, whatever it throws. */
export function routeRequest(reply: Reply, head: RequestHead): void {
  try {
    const answered = handlerOf(head, reply.door.postRoutes)(reply, head)
    answered?.catch((thrown: unknown) => sendError(reply, thrown))
  } catch (thrown) {
    sendError(reply, thrown)
  }
}

function handlerOf(
  { path, method }: RequestHead,
  postRoutes: ReadonlyMap<string, PostRoute>,
): Handler {
  const route = routes.get(path) ?? routeOf(postRoutes.get(path))
  if (route === undefined) return answerNotFound
  if (method === 'OPTIONS') return (reply) => answerOptions(reply, route)
  const handler = method === 'POST' ? route.post : route.get
  const isKnown = method === 'POST' || method === 'GET' || method === 'HEAD'
  return isKnown && handler !== undefined ? handler : (reply) => refuseMethod(reply, route, method)
}

function routeOf(route: PostRoute | undefined): Route | undefined {
  if (route === undefined) return undefined
  return { path: route.path, post: (reply, head) => answerPost(route, reply, head) }
}

function allowOf({ get }: Route): string {
  return get === undefined ? 'POST, OPTIONS' : 'GET, HEAD, OPTIONS'
}

function answerOptions(reply: Reply, route: Route): void {
  send(reply, {
    status: 204,
    contentType: 'application/json',
    headers: [['allow', allowOf(route)]],
    body: '',
  })
}

function refuseMethod(reply: Reply, route: Route, method: string): void {
  const allow = allowOf(route)
  const error = new DbError('METHOD_NOT_ALLOWED', `${method} ${route.path}: use ${allow}`)
  sendError(reply, error, [['allow', allow]])
}

function answerNotFound(_reply: Reply, { method, path }: RequestHead): void {
  throw new DbError('NOT_FOUND', `${method} ${path.slice(0, 256)}: no such path`, {
    hint: 'The SQL API is POST /v1/api/sql.',
  })
}

/** What comes here asked for no WebSocket, or gets none. */
function refuseSocket(reply: Reply, head: RequestHead): void {
  const error = reply.door.upgradeRefusal(head) ?? new DbError('UNAVAILABLE', 'try again')
  sendError(reply, error, error.code === 'UPGRADE_REQUIRED' ? upgradeHeaders : [])
}

/** The process runs. */
function answerHealth(reply: Reply): void {
  sendJson(reply, 200, '{"status":"ok"}')
}

/** Statements would be run. */
function answerReady(reply: Reply): void {
  const { ready, state } = reply.door.database.health
  sendJson(reply, ready ? 200 : 503, JSON.stringify({ status: state }))
}

function answerHealthcheck(reply: Reply): void {
  const { ready, state } = reply.door.database.health
  const status = ready ? 'healthy' : state
  const body = { status, version: reply.door.version, api_version: 'v1' }
  sendJson(reply, ready ? 200 : 503, JSON.stringify(body))
}

async function answerMetrics(reply: Reply, head: RequestHead): Promise<void> {
  const { config, database, metrics } = reply.door
  if (!config.metrics.enabled) {
    answerNotFound(reply, head)
    return
  }
  if (config.metrics.require_key) await database.authenticate(readKey(head, metrics))
  const { contentType, body } = await metrics.render()
  send(reply, { status: 200, contentType, body })
}
