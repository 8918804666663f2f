/** Which requests become WebSockets. */
import { DbError } from '../errors.js'
import { subProtocols } from '../protocol/socket-messages.js'
import type { Cors } from './cors.js'
import type { RequestHead } from './request-head.js'
import type { Header } from './uws.js'

export const socketPath = '/v1/ws'

/** Tell a plain request what to ask for. */
export const upgradeHeaders: readonly Header[] = [
  ['upgrade', 'websocket'],
  ['connection', 'upgrade'],
  ['sec-websocket-version', '13'],
]

export interface UpgradeRules {
  readonly cors: Cors
  readonly socketsMax: number
  /** Sockets that are open now. */
  readonly openCount: () => number
  readonly isStopping: () => boolean
}

/** Why the request gets no socket; undefined if it gets one. */
export function upgradeRefusal(rules: UpgradeRules, head: RequestHead): DbError | undefined {
  if (!isWebSocket(head)) return upgradeRequired()
  if (!rules.cors.allows(head)) {
    const origin = head.header('origin').slice(0, 256)
    return new DbError('FORBIDDEN', `pages of ${origin} may not open a WebSocket`, {
      hint: 'cors.allowed_origins lists those that may.',
    })
  }
  if (chooseProtocol(head) === undefined) return unsupported()
  if (rules.isStopping()) return new DbError('UNAVAILABLE', 'the server is stopping')
  if (rules.openCount() < rules.socketsMax) return undefined
  return new DbError('OVERLOADED', `socket.sockets_max, ${rules.socketsMax}, are open already`)
}

/** The first of the sub-protocols offered that we speak. */
export function chooseProtocol(head: RequestHead): string | undefined {
  const offered = head.header('sec-websocket-protocol').split(',')
  return offered.map((name) => name.trim()).find((name) => known.has(name))
}

const known: ReadonlySet<string> = new Set(Object.values(subProtocols))

function isWebSocket(head: RequestHead): boolean {
  return (
    head.header('upgrade').toLowerCase() === 'websocket' &&
    head.header('sec-websocket-version') === '13' &&
    head.header('sec-websocket-key').length === keyCharacters
  )
}

/** 16 bytes in base64 (RFC 6455, 4.1). */
const keyCharacters = 24

function upgradeRequired(): DbError {
  return new DbError('UPGRADE_REQUIRED', `GET ${socketPath} opens a WebSocket (version 13)`, {
    hint: 'Plain HTTP has POST /v1/api/sql.',
  })
}

function unsupported(): DbError {
  return new DbError('BAD_REQUEST', 'the sub-protocol is missing or not one of this server', {
    hint: `Ask for one of ${[...known].join(', ')} in Sec-WebSocket-Protocol.`,
  })
}
