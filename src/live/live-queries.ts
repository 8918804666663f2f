/**
 * All live queries of the server. Equal queries are one group; a change of the log is looked up in
 * an index of what queries ask for, and only groups that it can concern hear of it.
 *
 *   commit ─► feed ─► index ─► follow groups:    judge, encode once, tell
 *                        └──► evaluated groups: run again, compare, encode once, tell
 *
 * The feed is read only while somebody watches. Markers in it (a table's new shape, a right that
 * was given or taken) are dealt with before anything that comes after them is told.
 */
import { Observable, type Subscription } from 'rxjs'
import { changeFeed } from '../changes/change-feed.js'
import type { Change, ChangeBatch } from '../changes/change.js'
import type { LogState } from '../changes/change-log.js'
import { formatCursor, parseCursor } from '../changes/cursor.js'
import { inOrder, noTransaction, type KeyOf } from '../changes/in-order.js'
import { logStart, type Sequence } from '../changes/sequence.js'
import type { LiveAnalysis } from '../dialect/live-analysis.js'
import type { LiveRefusal } from '../dialect/live-refusal.js'
import { normalisedText } from '../dialect/live-text.js'
import type { Engine } from '../engine/engine.js'
import type { QueryTree } from '../engine/query-tree.js'
import { DbError, assert } from '../errors.js'
import { bindQuery, type BoundQuery } from './bind-query.js'
import { isClockWord, isTimeType } from './clock-words.js'
import { EvaluatedGroup } from './evaluated-group.js'
import { Evaluations } from './evaluations.js'
import { FollowGroup } from './follow-group.js'
import { HeldChanges } from './held-changes.js'
import { keyOfRows } from './follow-plan.js'
import type { ResetReason, WatchReceiver } from './live-event.js'
import { imageQuery, type LiveQuery } from './live-query.js'
import type { LiveRequest } from './live-request.js'
import type { LiveRooms } from './live-rooms.js'
import { LiveWatch } from './live-watch.js'
import { PredicateIndex } from './predicate-index.js'
import { readTree } from './read-tree.js'
import { isPassing, retryMs } from './snapshot.js'
import { callerKey, type TableCatalog } from './table-catalog.js'

export interface LiveQueriesOptions extends Omit<LiveRooms, 'cursor' | 'held'> {
  readonly engine: Pick<Engine, 'onCommit'>
  readonly catalog: TableCatalog
  /** What the text tells by itself. */
  readonly analyse: (sql: string) => LiveAnalysis | LiveRefusal
  /** A name that nobody guesses. */
  readonly newId: () => string
  readonly now: () => number
  /** Something of ours went wrong. */
  readonly onBug: (cause: unknown) => void
}

/** A live query as `system.live_queries` tells of it. */
export interface LiveQueryInfo {
  readonly id: string
  readonly userId: string
  readonly userName: string
  readonly mode: string
  readonly sql: string
  readonly delivered: number
  readonly openedAtMs: number
}

export interface LiveFigures {
  readonly watches: number
  readonly groups: number
  /** Bytes of rows that are kept to compare with. */
  readonly keptBytes: number
  /** Changes that are held until they are judged. */
  readonly heldChanges: number
  /** Queries that are to be run again. */
  readonly due: number
}

type Group = FollowGroup | EvaluatedGroup

/** Longest tree of a query in bytes: some 200 for each constant and column in it. */
const treeBytesMax = 32 * 1024 * 1024

/** Changes after which a cursor moves even if none of them concerned its query: retention comes after. */
const progressEvery = 10_000

