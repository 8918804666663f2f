/** The client: what an app holds. */
import { Channel, dispose, latest, type Stream } from './channel.js'
import { connectionSymbol } from './connection-symbol.js'
import { Connection, type Query, type Welcome, type WebSocketConstructor } from './connection.js'
import { compileCore, type CoreSource } from './core-module.js'
import type { CoreState, QueryEvent } from './core.js'
import { toJson } from './json.js'
import { KalamError, readError } from './kalam-error.js'
import type { LiveCache } from './live-cache.js'
import { closedError, LiveQuery, reasonOf } from './live-query.js'
import type { Column } from './row-shape.js'
import type { AnySchema, InsertOf, RowOf, Schema, TableName } from './schema.js'
import { Table } from './table.js'

export interface ClientOptions {
  /** Of the server: `http://127.0.0.1:2900`. */
  readonly url: string | URL
  /** Says who asks. A function is called before each attempt to connect, for keys that change. */
  readonly apiKey: string | (() => string)
  /** A user that the key must belong to; another one's key is refused. It decides nothing. */
  readonly userId?: string | undefined
  /** The schema in which unqualified names are looked up first. */
  readonly namespace?: string | undefined
  /** Whether to connect at once (the default), or with `connect`. */
  readonly autoConnect?: boolean
  readonly reconnect?: ReconnectOptions
  /** How long a statement may take, with its wait for a connection: 30 s; 0: as long as it likes. */
  readonly requestTimeoutMs?: number
  /** Keeps the rows of live queries, unless one says otherwise: `storageCache()`. */
  readonly cache?: LiveCache | undefined
  /** Closes the client. */
  readonly signal?: AbortSignal | undefined
  /** In place of the one that is here. */
  readonly WebSocket?: WebSocketConstructor | undefined
  /** The compiled core, or its bytes (kalam-link/core.wasm), where code may not be compiled. */
  readonly core?: CoreSource | undefined
  /** Milliseconds since any moment; for tests. */
  readonly clock?: () => number
}

export interface ReconnectOptions {
  /** The first wait, 250 ms; it doubles, and half of it is chance. */
  readonly delayMsMin?: number
  /** The longest wait: 30 s. */
  readonly delayMsMax?: number
  /** Attempts in vain, one after the other, before it is closed: any number. */
  readonly attemptsMax?: number
}

/** `closed` is for good: by `close`, or because the server refuses the key. */
export type ConnectionStatus = 'idle' | 'connecting' | 'connected' | 'reconnecting' | 'closed'

export interface ConnectionState {
  readonly status: ConnectionStatus
  /** Attempts since there was a good connection. */
  readonly attempt: number
  /** The next attempt is made in so many ms. */
  readonly retryInMs: number | undefined
  readonly everConnected: boolean
  /** Why there is no connection. */
  readonly error: KalamError | undefined
}

export interface User {
  readonly id: string
  readonly name: string
  readonly role: 'user' | 'service' | 'admin'
  readonly isReadOnly: boolean
}

/** A connection's state, as it is and as it changes. */
export interface ConnectionStates extends Stream<ConnectionState> {
  readonly state: ConnectionState
}

export interface QueryOptions {
  readonly namespace?: string | undefined
  /** Rejects with the signal's reason. What has been sent is carried out all the same. */
  readonly signal?: AbortSignal | undefined
  /** The same write, sent again with this key, is done once. */
  readonly idempotencyKey?: string | undefined
  /** Whether to wait for a connection (the default), or to fail at once without one. */
  readonly mayWait?: boolean
}

export interface BatchOptions extends QueryOptions {
  /** All of them, or none. Otherwise each is done by itself, and the first error stops. */
  readonly transaction?: boolean
}

export interface QueryResult<Row> {
  readonly rows: readonly Row[]
  /** Rows returned, or affected. */
  readonly rowCount: number
  readonly columns: readonly Column[]
  readonly command: string
  /** The answer is that of an earlier request with this idempotency key. */
  readonly isReplayed: boolean
}

