/**
 * The client's side of the WebSocket without a socket or a clock: it is told what happens and when,
 * and answers what to do. docs/protocol.md has the messages.
 *
 *   idle ──connect──▶ connecting ──opened──▶ authenticating ──authenticated──▶ connected
 *                        ▲  └──────────────────────┴───────── closed ─────────────┤
 *                        └── the pause is over ── waiting ◀───────────────────────┘
 *   closed: by `close`, or by the server for a reason that another attempt would not change
 *
 * Each subscription is asked for again on each connection, from the last cursor it was told.
 */
import { backoffMs, usualBackoff, type BackoffOptions } from './backoff.js'
import { decodeServerJson, encodeClientJson, jsonText } from './generated/socket-json.js'
import type { ClientMessage, ServerMessage } from './generated/socket-messages.js'
import { isRetryable, readLinkError, type LinkError } from './link-error.js'

export interface SubscribeRequest {
  readonly sql: string
  /** JSON of the list of `$1`, `$2`, … */
  readonly params?: string | undefined
  readonly namespace?: string | undefined
  /** Continue after this cursor. */
  readonly from?: string | undefined
  readonly fromId?: string | undefined
}

/** JSON stays text: whoever reads it decides what becomes of its digits. */
export type SubscriptionEvent =
  | {
      readonly kind: 'subscribed'
      /** JSON: `[{"name","type"}]`. */
      readonly columns: string
      /** JSON: indexes of the key's columns. */
      readonly key: string
      readonly mode: string
      readonly ordered: boolean
      readonly resumed: boolean
    }
  /** JSON: a list of lists of values. */
  | { readonly kind: 'rows'; readonly rows: string }
  | { readonly kind: 'ready'; readonly cursor: string }
  /** JSON: a list of changes. */
  | { readonly kind: 'changes'; readonly changes: string; readonly cursor: string }
  /** It ended for a reason that may pass, and is asked for again after a pause. */
  | { readonly kind: 'waiting'; readonly error: LinkError; readonly delayMs: number }
  /** What was told is void; rows follow. `INTERRUPTED`: the connection was lost before `ready`. */
  | { readonly kind: 'reset'; readonly reason: string }
  /** The last. */
  | { readonly kind: 'failed'; readonly error: LinkError }

export type LinkStatus =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'connected'; readonly version: string }
  | { readonly kind: 'waiting'; readonly error: LinkError; readonly delayMs: number }
  | { readonly kind: 'closed'; readonly error: LinkError | undefined }

/** What the shell must do, in order. */
export type LinkAction =
  | { readonly kind: 'open' }
  | { readonly kind: 'send'; readonly text: string }
  /** Nothing more is to be told of this socket. */
  | { readonly kind: 'drop' }
  /** Call `tick` then, and forget the time before; undefined: never. */
  | { readonly kind: 'wake'; readonly atMs: number | undefined }
  | { readonly kind: 'status'; readonly status: LinkStatus }
  | { readonly kind: 'event'; readonly id: number; readonly event: SubscriptionEvent }

export interface LinkCoreOptions {
  /** Asked for on each connection. */
  readonly key: () => string
  /** Checked by the server: a key of somebody else is refused. */
  readonly userId?: string | undefined
  /** From 0 to 1. */
  readonly random: () => number
  readonly backoff?: BackoffOptions
  /** Attempts before the first success; then any number. Default: any. */
  readonly firstAttemptsMax?: number
  /** In a row, that end in a refused key. More than 1 for keys that the server renews. Default: 1. */
  readonly refusedKeysMax?: number
}

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting' | 'authenticating'; readonly untilMs: number }
  | { readonly kind: 'connected'; heardMs: number; isPinged: boolean }
  | { readonly kind: 'waiting'; readonly untilMs: number }
  | { readonly kind: 'closed' }

interface Subscription {
  readonly request: SubscribeRequest
  /** The last one that what was told is complete up to. */
  cursor: string | undefined
  /** Rows were told that no `ready` has completed. */
  isPartial: boolean
  /** It ended for a reason that may pass: when to ask for it again. */
  retryAtMs: number | undefined
  /** In vain since it was last told something. */
  attempts: number
}

/** The server may take so long to answer the handshake and the key. */
const connectMsMax = 15_000
/** After so long without a word the server is pinged. */
const pingMs = 20_000
/** And given up after this. */
const pongMsMax = 10_000

export class LinkCore {
  readonly #options: LinkCoreOptions
  readonly #subscriptions = new Map<number, Subscription>()
  #state: State = { kind: 'idle' }
  #nextId = 1
  /** In vain since the last success. */
  #attempts = 0
  #refusedKeys = 0
  #wasConnected = false
  /** What the server said before it closed. */
  #lastError: LinkError | undefined
  #actions: LinkAction[] = []

  constructor(options: LinkCoreOptions) {
    this.#options = options
  }

