/**
 * The core's host: it has a socket, a timer and a clock, does what the core says, and passes on
 * what it tells. When the core fails, another one goes on with what the subscribers have kept.
 */
import { Core, type CoreEvent, type CoreExports, type CoreText } from './core.js'
import { closedError, errorOf, KalamError, readError } from './kalam-error.js'

/** What is used of a WebSocket: that of browsers will do, and that of `ws`. */
export interface SocketLike {
  binaryType: string
  onopen: ((event: never) => void) | null
  onmessage: ((event: never) => void) | null
  onerror: ((event: never) => void) | null
  onclose: ((event: never) => void) | null
  send(frame: Uint8Array<ArrayBuffer>): void
  close(code?: number): void
}

export type WebSocketConstructor = new (url: string, protocols: string[]) => SocketLike

/** Somebody with a live query. */
export interface Subscriber {
  /** What to ask for, with what is kept of it. */
  request(): SubscribeRequest
  /** `subscribed`, `rows`, `changes`, `ready`, `reset`; `error` is the last. */
  take(event: CoreEvent): void
  /** The connection is lost: what it has may be old. */
  suspend(): void
  /** Sees all frames before the core, and gives what the core is to see; undefined: nothing. */
  readonly filter?: (frame: Uint8Array, id: number) => Uint8Array | undefined
}

export interface SubscribeRequest {
  /** sql, params, namespace, from, from_id; and of rows that are kept: columns, key, rows. */
  readonly texts: readonly CoreText[]
  readonly isOrdered: boolean
}

/** A statement that was asked for. */
export interface Query {
  /** sql, params, namespace, rows, transaction, idempotency_key. */
  readonly texts: readonly CoreText[]
  /** Until there is a connection; otherwise it fails at once without one. */
  readonly mayWait: boolean
  /** `result` or `error`. */
  take(event: CoreEvent): void
  fail(error: KalamError): void
}

export interface Welcome {
  readonly user_id: string
  readonly name: string
  readonly role: 'user' | 'service' | 'admin'
  readonly version: string
  readonly read_only: boolean
}

export interface ConnectionChange {
  /** 0 idle, 1 connecting, 2 connected, 3 reconnecting, 4 closed. */
  readonly state: number
  readonly attempt: number
  /** The next attempt, in so many ms. */
  readonly waitMs: number
  readonly error: KalamError | undefined
}

export interface ConnectionOptions {
  readonly module: WebAssembly.Module | Promise<WebAssembly.Module>
  readonly WebSocket: WebSocketConstructor
  /** url, apiKey, userId; asked for before each attempt. */
  readonly identity: () => readonly CoreText[]
  /** Numbers of ABI.md, "Settings", and values; undefined: the core's. */
  readonly settings: readonly (readonly [number, number | undefined])[]
  /** ms that do not go back. */
  readonly clock: () => number
  onState(state: ConnectionChange): void
  onWelcome(welcome: Welcome): void
}

const subProtocol = 'kalam.v1.bin'
const connected = 2
const reconnecting = 3
const closed = 4
/** A core that fails so often within `failuresWindowMs` would fail for ever. */
const failuresMax = 3
const failuresWindowMs = 60_000
/** What setTimeout takes. */
const timerMsMax = 2 ** 31 - 1

/** Calls of the core, and what its exports and the time are. */
type Work = (core: Core, exports: CoreExports, now: number) => void

export class Connection {
  readonly #options: ConnectionOptions
  readonly #subscribers = new Map<Subscriber, number>()
  readonly #queries = new Map<number, Query>()
  /** Queries that wait for a connection, and what ends their wait. */
  readonly #held = new Map<Query, ReturnType<typeof setTimeout> | undefined>()
  readonly #events: CoreEvent[] = []
  readonly #failuresAt: number[] = []
  #module: WebAssembly.Module | undefined
  #core: Core | undefined
  /** What is to be done when there is a core. */
  #early: Work[] = []
  #state = 0
  #socket: SocketLike | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  /** When the timer is due; in the past: there is none. */
  #timerAt = -Infinity
  #isActing = false
  /** Somebody wants a connection. */
  #isWanted = false

