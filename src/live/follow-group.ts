/**
 * Receivers of one followed query: each change of its table is judged and encoded once, and told to
 * all who follow. A receiver that is behind reads the log by itself until it has caught up.
 */
import { isOfMeaning, type Change } from '../changes/change.js'
import { inOrder, noTransaction } from '../changes/in-order.js'
import { logStart, type Sequence } from '../changes/sequence.js'
import type { RawResult } from '../engine/statement.js'
import { DbError } from '../errors.js'
import { quoteIdentifier } from '../dialect/compose-text.js'
import { encodeChanges, encodeSnapshot, type ResultShape } from './encode-changes.js'
import {
  followChange,
  imagesOf,
  judgedBy,
  judgeHere,
  type FollowedChange,
  type JudgeImage,
} from './follow-changes.js'
import { decideOf, keyOfRows, type FollowPlan } from './follow-plan.js'
import type { IndexEntry } from './predicate-index.js'
import { indexEntries } from './index-entries.js'
import { imageQuery, shapeOf, type LiveQuery } from './live-query.js'
import type { LiveRequest, LiveStatement } from './live-request.js'
import type { LiveRooms } from './live-rooms.js'
import type { LiveWatch } from './live-watch.js'
import { familyOf } from './comparable.js'
import { nextReceiverState, type ReceiverEvent, type ReceiverState } from './receiver-state.js'
import { isPassing, readSnapshot, retryMs } from './snapshot.js'
import { streamSnapshot } from './stream-snapshot.js'
import type { ResetReason } from './live-event.js'

export interface FollowGroupOptions {
  readonly key: string
  readonly query: LiveQuery
  readonly plan: FollowPlan
  /** Of the first receiver; those of the others are the same in all that counts here. */
  readonly request: LiveRequest
  readonly rooms: LiveRooms
  /** All up to here has been handed to `note`. */
  readonly position: () => Sequence
  /** The table is another one than the query was bound to: the receiver is to begin anew. */
  readonly reopen: (watch: LiveWatch, reason: ResetReason) => void
}

interface Told {
  readonly changes: readonly Change[]
  readonly position: Sequence
}

export class FollowGroup {
  readonly mode = 'follow'
  readonly key: string
  readonly query: LiveQuery
  readonly #options: FollowGroupOptions
  readonly #receivers = new Map<LiveWatch, ReceiverState>()
  #entries: readonly IndexEntry[] | undefined
  /** Undefined until the types of the parameters are known. */
  #judge: JudgeImage | 'ask' | undefined
  /** Changes since the last `flush`. */
  #noted: Change[] = []
  /** What was told last. */
  #told: Sequence = logStart
  /** What waits for PostgreSQL to judge it. */
  readonly #waiting: Told[] = []
  #isAsking = false

