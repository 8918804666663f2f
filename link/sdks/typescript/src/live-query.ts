/**
 * The rows of a SELECT, kept current. They are an array of objects that is made anew when rows have
 * changed; an object stays the same as long as its row does.
 *
 *   loading ──ready──▶ ready ──connection lost, reset──▶ stale ──ready──▶ ready
 *      └── rows from a cache ──▶ stale                     from anywhere ──▶ ended
 */
import {
  Channel,
  dispose,
  latest,
  until,
  whenAborted,
  type Observer,
  type Stream,
  type Unsubscribe,
} from './channel.js'
import type { SubscribeOptions, Subscribable } from './channel.js'
import type { Connection, SubscribeRequest, Subscriber } from './connection.js'
import type { CoreEvent } from './core.js'
import { closedError, readError, type KalamError } from './kalam-error.js'
import type { LiveCache } from './live-cache.js'
import { RowShape, type Column } from './row-shape.js'

/**
 * `loading`: no rows yet. `ready`: all rows, as of a moment ago. `stale`: rows from a cache, or from
 * before the connection was lost; new ones come by themselves. `ended`: by `close`, or by an error.
 */
export type LiveStatus = 'loading' | 'ready' | 'stale' | 'ended'

/** Applied one after the other, `splice(from, 1)` and then `splice(to, 0, row)` keep an array equal to `rows`. */
export type Change<Row> =
  | { readonly op: 'insert'; readonly row: Row; readonly to: number }
  | {
      readonly op: 'update'
      readonly row: Row
      readonly old: Row
      readonly from: number
      readonly to: number
    }
  | { readonly op: 'delete'; readonly old: Row; readonly from: number }

export type LiveEvent<Row> =
  /** All rows: the first, and whenever they are not told as changes. */
  | { readonly kind: 'rows'; readonly rows: readonly Row[] }
  /** All that one commit, or several, changed. */
  | { readonly kind: 'changes'; readonly changes: readonly Change<Row>[] }
  | { readonly kind: 'status'; readonly status: LiveStatus }

export interface LiveQueryOptions {
  readonly connection: Connection
  readonly sql: string
  /** JSON of the list of `$1`, `$2`, … */
  readonly params: string | undefined
  readonly namespace: string | undefined
  readonly fromId: string | undefined
  readonly signal: AbortSignal | undefined
  /** Where rows outlive the program, and under which name. */
  readonly cache: { readonly store: LiveCache; readonly name: string } | undefined
  onEnd(live: Disposable): void
}

/** Rows as they look before the server has answered a write. */
interface Edit<Row> {
  readonly edit: (rows: readonly Row[]) => readonly Row[]
  /** Whether the server's rows show the write; not there: it is under way. */
  isSeen?: (rows: readonly Row[]) => boolean
  timer?: ReturnType<typeof setTimeout>
}

/** So long rows look as written once the write is done, when the query does not show it. */
const unseenMsMax = 2_000
/** Rows are cached so long after they have changed. */
const cacheAfterMs = 250
/** More events than that wait for no `for await`: it gets all rows instead. */
const waitingEventsMax = 1_000

export class LiveQuery<Row> implements Stream<readonly Row[]>, Disposable {
  /** Vue makes no proxy of it, which private fields would not go through. */
  readonly __v_skip = true
  /** Where the changed rows are, for lists that are not to be drawn anew. */
  readonly events: Stream<LiveEvent<Row>>
  readonly #events: Channel<LiveEvent<Row>>
  readonly #views: Channel<readonly Row[]>
  readonly #options: LiveQueryOptions
  readonly #subscriber: Subscriber
  readonly #over = new AbortController()
  /** The server's rows, in order; all of them once `#isComplete`. */
  #rows: Row[] = []
  #isComplete = false
  /** There is something to show. */
  #hasRows = false
  /** The rows have other columns than those that come. */
  #isMixed = false
  /** What is shown while they are not complete. */
  #before: readonly Row[] = []
  #view: readonly Row[] | undefined
  #edits: Edit<Row>[] = []
  #status: LiveStatus = 'loading'
  #error: KalamError | undefined
  #shape: RowShape<Row> | undefined
  #cursor = ''
  #columns = ''
  #key = ''
  #isOrdered = false
  /** JSON of the rows, if it is at hand. */
  #rowsText: string | undefined
  #cacheTimer: ReturnType<typeof setTimeout> | undefined

