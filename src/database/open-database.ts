/**
 * The database behind every door: plans a request's SQL, decides how it runs (alone, in a session,
 * in a transaction), and runs it as its caller.
 */
import { randomBytes } from 'node:crypto'
import type { Observable } from 'rxjs'
import type { Callers } from '../access/callers.js'
import { isRedoable, sessionNeeds, type RequestPlan } from './request-plan.js'
import { quoteIdentifier } from '../dialect/compose-text.js'
import type { Dialect } from '../dialect/open-dialect.js'
import { transactionStatus } from '../engine/backend-messages.js'
import type { Session } from '../engine/engine.js'
import type { RawResult } from '../engine/statement.js'
import { DbError } from '../errors.js'
import type {
  BatchRequest,
  Caller,
  CancelSignal,
  Copying,
  CopyRequest,
  Database,
  Health,
  Presence,
  ScramSecrets,
  SqlOutcome,
  SqlRequest,
  StatementOutcome,
  StreamPart,
  TransactionMode,
} from './database.js'
import { createCopying, sqlRequestOf } from './copying.js'
import { liveRequest } from './live-requests.js'
import { tableChanges, type TableChange } from './table-changes.js'
import type { Watch, WatchReceiver, WatchRequest } from './watch.js'
import { findOutcome, keepOutcome, requestDigest, type OutcomeKey } from './idempotency.js'
import { prepareBatch, prepareRequest } from './prepare-request.js'
import type { Spools } from './spool.js'
import { StatementRunner, type ReadyStatement, type RunnerRooms } from './statement-runner.js'
import type { StatementLog } from './statement-log.js'
import type { WireSession, WireSessionOptions } from './wire-session.js'
import { AdvisoryLocks } from './advisory-locks.js'
import { waitForLocks } from './wait-for-locks.js'
import { openWireSession } from './wire/local-wire-session.js'
import { NotificationHub } from './wire/notification-hub.js'
import { readReportedDefaults } from './wire/reported-settings.js'

export interface DatabaseSettings {
  readonly statementTimeoutMs: number
  readonly leaseWaitMs: number
  /** `engine.admin_transaction_timeout_ms`. */
  readonly adminLeaseMs: number
  readonly resultBytesMax: number
  readonly streamPieceRows: number
  readonly streamPieceBytes: number
  /** Longest that a reader may leave its rows. */
  readonly streamIdleTimeoutMs: number
  readonly idempotencyBytesMax: number
  /** Data of one COPY … FROM. */
  readonly copyBytesMax: number
  /** What one session was notified of and its client has not heard. */
  readonly notifiedBytesMax: number
  readonly channelsMax: number
  readonly statementsBytesMax: number
}

export interface DatabaseOptions {
  readonly rooms: RunnerRooms
  readonly dialect: Dialect
  readonly callers: Callers
  readonly settings: DatabaseSettings
  readonly spools: Spools
  readonly log: StatementLog
}

export function createDatabase(options: DatabaseOptions): Database {
  return new LocalDatabase(options)
}

class LocalDatabase implements Database {
  readonly #options: DatabaseOptions
  readonly #hub: NotificationHub
  readonly #locks: AdvisoryLocks
  #reportedDefaults: Promise<ReadonlyMap<string, string>> | undefined
  #isClosed = false

  constructor(options: DatabaseOptions) {
    const { rooms, log } = options
    this.#options = options
    const onBug = (cause: unknown): void => log.failed(cause)
    this.#hub = new NotificationHub(rooms.engine, rooms.queries, onBug)
    this.#locks = new AdvisoryLocks(rooms.engine, rooms.queries, onBug)
  }