  connect(nowMs: number): readonly LinkAction[] {
    if (this.#state.kind === 'idle') this.#connect(nowMs)
    return this.#take()
  }

  /** The id by which events name it. */
  subscribe(request: SubscribeRequest): { id: number; actions: readonly LinkAction[] } {
    const id = this.#nextId++
    this.#subscriptions.set(id, {
      ...{ request, cursor: request.from, isPartial: false },
      ...{ retryAtMs: undefined, attempts: 0 },
    })
    if (this.#state.kind === 'connected') this.#sendSubscribe(id)
    return { id, actions: this.#take() }
  }

  unsubscribe(id: number): readonly LinkAction[] {
    const isKnown = this.#subscriptions.delete(id)
    if (isKnown && this.#state.kind === 'connected') this.#send({ kind: 'unsubscribe', id })
    return this.#take()
  }

  close(): readonly LinkAction[] {
    if (this.#state.kind !== 'closed') this.#end(undefined)
    return this.#take()
  }

  opened(nowMs: number): readonly LinkAction[] {
    const { key, userId } = this.#options
    if (this.#state.kind === 'connecting') {
      this.#lastError = undefined
      this.#state = { kind: 'authenticating', untilMs: nowMs + connectMsMax }
      this.#send({ kind: 'authenticate', key: key(), user_id: userId })
      this.#wake()
    }
    return this.#take()
  }

  received(text: string, nowMs: number): readonly LinkAction[] {
    const message = decodeServerJson(text)
    if (this.#state.kind === 'connected') {
      this.#state.heardMs = nowMs
      this.#state.isPinged = false
    }
    // Newer servers may say what this client does not know.
    if (message.kind !== 'fault') this.#answer(message, nowMs)
    return this.#take()
  }

  /** The socket has ended, or could not be opened. `reason` is the server's, or the socket's. */
  closed(code: number, reason: string, nowMs: number): readonly LinkAction[] {
    const { kind } = this.#state
    if (kind === 'idle' || kind === 'waiting' || kind === 'closed') return this.#take()
    this.#lost(this.#lastError ?? closeError(code, reason), nowMs)
    return this.#take()
  }

  tick(nowMs: number): readonly LinkAction[] {
    switch (this.#state.kind) {
      case 'waiting':
        if (nowMs >= this.#state.untilMs) this.#connect(nowMs)
        break
      case 'connecting':
      case 'authenticating':
        if (nowMs >= this.#state.untilMs) this.#giveUp('the server did not answer', nowMs)
        break
      case 'connected':
        this.#retry(nowMs)
        this.#beat(this.#state, nowMs)
        break
      case 'idle':
      case 'closed':
    }
    this.#wake()
    return this.#take()
  }

  #connect(nowMs: number): void {
    this.#state = { kind: 'connecting', untilMs: nowMs + connectMsMax }
    this.#actions.push({ kind: 'status', status: { kind: 'connecting' } }, { kind: 'open' })
    this.#wake()
  }

  #retry(nowMs: number): void {
    for (const [id, { retryAtMs = Infinity }] of this.#subscriptions)
      if (retryAtMs <= nowMs) this.#sendSubscribe(id)
  }

  #beat(state: State & { kind: 'connected' }, nowMs: number): void {
    const quietMs = nowMs - state.heardMs
    if (quietMs >= pingMs + pongMsMax) this.#giveUp('the server does not answer any more', nowMs)
    else if (quietMs >= pingMs && !state.isPinged) {
      state.isPinged = true
      this.#send({ kind: 'ping' })
    }
  }

  #giveUp(message: string, nowMs: number): void {
    this.#actions.push({ kind: 'drop' })
    this.#lost({ code: 'CONNECTION_LOST', message }, nowMs)
  }

  #lost(error: LinkError, nowMs: number): void {
    const { firstAttemptsMax = Infinity, backoff = usualBackoff, random } = this.#options
    const isHopeless = !this.#wasConnected && this.#attempts + 1 >= firstAttemptsMax
    if (this.#isFinal(error) || isHopeless) {
      this.#end(error)
      return
    }
    const delayMs = backoffMs(this.#attempts, random(), backoff)
    this.#attempts += 1
    this.#state = { kind: 'waiting', untilMs: nowMs + delayMs }
    this.#actions.push({ kind: 'status', status: { kind: 'waiting', error, delayMs } })
    this.#wake()
  }

  #isFinal({ code }: LinkError): boolean {
    if (code === 'UNAUTHORIZED') {
      this.#refusedKeys += 1
      return this.#refusedKeys >= (this.#options.refusedKeysMax ?? 1)
    }
    // A bug of the server's in one socket need not be met again in the next.
    return code !== 'INTERNAL' && isRetryable(code) === false
  }

  #end(error: LinkError | undefined): void {
    const { kind } = this.#state
    if (kind !== 'idle' && kind !== 'waiting') this.#actions.push({ kind: 'drop' })
    this.#state = { kind: 'closed' }
    this.#subscriptions.clear()
    this.#actions.push({ kind: 'status', status: { kind: 'closed', error } })
    this.#wake()
  }

