/**
 * One socket, from its opening to its end:
 *
 *   new ──authenticate──▶ authenticating ──key proven──▶ open ──▶ ended
 *    └─────────── too late, no key, no message of ours ──────────▶┘
 *
 * `ended` is reached once, from anywhere; what runs for the socket is cancelled there. Messages that
 * come while the key is looked up wait for it. An error that names an id ends what the id names; one
 * without ends the socket.
 */
import type { Presence } from '../database/database.js'
import type { Watch, WatchEvent, WatchReceiver } from '../database/watch.js'
import { DbError } from '../errors.js'
import type { ClientMessage, ServerMessage } from '../protocol/socket-messages.js'
import { errorObjectJson } from './error-response.js'
import { Cancellation, doorsError, type Door } from './reply.js'
import { socketCodec, type SocketCodec } from './socket-codec.js'
import type { SocketConnection, SocketListener } from './socket-connection.js'
import { placed, readQuery, readWatch } from './socket-request.js'
import { columnsJson, tookMs, writeResults } from './sql-response.js'

export interface SocketSessionOptions {
  readonly door: Door
  readonly connection: SocketConnection
  /** Told once, when the socket has ended. */
  readonly onEnd: () => void
}

type Message<K> = Extract<ClientMessage, { readonly kind: K }>
type Authenticated = Exclude<ClientMessage, { readonly kind: 'authenticate' }>

type State =
  | { readonly kind: 'new'; readonly timer: NodeJS.Timeout }
  | { readonly kind: 'authenticating'; readonly held: Authenticated[]; heldBytes: number }
  | { readonly kind: 'open'; readonly presence: Presence }
  | { readonly kind: 'ended' }

/** Close codes are 4000 + the HTTP status of the error, whose code is the reason. */
const closeCodeBase = 4000