  /** `client.live` makes them. */
  constructor(options: LiveQueryOptions) {
    this.#options = options
    this.#events = new Channel<LiveEvent<Row>>({
      first: () => (this.#hasRows ? this.#firstEvents() : []),
      queue: (waiting, event) =>
        waiting.length < waitingEventsMax ? [...waiting, event] : this.#firstEvents(),
    })
    this.events = this.#events
    this.#views = new Channel<readonly Row[]>({
      first: () => (this.#hasRows ? [this.rows] : []),
      queue: latest,
    })
    this.#subscriber = {
      request: () => this.#request(),
      take: (event) => this.#take(event),
      suspend: () => this.#becomeStale(),
    }
    this.#readCache()
    options.connection.subscribe(this.#subscriber)
    whenAborted(options.signal, () => this.close(), this.#over.signal)
  }

  /** As of now; another array when rows have changed. */
  get rows(): readonly Row[] {
    this.#view ??= this.#edited(this.#isComplete ? [...this.#rows] : this.#before)
    return this.#view
  }

  get status(): LiveStatus {
    return this.#status
  }

  /** Why it ended, if not by `close`. */
  get error(): KalamError | undefined {
    return this.#error
  }

  /** Known with the first rows. */
  get columns(): readonly Column[] {
    return this.#shape?.columns ?? []
  }

  /** Up to where the rows are complete: opaque; compare for equality only. */
  get cursor(): string | undefined {
    return this.#cursor === '' ? undefined : this.#cursor
  }

  /** The rows, when the server has told them all. Rejects with the error that ends the query. */
  async ready({ signal }: SubscribeOptions = {}): Promise<readonly Row[]> {
    const isSettled = () => this.#status === 'ready' || this.#status === 'ended'
    if (!isSettled()) await until(this.#events, isSettled, signal)
    if (this.#status === 'ended') throw this.#error ?? closedError()
    return this.rows
  }

  /** Is told the rows at once, if they are known, and whenever they have changed. */
  subscribe(
    listener: Observer<readonly Row[]> | ((rows: readonly Row[]) => void),
    options?: SubscribeOptions,
  ): Unsubscribe {
    return this.#views.subscribe(listener, options)
  }

  readonly '@@observable' = (): Subscribable<readonly Row[]> => this.#views;

  [Symbol.asyncIterator](): AsyncGenerator<readonly Row[], void, void> {
    return this.#views[Symbol.asyncIterator]()
  }

  /**
   * Shows `edit(rows)` at once, and writes. When the write fails, the rows are as if nothing had
   * been; when it is done, they are the server's. `edit` is called again whenever rows change.
   * `isSeen`: whether the server's rows show what was written; without it, their next change does.
   */
  async optimistic<T>(
    edit: (rows: readonly Row[]) => readonly Row[],
    write: () => Promise<T>,
    isSeen?: (rows: readonly Row[], result: T) => boolean,
  ): Promise<T> {
    const entry: Edit<Row> = { edit }
    this.#edits.push(entry)
    this.#tellRows()
    try {
      const result = await write()
      entry.isSeen = (rows) => isSeen?.(rows, result) ?? true
      if (this.#status === 'ended' || (isSeen && entry.isSeen(this.#rows))) this.#dropEdit(entry)
      else entry.timer = setTimeout(() => this.#dropEdit(entry), unseenMsMax)
      return result
    } catch (cause) {
      this.#dropEdit(entry)
      throw cause
    }
  }

  /** Ends it. Safe twice. */
  close(): void {
    if (this.#status === 'ended') return
    this.#writeCache()
    this.#options.connection.unsubscribe(this.#subscriber)
    this.#end()
  }

  [dispose](): void {
    this.close()
  }

  #request(): SubscribeRequest {
    const { sql, params, namespace, fromId } = this.#options
    const rows = this.#rowsText ?? this.#sureText()
    this.#rowsText = undefined
    const isOrdered = this.#isOrdered
    if (rows !== undefined) {
      const kept = [this.#columns, this.#key, rows]
      return { texts: [sql, params, namespace, this.#cursor, fromId, ...kept], isOrdered }
    }
    // Told from the start, beside what is shown.
    this.#before = this.rows
    this.#rows = []
    this.#isComplete = false
    return { texts: [sql, params, namespace, undefined, fromId], isOrdered }
  }

  /** The rows' JSON, if their keys are in it as the server writes them. */
  #sureText(): string | undefined {
    const shape = this.#shape
    if (!this.#isComplete || this.#isMixed || shape === undefined) return undefined
    const { columns } = shape
    // The server tells a list of places.
    const key = (JSON.parse(this.#key) as number[]).map((at) => columns[at]?.type ?? '')
    const hasDoubles = new Set(columns.map(({ name }) => name)).size < columns.length
    if (key.length === 0 || hasDoubles || key.some((type) => unsureTypes.test(type)))
      return undefined
    return JSON.stringify(this.#rows.map((row) => shape.valuesOf(row)))
  }

  #take({ kind, a, text, more, cursor, differences }: CoreEvent): void {
    if (cursor !== '') this.#cursor = cursor
    if (kind === 'subscribed') this.#describe(text, more, (a & 1) !== 0)
    else if (kind === 'rows')
      for (const values of listsOf(text)) this.#rows.push(this.#rowOf(values))
    else if (kind === 'changes') this.#change(listsOf(text), differences)
    else if (kind === 'ready') this.#becomeReady()
    else if (kind === 'reset') this.#becomeStale()
    else this.#end(readError(text))
  }

  #describe(columns: string, key: string, isOrdered: boolean): void {
    if (columns !== this.#columns) {
      this.#isMixed = this.#rows.length > 0
      this.#shape = new RowShape(columns)
    }
    this.#columns = columns
    this.#key = key
    this.#isOrdered = isOrdered
  }

  #rowOf(values: readonly unknown[]): Row {
    if (this.#shape === undefined) throw new Error('assertion failed: no columns')
    return this.#shape.rowOf(values)
  }

  #change(rows: readonly (readonly unknown[])[], differences: Int32Array): void {
    const changes: Change<Row>[] = []
    let next = 0
    for (let at = 0; at < differences.length; at += 3) {
      const from = differences[at + 1] ?? 0
      const to = differences[at + 2] ?? 0
      const [old] = from < 0 ? [] : this.#rows.splice(from, 1)
      if (to < 0) {
        // It was there: the core's rows are these.
        changes.push({ op: 'delete', old: old as Row, from })
        continue
      }
      const told = this.#rowOf(rows[next++] ?? [])
      const row = old !== undefined && this.#shape?.isSame(old, told) === true ? old : told
      this.#rows.splice(to, 0, row)
      changes.push(
        old === undefined ? { op: 'insert', row, to } : { op: 'update', row, old, from, to },
      )
    }
    if (changes.length === 0 || !this.#isComplete) return
    this.#cacheSoon()
    if (this.#edits.length > 0) {
      this.#edits = this.#edits.filter(({ isSeen }) => isSeen?.(this.#rows) !== true)
      this.#tellRows()
    } else {
      this.#view = undefined
      this.#events.next({ kind: 'changes', changes })
      this.#tellView()
    }
  }

  #becomeReady(): void {
    const isFirst = !this.#isComplete
    this.#isComplete = true
    this.#hasRows = true
    this.#isMixed = false
    this.#cacheSoon()
    if (isFirst) {
      this.#view = undefined
      this.#status = 'ready'
      for (const event of this.#firstEvents()) this.#events.next(event)
      this.#tellView()
    } else this.#enter('ready')
  }

  #becomeStale(): void {
    if (this.#status === 'ready') this.#enter('stale')
  }

  #enter(status: LiveStatus): void {
    if (this.#status === status) return
    this.#status = status
    this.#events.next({ kind: 'status', status })
  }

  #firstEvents(): readonly LiveEvent<Row>[] {
    return [
      { kind: 'rows', rows: this.rows },
      { kind: 'status', status: this.#status },
    ]
  }

  #tellRows(): void {
    this.#view = undefined
    this.#events.next({ kind: 'rows', rows: this.rows })
    this.#tellView()
  }

  #tellView(): void {
    if (this.#views.isHeard) this.#views.next(this.rows)
  }

  #edited(rows: readonly Row[]): readonly Row[] {
    return this.#edits.reduce((shown, { edit }) => edit(shown), rows)
  }

  #dropEdit(entry: Edit<Row>): void {
    if (!this.#edits.includes(entry)) return
    this.#edits = this.#edits.filter((edit) => edit !== entry)
    this.#tellRows()
  }

  #end(error?: KalamError): void {
    clearTimeout(this.#cacheTimer)
    for (const { timer } of this.#edits) clearTimeout(timer)
    this.#error = error
    this.#enter('ended')
    this.#over.abort()
    this.#options.onEnd(this)
    for (const channel of [this.#events, this.#views])
      if (error === undefined) channel.complete()
      else channel.fail(error)
  }

  // ---- The cache

  #readCache(): void {
    const { cache } = this.#options
    const [head = '', rows = ''] = cache?.store.read(cache.name)?.split(headEnd) ?? []
    try {
      // Ours; what else stands there does not get through the next lines.
      const [cursor, columns, key, isOrdered] = JSON.parse(head) as CachedHead
      this.#describe(columns, key, isOrdered)
      this.#rows = listsOf(rows).map((values) => this.#rowOf(values))
      this.#rowsText = rows
      this.#cursor = cursor
      this.#isComplete = true
      this.#hasRows = true
      this.#status = 'stale'
    } catch {
      this.#columns = ''
      this.#rows = []
    }
  }

  #cacheSoon(): void {
    if (this.#options.cache === undefined) return
    this.#cacheTimer ??= setTimeout(() => this.#writeCache(), cacheAfterMs)
  }

  /** Rows exactly as the server wrote them: the core compares them with what comes later. */
  #writeCache(): void {
    if (this.#cacheTimer === undefined) return
    clearTimeout(this.#cacheTimer)
    this.#cacheTimer = undefined
    const { cache, connection } = this.#options
    const rows = connection.readRows(this.#subscriber)
    if (cache === undefined || rows === undefined || this.#cursor === '') return
    const head: CachedHead = [this.#cursor, this.#columns, this.#key, this.#isOrdered]
    cache.store.write(cache.name, JSON.stringify(head) + headEnd + rows)
  }
}

/** What rows are kept with: cursor, columns, key, isOrdered. */
type CachedHead = readonly [string, string, string, boolean]
/** In neither part: JSON has line breaks in no text, and the server writes none between. */
const headEnd = '\n'

/** Types whose JSON is not always what JSON.stringify makes of the parsed value. */
const unsureTypes = /^(float|json)|\[\]$/

function listsOf(text: string): readonly (readonly unknown[])[] {
  // Rows are lists of values: the protocol says so.
  return JSON.parse(text) as readonly (readonly unknown[])[]
}