  #answer(message: ServerMessage, nowMs: number): void {
    switch (message.kind) {
      case 'authenticated':
        this.#authenticated(message.version, nowMs)
        break
      case 'error':
        this.#failed(message.id, readLinkError(jsonText(message.error)), nowMs)
        break
      case 'subscribed':
      case 'rows':
      case 'ready':
      case 'changes':
      case 'reset':
        this.#tell(message)
        break
      case 'unsubscribed':
      case 'result':
      case 'pong':
    }
  }

  #authenticated(version: string, nowMs: number): void {
    this.#state = { kind: 'connected', heardMs: nowMs, isPinged: false }
    this.#attempts = 0
    this.#refusedKeys = 0
    this.#wasConnected = true
    this.#actions.push({ kind: 'status', status: { kind: 'connected', version } })
    for (const id of this.#subscriptions.keys()) this.#sendSubscribe(id)
    this.#wake()
  }

  /** Of a subscription, or of all: then the socket's end follows. */
  #failed(id: number | undefined, error: LinkError, nowMs: number): void {
    if (id === undefined) {
      this.#lastError = error
      return
    }
    const subscription = this.#subscriptions.get(id)
    if (subscription !== undefined && isPassing(error)) {
      const { backoff = usualBackoff, random } = this.#options
      const delayMs = backoffMs(subscription.attempts, random(), backoff)
      subscription.retryAtMs = nowMs + delayMs
      subscription.attempts += 1
      this.#event(id, { kind: 'waiting', error, delayMs })
      this.#wake()
    } else if (this.#subscriptions.delete(id)) this.#event(id, { kind: 'failed', error })
  }

  #tell(message: SubscriptionMessage): void {
    const subscription = this.#subscriptions.get(message.id)
    if (subscription === undefined) return
    subscription.attempts = 0
    if (message.kind === 'ready' || message.kind === 'changes') {
      subscription.cursor = message.cursor
      subscription.isPartial = false
    }
    if (message.kind === 'rows' || message.kind === 'reset') {
      // Until they are complete there is no point to continue from.
      subscription.cursor = undefined
      subscription.isPartial = true
    }
    this.#event(message.id, eventOf(message))
  }

  #sendSubscribe(id: number): void {
    const subscription = this.#subscriptions.get(id)
    if (subscription === undefined) return
    const { request, cursor, isPartial } = subscription
    if (isPartial) this.#event(id, { kind: 'reset', reason: 'INTERRUPTED' })
    subscription.isPartial = false
    subscription.retryAtMs = undefined
    const { sql, params, namespace, fromId } = request
    this.#send({ kind: 'subscribe', id, sql, params, namespace, from: cursor, from_id: fromId })
  }

  #event(id: number, event: SubscriptionEvent): void {
    this.#actions.push({ kind: 'event', id, event })
  }

  #send(message: ClientMessage): void {
    this.#actions.push({ kind: 'send', text: encodeClientJson(message) })
  }

  #wake(): void {
    this.#actions.push({ kind: 'wake', atMs: this.#wakeAtMs() })
  }

  #wakeAtMs(): number | undefined {
    switch (this.#state.kind) {
      case 'idle':
      case 'closed':
        return undefined
      case 'connected':
        return Math.min(
          this.#state.heardMs + pingMs + (this.#state.isPinged ? pongMsMax : 0),
          ...[...this.#subscriptions.values()].map(({ retryAtMs = Infinity }) => retryAtMs),
        )
      case 'connecting':
      case 'authenticating':
      case 'waiting':
        return this.#state.untilMs
    }
  }

  #take(): readonly LinkAction[] {
    const actions = this.#actions
    this.#actions = []
    return actions
  }
}

type SubscriptionMessage = Extract<
  ServerMessage,
  { readonly kind: 'subscribed' | 'rows' | 'ready' | 'changes' | 'reset' }
>

function eventOf(message: SubscriptionMessage): SubscriptionEvent {
  switch (message.kind) {
    case 'subscribed': {
      const { columns, key, mode, ordered, resumed } = message
      const json = { columns: jsonText(columns), key: jsonText(key) }
      return { kind: 'subscribed', ...json, mode, ordered, resumed }
    }
    case 'rows':
      return { kind: 'rows', rows: jsonText(message.rows) }
    case 'ready':
      return { kind: 'ready', cursor: message.cursor }
    case 'changes':
      return { kind: 'changes', changes: jsonText(message.changes), cursor: message.cursor }
    case 'reset':
      return { kind: 'reset', reason: message.reason }
  }
}

/** Whether to ask again for what ended so. CANCELLED is KILL LIVE QUERY: somebody wants it gone. */
function isPassing({ code }: LinkError): boolean {
  return code !== 'CANCELLED' && isRetryable(code) === true
}

/** The reason of a close by the server is an error's code; other closes have none. */
function closeError(code: number, reason: string): LinkError {
  if (code >= 4000 && isRetryable(reason) !== undefined)
    return { code: reason, message: `the server closed the connection: ${reason}` }
  const isRefused = code >= 4400 && code < 4500 && !retryableCloses.has(code)
  return {
    code: isRefused ? 'BAD_REQUEST' : 'CONNECTION_LOST',
    message: reason === '' ? `the connection was closed (${code})` : reason,
  }
}

const retryableCloses: ReadonlySet<number> = new Set([4408, 4409, 4429])