export class LiveQueries {
  readonly #options: LiveQueriesOptions
  readonly #rooms: LiveRooms
  readonly #evaluations: Evaluations
  readonly #index = new PredicateIndex<Group>()
  readonly #watches = new Map<string, LiveWatch>()
  readonly #groupOf = new Map<LiveWatch, Group>()
  readonly #groups = new Map<string, Group>()
  readonly #queries = new Map<string, Promise<LiveQuery>>()
  readonly #watchesOfUser = new Map<string, number>()
  /** Of followed tables: what tells their rows apart. */
  readonly #keys = new Map<number, KeyOf>()
  /** Keys that the transaction changed whose rest is not read yet, as they were left. */
  #open = noTransaction
  #state: LogState | undefined
  #position: Sequence = logStart
  #progressAt: Sequence = logStart
  #feed: Subscription | undefined
  #starting: Promise<void> | undefined
  #handling: Promise<void> = Promise.resolve()
  /** Grows with each feed: what is left of an older one is not dealt with. */
  #epoch = 0
  #isClosed = false
  #lastQuery = 0
  // One for all: of functions and objects made anew for each of 100,000 watches, each byte counts.
  readonly #onClose = (watch: LiveWatch): void => this.#remove(watch)
  readonly #evaluate = (group: EvaluatedGroup): void => this.#evaluations.add(group)
  readonly #positionNow = (): Sequence => this.#position
  readonly #openAnew = (watch: LiveWatch, reason: ResetReason): void => this.#reopen(watch, reason)

  constructor(options: LiveQueriesOptions) {
    this.#options = options
    this.#rooms = {
      ...options,
      held: new HeldChanges({ max: options.settings.heldChangesMax, pause: options.pause }),
      cursor: (sequence) => formatCursor({ incarnation: this.#state?.incarnation ?? '', sequence }),
    }
    this.#evaluations = new Evaluations(this.#rooms)
  }

  get figures(): LiveFigures {
    let keptBytes = 0
    for (const group of this.#groups.values())
      if (group.mode === 'evaluated') keptBytes += group.bytes
    return {
      watches: this.#watches.size,
      groups: this.#groups.size,
      keptBytes,
      heldChanges: this.#rooms.held.count,
      due: this.#evaluations.due,
    }
  }

  list(): readonly LiveQueryInfo[] {
    return [...this.#watches.values()].map((watch) => ({
      id: watch.id,
      userId: watch.request.identity.userId,
      userName: watch.request.userName,
      mode: this.#groupOf.get(watch)?.mode ?? 'starting',
      sql: watch.request.sql,
      delivered: watch.delivered,
      openedAtMs: watch.openedAtMs,
    }))
  }

  /**
   * Opens a live query. Resolves when its first event was delivered. Errors: LIVE_REFUSED,
   * LIVE_LIMIT, BAD_REQUEST (`from`, `fromId`), UNAVAILABLE; any that running it gives.
   */
  async open(request: LiveRequest, receiver: WatchReceiver): Promise<LiveWatch> {
    this.#admit(request)
    const watch = new LiveWatch({
      id: this.#options.newId(),
      ...{ request, receiver, openedAtMs: this.#options.now(), onBug: this.#options.onBug },
      onClose: this.#onClose,
    })
    this.#count(watch, 1)
    this.#watches.set(watch.id, watch)
    try {
      await this.#start()
      const loading = this.#place(watch, await this.#resumption(request))
      await Promise.race([loading, watch.described])
      loading.catch((cause: unknown) => watch.end(cause))
      return watch
    } catch (cause) {
      watch.close()
      throw cause
    }
  }

  /** Ends a live query; false if there is none of this name that `mayEnd` allows. */
  end(id: string, mayEnd: (userId: string) => boolean): boolean {
    const watch = this.#watches.get(id)
    if (watch === undefined || !mayEnd(watch.request.identity.userId)) return false
    watch.end(new DbError('CANCELLED', 'the live query was ended by KILL LIVE QUERY'))
    return true
  }

  /** Ends all. Safe twice. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const stopping = new DbError('UNAVAILABLE', 'the server is stopping')
    for (const watch of [...this.#watches.values()]) watch.end(stopping)
    this.#feed?.unsubscribe()
  }

  #admit({ identity }: LiveRequest): void {
    if (this.#isClosed) throw new DbError('UNAVAILABLE', 'the server is stopping')
    const { queriesMax, queriesPerUserMax } = this.#options.settings
    if (this.#watches.size >= queriesMax)
      throw new DbError('LIVE_LIMIT', `${queriesMax} live queries are open already`, {
        hint: 'live.queries_max is the bound',
      })
    if ((this.#watchesOfUser.get(identity.userId) ?? 0) >= queriesPerUserMax)
      throw new DbError('LIVE_LIMIT', `you have ${queriesPerUserMax} live queries open already`, {
        hint: 'live.queries_per_user_max is the bound',
      })
  }

  #count(watch: LiveWatch, by: 1 | -1): void {
    const { userId } = watch.request.identity
    const count = (this.#watchesOfUser.get(userId) ?? 0) + by
    if (count > 0) this.#watchesOfUser.set(userId, count)
    else this.#watchesOfUser.delete(userId)
  }

  /** Where a cursor takes it up; without one, or with one that cannot be honoured, from its rows. */
  async #resumption({ from }: LiveRequest): Promise<Resumption> {
    if (from === undefined) return { from: undefined, reset: undefined }
    const cursor = parseCursor(from)
    if (cursor === undefined) throw new DbError('BAD_REQUEST', 'from is no cursor of a live query')
    const state = await this.#options.log.state()
    const isOwn = cursor.incarnation === state.incarnation && cursor.sequence <= state.position
    if (!isOwn) return { from: undefined, reset: 'CURSOR_FOREIGN' }
    if (cursor.sequence < state.forgotten) return { from: undefined, reset: 'CURSOR_EXPIRED' }
    return { from: cursor.sequence, reset: undefined }
  }