  /** Throws KalamError `CONFIG_…` if the core refuses the identity; with a promise, a state tells. */
  constructor(options: ConnectionOptions) {
    this.#options = options
    if (options.module instanceof WebAssembly.Module) this.#begin(options.module)
    else void this.#beginLater(options.module)
  }

  get isConnected(): boolean {
    return this.#state === connected
  }

  /** Throws KalamError `CONFIG_…` if the identity has become one that the core refuses. */
  connect(): void {
    const refused: KalamError[] = []
    this.#isWanted = true
    this.#do((core, exports, now) => {
      const error = this.#configure(core)
      if (error === undefined) exports.connect(now)
      else refused.push(error)
    })
    for (const error of refused) throw error
  }

  disconnect(): void {
    this.#isWanted = false
    this.#do((_core, exports, now) => exports.disconnect(now))
    this.#plan(Infinity)
    for (const query of this.#takeHeld()) query.fail(closedError())
  }

  /** The network may be back, or the machine has slept. */
  wake(): void {
    if (this.#core !== undefined) this.#do((_core, exports, now) => exports.wake(now))
  }

  subscribe(subscriber: Subscriber): void {
    this.#subscribers.set(subscriber, 0)
    this.#do((core, _exports, now) => this.#ask(core, subscriber, now))
  }

  unsubscribe(subscriber: Subscriber): void {
    const id = this.#subscribers.get(subscriber) ?? 0
    this.#subscribers.delete(subscriber)
    if (id !== 0) this.#do((_core, exports, now) => exports.unsubscribe(id, now))
  }

  /** JSON of a subscriber's rows, exactly as the server wrote them; undefined: they cannot be had. */
  readRows(subscriber: Subscriber): string | undefined {
    const id = this.#subscribers.get(subscriber) ?? 0
    const core = this.#core
    if (id === 0 || core === undefined) return undefined
    try {
      core.exports.readRows(id, 0, timerMsMax)
      const [event] = core.take()
      return event?.kind === 'rows' ? event.text : undefined
    } catch (cause) {
      this.#fail(cause)
      return undefined
    }
  }

  /** `timeoutMs`: how long it may wait for a connection; 0: for ever. The core knows the rest. */
  query(query: Query, timeoutMs: number): void {
    if (this.isConnected || !query.mayWait || this.#state === closed) {
      this.#send(query)
      return
    }
    const late = () => {
      this.#held.delete(query)
      query.fail(errorOf('NOT_CONNECTED', 'there was no connection: it was not sent'))
    }
    this.#held.set(query, timeoutMs === 0 ? undefined : setTimeout(late, timeoutMs))
  }

  /** Nothing is told of it any more. A query that has been sent is carried out all the same. */
  forget(query: Query): void {
    clearTimeout(this.#held.get(query))
    this.#held.delete(query)
    for (const [id, known] of this.#queries) if (known === query) this.#queries.delete(id)
  }

  #begin(module: WebAssembly.Module): void {
    this.#module = module
    const core = this.#open(module)
    const refused = this.#configure(core)
    if (refused !== undefined) throw refused
    this.#start(core)
  }

  /** Instances may not be made at once either where modules may not. */
  async #beginLater(compiling: WebAssembly.Module | Promise<WebAssembly.Module>): Promise<void> {
    try {
      const module = await compiling
      const core = this.#prepared(new Core(await WebAssembly.instantiate(module, {})))
      this.#module = module
      const refused = this.#configure(core)
      if (refused !== undefined) throw refused
      this.#start(core)
    } catch (cause) {
      this.#giveUp(cause instanceof KalamError ? cause : broken(cause))
    }
  }

  #open(module: WebAssembly.Module): Core {
    return this.#prepared(new Core(new WebAssembly.Instance(module, {})))
  }

  #prepared(core: Core): Core {
    core.exports.seed(crypto.getRandomValues(new Uint32Array(1))[0] ?? 1)
    for (const [name, value] of this.#options.settings)
      if (value !== undefined) core.exports.setting(name, value)
    return core
  }

  #configure(core: Core): KalamError | undefined {
    if (core.exports.configure(core.giveTexts(this.#options.identity())) !== 0) return undefined
    const [event] = core.take()
    return event?.kind === 'error' ? readError(event.text) : broken(undefined)
  }

  #start(core: Core): void {
    this.#core = core
    const early = this.#early
    this.#early = []
    for (const work of early) this.#do(work)
  }

  /** Runs calls of the core, then does what they tell. */
  #do(work: Work): void {
    const core = this.#core
    if (core === undefined) {
      this.#early.push(work)
      return
    }
    try {
      work(core, core.exports, this.#options.clock())
      this.#events.push(...core.take())
      this.#plan(core.exports.dueAt())
    } catch (cause) {
      this.#fail(cause)
    }
    this.#act()
  }

  /** One event after the other, also when what it does makes more. */
  #act(): void {
    if (this.#isActing) return
    this.#isActing = true
    for (let event = this.#events.shift(); event !== undefined; event = this.#events.shift()) {
      try {
        this.#actOn(event)
      } catch (cause) {
        // JSON that is none, for one: as if the core had failed.
        this.#fail(cause)
      }
    }
    this.#isActing = false
  }

  #actOn(event: CoreEvent): void {
    const { kind, id, a, b, c, text } = event
    if (kind === 'open') this.#openSocket(a, text)
    else if (kind === 'send') this.#socket?.send(event.frame)
    else if (kind === 'close') this.#closeSocket(b)
    else if (kind === 'state') this.#enter(a, b, c, text === '' ? undefined : readError(text))
    // The core writes it, with these fields.
    else if (kind === 'welcome') this.#options.onWelcome(JSON.parse(text) as Welcome)
    else this.#tell(this.#queries.get(id), event)
  }

  #enter(state: number, attempt = 0, waitMs = 0, error?: KalamError): void {
    const wasConnected = this.isConnected
    const isClosed = state === closed
    this.#state = state
    if (isClosed) this.#isWanted = false
    if (wasConnected) for (const subscriber of this.#subscribers.keys()) subscriber.suspend()
    this.#options.onState({ state, attempt, waitMs, error })
    // Those that wait are sent, or told that there is no connection.
    if (this.isConnected || isClosed) for (const query of this.#takeHeld()) this.#send(query)
  }

  #takeHeld(): readonly Query[] {
    const held = [...this.#held]
    this.#held.clear()
    for (const [, timer] of held) clearTimeout(timer)
    return held.map(([query]) => query)
  }

  #send(query: Query): void {
    this.#do((core, exports, now) => {
      try {
        const id = exports.query(core.giveTexts(query.texts), 0, now)
        this.#queries.set(id, query)
      } catch (cause) {
        query.fail(broken(cause))
        throw cause
      }
    })
  }

  #ask(core: Core, subscriber: Subscriber, now: number): void {
    if (!this.#subscribers.has(subscriber)) return
    const { texts, isOrdered } = subscriber.request()
    const ask = (asked: readonly CoreText[]) =>
      core.exports.subscribe(core.giveTexts(asked), Number(isOrdered), now)
    const id = ask(texts)
    this.#subscribers.set(subscriber, id)
    // 0: rows that are none. Without them it starts from nothing, which is never wrong.
    if (id === 0) this.#subscribers.set(subscriber, ask(texts.slice(0, keptFrom)))
  }

  #tell(query: Query | undefined, event: CoreEvent): void {
    this.#queries.delete(event.id)
    query?.take(event)
    for (const [subscriber, id] of this.#subscribers) {
      if (id !== event.id) continue
      if (event.kind === 'error') this.#subscribers.delete(subscriber)
      subscriber.take(event)
    }
  }

  // ---- The socket

  #openSocket(id: number, url: string): void {
    let reason = ''
    const end = (code: number, told: string) => {
      this.#do((core, exports, now) => exports.closed(id, code, core.giveText(told), now))
    }
    try {
      const socket = new this.#options.WebSocket(url, [subProtocol])
      this.#socket = socket
      socket.binaryType = 'arraybuffer'
      socket.onopen = () => {
        // A key may have been renewed since.
        this.#do((core, exports, now) => {
          exports.configure(core.giveTexts(this.#options.identity()))
          exports.opened(id, now)
        })
      }
      socket.onmessage = ({ data }: { readonly data: unknown }) => {
        if (data instanceof ArrayBuffer) this.#receive(id, new Uint8Array(data))
        else if (data instanceof Uint8Array) this.#receive(id, data)
      }
      socket.onerror = ({ message }: { readonly message?: unknown }) => {
        // Browsers tell nothing; others do.
        if (typeof message === 'string') reason = message
      }
      socket.onclose = (event: { readonly code: number; readonly reason: string }) =>
        end(event.code, event.reason === '' ? reason : event.reason)
    } catch (cause) {
      // An insecure address in a secure page, for one.
      end(1006, cause instanceof Error ? cause.message : '')
    }
  }

  /** There is one at a time, and of what it was before the core wants to know nothing. */
  #closeSocket(code: number): void {
    const socket = this.#socket
    this.#socket = undefined
    if (socket === undefined) return
    for (const name of ['onopen', 'onmessage', 'onclose'] as const) socket[name] = null
    // A socket that is closed while it connects tells of an error, which `ws` would throw.
    socket.onerror = () => undefined
    socket.close(code)
  }

  #receive(socket: number, frame: Uint8Array): void {
    let seen: Uint8Array | undefined = frame
    for (const [{ filter }, id] of this.#subscribers)
      if (filter !== undefined && seen !== undefined) seen = filter(seen, id)
    const left = seen
    if (left === undefined) return
    this.#do((core, exports, now) => exports.receive(socket, core.give(left), now))
  }

  /** Sets the timer for when the core is due. One that is earlier does no harm, unless it has slept. */
  #plan(dueAt: number): void {
    const now = this.#options.clock()
    if (now < this.#timerAt && this.#timerAt <= dueAt && dueAt < Infinity) return
    clearTimeout(this.#timer)
    this.#timerAt = dueAt
    if (dueAt === Infinity) return
    this.#timer = setTimeout(
      () => {
        this.#timerAt = -Infinity
        this.#do((_core, exports, at) => exports.tick(at))
      },
      Math.min(Math.max(0, dueAt - now), timerMsMax),
    )
  }

  // ---- When the core fails

  /** A trap: memory is used up, or a bug. That instance is done for; another one goes on. */
  #fail(cause: unknown): void {
    const error = broken(cause)
    this.#core = undefined
    this.#events.length = 0
    this.#plan(Infinity)
    this.#closeSocket(1000)
    const now = this.#options.clock()
    this.#failuresAt.push(now)
    const lately = this.#failuresAt.filter((at) => now - at < failuresWindowMs)
    if (this.#module === undefined || lately.length > failuresMax) {
      this.#giveUp(error)
      return
    }
    this.#endQueries(error)
    this.#enter(reconnecting, 0, 0, error)
    // As at the start: not all places may make an instance at once.
    for (const subscriber of this.#subscribers.keys())
      this.#early.push((core, _exports, now) => this.#ask(core, subscriber, now))
    if (this.#isWanted) this.#early.push((_core, exports, now) => exports.connect(now))
    void this.#beginLater(this.#module)
  }

  #endQueries(error: KalamError): void {
    const sent = [...this.#queries.values()]
    this.#queries.clear()
    for (const query of sent)
      query.fail(new KalamError(error.details, { outcome: 'unknown', cause: error.cause }))
  }

  #giveUp(error: KalamError): void {
    this.#endQueries(error)
    for (const query of this.#takeHeld()) query.fail(error)
    this.#early = []
    this.#enter(closed, 0, 0, error)
  }
}

/** Texts of a subscription from here on are of rows that were kept, and the cursor before from_id. */
const keptFrom = 3

function broken(cause: unknown): KalamError {
  return errorOf('PROTOCOL', 'the client core failed, and is started again', { cause })
}