export class SocketSession implements SocketListener {
  readonly #door: Door
  readonly #connection: SocketConnection
  readonly #codec: SocketCodec
  readonly #onEnd: () => void
  readonly #queries = new Map<number, Cancellation>()
  readonly #subscriptions = new Map<number, Subscription>()
  #state: State
  #isStopping = false
  #lastSignMs = performance.now()
  #isPinged = false
  #onWritable: (() => void)[] = []
  /** Why we ended it, for the metrics. */
  #endCode = 'CLOSED'
  readonly #receiver: SocketReceiver = {
    deliver: (id, event) => this.#deliver(id, event),
    writable: () => this.#lowWater(),
  }

  constructor({ door, connection, onEnd }: SocketSessionOptions) {
    this.#door = door
    this.#connection = connection
    this.#codec = socketCodec(connection.protocol)
    this.#onEnd = onEnd
    const { authenticate_timeout_ms: timeoutMs } = door.config.socket
    const timer = setTimeout(() => this.end(notAuthenticated(timeoutMs)), timeoutMs)
    this.#state = { kind: 'new', timer }
    door.metrics.socketOpened()
  }

  get subscriptionCount(): number {
    return this.#subscriptions.size
  }

  get bufferedBytes(): number {
    return this.#connection.bufferedBytes
  }

  message(bytes: Buffer, isBinary: boolean): void {
    this.sign()
    this.#door.metrics.socketMessage('in', bytes.length)
    const { message_bytes_max } = this.#door.config.socket
    if (bytes.length > message_bytes_max) {
      const text = `a message of ${bytes.length} bytes; socket.message_bytes_max is ${message_bytes_max}`
      this.end(new DbError('REQUEST_TOO_LARGE', text))
      return
    }
    const message = this.#codec.decode(bytes, isBinary)
    if (message.kind === 'fault') this.end(new DbError('BAD_REQUEST', message.reason))
    else this.#take(message, bytes.length)
  }

  sign(): void {
    this.#lastSignMs = performance.now()
    this.#isPinged = false
  }

  writable(): void {
    if (this.#connection.bufferedBytes > this.#lowBytes) return
    for (const resume of this.#onWritable.splice(0)) resume()
  }

  closed(): void {
    if (this.#state.kind === 'ended') return
    const before = this.#state
    this.#state = { kind: 'ended' }
    if (before.kind === 'new') clearTimeout(before.timer)
    if (before.kind === 'open') before.presence.leave()
    for (const cancellation of this.#queries.values()) cancellation.abort()
    for (const subscription of this.#subscriptions.values()) subscription.close()
    this.#subscriptions.clear()
    for (const resume of this.#onWritable.splice(0)) resume()
    this.#door.metrics.socketEnded(this.#endCode)
    this.#onEnd()
  }

  /** Tells why, and ends the socket. */
  end(error: DbError): void {
    if (this.#state.kind === 'ended') return
    this.#endCode = error.code
    // Who does not read would not read this either.
    if (error.code !== 'SUBSCRIBER_TOO_SLOW') {
      this.#transmit({ kind: 'error', error: errorObjectJson(error) })
    }
    this.#connection.end(closeCodeBase + error.status, error.code)
  }

  /** Ends as soon as nothing runs; what is asked from now on is refused. */
  stop(): void {
    this.#isStopping = true
    this.#endIfStopped()
  }

  /** Cancels what runs. */
  cancel(): void {
    for (const cancellation of this.#queries.values()) cancellation.abort()
  }

  /** Pings a quiet socket and ends a dead one. */
  beat(nowMs: number): void {
    const { heartbeat_ms, idle_timeout_ms } = this.#door.config.socket
    const quietMs = nowMs - this.#lastSignMs
    if (quietMs >= idle_timeout_ms) this.end(noSign(idle_timeout_ms))
    else if (!this.#isPinged && quietMs >= Math.min(heartbeat_ms, idle_timeout_ms / 2)) {
      this.#isPinged = true
      this.#connection.ping()
    }
  }

  #take(message: ClientMessage, bytes: number): void {
    if (message.kind === 'authenticate') this.#authenticate(message)
    else if (this.#state.kind === 'open') this.#answer(message, this.#state.presence)
    else if (this.#state.kind === 'authenticating') this.#hold(this.#state, message, bytes)
    else this.end(new DbError('UNAUTHORIZED', `${message.kind} came before authenticate`))
  }

  #hold(state: State & { kind: 'authenticating' }, message: Authenticated, bytes: number): void {
    const { message_bytes_max } = this.#door.config.socket
    state.held.push(message)
    state.heldBytes += bytes
    if (state.heldBytes <= message_bytes_max) return
    this.end(new DbError('REQUEST_TOO_LARGE', 'too much before the key was looked up'))
  }

  #authenticate({ key, user_id }: Message<'authenticate'>): void {
    if (this.#state.kind !== 'new') {
      this.end(new DbError('BAD_REQUEST', 'a socket is authenticated once; open another'))
      return
    }
    clearTimeout(this.#state.timer)
    const state = { kind: 'authenticating', held: [], heldBytes: 0 } satisfies State
    this.#state = state
    this.#door.database
      .enter(key, (error) => this.end(error))
      .then(
        (presence) => this.#entered(presence, { userId: user_id, held: state.held }),
        (thrown: unknown) => this.end(doorsError(this.#door, thrown)),
      )
  }

  #entered(
    presence: Presence,
    { userId, held }: { userId: string | undefined; held: readonly Authenticated[] },
  ): void {
    const { caller } = presence
    if (this.#state.kind !== 'authenticating') {
      presence.leave()
      return
    }
    if (userId !== undefined && userId !== caller.userId) {
      presence.leave()
      this.end(new DbError('FORBIDDEN', 'the key belongs to another user than user_id says'))
      return
    }
    this.#state = { kind: 'open', presence }
    const { message_bytes_max, subscriptions_max, idle_timeout_ms } = this.#door.config.socket
    this.#send({
      kind: 'authenticated',
      user_id: caller.userId,
      name: caller.name,
      role: caller.role,
      read_only: caller.readOnly,
      version: this.#door.version,
      message_bytes_max,
      subscriptions_max,
      idle_timeout_ms,
    })
    for (const message of held) this.#answer(message, presence)
  }

  #answer(message: Authenticated, presence: Presence): void {
    if (this.#state.kind !== 'open') return
    switch (message.kind) {
      case 'ping':
        this.#send({ kind: 'pong', id: message.id })
        return
      case 'unsubscribe':
        this.#unsubscribe(message)
        return
      case 'query':
      case 'subscribe':
        this.#start(message, presence)
    }
  }

  #start(message: Message<'query' | 'subscribe'>, presence: Presence): void {
    const { id } = message
    if (this.#queries.has(id) || this.#subscriptions.has(id)) {
      this.end(new DbError('BAD_REQUEST', `${message.kind}: the id ${id} is in use`))
      return
    }
    try {
      if (this.#isStopping) throw new DbError('UNAVAILABLE', 'the server is stopping')
      presence.countRequest()
      if (message.kind === 'query') this.#query(message, presence)
      else this.#subscribe(message, presence)
    } catch (thrown) {
      this.#sendError(id, thrown)
    }
  }

  /** Errors: OVERLOADED, BAD_REQUEST. */
  #query(message: Message<'query'>, presence: Presence): void {
    const { config, log } = this.#door
    if (this.#queries.size >= config.socket.queries_max) {
      const text = `socket.queries_max, ${config.socket.queries_max}, run or wait on this socket`
      throw new DbError('OVERLOADED', text)
    }
    const asked = readQuery(message, config.http.parameters_max)
    const cancellation = new Cancellation()
    this.#queries.set(message.id, cancellation)
    const run = async (): Promise<void> => {
      const startedMs = performance.now()
      // Who does not read what came gets nothing more to read.
      await this.#lowWater()
      const { caller } = presence
      const outcome = await this.#door.database.run(caller, asked.request, cancellation)
      this.#queries.delete(message.id)
      const { bodySink } = this.#door
      bodySink.clear()
      writeResults(outcome.results, asked.rows, bodySink)
      this.#checkResult(bodySink.length)
      this.#send({
        kind: 'result',
        id: message.id,
        took_ms: String(tookMs(startedMs)),
        replayed: outcome.replayed,
        results: bodySink.view(),
      })
    }
    run()
      .catch((thrown: unknown) => {
        this.#queries.delete(message.id)
        this.#sendError(message.id, thrown)
      })
      .then(() => this.#endIfStopped())
      .catch((thrown: unknown) => log.error('internal error on a socket', { error: thrown }))
  }

  #checkResult(bytes: number): void {
    const bytesMax = this.#door.config.socket.buffered_bytes_max / 2
    if (bytes <= bytesMax) return
    throw new DbError(
      'RESULT_TOO_LARGE',
      `a result of ${bytes} bytes; half of socket.buffered_bytes_max is ${bytesMax}`,
      { hint: 'Ask over HTTP: POST /v1/api/sql streams with Accept: application/x-ndjson.' },
    )
  }

  /** Errors: TOO_MANY_SUBSCRIPTIONS, BAD_REQUEST. */
  #subscribe(message: Message<'subscribe'>, presence: Presence): void {
    const { config, database } = this.#door
    const { subscriptions_max } = config.socket
    if (this.#subscriptions.size >= subscriptions_max) {
      const text = `socket.subscriptions_max, ${subscriptions_max}, are open on this socket`
      throw new DbError('TOO_MANY_SUBSCRIPTIONS', text)
    }
    const request = readWatch(message, config.http.parameters_max)
    const subscription = new Subscription(message.id, this.#receiver)
    this.#subscriptions.set(message.id, subscription)
    database.watch(presence.caller, request, subscription).then(
      (watch) => subscription.opened(watch),
      (thrown: unknown) => {
        if (subscription.isClosed) return
        this.#endSubscription(message.id)
        this.#sendError(message.id, placed(thrown, message.sql))
      },
    )
  }

  #unsubscribe({ id }: Message<'unsubscribe'>): void {
    this.#endSubscription(id)
    this.#send({ kind: 'unsubscribed', id })
  }

  #endSubscription(id: number): void {
    this.#subscriptions.get(id)?.close()
    this.#subscriptions.delete(id)
  }

  #deliver(id: number, event: WatchEvent): void {
    if (event.kind === 'ended') {
      this.#endSubscription(id)
      this.#sendError(id, event.error)
    } else {
      this.#send(messageOf(id, event))
    }
  }

  #sendError(id: number, thrown: unknown): void {
    if (this.#state.kind === 'ended') return
    this.#send({ kind: 'error', id, error: errorObjectJson(doorsError(this.#door, thrown)) })
  }

  /** Sends, or ends who does not read: a missed message would leave them wrong. */
  #send(message: ServerMessage): void {
    if (this.#state.kind === 'ended') return
    const { buffered_bytes_max } = this.#door.config.socket
    if (this.#connection.bufferedBytes > buffered_bytes_max) {
      const text = `more than socket.buffered_bytes_max, ${buffered_bytes_max}, wait for the reader`
      this.end(new DbError('SUBSCRIBER_TOO_SLOW', text))
      return
    }
    this.#transmit(message)
  }

  #transmit(message: ServerMessage): void {
    const { sink, metrics } = this.#door
    sink.clear()
    this.#codec.append(message, sink)
    metrics.socketMessage('out', sink.length)
    this.#connection.send(sink.view(), this.#codec.isBinary)
  }

  /** Below it there is room for more. */
  get #lowBytes(): number {
    return this.#door.config.socket.buffered_bytes_max / 4
  }

  #lowWater(): Promise<void> {
    if (this.#state.kind === 'ended') return Promise.resolve()
    if (this.#connection.bufferedBytes <= this.#lowBytes) return Promise.resolve()
    return new Promise((resolve) => this.#onWritable.push(resolve))
  }

  #endIfStopped(): void {
    if (this.#isStopping && this.#queries.size === 0)
      this.end(new DbError('UNAVAILABLE', 'the server is stopping; connect again'))
  }
}

/** What all live queries of a socket deliver to. */
interface SocketReceiver {
  deliver(id: number, event: WatchEvent): void
  writable(): Promise<void>
}

/** A live query of the socket. It may be closed before it is opened. */
class Subscription implements WatchReceiver {
  readonly #id: number
  readonly #receiver: SocketReceiver
  #watch: Watch | undefined
  isClosed = false

  constructor(id: number, receiver: SocketReceiver) {
    this.#id = id
    this.#receiver = receiver
  }

  opened(watch: Watch): void {
    this.#watch = watch
    if (this.isClosed) watch.close()
  }

  close(): void {
    this.isClosed = true
    this.#watch?.close()
  }

  deliver(event: WatchEvent): void {
    if (!this.isClosed) this.#receiver.deliver(this.#id, event)
  }

  writable(): Promise<void> {
    return this.isClosed ? Promise.resolve() : this.#receiver.writable()
  }
}

type SentEvent = Exclude<WatchEvent, { readonly kind: 'ended' }>

function messageOf(id: number, event: SentEvent): ServerMessage {
  switch (event.kind) {
    case 'subscribed': {
      const { mode, ordered, resumed } = event
      const columns = columnsJson(event.columns)
      return {
        kind: 'subscribed',
        id,
        columns,
        key: JSON.stringify(event.key),
        mode,
        ordered,
        resumed,
      }
    }
    case 'rows':
      return { kind: 'rows', id, rows: event.rows }
    case 'ready':
      return { kind: 'ready', id, cursor: event.cursor }
    case 'changes':
      return { kind: 'changes', id, cursor: event.cursor, changes: event.changes }
    case 'reset':
      return { kind: 'reset', id, reason: event.reason }
  }
}

function notAuthenticated(timeoutMs: number): DbError {
  return new DbError('SOCKET_TIMEOUT', `no authenticate within ${timeoutMs} ms`, {
    hint: 'socket.authenticate_timeout_ms',
  })
}

function noSign(timeoutMs: number): DbError {
  return new DbError('SOCKET_TIMEOUT', `nothing came for ${timeoutMs} ms, not even a pong`, {
    hint: 'socket.idle_timeout_ms',
  })
}