  /** Puts a receiver into the group of its query. */
  async #place(watch: LiveWatch, resumption: Resumption): Promise<void> {
    const { request } = watch
    const query = await this.#queryOf(request)
    refuseClock(request, query)
    if (watch.isClosed) return
    const group = this.#groupFor(request, query)
    this.#groupOf.set(watch, group)
    if (group.entries.length === 0) this.#enterIndex(group)
    if (group.mode === 'follow') {
      await group.add(watch, resumable(group.query.bound, resumption))
    } else await group.add(watch, resumption.from === undefined ? resumption.reset : 'EVALUATED')
  }

  /** Shared by equal queries of one role. Errors: LIVE_REFUSED. */
  async #queryOf(request: LiveRequest): Promise<LiveQuery> {
    const key = queryKey(request)
    const known = this.#queries.get(key)
    if (known !== undefined) return known
    const binding = this.#bind(key, request)
    this.#queries.set(key, binding)
    binding.catch(() => {
      if (this.#queries.get(key) === binding) this.#queries.delete(key)
    })
    return binding
  }

  async #bind(key: string, request: LiveRequest): Promise<LiveQuery> {
    const { analyse, catalog } = this.#options
    const analysis = analyse(request.text)
    if (analysis.kind === 'refused') throw refused(analysis, request)
    const tree = await this.#treeOf(request)
    const bound = await bindQuery(analysis, {
      catalog,
      facts: readTree(tree.text),
      text: request.text,
    })
    if ('kind' in bound) throw refused(bound, request)
    const follow = await this.#followable(bound, request)
    const mode = follow ? 'follow' : 'evaluated'
    return {
      key,
      number: ++this.#lastQuery,
      bound: follow ? bound : { ...bound, follow: undefined },
      mode,
      groups: 0,
      shape: undefined,
      typeOids: tree.parameterTypes,
    }
  }

  async #treeOf(request: LiveRequest): Promise<QueryTree> {
    const { text, parameterCount, encode, identity, searchPath } = request
    const statement = { text, parameterCount, encode, identity, searchPath }
    try {
      return await this.#options.runner.treeOf({ ...statement, replyBytesMax: treeBytesMax })
    } catch (cause) {
      throw request.placed(cause)
    }
  }

  /** Whether images of the table can stand for the table, as far as the text goes. */
  async #followable(bound: BoundQuery, request: LiveRequest): Promise<boolean> {
    const { follow } = bound
    if (follow === undefined) return false
    const { parameterCount, encode, identity, searchPath } = request
    try {
      await this.#options.runner.run({
        text: imageQuery(request.text, follow, parameterCount),
        parameterCount: parameterCount + 1,
        encode: (typeOids) => [...encode(typeOids.slice(0, parameterCount)), '[]'],
        ...{ identity, searchPath, replyBytesMax: this.#options.settings.pieceBytes },
      })
      return true
    } catch (cause) {
      if (!(cause instanceof DbError) || isPassing(cause)) throw cause
      // It asks for what only the table has: ctid, say. Or it fails, which its own run will tell.
      return false
    }
  }

  #groupFor(request: LiveRequest, query: LiveQuery): Group {
    const scope = query.bound.perUser ? request.identity.userId : ''
    const key = JSON.stringify([query.number, request.parameterKey, scope])
    const known = this.#groups.get(key)
    if (known !== undefined && known.query === query) return known
    const group = this.#newGroup(key, request, query)
    query.groups += 1
    this.#groups.set(key, group)
    return group
  }

  #newGroup(key: string, request: LiveRequest, query: LiveQuery): Group {
    const rooms = this.#rooms
    const plan = query.bound.follow
    // Written out: what is spread gets a hidden class of its own, 300 bytes.
    if (plan === undefined)
      return new EvaluatedGroup({ key, query, request, rooms, evaluate: this.#evaluate })
    return new FollowGroup({
      key,
      query,
      plan,
      request,
      rooms,
      position: this.#positionNow,
      reopen: this.#openAnew,
    })
  }

  #enterIndex(group: Group): void {
    const { query } = group
    for (const entry of group.prepare(query.typeOids)) this.#index.add(entry, group)
    if (group.mode === 'follow') this.#keys.set(group.plan.table.id, keyOfRows(group.plan))
  }

  /** Runs the query for its rights, not its rows. */
  async #probe(request: LiveRequest): Promise<void> {
    const { text, parameterCount, encode, identity, searchPath } = request
    await this.#options.runner.run({
      text: `select from (\n${text}\n) "kalam q" limit 0`,
      ...{ parameterCount, encode, identity, searchPath },
      replyBytesMax: this.#options.settings.pieceBytes,
    })
  }

  #remove(watch: LiveWatch): void {
    this.#watches.delete(watch.id)
    this.#count(watch, -1)
    this.#leaveGroup(watch)
    if (this.#watches.size === 0) this.#stop()
  }

  #leaveGroup(watch: LiveWatch): void {
    const group = this.#groupOf.get(watch)
    this.#groupOf.delete(watch)
    group?.remove(watch)
    if (group?.size === 0) this.#removeGroup(group)
  }

  #removeGroup(group: Group): void {
    for (const entry of group.entries) this.#index.remove(entry, group)
    if (group.mode === 'evaluated') this.#evaluations.remove(group)
    if (this.#groups.get(group.key) === group) this.#groups.delete(group.key)
    group.query.groups -= 1
    if (group.query.groups === 0) void this.#forget(group.query)
  }

  async #forget(query: LiveQuery): Promise<void> {
    const known = await this.#queries.get(query.key)?.catch(() => undefined)
    if (known === query && query.groups === 0) this.#queries.delete(query.key)
  }

  /** From its rows anew, and why. */
  #reopen(watch: LiveWatch, reset: ResetReason): void {
    this.#leaveGroup(watch)
    this.#place(watch, { from: undefined, reset }).catch((cause: unknown) => watch.end(cause))
  }

  async #start(): Promise<void> {
    this.#starting ??= this.#startFeed()
    try {
      await this.#starting
    } catch (cause) {
      this.#starting = undefined
      throw cause
    }
  }

  async #startFeed(): Promise<void> {
    this.#state = await this.#options.log.state()
    this.#position = this.#state.position
    this.#progressAt = this.#position
    this.#follow()
  }

  #follow(): void {
    const { engine, log } = this.#options
    const commits = new Observable<void>((subscriber) => engine.onCommit(() => subscriber.next()))
    const readAfter = async (position: Sequence): Promise<ChangeBatch> => {
      // What was read before is dealt with first: so the log waits, and not memory.
      await this.#handling
      await this.#rooms.held.room()
      return log.readAfter(position)
    }
    this.#feed = changeFeed({ from: this.#position, readAfter, commits }).subscribe({
      next: (batch) => {
        this.#handling = this.#handle(batch).catch((cause: unknown) => this.#fail(cause))
      },
      error: (cause: unknown) => this.#feedFailed(cause),
    })
  }

  #stop(): void {
    this.#feed?.unsubscribe()
    this.#feed = undefined
    this.#starting = undefined
    this.#epoch += 1
    this.#queries.clear()
    this.#keys.clear()
    this.#open = noTransaction
  }

  /** Reads on from where it was, once the engine is there again. */
  #feedFailed(cause: unknown): void {
    if (!isPassing(cause)) {
      this.#fail(cause)
      return
    }
    const epoch = this.#epoch
    void this.#options.pause(retryMs).then(() => {
      // Another began if all left and somebody came.
      if (epoch === this.#epoch && !this.#isClosed) this.#follow()
    })
  }

  /** Without the feed nothing that is told would be true. */
  #fail(cause: unknown): void {
    for (const watch of [...this.#watches.values()]) watch.end(cause)
  }

  async #handle({ changes, position, complete }: ChangeBatch): Promise<void> {
    const epoch = this.#epoch
    let rows: Change[] = []
    for (const change of changes) {
      if (change.kind === 'I' || change.kind === 'U' || change.kind === 'D') {
        rows.push(change)
        continue
      }
      this.#hand(rows, change.sequence)
      rows = []
      await this.#mark(change)
      if (epoch !== this.#epoch) return
    }
    this.#hand(rows, position)
    // A transaction is complete where the log is.
    if (complete) this.#open = noTransaction
  }

  /** Changes of rows to the groups that they can concern. Nothing is awaited in it. */
  #hand(changes: readonly Change[], position: Sequence): void {
    this.#audit(changes)
    const settled = this.#settle(changes)
    // What a row was in between concerns no one who is told what it was before and is after.
    if (settled !== changes) this.#find(changes, (group) => group.mode === 'evaluated')
    const touched =
      settled === changes
        ? this.#find(changes, () => true)
        : this.#find(settled, (group) => group.mode === 'follow')
    for (const group of touched) if (group.mode === 'follow') group.flush(position)
    this.#position = position
    if (position - this.#progressAt < progressEvery) return
    this.#progressAt = position
    for (const group of this.#groups.values()) if (group.mode === 'follow') group.progress(position)
  }

  /** Wrong data is worse than none. */
  #audit(changes: readonly Change[]): void {
    let last = this.#position
    for (const { sequence } of changes) {
      if (sequence <= last) this.#options.metrics.liveFault('duplicate')
      assert(sequence > last, 'changes come in their order, each once')
      last = sequence
    }
  }

  /** Notes the changes with the groups that they can concern, and answers these. */
  #find(changes: readonly Change[], isMeant: (group: Group) => boolean): ReadonlySet<Group> {
    const touched = new Set<Group>()
    const found = new Set<Group>()
    for (const change of changes) {
      if (!this.#index.has(change.tableId)) continue
      this.#index.find(change, found)
      for (const group of found) {
        if (!isMeant(group)) continue
        touched.add(group)
        if (group.mode === 'follow') group.note(change)
        else if (group.isOlderThan(change.sequence)) this.#evaluations.add(group)
      }
      found.clear()
    }
    return touched
  }

  /** In the order in which they were done, as far as followed tables go. */
  #settle(changes: readonly Change[]): readonly Change[] {
    if (changes.length === 0 || this.#keys.size === 0) return changes
    const ordered = inOrder(
      changes,
      (change) => this.#keys.get(change.tableId)?.(change),
      this.#open,
    )
    this.#open = ordered.open
    if (ordered.broken.size > 0) this.#tellAnew(ordered.broken)
    return ordered.changes
  }

  /** Those who follow these tables. */
  #tellAnew(tables: ReadonlySet<number>): void {
    for (const group of this.#groups.values())
      if (group.mode === 'follow' && tables.has(group.plan.table.id))
        for (const watch of group.watches) this.#reopen(watch, 'EVALUATED')
  }

  /** Ends those whose caller has another role now, or is gone. */
  async #checkCallers(): Promise<void> {
    const identities = [...this.#watches.values()].map(({ request }) => request.identity)
    const changed = await this.#options.catalog.changedCallers(identities)
    const error = new DbError('FORBIDDEN', 'the role of the user has changed', {
      hint: 'Subscribe again, with the rights that there are now.',
    })
    for (const watch of [...this.#watches.values()])
      if (changed.has(callerKey(watch.request.identity))) watch.end(error)
  }

  /** A table's shape, or some right, is another from here on. */
  async #mark(change: Change): Promise<void> {
    for (;;) {
      try {
        await this.#markNow(change)
        return
      } catch (cause) {
        if (!isPassing(cause)) throw cause
        await this.#options.pause(retryMs)
      }
    }
  }

  async #markNow(change: Change): Promise<void> {
    if (change.kind === 'G') await this.#checkCallers()
    const touched = new Set<Group>()
    if (change.kind === 'G') for (const group of this.#groups.values()) touched.add(group)
    else this.#index.findAll(change.tableId, touched)
    for (const group of touched) if (knows(group.query, change)) touched.delete(group)
    const byQuery = new Map<LiveQuery, Group[]>()
    for (const group of touched) {
      const groups = byQuery.get(group.query)
      if (groups === undefined) byQuery.set(group.query, [group])
      else groups.push(group)
    }
    for (const [query, groups] of byQuery) await this.#bindAgain(query, groups, change)
  }

  /** Rights are looked at anew; where the query now means something else it begins anew. */
  async #bindAgain(query: LiveQuery, groups: readonly Group[], change: Change): Promise<void> {
    const [first] = groups
    if (first === undefined) return
    this.#queries.delete(query.key)
    try {
      const bound = await this.#queryOf(first.request)
      await this.#probe(first.request)
      if (change.kind === 'G' && meansTheSame(query.bound, bound.bound)) {
        this.#queries.set(query.key, Promise.resolve(query))
        for (const group of groups) if (group.mode === 'evaluated') this.#evaluations.add(group)
        return
      }
    } catch (cause) {
      if (isPassing(cause)) throw cause
      for (const group of groups) for (const watch of group.watches) watch.end(cause)
      return
    }
    for (const group of groups)
      for (const watch of group.watches) this.#reopen(watch, 'SCHEMA_CHANGED')
  }
}