export interface LiveOptions {
  readonly namespace?: string | undefined
  /** Closes it. */
  readonly signal?: AbortSignal | undefined
  /** Keeps the rows; false: not even the client's cache does. */
  readonly cache?: LiveCache | false | undefined
  /** Of the first rows, those whose key, of one column, is greater. It says nothing of changes. */
  readonly fromId?: string | undefined
}

export type Statement = string | { readonly sql: string; readonly params?: readonly unknown[] }

/** What differs from place to place. */
export interface Platform {
  readonly core: () => CoreSource
  readonly WebSocket: () => WebSocketConstructor | undefined
}

const statuses = ['idle', 'connecting', 'connected', 'reconnecting', 'closed'] as const
const requestMsUsual = 30_000

export class KalamClient<S extends Schema = AnySchema> implements AsyncDisposable, Disposable {
  readonly connection: ConnectionStates
  readonly #connection: Connection
  readonly #options: ClientOptions
  readonly #states: Channel<ConnectionState>
  readonly #lives = new Set<LiveQuery<unknown>>()
  readonly #abort = () => this.close()
  readonly #wake = () => {
    if (typeof document === 'undefined' || document.visibilityState === 'visible')
      this.#connection.wake()
  }
  #state: ConnectionState
  #user: User | undefined
  #isClosed = false

  /** `createClient` makes them. */
  constructor(options: ClientOptions, platform: Platform) {
    checkGiven(options)
    const WebSocket = options.WebSocket ?? platform.WebSocket()
    if (WebSocket === undefined)
      throw new KalamError({
        code: 'NO_WEBSOCKET',
        message: 'there is no WebSocket here: give createClient one, as `WebSocket`',
      })
    const { core } = options
    const { reconnect = {}, requestTimeoutMs } = options
    this.#options = options
    this.#state = idle
    this.#states = new Channel({ first: () => [this.#state], queue: latest })
    this.connection = statesOf(this.#states, () => this.#state)
    this.#connection = new Connection({
      module: compileCore(core === undefined ? platform.core : () => core),
      WebSocket,
      identity: () => [String(options.url), keyOf(options), options.userId],
      settings: { ...reconnect, requestMsMax: requestTimeoutMs },
      clock: options.clock ?? steadyClock(),
      onState: (state) => this.#enter(state),
      onWelcome: (welcome) => {
        this.#user = userOf(welcome)
      },
    })
    Object.defineProperty(this, connectionSymbol, { value: this.#connection })
    listenForWakes('addEventListener', this.#wake)
    options.signal?.addEventListener('abort', this.#abort)
    if (options.signal?.aborted === true) this.close()
    else if (options.autoConnect !== false) this.connect()
  }

  /** Who the key belongs to; known once connected. */
  get user(): User | undefined {
    return this.#user
  }

  /** Connects, also after the server has refused: with another key, for one. */
  connect(): void {
    if (this.#isClosed) throw closedError()
    this.#connection.connect()
  }

  /** Resolves when there is a connection; rejects when there will be none. */
  connected({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = new AbortController()
      const settle = ({ status, error }: ConnectionState) => {
        if (status === 'connected') resolve()
        else if (status === 'closed') reject(error ?? closedError())
        else return
        stop.abort()
      }
      const abort = () => {
        stop.abort()
        reject(reasonOf(signal))
      }
      if (signal?.aborted === true) {
        abort()
        return
      }
      signal?.addEventListener('abort', abort, { signal: stop.signal })
      this.#states.subscribe(settle, { signal: stop.signal })
    })
  }

  /** Runs one statement; `$1`, `$2`, … stand for `params`. */
  async query<Row = Record<string, unknown>>(
    sql: string,
    params: readonly unknown[] = [],
    options: QueryOptions = {},
  ): Promise<QueryResult<Row>> {
    const [result] = await this.#run<Row>(
      sql,
      params.length === 0 ? undefined : params,
      options,
      false,
    )
    if (result === undefined)
      throw new KalamError({ code: 'BAD_REQUEST', message: 'there is no statement' })
    return result
  }

  /** Runs several statements, with one answer for each. */
  batch<Row = Record<string, unknown>>(
    statements: readonly Statement[],
    { transaction = false, ...options }: BatchOptions = {},
  ): Promise<readonly QueryResult<Row>[]> {
    const given = statements.map((each) => (typeof each === 'string' ? { sql: each } : each))
    const params = given.map(({ params: own = [] }) => own)
    const sql = given.map((each) => each.sql).join(';\n')
    // The server takes a list of lists for several statements, and the list itself for one.
    const flat = params.length > 1 ? params : params[0]
    const hasParams = params.some(({ length }) => length > 0)
    return this.#run<Row>(sql, hasParams ? flat : undefined, options, transaction)
  }

  table<N extends TableName<S>>(name: N): Table<RowOf<S, N>, InsertOf<S, N>, LiveOptions> {
    return new Table(
      {
        query: (sql, params, options) => this.query(sql, params, options),
        live: (sql, params, options) => this.live(sql, params, options),
      },
      name,
    )
  }

  /** The rows of a SELECT, kept current until it is closed. */
  live<Row = Record<string, unknown>>(
    sql: string,
    params: readonly unknown[] = [],
    options: LiveOptions = {},
  ): LiveQuery<Row> {
    if (this.#isClosed) throw closedError()
    const { namespace = this.#options.namespace, cache = this.#options.cache } = options
    const json = params.length === 0 ? undefined : toJson(params)
    const name = (store: LiveCache) => ({ store, name: this.#cacheName([sql, json, namespace]) })
    const live = new LiveQuery<Row>({
      ...{ connection: this.#connection, sql, params: json, namespace },
      ...{ fromId: options.fromId, signal: options.signal },
      cache: cache === undefined || cache === false ? undefined : name(cache),
      // What is in the set is only closed.
      onEnd: () => this.#lives.delete(live as LiveQuery<unknown>),
    })
    if (live.status !== 'ended') this.#lives.add(live as LiveQuery<unknown>)
    return live
  }

  /** Ends everything. Safe twice. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    listenForWakes('removeEventListener', this.#wake)
    this.#options.signal?.removeEventListener('abort', this.#abort)
    for (const live of [...this.#lives]) live.close()
    this.#connection.disconnect()
    if (this.#state.status !== 'closed')
      this.#change({ ...this.#state, status: 'closed', retryInMs: undefined })
    this.#states.complete()
  }

  [dispose](): void {
    this.close()
  }

  [asyncDispose](): Promise<void> {
    this.close()
    return Promise.resolve()
  }

  #enter({ state, attempt, waitMs, error }: CoreState): void {
    const status = statuses[state] ?? 'closed'
    const everConnected = this.#state.everConnected || status === 'connected'
    this.#change({
      // A core that is new does not know that there was a connection.
      status: status === 'connecting' && everConnected ? 'reconnecting' : status,
      ...{ attempt, everConnected },
      retryInMs: waitMs > 0 ? waitMs : undefined,
      error: error === '' ? undefined : readError(error),
    })
  }

  #change(state: ConnectionState): void {
    this.#state = state
    this.#states.next(state)
  }

  #run<Row>(
    sql: string,
    params: unknown,
    options: QueryOptions,
    isTransaction: boolean,
  ): Promise<readonly QueryResult<Row>[]> {
    const { namespace = this.#options.namespace, signal, idempotencyKey, mayWait = true } = options
    const { requestTimeoutMs = requestMsUsual } = this.#options
    return new Promise((resolve, reject) => {
      const early = signal?.aborted === true ? reasonOf(signal) : undefined
      const refused = early ?? (this.#isClosed ? closedError() : undefined)
      if (refused !== undefined) {
        reject(refused)
        return
      }
      const over = new AbortController()
      const settle = (work: () => void) => {
        over.abort()
        work()
      }
      const query: Query = {
        texts: [
          ...[sql, params === undefined ? undefined : toJson(params), namespace, undefined],
          ...[isTransaction ? '' : undefined, idempotencyKey],
        ],
        mayWait,
        take: (event) =>
          settle(() => {
            if (event.kind === 'error') reject(errorOf(event))
            else resolve(resultsOf<Row>(event))
          }),
        fail: (error) => settle(() => reject(error)),
      }
      const abort = () => {
        this.#connection.forget(query)
        settle(() => reject(reasonOf(signal)))
      }
      signal?.addEventListener('abort', abort, { signal: over.signal })
      this.#connection.query(query, requestTimeoutMs)
    })
  }

  /** Rows of others, and of other servers, have other names. */
  #cacheName(parts: readonly (string | undefined)[]): string {
    const { url, userId } = this.#options
    return hash(JSON.stringify([String(url), keyOf(this.#options), userId, ...parts]))
  }
}

const asyncDispose: typeof Symbol.asyncDispose = ((Symbol as { readonly asyncDispose?: symbol })
  .asyncDispose ?? Symbol.for('Symbol.asyncDispose')) as typeof Symbol.asyncDispose

const idle: ConnectionState = {
  status: 'idle',
  attempt: 0,
  retryInMs: undefined,
  everConnected: false,
  error: undefined,
}

/** Before there is a core, which says what else is wrong. Callers without types give anything. */
function checkGiven(options: Partial<ClientOptions> | undefined): void {
  const { url, apiKey } = options ?? {}
  if (url === undefined || String(url) === '')
    throw new KalamError({
      code: 'CONFIG_URL_MISSING',
      message: 'url is missing: give the URL of a server, like http://127.0.0.1:2900',
    })
  if (apiKey === undefined || apiKey === '')
    throw new KalamError({
      code: 'CONFIG_API_KEY_MISSING',
      message: 'apiKey is missing: give an API key (kal_...)',
    })
}

function keyOf({ apiKey }: ClientOptions): string {
  return typeof apiKey === 'function' ? apiKey() : apiKey
}

function statesOf(
  channel: Channel<ConnectionState>,
  state: () => ConnectionState,
): ConnectionStates {
  return Object.defineProperty(channel, 'state', { get: state }) as unknown as ConnectionStates
}

function userOf({ user_id, name, role, read_only }: Welcome): User {
  return { id: user_id, name, role, isReadOnly: read_only }
}

function errorOf({ text, isUnknown }: QueryEvent & { readonly kind: 'error' }): KalamError {
  return readError(text, isUnknown ? { outcome: 'unknown' } : {})
}

interface WireResult {
  readonly command: string
  readonly columns: readonly Column[]
  readonly rows: readonly unknown[]
  readonly row_count: number
}

function resultsOf<Row>(event: QueryEvent & { readonly kind: 'result' }): QueryResult<Row>[] {
  // As over HTTP; the caller says what the rows of the SQL are.
  const results = JSON.parse(event.text) as readonly WireResult[]
  return results.map(({ command, columns, rows, row_count }) => ({
    ...{ command, columns, rows: rows as readonly Row[] },
    ...{ rowCount: row_count, isReplayed: event.isReplayed },
  }))
}

/** The network is back, or the page is seen again: timers may have slept. */
function listenForWakes(verb: 'addEventListener' | 'removeEventListener', wake: () => void): void {
  if (typeof globalThis[verb] === 'function')
    for (const name of ['online', 'pageshow']) globalThis[verb](name, wake)
  if (typeof document !== 'undefined') document[verb]('visibilitychange', wake)
}

/**
 * Goes on while the machine sleeps, which performance.now() does not everywhere; does not go back,
 * which Date.now() does.
 */
function steadyClock(): () => number {
  let asleepMs = -Infinity
  return () => {
    const awakeMs = performance.now()
    asleepMs = Math.max(asleepMs, Date.now() - awakeMs)
    return awakeMs + asleepMs
  }
}

/** 53 bits of a text, to tell names apart; nobody gets the text back from it (cyrb53). */
function hash(text: string): string {
  let one = 0xdeadbeef
  let two = 0x41c6ce57
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    one = Math.imul(one ^ code, 2_654_435_761)
    two = Math.imul(two ^ code, 1_597_334_677)
  }
  one = Math.imul(one ^ (one >>> 16), 2_246_822_507) ^ Math.imul(two ^ (two >>> 13), 3_266_489_909)
  two = Math.imul(two ^ (two >>> 16), 2_246_822_507) ^ Math.imul(one ^ (one >>> 13), 3_266_489_909)
  return (4_294_967_296 * (2_097_151 & two) + (one >>> 0)).toString(36)
}
