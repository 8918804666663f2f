/** The client: what an app holds. */
import { Channel, dispose, latest, until, whenAborted, type Stream } from './channel.js'
import type { SubscribeOptions } from './channel.js'
import { connectionSymbol } from './connection-symbol.js'
import { Connection, type ConnectionChange, type Query, type Welcome } from './connection.js'
import type { WebSocketConstructor } from './connection.js'
import { compileCore, type CoreSource } from './core-module.js'
import { toJson } from './json.js'
import { closedError, errorOf, readError, type KalamError } from './kalam-error.js'
import type { LiveCache } from './live-cache.js'
import { LiveQuery } from './live-query.js'
import type { Column } from './row-shape.js'
import type { AnySchema, InsertOf, RowOf, Schema, TableName } from './schema.js'
import { Table } from './table.js'

export interface ClientOptions {
  /** Of the server: `http://127.0.0.1:2900`. */
  readonly url: string | URL
  /** Says who asks. A function is called before each attempt to connect, for the user's keys that change. */
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

export class KalamClient<S extends Schema = AnySchema> implements Disposable {
  /** Vue makes no proxy of it, which private fields would not go through. */
  readonly __v_skip = true
  readonly connection: ConnectionStates
  readonly #connection: Connection
  readonly #options: ClientOptions
  readonly #states: Channel<ConnectionState>
  readonly #lives = new Set<Disposable>()
  readonly #over = new AbortController()
  readonly #wake = () => {
    // Of a page that is not seen, the browser may hold up the answer.
    if (!(globalThis as { readonly document?: Document }).document?.hidden) this.#connection.wake()
  }
  #state: ConnectionState
  #user: User | undefined
  #isClosed = false

  /** `createClient` makes them. */
  constructor(options: ClientOptions, platform: Platform) {
    checkGiven(options)
    const WebSocket = options.WebSocket ?? platform.WebSocket()
    if (WebSocket === undefined)
      throw errorOf('NO_WEBSOCKET', 'there is no WebSocket here: give createClient one')
    const { core } = options
    const { reconnect = {}, requestTimeoutMs } = options
    this.#options = options
    this.#state = idle
    this.#states = new Channel({ first: () => [this.#state], queue: latest })
    // It has always got one.
    this.connection = this.#states as ConnectionStates
    this.#connection = new Connection({
      module: compileCore(core === undefined ? platform.core : () => core),
      WebSocket,
      // Once known, for good: rows that are kept are one user's, and go on where they were.
      identity: () => [String(options.url), keyOf(options), options.userId ?? this.#user?.id],
      settings: [
        [1, reconnect.delayMsMin],
        [2, reconnect.delayMsMax],
        [3, reconnect.attemptsMax],
        [4, requestTimeoutMs],
      ],
      clock: options.clock ?? steadyClock(),
      onState: (state) => this.#enter(state),
      onWelcome: (welcome) => {
        this.#user = userOf(welcome)
      },
    })
    Object.defineProperty(this, connectionSymbol, { value: this.#connection })
    listenForWakes('addEventListener', this.#wake)
    if (options.autoConnect !== false) this.connect()
    whenAborted(options.signal, () => this.close(), this.#over.signal)
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
  async connected({ signal }: SubscribeOptions = {}): Promise<void> {
    const isSettled = ({ status }: ConnectionState) => status === 'connected' || status === 'closed'
    await until(this.#states, isSettled, signal)
    const { status, error } = this.#state
    if (status === 'closed') throw error ?? closedError()
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
    if (result === undefined) throw errorOf('BAD_REQUEST', 'there is no statement')
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
      onEnd: (ended) => this.#lives.delete(ended),
    })
    if (live.status !== 'ended') this.#lives.add(live)
    return live
  }

  /** Ends everything. Safe twice. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    listenForWakes('removeEventListener', this.#wake)
    this.#over.abort()
    for (const live of [...this.#lives]) live[dispose]()
    this.#connection.disconnect()
    if (this.#state.status !== 'closed')
      this.#change({ ...this.#state, status: 'closed', retryInMs: undefined })
    this.#states.complete()
  }

  [dispose](): void {
    this.close()
  }

  #enter({ state, attempt, waitMs, error }: ConnectionChange): void {
    const status = statuses[state] ?? 'closed'
    const everConnected = this.#state.everConnected || status === 'connected'
    this.#change({
      // A core that is new does not know that there was a connection.
      status: status === 'connecting' && everConnected ? 'reconnecting' : status,
      ...{ attempt, everConnected, error },
      retryInMs: waitMs > 0 ? waitMs : undefined,
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
    if (this.#isClosed) return Promise.reject(closedError())
    const over = new AbortController()
    return new Promise<readonly QueryResult<Row>[]>((resolve, reject) => {
      const query: Query = {
        texts: [
          ...[sql, params === undefined ? undefined : toJson(params), namespace, undefined],
          ...[isTransaction ? '' : undefined, idempotencyKey],
        ],
        mayWait,
        take: ({ kind, a, b, text }) => {
          if (kind === 'error') reject(readError(text, b === 1 ? { outcome: 'unknown' } : {}))
          else resolve(resultsOf<Row>(text, a === 1))
        },
        fail: reject,
      }
      if (signal?.aborted !== true) this.#connection.query(query, requestTimeoutMs)
      whenAborted(
        signal,
        (reason) => {
          this.#connection.forget(query)
          reject(reason)
        },
        over.signal,
      )
    }).finally(() => over.abort())
  }

  /** Rows of others, and of other servers, have other names. */
  #cacheName(parts: readonly (string | undefined)[]): string {
    const { url, userId } = this.#options
    // So much of a key tells users apart, and is of no use to anybody.
    return JSON.stringify([String(url), userId, keyOf(this.#options).slice(-8), ...parts])
  }
}

const idle: ConnectionState = {
  status: 'idle',
  attempt: 0,
  retryInMs: undefined,
  everConnected: false,
  error: undefined,
}

/** Before there is a core, which says what else is wrong. Callers without types give anything. */
function checkGiven(options: Partial<ClientOptions> | undefined): void {
  const { url = '', apiKey = '' } = options ?? {}
  if (url === '') throw errorOf('CONFIG_URL_MISSING', 'url is missing')
  if (apiKey === '') throw errorOf('CONFIG_API_KEY_MISSING', 'apiKey is missing')
}

function keyOf({ apiKey }: ClientOptions): string {
  return typeof apiKey === 'function' ? apiKey() : apiKey
}

function userOf({ user_id, name, role, read_only }: Welcome): User {
  return { id: user_id, name, role, isReadOnly: read_only }
}

interface WireResult {
  readonly command: string
  readonly columns: readonly Column[]
  readonly rows: readonly unknown[]
  readonly row_count: number
}

function resultsOf<Row>(text: string, isReplayed: boolean): QueryResult<Row>[] {
  // As over HTTP; the caller says what the rows of the SQL are.
  const results = JSON.parse(text) as readonly WireResult[]
  return results.map(({ command, columns, rows, row_count }) => ({
    ...{ command, columns, rows: rows as readonly Row[] },
    ...{ rowCount: row_count, isReplayed },
  }))
}

/** The network is back, or the page is seen again: timers may have slept. */
function listenForWakes(verb: 'addEventListener' | 'removeEventListener', wake: () => void): void {
  // Neither is there everywhere.
  const place: Partial<Pick<typeof globalThis, typeof verb | 'document'>> = globalThis
  place[verb]?.('online', wake)
  place.document?.[verb]('visibilitychange', wake)
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
