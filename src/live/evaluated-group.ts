/**
 * Receivers of one re-evaluated query. Its rows are kept as PostgreSQL sent them; when a table that
 * it reads changes it is run again, and what is different is encoded once and told to all.
 */
import type { Sequence } from '../changes/sequence.js'
import type { RawResult } from '../engine/statement.js'
import { assert } from '../errors.js'
import { copyRows, noRows } from './data-rows.js'
import {
  encodeChanges,
  encodeSnapshot,
  type EncodedChange,
  type ResultShape,
} from './encode-changes.js'
import { indexEntries } from './index-entries.js'
import type { Evaluated } from './evaluations.js'
import { familyOf } from './comparable.js'
import type { ResetReason } from './live-event.js'
import { shapeOf, type LiveQuery } from './live-query.js'
import type { LiveRequest, LiveStatement } from './live-request.js'
import type { LiveRooms } from './live-rooms.js'
import type { LiveWatch } from './live-watch.js'
import type { IndexEntry } from './predicate-index.js'
import { diffRows } from './row-diff.js'

export interface EvaluatedGroupOptions {
  readonly key: string
  readonly query: LiveQuery
  readonly request: LiveRequest
  readonly rooms: LiveRooms
  /** Asks for an evaluation; `evaluated` or `failed` follows. */
  readonly evaluate: (group: EvaluatedGroup) => void
}

interface CountedRows {
  readonly rows: Uint8Array
  readonly count: number
}

/** Encoded; `grows`: rows that there are more of. */
interface Difference {
  readonly changes: Uint8Array
  readonly count: number
  readonly grows: number
}

const growth: Readonly<Record<EncodedChange['kind'], number>> = { i: 1, u: 0, d: -1 }

export class EvaluatedGroup implements Evaluated {
  readonly mode = 'evaluated'
  readonly key: string
  readonly query: LiveQuery
  readonly #options: EvaluatedGroupOptions
  /** The rows that a receiver was brought to; undefined until it has any. */
  readonly #receivers = new Map<LiveWatch, Uint8Array | undefined>()
  #rows: Uint8Array = noRows
  #rowCount = 0
  #shape: ResultShape | undefined
  /** All up to here is in the rows. */
  #position: Sequence | undefined
  #entries: readonly IndexEntry[] | undefined
  #firstRows: PromiseWithResolvers | undefined
  notBeforeMs = 0
  moved = 0

  constructor(options: EvaluatedGroupOptions) {
    this.#options = options
    this.key = options.key
    this.query = options.query
  }

  get size(): number {
    return this.#receivers.size
  }

