/**
 * A live query as a stream of what the server tells, with no rows kept: for programs that pass
 * changes on, from results of any size. Rows are JSON texts with every digit. The client's core
 * connects and resumes; this takes the rows out of its frames before it sees them.
 */
import type { KalamClient } from './client.js'
import { connectionSymbol } from './connection-symbol.js'
import type { Connection, Subscriber } from './connection.js'
import type { CoreEvent } from './core.js'
import { ByteSink } from './generated/byte-sink.js'
import { appendBinary, decodeServerBinary } from './generated/socket-binary.js'
import { serverMessages, type JsonSource, type ServerMessage } from './generated/socket-messages.js'
import type { ErrorDetails } from './kalam-error.js'

export interface FeedOptions {
  /** JSON of the list of `$1`, `$2`, … */
  readonly params?: string | undefined
  readonly namespace?: string | undefined
  /** Continues after this cursor. */
  readonly from?: string | undefined
  /** Of the first rows, those whose key, of one column, is greater. */
  readonly fromId?: string | undefined
}

/** As docs/protocol.md has them; texts are JSON. */
export type FeedEvent =
  | {
      readonly kind: 'subscribed'
      readonly columns: string
      readonly key: string
      readonly mode: string
      readonly isOrdered: boolean
      readonly isResumed: boolean
    }
  /** A list of rows, each the list of its values. */
  | { readonly kind: 'rows'; readonly rows: string }
  /** The rows are complete up to there. */
  | { readonly kind: 'ready'; readonly cursor: string }
  | { readonly kind: 'changes'; readonly changes: string; readonly cursor: string }
  /** What was told is void: rows follow. `INTERRUPTED`: the connection was lost between rows. */
  | { readonly kind: 'reset'; readonly reason: string }
  /** The server ended it for a while; the client asks again by itself. */
  | { readonly kind: 'waiting'; readonly error: ErrorDetails }
  /** It is over. */
  | { readonly kind: 'failed'; readonly error: ErrorDetails }

export interface Feed {
  /** Nothing is told after it. Safe twice. */
  close(): void
}

/** Asks for the rows of a SELECT and all that changes them, until it is closed. */
export function openFeed(
  // Of any schema.
  client: Pick<KalamClient, 'connection' | 'query'>,
  sql: string,
  options: FeedOptions,
  listener: (event: FeedEvent) => void,
): Feed {
  return new OpenFeed(connectionOf(client), sql, options, listener)
}

function connectionOf(client: object): Connection {
  // Every client has one there.
  return (client as { readonly [connectionSymbol]: Connection })[connectionSymbol]
}

class OpenFeed implements Feed {
  readonly #connection: Connection
  readonly #sql: string
  readonly #options: FeedOptions
  readonly #listener: (event: FeedEvent) => void
  readonly #subscriber: Subscriber = {
    request: () => this.#request(),
    filter: (frame, id) => this.#filter(frame, id),
    take: (event) => this.#take(event),
    suspend: () => undefined,
  }
  /** Up to here everything was told. */
  #cursor: string | undefined
  /** Rows have been told that are not complete. */
  #isPartial = false
  #isClosed = false

  constructor(
    connection: Connection,
    sql: string,
    options: FeedOptions,
    listener: (event: FeedEvent) => void,
  ) {
    this.#connection = connection
    this.#sql = sql
    this.#options = options
    this.#listener = listener
    this.#cursor = options.from
    connection.subscribe(this.#subscriber)
  }

  close(): void {
    this.#isClosed = true
    this.#connection.unsubscribe(this.#subscriber)
  }

  #request() {
    const { params, namespace, fromId } = this.#options
    const from = this.#isPartial ? undefined : this.#cursor
    return { texts: [this.#sql, params, namespace, from, fromId], isOrdered: false }
  }

  /** Tells what a frame has, and leaves the core what it needs to continue. */
  #filter(frame: Uint8Array, id: number): Uint8Array | undefined {
    if (idOf(frame) !== id) return frame
    const message = decodeServerBinary(frame)
    switch (message.kind) {
      case 'subscribed':
        return this.#subscribed(message) ? frame : undefined
      case 'rows':
        this.#isPartial = true
        this.#listener({ kind: 'rows', rows: textOf(message.rows) })
        return undefined
      case 'ready':
        this.#completeTo(message.cursor)
        this.#listener({ kind: 'ready', cursor: message.cursor })
        return frame
      case 'changes':
        if (message.cursor !== this.#cursor) {
          this.#completeTo(message.cursor)
          const changes = textOf(message.changes)
          this.#listener({ kind: 'changes', changes, cursor: message.cursor })
        }
        return withoutRows(message)
      case 'reset':
        this.#isPartial = true
        this.#listener({ kind: 'reset', reason: message.reason })
        return frame
      case 'error':
        this.#sayLater(textOf(message.error))
        return frame
      case 'authenticated':
      case 'fault':
      case 'pong':
      case 'result':
      case 'unsubscribed':
        return frame
    }
  }

  /** False: it cannot go on so, and was asked for anew. */
  #subscribed(message: ServerMessage & { readonly kind: 'subscribed' }): boolean {
    const { columns, key, mode, ordered, resumed } = message
    if (this.#isPartial) {
      this.#listener({ kind: 'reset', reason: 'INTERRUPTED' })
      this.#isPartial = false
      if (resumed) {
        // From a cursor before the rows that were void already: there is nothing to continue.
        this.#cursor = undefined
        queueMicrotask(() => this.#again())
        return false
      }
    }
    const texts = { columns: textOf(columns), key: textOf(key) }
    this.#listener({ kind: 'subscribed', ...texts, mode, isOrdered: ordered, isResumed: resumed })
    return true
  }

  #again(): void {
    if (this.#isClosed) return
    this.#connection.unsubscribe(this.#subscriber)
    this.#connection.subscribe(this.#subscriber)
  }

  #completeTo(cursor: string): void {
    this.#cursor = cursor
    this.#isPartial = false
  }

  /** The core has the frame next, and knows whether that ends it: then `take` is called first. */
  #sayLater(text: string): void {
    queueMicrotask(() => {
      // The server's errors are such objects.
      if (!this.#isClosed)
        this.#listener({ kind: 'waiting', error: JSON.parse(text) as ErrorDetails })
    })
  }

  #take(event: CoreEvent): void {
    if (event.kind !== 'error' || this.#isClosed) return
    this.#isClosed = true
    this.#listener({ kind: 'failed', error: JSON.parse(event.text) as ErrorDetails })
  }
}

function textOf(source: JsonSource): string {
  return typeof source === 'string' ? source : new TextDecoder().decode(source)
}

/** Only its cursor is left. */
function withoutRows(message: ServerMessage & { readonly kind: 'changes' }): Uint8Array {
  const sink = new ByteSink(64)
  appendBinary({ ...message, changes: '[]' }, sink)
  return sink.view()
}

/** Of which subscription a frame tells; -1: of none. */
function idOf(frame: Uint8Array): number {
  const [tag = 0, flags = 0] = frame
  const { subscribed, reset, error } = serverMessages
  const isError = tag === error.tag && flags === 1
  if (!isError && (tag < subscribed.tag || tag > reset.tag)) return -1
  // These two have a byte of flags.
  let at = isError || tag === subscribed.tag ? 2 : 1
  let id = 0
  for (let scale = 1; ; scale *= 0x80) {
    const byte = frame[at++] ?? 0
    id += (byte & 0x7f) * scale
    if (byte < 0x80) return id
  }
}