/** It was bound to the table as it is since this change: only the feed is behind. */
function knows({ bound }: LiveQuery, { kind, tableId, version }: Change): boolean {
  const table = bound.dependencies.find((each) => each.table.id === tableId)?.table
  return kind === 'S' && table !== undefined && table.version >= version
}

interface Resumption {
  readonly from: Sequence | undefined
  readonly reset: ResetReason | undefined
}

/** A cursor from before the table had its columns, or was logged at all, tells of other rows. */
function resumable({ follow }: BoundQuery, resumption: Resumption): Resumption {
  const { from } = resumption
  if (from === undefined || follow === undefined || from >= follow.table.since) return resumption
  const wasLogged = follow.table.version > 1
  return { from: undefined, reset: wasLogged ? 'SCHEMA_CHANGED' : 'CURSOR_EXPIRED' }
}

function queryKey({ text, searchPath, identity }: LiveRequest): string {
  return JSON.stringify([identity.roleOid, searchPath, normalisedText(text)])
}

function meansTheSame(before: BoundQuery, after: BoundQuery): boolean {
  return JSON.stringify(meaning(before)) === JSON.stringify(meaning(after))
}

/** What an evaluated query uses may do something else: it is run again, which tells the difference. */
function meaning({ follow, dependencies, perUser, meaning }: BoundQuery): unknown {
  const tables = dependencies.map(({ table }) => [table.id, table.version])
  return [follow === undefined ? 'evaluated' : meaning, perUser, tables]
}

/** PostgreSQL would read such a parameter anew, as another time, whenever the query is run. */
function refuseClock({ encode }: LiveRequest, { typeOids }: LiveQuery): void {
  const isTime = (index: number) => isTimeType(typeOids[index] ?? 0, undefined)
  if (!typeOids.some((_, index) => isTime(index))) return
  for (const [index, text] of encode(typeOids).entries())
    if (text !== null && isTime(index) && isClockWord(text))
      throw new DbError(
        'LIVE_REFUSED',
        `$${index + 1}, '${text.trim()}', cannot be live: it is another time whenever it is read`,
        { hint: 'Pass the time itself, and subscribe again when it has to move.' },
      )
}

function refused(refusal: LiveRefusal, request: LiveRequest): DbError {
  const { message, hint, byte } = refusal
  return new DbError('LIVE_REFUSED', message, { hint, ...request.placeOf(byte) })
}