  get health(): Health {
    if (this.#isClosed) return { ready: false, state: 'stopping' }
    const { kind } = this.#options.rooms.engine.status
    return { ready: kind === 'ready', state: kind === 'closed' ? 'stopping' : kind }
  }

  authenticate(key: string): Promise<Caller> {
    return this.#options.callers.authenticate(key)
  }

  enter(key: string, onEnd: (error: DbError) => void): Promise<Presence> {
    return this.#options.callers.enter(key, onEnd)
  }

  scramSecrets(userName: string): Promise<ScramSecrets> {
    return this.#options.callers.scramSecrets(userName)
  }

  enterProven(keyId: string, onEnd: (error: DbError) => void): Promise<Presence> {
    return this.#options.callers.enterProven(keyId, onEnd)
  }

  async run(caller: Caller, request: SqlRequest, signal: CancelSignal): Promise<SqlOutcome> {
    const preparing = prepareRequest(this.#options, caller, request)
    const plan = preparing instanceof Promise ? await preparing : preparing
    const isUndone = request.transaction || request.idempotencyKey !== undefined
    return this.#waitingForLocks(plan, isUndone, signal, () =>
      this.#runPlan(plan, caller, request, signal),
    )
  }

  async #runPlan(
    plan: RequestPlan,
    caller: Caller,
    request: SqlRequest,
    signal: CancelSignal,
  ): Promise<SqlOutcome> {
    const runner = this.#runner(request, signal)
    try {
      if (request.idempotencyKey !== undefined && !caller.readOnly)
        return await this.#runOnce(plan, runner, {
          ...{ caller, request, signal },
          key: request.idempotencyKey,
        })
      const needs = sessionNeeds(plan, request)
      if (needs === undefined)
        return { results: await this.#runEach(plan, runner), replayed: false }
      const results = await this.#runInSession(plan, runner, {
        leavesState: needs.leavesState,
        begin: needs.transaction ? 'BEGIN' : undefined,
        caller,
        signal,
      })
      return { results, replayed: false }
    } finally {
      runner.finish()
    }
  }

  async runBatch(caller: Caller, batch: BatchRequest, signal: CancelSignal): Promise<SqlOutcome> {
    const plan = await prepareBatch(this.#options, caller, batch)
    const isUndone = batch.transaction !== undefined
    return this.#waitingForLocks(plan, isUndone, signal, () =>
      this.#runBatchPlan(plan, caller, batch, signal),
    )
  }

  async #runBatchPlan(
    plan: RequestPlan,
    caller: Caller,
    batch: BatchRequest,
    signal: CancelSignal,
  ): Promise<SqlOutcome> {
    const runner = this.#runner({}, signal)
    try {
      const needs = sessionNeeds(plan, { transaction: batch.transaction !== undefined })
      const results =
        needs === undefined
          ? await this.#runEach(plan, runner)
          : await this.#runInSession(plan, runner, {
              leavesState: needs.leavesState,
              begin: batch.transaction && beginText(batch.transaction),
              caller,
              signal,
            })
      return { results, replayed: false }
    } finally {
      runner.finish()
    }
  }

  async *stream(
    caller: Caller,
    request: SqlRequest,
    signal: CancelSignal,
  ): AsyncGenerator<StreamPart> {
    const plan = await prepareRequest(this.#options, caller, request)
    const [statement] = plan.statements
    if (plan.statements.length !== 1 || statement === undefined)
      throw new DbError('BAD_REQUEST', 'only a single statement can be streamed')
    const streamable = statement.kind === 'sql' && statement.plan.query && !statement.plan.stateful
    if (streamable && !request.transaction && request.idempotencyKey === undefined) {
      yield* this.#streamCursor(statement, this.#runner(request, signal, this.#pieceBytesMax()))
      return
    }
    const { results } = await this.run(caller, request, signal)
    for (const result of results) yield* partsOf(result)
  }

  async copy(caller: Caller, request: CopyRequest, signal: CancelSignal): Promise<Copying> {
    const { rooms, spools, log, settings } = this.#options
    const sqlRequest = sqlRequestOf(request)
    const plan = await prepareRequest(this.#options, caller, sqlRequest, { copies: true })
    return createCopying(
      {
        ...{ rooms, spools, log, settings, locks: this.#locks },
        hold: (session, until) => this.#hold(session, until),
      },
      {
        ...{ caller, plan, signal, request: sqlRequest },
        openRunner: () => this.#runner(sqlRequest, signal),
      },
    )
  }

  async watch(caller: Caller, request: WatchRequest, receiver: WatchReceiver): Promise<Watch> {
    const { live } = this.#options.rooms
    return live.open(await liveRequest(this.#options, caller, request), receiver)
  }

  changes(table: string, after?: string): Observable<TableChange> {
    return tableChanges(this.#options.rooms, table, after)
  }

  openWireSession(caller: Caller, options: WireSessionOptions): Promise<WireSession> {
    const reportedDefaults = () => this.#defaultsReported()
    const rooms = { ...this.#options, hub: this.#hub, locks: this.#locks, reportedDefaults }
    return openWireSession(rooms, caller, options)
  }

  #defaultsReported(): Promise<ReadonlyMap<string, string>> {
    this.#reportedDefaults ??= readReportedDefaults(this.#options.rooms.queries)
    this.#reportedDefaults.catch(() => (this.#reportedDefaults = undefined))
    return this.#reportedDefaults
  }

  close(): void {
    this.#isClosed = true
    this.#options.rooms.live.close()
  }

  #runner(
    request: Pick<SqlRequest, 'namespace'>,
    signal: CancelSignal,
    replyBytesMax = this.#options.settings.resultBytesMax,
  ): StatementRunner {
    const { statementTimeoutMs, leaseWaitMs } = this.#options.settings
    const limits = {
      searchPath: searchPathOf(request.namespace),
      timeoutMs: statementTimeoutMs,
      waitMs: leaseWaitMs,
      replyBytesMax,
    }
    return new StatementRunner(this.#options.rooms, limits, signal)
  }

  /** Each statement commits by itself; the first error stops. Together they keep to the bound. */
  async #runEach(plan: RequestPlan, runner: StatementRunner): Promise<StatementOutcome[]> {
    const results: StatementOutcome[] = []
    let bytes = 0
    for (const [index, statement] of plan.statements.entries()) {
      const result = await this.#runLogged(runner, statement, index)
      bytes += result.frames.length
      if (bytes > this.#options.settings.resultBytesMax) throw this.#tooLarge(index)
      results.push(result)
    }
    return results
  }

  async #runInSession(
    plan: RequestPlan,
    runner: StatementRunner,
    how: {
      /** Text that begins the transaction, if it is one. */
      readonly begin: string | undefined
      readonly leavesState: boolean
      readonly caller: Caller
      readonly signal: CancelSignal
    },
  ): Promise<StatementOutcome[]> {
    const { engine } = this.#options.rooms
    const { leavesState } = how
    const session = engine.openSession({ leavesState, ...this.#leaseOf(how.caller) })
    try {
      await this.#hold(session, how.signal)
      runner.enter(session, { reuse: !leavesState })
      const { identity } = how.caller
      if (how.begin !== undefined) await runner.runText(how.begin, identity)
      const results = await this.#runEach(plan, runner)
      if (how.begin !== undefined) await runner.runText('COMMIT', identity)
      else if (isInTransaction(results.at(-1))) throw leftOpen()
      return results
    } finally {
      // The answer need not wait for the clean-up; the engine is the session's until it is done.
      session.close().catch((cause: unknown) => this.#options.log.failed(cause))
    }
  }

  #leaseOf({ role }: Caller): { readonly leaseMs?: number } {
    return role === 'admin' ? { leaseMs: this.#options.settings.adminLeaseMs } : {}
  }

  /** `isUndone`: all that an attempt has done is, when it fails. */
  #waitingForLocks<T>(
    plan: RequestPlan,
    isUndone: boolean,
    signal: CancelSignal,
    attempt: () => Promise<T>,
  ): Promise<T> {
    const { statementTimeoutMs: timeoutMs } = this.#options.settings
    const mayWait = (): boolean => isUndone || isRedoable(plan)
    return waitForLocks(attempt, { locks: this.#locks, mayWait, signal, timeoutMs })
  }

  /** Waits for the engine for as long as the caller does. */
  async #hold(session: Session, signal: CancelSignal): Promise<void> {
    const takeBack = (): void => session.cancel()
    signal.addEventListener('abort', takeBack)
    try {
      if (signal.aborted) throw new DbError('CANCELLED', 'the caller has gone')
      await session.hold(this.#options.settings.leaseWaitMs)
    } finally {
      signal.removeEventListener('abort', takeBack)
    }
  }

  async #runOnce(
    plan: RequestPlan,
    runner: StatementRunner,
    {
      caller,
      request,
      signal,
      key,
    }: {
      readonly caller: Caller
      readonly request: SqlRequest
      readonly signal: CancelSignal
      readonly key: string
    },
  ): Promise<SqlOutcome> {
    const { rooms, settings, log } = this.#options
    checkRepeatable(plan, request)
    const outcomeKey: OutcomeKey = { userId: caller.userId, key, digest: requestDigest(request) }
    const leavesState = sessionNeeds(plan, request)?.leavesState ?? false
    const session = rooms.engine.openSession({ leavesState, ...this.#leaseOf(caller) })
    const system = rooms.queries.within(session)
    try {
      await this.#hold(session, signal)
      const first = await findOutcome(system, outcomeKey)
      if (first !== undefined) return { results: first, replayed: true }
      runner.enter(session, { reuse: !leavesState })
      await runner.runText('BEGIN', caller.identity)
      const results = await this.#runEach(plan, runner)
      await keepOutcome(system, outcomeKey, { results, bytesMax: settings.idempotencyBytesMax })
      await runner.runText('COMMIT', caller.identity)
      return { results, replayed: false }
    } finally {
      session.close().catch((cause: unknown) => log.failed(cause))
    }
  }

  /**
   * Reads through a cursor that outlives its transaction: PostgreSQL keeps the rows (past work_mem
   * in a file), and the engine is free between pieces.
   */
  async *#streamCursor(
    statement: ReadyStatement & { kind: 'sql' },
    runner: StatementRunner,
  ): AsyncGenerator<StreamPart> {
    const { identity } = statement
    // Cursors share the backend: 128 random bits keep others from guessing the name.
    const cursor = quoteIdentifier(`kalam_${randomBytes(16).toString('hex')}`)
    runner.runOnce()
    try {
      await runner.runWrapped(statement, `DECLARE ${cursor} NO SCROLL CURSOR WITH HOLD FOR `)
      yield* this.#pieces(cursor, identity, runner)
    } finally {
      runner.finish()
      await this.#closeCursor(cursor, identity)
    }
  }

  /** A piece is sized by the rows of the one before; rows may grow this much from one to the next. */
  #pieceBytesMax(): number {
    const { resultBytesMax, streamPieceBytes } = this.#options.settings
    return Math.max(resultBytesMax, streamPieceBytes * pieceOverrun)
  }

  async *#pieces(
    cursor: string,
    identity: Caller['identity'],
    runner: StatementRunner,
  ): AsyncGenerator<StreamPart> {
    const { streamPieceRows, streamPieceBytes } = this.#options.settings
    const { generation } = this.#options.rooms.engine
    let rows = Math.min(streamPieceRows, firstPieceRows)
    let total = 0
    for (let first = true; ; first = false) {
      const result = await this.#fetch(cursor, rows, { identity, runner, generation })
      const { columns, frames, rowCount } = await runner.outcomeOf(result)
      if (first) yield { kind: 'columns', columns }
      if (rowCount > 0) yield { kind: 'rows', frames }
      total += rowCount
      if (rowCount < rows) break
      const rowBytes = Math.max(1, frames.length / rowCount)
      const fitting = Math.floor(streamPieceBytes / rowBytes)
      rows = Math.max(1, Math.min(streamPieceRows, fitting, rows * pieceGrowth))
    }
    yield { kind: 'end', command: 'SELECT', rowCount: total }
  }

  /** A restart of the engine takes the cursor along, and so may whoever needs memory: the stream is over, and that is why. */
  async #fetch(
    cursor: string,
    rows: number,
    of: {
      readonly identity: Caller['identity']
      readonly runner: StatementRunner
      readonly generation: number
    },
  ): Promise<RawResult> {
    try {
      return await of.runner.runText(`FETCH FORWARD ${rows} FROM ${cursor}`, of.identity)
    } catch (error) {
      if (of.generation !== this.#options.rooms.engine.generation)
        throw new DbError(
          'ENGINE_RESTARTED',
          'the engine was restarted in the middle of the stream',
          {
            hint: 'ask again',
          },
        )
      throw isClosedCursor(error) ? streamTooLarge() : error
    }
  }

  async #closeCursor(cursor: string, identity: Caller['identity']): Promise<void> {
    const limits = {
      searchPath: defaultPath,
      timeoutMs: 10_000,
      waitMs: 600_000,
      replyBytesMax: 65_536,
      freesRoom: true,
    }
    const runner = new StatementRunner(this.#options.rooms, limits, new AbortController().signal)
    runner.runOnce()
    try {
      await runner.runText(`CLOSE ${cursor}`, identity)
    } catch (error) {
      // Never opened, or gone with the engine.
      if (!(error instanceof DbError)) throw error
    } finally {
      runner.finish()
    }
  }

  /** `index` is the statement's place in the request, for errors. */
  async #runLogged(
    runner: StatementRunner,
    statement: ReadyStatement,
    index: number,
  ): Promise<StatementOutcome> {
    const { log } = this.#options
    const startedAt = performance.now()
    try {
      const outcome = await runner.run(statement)
      log.succeeded(statement, outcome.command, performance.now() - startedAt)
      return outcome
    } catch (error) {
      log.rejected(statement, error, performance.now() - startedAt)
      throw error instanceof DbError ? error.with({ statement: index }) : error
    }
  }

  #tooLarge(statement: number): DbError {
    const { resultBytesMax } = this.#options.settings
    return new DbError('RESULT_TOO_LARGE', `the results are larger than ${resultBytesMax} bytes`, {
      statement,
      hint: 'stream a single statement with Accept: application/x-ndjson',
    })
  }
}

/** Rows of the first piece, before it is known how long they are. */
const firstPieceRows = 100
/** How much longer in rows a piece may be than the one before. */
const pieceGrowth = 4
/** How many times the bytes meant for it a piece may take. */
const pieceOverrun = 4

const defaultPath = ['public']

function searchPathOf(namespace: string | undefined): readonly string[] {
  return namespace === undefined ? defaultPath : [namespace, 'public']
}

function beginText({ isolation, readOnly, deferrable }: TransactionMode): string {
  const modes = [
    ...(isolation === undefined ? [] : [`ISOLATION LEVEL ${isolation}`]),
    ...(readOnly === true ? ['READ ONLY'] : []),
    ...(deferrable === true ? ['DEFERRABLE'] : []),
  ]
  return `BEGIN ${modes.join(', ')}`
}

function* partsOf({ columns, frames, command, rowCount }: StatementOutcome): Generator<StreamPart> {
  yield { kind: 'columns', columns }
  yield { kind: 'rows', frames }
  yield { kind: 'end', command, rowCount }
}

function checkRepeatable(plan: RequestPlan, request: SqlRequest): void {
  if (plan.statements.length > 1 && !request.transaction)
    throw new DbError(
      'BAD_REQUEST',
      'several statements under an Idempotency-Key need "transaction": true',
    )
  if (plan.statements.some((statement) => statement.kind === 'kalam'))
    throw new DbError('BAD_REQUEST', 'statements about users and keys take no Idempotency-Key', {
      hint: 'CREATE USER IF NOT EXISTS may be sent again safely',
    })
  if (plan.hasTransactionControl)
    throw new DbError('BAD_REQUEST', 'BEGIN, COMMIT and ROLLBACK take no Idempotency-Key')
}

/** The answer tells, not the text: COMMIT AND CHAIN looks like an end. */
function isInTransaction(last: StatementOutcome | undefined): boolean {
  const status = last === undefined ? undefined : transactionStatus(last.frames)
  return status === 'T' || status === 'E'
}

function leftOpen(): DbError {
  return new DbError(
    'QUERY_REJECTED',
    'the request ended inside a transaction, which was rolled back',
    {
      sqlState: '25P01',
      hint: 'end it with COMMIT, or send "transaction": true',
    },
  )
}

/** Nobody else closes cursors of streams but the engine, for its memory. */
function isClosedCursor(error: unknown): boolean {
  return error instanceof DbError && error.sqlState === '34000'
}

function streamTooLarge(): DbError {
  return new DbError(
    'OUT_OF_RESOURCES',
    "the rest of the result is gone: it took too much of the engine's memory",
    {
      sqlState: '53400',
      hint: 'engine.session_bytes_max is the bound of one result, engine.sessions_bytes_max of all; it is long rows that take so much',
    },
  )
}