  constructor(options: FollowGroupOptions) {
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

  get plan(): FollowPlan {
    return this.#options.plan
  }

  get request(): LiveRequest {
    return this.#options.request
  }

  get entries(): readonly IndexEntry[] {
    return this.#entries ?? []
  }

  /** Learns the types of the parameters. `asks`: PostgreSQL has to judge. Answers where it stands in the index. */
  prepare(typeOids: readonly number[]): readonly IndexEntry[] {
    if (this.#entries !== undefined) return this.#entries
    const { plan, request, query } = this.#options
    const values = request.encode(typeOids)
    const parameter = (number: number) => ({
      family: familyOf(typeOids[number - 1] ?? 0),
      text: values[number - 1] ?? null,
    })
    const decide = decideOf(plan, parameter)
    this.#judge =
      decide === undefined || plan.targets === undefined ? 'ask' : judgeHere(decide, plan.targets)
    this.#entries = indexEntries(query.bound, request.identity.userId, parameter)
    return this.#entries
  }

  /** A change that may concern the query. */
  note(change: Change): void {
    if (change.version === this.#options.plan.table.version) this.#noted.push(change)
  }

  /** All that was noted up to `position` is complete. */
  flush(position: Sequence): void {
    const changes = this.#noted
    this.#noted = []
    if (changes.length === 0) return
    const judge = this.#judge
    if (judge !== undefined && judge !== 'ask') {
      this.#tell(judged(changes, judge), position)
      return
    }
    this.#waiting.push({ changes, position })
    this.#options.rooms.held.add(changes.length)
    if (!this.#isAsking) void this.#askAll()
  }

  /** Brings a receiver to where the group is. Errors: any of the query's. */
  async add(
    watch: LiveWatch,
    {
      from,
      reset,
    }: { readonly from: Sequence | undefined; readonly reset: ResetReason | undefined },
  ): Promise<void> {
    this.#receivers.set(watch, { kind: 'loading' })
    if (from === undefined) await this.#load(watch, reset)
    else {
      const how = { resumed: true, reset: undefined }
      if (!(await this.#subscribed(watch, await this.check(), how))) return
      this.#advance(watch, { kind: 'placed', position: from })
    }
    await this.#catchUp(watch)
  }

  remove(watch: LiveWatch): void {
    this.#receivers.delete(watch)
    if (this.#receivers.size === 0) this.#dropWaiting()
  }

  #dropWaiting(): void {
    for (const { changes } of this.#waiting.splice(0))
      this.#options.rooms.held.remove(changes.length)
  }

  /** What the query runs as. */
  statement(replyBytesMax: number): LiveStatement {
    const { text, parameterCount, encode, identity, searchPath } = this.#options.request
    return { text, parameterCount, encode, identity, searchPath, replyBytesMax }
  }

  async #load(watch: LiveWatch, reset: ResetReason | undefined): Promise<void> {
    const { rooms } = this.#options
    const statement = await this.#snapshotStatement(watch.request)
    try {
      const { result, position } = await readSnapshot(rooms, statement)
      if (!(await this.#subscribed(watch, result, { resumed: false, reset }))) return
      this.#deliverRows(watch, result)
      this.#ready(watch, position)
    } catch (cause) {
      const isTooLarge = cause instanceof DbError && cause.code === 'RESULT_TOO_LARGE'
      if (!isTooLarge) throw cause
      await this.#loadInPieces(watch, statement, reset)
    }
  }

  /** With `fromId` only rows whose key is greater. Errors: BAD_REQUEST. */
  async #snapshotStatement({ fromId }: LiveRequest): Promise<LiveStatement> {
    const statement = this.statement(this.#options.rooms.settings.pieceBytes)
    if (fromId === undefined) return statement
    const { columns, key } = await this.#shape()
    const [place, another] = key
    const name = place === undefined ? undefined : columns[place]?.name
    if (name === undefined || another !== undefined)
      throw new DbError('BAD_REQUEST', 'from_id needs a result with a key of one column', {
        hint: 'Select the primary key of the table.',
      })
    const { text, parameterCount, encode } = statement
    return {
      ...statement,
      text: `select * from (\n${text}\n) "kalam q"
        where "kalam q".${quoteIdentifier(name)} > $${parameterCount + 1}`,
      parameterCount: parameterCount + 1,
      encode: (typeOids) => [...encode(typeOids.slice(0, parameterCount)), fromId],
    }
  }

  async #loadInPieces(
    watch: LiveWatch,
    statement: LiveStatement,
    reset: ResetReason | undefined,
  ): Promise<void> {
    const { rooms } = this.#options
    let isFirst = true
    const position = await streamSnapshot(rooms, statement, async (result) => {
      const isThere = !isFirst || (await this.#subscribed(watch, result, { resumed: false, reset }))
      if (!isThere) return false
      isFirst = false
      this.#deliverRows(watch, result)
      await watch.writable()
      return this.#receivers.has(watch)
    })
    if (this.#receivers.has(watch)) this.#ready(watch, position)
  }

  #deliverRows(watch: LiveWatch, result: RawResult): void {
    const shape = this.query.shape?.result
    if (shape === undefined || result.rowCount === 0) return
    watch.deliver({ kind: 'rows', ...encodeSnapshot(shape, result.frames) })
  }

  #ready(watch: LiveWatch, position: Sequence): void {
    watch.deliver({ kind: 'ready', cursor: this.#options.rooms.cursor(position) })
    this.#advance(watch, { kind: 'placed', position })
  }

  /** Runs the query for its columns and its rights, not for its rows. Errors: FORBIDDEN and others. */
  async check(): Promise<RawResult> {
    const { rooms, request } = this.#options
    return rooms.runner.run({
      ...this.statement(rooms.settings.pieceBytes),
      text: `select * from (\n${request.text}\n) "kalam q" limit 0`,
    })
  }

  async #shape(): Promise<ResultShape> {
    return this.query.shape?.result ?? this.#learnShape(await this.check())
  }

  async #learnShape({ columns }: RawResult): Promise<ResultShape> {
    const { query } = this
    const known = query.shape
    if (known?.columns === columns) return known.result
    const named = await this.#options.rooms.runner.columnsOf(columns)
    const result = shapeOf(query.bound, named)
    query.shape = { columns, result }
    return result
  }

  /** False, and nothing is told, if it is not here any more: it has begun anew elsewhere. */
  async #subscribed(
    watch: LiveWatch,
    result: RawResult,
    how: { readonly resumed: boolean; readonly reset: ResetReason | undefined },
  ): Promise<boolean> {
    const { columns, key } = await this.#learnShape(result)
    if (!this.#receivers.has(watch)) return false
    const { resumed, reset } = how
    watch.deliver({ kind: 'subscribed', columns, mode: 'follow', ordered: false, key, resumed })
    if (reset !== undefined) watch.deliver({ kind: 'reset', reason: reset })
    return true
  }

  async #catchUp(watch: LiveWatch): Promise<void> {
    const { rooms, plan } = this.#options
    const keyOf = keyOfRows(plan)
    let open = noTransaction
    for (;;) {
      // Between this and the next group's telling nothing is awaited: none is missed.
      this.#advance(watch, { kind: 'group-at', position: this.#toldUpTo() })
      const state = this.#receivers.get(watch)
      if (watch.isClosed || state?.kind !== 'behind') return
      const batch = await rooms.log.readAfter(state.position, plan.table.id)
      const { forgotten } = await rooms.log.state()
      if (forgotten > state.position) {
        this.#options.reopen(watch, 'CURSOR_EXPIRED')
        return
      }
      if (this.#leavesShape(watch, batch.changes)) return
      // A right that was taken since holds for what comes after it.
      if (batch.changes.some(({ kind }) => kind === 'G')) await this.check()
      const own = batch.changes.filter(
        (change) =>
          change.tableId === plan.table.id &&
          (!plan.perOwner || change.owner === this.request.identity.userId),
      )
      const ordered = inOrder(own, keyOf, open)
      if (ordered.broken.size > 0) {
        this.#options.reopen(watch, 'EVALUATED')
        return
      }
      open = batch.complete ? noTransaction : ordered.open
      const told = judged(ordered.changes, await this.#judgeOf(ordered.changes))
      const position = batch.position > state.position ? batch.position : this.#toldUpTo()
      this.#deliver(watch, told, { kind: 'read', position })
      await watch.writable()
    }
  }

  /** The table has another shape, or the query another meaning, on the way: a snapshot tells of it. */
  #leavesShape(watch: LiveWatch, changes: readonly Change[]): boolean {
    const { id, version } = this.#options.plan.table
    const isOther = changes.some(
      (change) =>
        (change.tableId === id &&
          (change.kind === 'S' || change.kind === 'X' || change.version !== version)) ||
        (this.query.bound.usesMade && isOfMeaning(change)),
    )
    if (!isOther) return false
    this.#options.reopen(watch, 'SCHEMA_CHANGED')
    return true
  }

  /** Those who follow have been told all up to here. */
  #toldUpTo(): Sequence {
    const [first] = this.#waiting
    const next = first?.changes[0]?.sequence
    // What waits is not told; what is before it is.
    // One less than a sequence is a place as well.
    return next === undefined ? this.#options.position() : ((next - 1) as Sequence)
  }

  async #judgeOf(changes: readonly Change[]): Promise<JudgeImage> {
    const judge = this.#judge
    return judge === undefined || judge === 'ask' ? this.#ask(changes) : judge
  }

  async #askAll(): Promise<void> {
    this.#isAsking = true
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      try {
        const judge = await this.#ask(next.changes)
        if (this.#waiting[0] !== next) continue
        this.#waiting.shift()
        this.#options.rooms.held.remove(next.changes.length)
        this.#tell(judged(next.changes, judge), next.position)
      } catch (cause) {
        if (isPassing(cause)) {
          await this.#options.rooms.pause(retryMs)
          continue
        }
        this.#dropWaiting()
        for (const watch of this.watches) watch.end(cause)
      }
    }
    this.#isAsking = false
  }

  async #ask(changes: readonly Change[]): Promise<JudgeImage> {
    const { rooms, plan, request } = this.#options
    const { json, count } = imagesOf(changes)
    if (count === 0) return () => undefined
    const { text, parameterCount, encode, identity, searchPath } = request
    const result = await rooms.runner.run({
      text: imageQuery(text, plan, parameterCount),
      parameterCount: parameterCount + 1,
      encode: (typeOids) => [...encode(typeOids.slice(0, parameterCount)), json],
      ...{ identity, searchPath, replyBytesMax: rooms.settings.resultBytesMax },
    })
    return judgedBy(changes, result.frames, result.columns.length - 1)
  }

  /** Moves the cursors of those who follow, whom nothing has concerned for long. */
  progress(position: Sequence): void {
    if (this.#waiting.length > 0) return
    for (const [watch, state] of this.#receivers) {
      if (state.kind !== 'following' || state.position >= position) continue
      this.#advance(watch, { kind: 'told', position })
      this.#send(watch, { changes: noChanges, count: 0, position })
    }
  }

  #tell(changes: readonly FollowedChange[], position: Sequence): void {
    if (changes.length === 0) return
    const first = changes[0]?.sequence ?? position
    const told = this.#told
    this.#told = position
    let encoded: Uint8Array | undefined
    for (const [watch, state] of this.#receivers) {
      if (state.kind !== 'following') continue
      // The auditor: who follows has been told all that the group has.
      if (state.position < told) this.#options.rooms.metrics.liveFault('gap')
      if (state.position >= first) {
        // It had the first of them in its snapshot.
        this.#deliver(watch, changes, { kind: 'told', position })
        continue
      }
      encoded ??= this.#encode(changes)
      this.#advance(watch, { kind: 'told', position })
      this.#send(watch, { changes: encoded, count: changes.length, position })
    }
  }

  #deliver(watch: LiveWatch, changes: readonly FollowedChange[], event: ReceiverEvent): void {
    const after = this.#advance(watch, event)
    const position = 'position' in event ? event.position : undefined
    if (after === undefined || position === undefined) return
    const own = changes.filter(({ sequence }) => sequence > after)
    if (own.length === 0) return
    this.#send(watch, { changes: this.#encode(own), count: own.length, position })
  }

  #send(
    watch: LiveWatch,
    told: { readonly changes: Uint8Array; readonly count: number; readonly position: Sequence },
  ): void {
    const { rooms } = this.#options
    const { changes, count } = told
    rooms.metrics.liveDelivered(count)
    watch.deliver({ kind: 'changes', changes, count, cursor: rooms.cursor(told.position) })
  }

  #encode(changes: readonly FollowedChange[]): Uint8Array {
    const shape = this.query.shape?.result
    return shape === undefined
      ? new Uint8Array(0)
      : encodeChanges(
          shape,
          changes.map(({ change }) => change),
        )
  }

  #advance(watch: LiveWatch, event: ReceiverEvent): Sequence | undefined {
    const state = this.#receivers.get(watch)
    if (state === undefined) return undefined
    const step = nextReceiverState(state, event)
    this.#receivers.set(watch, step.state)
    return step.deliverAfter
  }
}

/** An empty list. */
const noChanges = new TextEncoder().encode('[]')

function judged(changes: readonly Change[], judge: JudgeImage): readonly FollowedChange[] {
  return changes.flatMap((change) => followChange(change, judge) ?? [])
}