  get watches(): readonly LiveWatch[] {
    return [...this.#receivers.keys()]
  }

  get request(): LiveRequest {
    return this.#options.request
  }

  get entries(): readonly IndexEntry[] {
    return this.#entries ?? []
  }

  /** Bytes of the rows that are kept. */
  get bytes(): number {
    return this.#rows.length
  }

  prepare(typeOids: readonly number[]): readonly IndexEntry[] {
    if (this.#entries !== undefined) return this.#entries
    const { request, query } = this.#options
    const values = request.encode(typeOids)
    this.#entries = indexEntries(query.bound, request.identity.userId, (number) => ({
      family: familyOf(typeOids[number - 1] ?? 0),
      text: values[number - 1] ?? null,
    }))
    return this.#entries
  }

  /** A change at this place may concern the query: whether its rows are older than that. */
  isOlderThan(sequence: Sequence): boolean {
    return this.#position === undefined || this.#position < sequence
  }

  statement(): LiveStatement {
    const { text, parameterCount, encode, identity, searchPath } = this.#options.request
    const { resultBytesMax } = this.#options.rooms.settings
    return { text, parameterCount, encode, identity, searchPath, replyBytesMax: resultBytesMax }
  }

  /** Brings a receiver to where the group is. Errors: any of the query's. */
  async add(watch: LiveWatch, reset: ResetReason | undefined): Promise<void> {
    this.#receivers.set(watch, undefined)
    if (this.#position === undefined) {
      this.#firstRows ??= promiseWithResolvers()
      this.#options.evaluate(this)
      await this.#firstRows.promise
    }
    await this.#load(watch, reset)
  }

  remove(watch: LiveWatch): void {
    this.#receivers.delete(watch)
  }

  /** What an evaluation gave. */
  async evaluated(result: RawResult, position: Sequence): Promise<void> {
    const rows = copyRows(result.frames)
    const shape = await this.#shapeOf(result)
    const before = { rows: this.#rows, count: this.#rowCount }
    const isFirst = this.#position === undefined
    const isOther = this.#shape !== undefined && this.#shape !== shape
    if (this.#position !== undefined && this.#position > position) this.#fault('duplicate')
    this.#position = position
    this.#shape = shape
    if (isOther) this.#resetAll(rows)
    else if (!isFirst) this.#tell(before, { rows, count: result.rowCount })
    this.#rows = rows
    this.#rowCount = result.rowCount
    this.#firstRows?.resolve()
    this.#firstRows = undefined
  }

  /** An evaluation failed: there is nothing true to tell any more. */
  failed(cause: unknown): void {
    const first = this.#firstRows
    this.#firstRows = undefined
    // Whoever waits for the first rows is told by the one who asked for them.
    if (first !== undefined) first.reject(cause)
    else for (const watch of this.watches) watch.end(cause)
  }

  async #load(watch: LiveWatch, reset: ResetReason | undefined): Promise<void> {
    // It has begun anew in another group meanwhile.
    if (!this.#receivers.has(watch)) return
    const shape = this.#shape
    const position = this.#position
    assert(shape !== undefined && position !== undefined, 'the rows are there')
    // The rows of this moment stay as they are: an evaluation makes new ones.
    let rows = this.#rows
    this.#describe(watch, shape, reset)
    for (const piece of this.#pieces(rows)) {
      const snapshot = encodeSnapshot(shape, piece)
      watch.deliver({ kind: 'rows', ...snapshot })
      await watch.writable()
      if (!this.#receivers.has(watch)) return
    }
    watch.deliver({ kind: 'ready', cursor: this.#options.rooms.cursor(position) })
    if (this.#shape !== shape) return this.#load(watch, 'SCHEMA_CHANGED')
    // What came meanwhile, as one difference. Nothing is awaited from here on.
    if (rows !== this.#rows) {
      const told = this.#difference(rows, this.#rows)
      rows = this.#rows
      this.#send(watch, told)
    }
    if (this.#receivers.has(watch)) this.#receivers.set(watch, rows)
  }

  #describe(watch: LiveWatch, shape: ResultShape, reset: ResetReason | undefined): void {
    const { columns, key } = shape
    const { ordered } = this.query.bound
    watch.deliver({ kind: 'subscribed', columns, mode: 'evaluated', ordered, key, resumed: false })
    if (reset !== undefined) watch.deliver({ kind: 'reset', reason: reset })
  }

  *#pieces(rows: Uint8Array): Generator<Uint8Array> {
    const { pieceBytes } = this.#options.rooms.settings
    let start = 0
    let end = 0
    while (end < rows.length) {
      end += 1 + Buffer.from(rows.buffer, rows.byteOffset).readInt32BE(end + 1)
      if (end - start < pieceBytes && end < rows.length) continue
      yield rows.subarray(start, end)
      start = end
    }
  }

  #tell(before: CountedRows, after: CountedRows): void {
    const told = this.#difference(before.rows, after.rows)
    this.#audit(told, after.count - before.count)
    for (const [watch, rows] of this.#receivers) {
      if (rows === undefined) continue
      // The auditor: a difference is told to who has the rows that it is a difference to.
      if (rows !== before.rows) this.#fault('gap')
      this.#receivers.set(watch, after.rows)
      this.#send(watch, told)
    }
  }

  /** As many rows more or less are told as PostgreSQL counted. */
  #audit({ grows }: Difference, counted: number): void {
    if (grows !== counted) this.#fault(grows > counted ? 'duplicate' : 'gap')
  }

  #fault(kind: 'gap' | 'duplicate'): void {
    this.#options.rooms.metrics.liveFault(kind)
  }

  #difference(before: Uint8Array, after: Uint8Array): Difference {
    const shape = this.#shape
    assert(shape !== undefined, 'the shape is known')
    const { key } = shape
    const { ordered } = this.query.bound
    const changes = diffRows(before, after, { key, ordered }).map((change): EncodedChange => {
      if (change.kind === 'delete') {
        const row = { frames: before, start: change.row }
        return { kind: 'd', key: row, row: undefined, at: undefined }
      }
      const row = { frames: after, start: change.row }
      const kind = change.kind === 'insert' ? 'i' : 'u'
      return { kind, key: row, row, at: change.at }
    })
    const { length: count } = changes
    const grows = changes.reduce((sum, { kind }) => sum + growth[kind], 0)
    return { changes: count === 0 ? noRows : encodeChanges(shape, changes), count, grows }
  }

  #send(watch: LiveWatch, { changes, count }: Difference): void {
    const { rooms } = this.#options
    const position = this.#position
    if (count === 0 || position === undefined) return
    rooms.metrics.liveDelivered(count)
    watch.deliver({ kind: 'changes', changes, count, cursor: rooms.cursor(position) })
  }

  /** The columns are other ones: differences to the rows before would mean nothing. */
  #resetAll(rows: Uint8Array): void {
    this.#rows = rows
    for (const [watch, known] of this.#receivers) {
      if (known === undefined) continue
      this.#receivers.set(watch, undefined)
      this.#load(watch, 'SCHEMA_CHANGED').catch((cause: unknown) => watch.end(cause))
    }
  }

  async #shapeOf({ columns }: RawResult): Promise<ResultShape> {
    const { query } = this
    if (query.shape?.columns === columns) return query.shape.result
    const named = await this.#options.rooms.runner.columnsOf(columns)
    const known = query.shape?.result
    const result = known !== undefined && isSame(known, named) ? known : shapeOf(query.bound, named)
    query.shape = { columns, result }
    return result
  }
}

function isSame({ columns }: ResultShape, others: ResultShape['columns']): boolean {
  return (
    columns.length === others.length &&
    columns.every(({ name, type }, index) => {
      const other = others[index]
      return name === other?.name && type.name === other.type.name
    })
  )
}

interface PromiseWithResolvers {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (cause: unknown) => void
}

/** Node 22's `Promise.withResolvers`. */
function promiseWithResolvers(): PromiseWithResolvers {
  let resolve = (): void => undefined
  let reject: (cause: unknown) => void = () => undefined
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
