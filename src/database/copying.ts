/**
 * COPY for doors that carry its data in a request. In: all of the data comes to the spool, then
 * the engine reads it. Out: the engine writes to the spool, and the reader takes it from there. The
 * engine is held for as long as it works, never for as long as a caller is slow (ADR 0015).
 */
import { createHash } from 'node:crypto'
import type { CopyTraits } from '../dialect/plan.js'
import type { CopyStream, Session } from '../engine/engine.js'
import { DbError } from '../errors.js'
import type { AdvisoryLocks } from './advisory-locks.js'
import { CopyPayload } from './copy-payload.js'
import type {
  Caller,
  CancelSignal,
  Copying,
  CopyRequest,
  SqlOutcome,
  SqlRequest,
  StatementOutcome,
} from './database.js'
import { findOutcome, keepOutcome, requestDigest, type OutcomeKey } from './idempotency.js'
import type { RequestPlan } from './request-plan.js'
import { rowFrames } from './row-frames.js'
import type { Spool, Spools } from './spool.js'
import type { StatementLog } from './statement-log.js'
import type { ReadyStatement, RunnerRooms, StatementRunner } from './statement-runner.js'
import { waitForLocks } from './wait-for-locks.js'

export interface CopyRooms {
  readonly rooms: RunnerRooms
  readonly spools: Spools
  readonly log: StatementLog
  readonly locks: AdvisoryLocks
  readonly settings: {
    readonly statementTimeoutMs: number
    readonly copyBytesMax: number
    readonly idempotencyBytesMax: number
  }
  /** Takes the engine for a session, for as long as the caller waits. */
  readonly hold: (session: Session, signal: CancelSignal) => Promise<void>
}

export interface CopyParts {
  readonly caller: Caller
  readonly request: SqlRequest
  readonly plan: RequestPlan
  readonly signal: CancelSignal
  /** Made anew for each run. */
  readonly openRunner: () => StatementRunner
}

/** A request without parameters, as which a COPY is planned and known again. */
export function sqlRequestOf({ sql, namespace, idempotencyKey }: CopyRequest): SqlRequest {
  return { sql, namespace, idempotencyKey, parameters: noParameters, transaction: false }
}

const noParameters = { single: [], each: undefined } as const

/** Errors: BAD_REQUEST if the text is anything else. */
export function createCopying(rooms: CopyRooms, parts: CopyParts): Copying {
  const statements = readStatements(parts.plan)
  const { direction, format, isUtf8 } = statements.traits
  if (direction === 'from')
    return { kind: 'from', run: (data) => copyIn(rooms, { ...parts, ...statements }, data) }
  if (parts.request.idempotencyKey !== undefined)
    throw new DbError('BAD_REQUEST', 'COPY … TO STDOUT takes no Idempotency-Key', {
      hint: 'its answer is not kept; ask again',
    })
  return { kind: 'to', format, isUtf8, read: () => copyOut(rooms, { ...parts, ...statements }) }
}

type SqlStatement = ReadyStatement & { readonly kind: 'sql' }

interface CopyStatements {
  readonly settings: readonly SqlStatement[]
  readonly copy: SqlStatement
  readonly traits: CopyTraits
}

type CopyTask = CopyParts & CopyStatements

function readStatements({ statements }: RequestPlan): CopyStatements {
  const sql = statements.flatMap((statement) => (statement.kind === 'sql' ? [statement] : []))
  const copy = sql.at(-1)
  const settings = sql.slice(0, -1)
  const traits = copy?.plan.copy
  const isWell = sql.length === statements.length && settings.every(({ plan }) => plan.isSetting)
  if (copy !== undefined && traits !== undefined && isWell) return { settings, copy, traits }
  throw new DbError('BAD_REQUEST', 'this takes one COPY … FROM STDIN or TO STDOUT', {
    hint: 'SET may stand before it; other SQL goes to POST /v1/api/sql',
  })
}

async function copyIn(
  rooms: CopyRooms,
  task: CopyTask,
  data: AsyncIterable<Uint8Array>,
): Promise<SqlOutcome> {
  const spool = rooms.spools.open()
  try {
    const isRepeatable = task.request.idempotencyKey !== undefined
    const digest = await fill(spool, data, { bytesMax: rooms.settings.copyBytesMax, isRepeatable })
    return await execute(rooms, task, { stream: { input: spool }, digest })
  } finally {
    await spool.close()
  }
}

/** Takes all of the data. The digest is made only of what may be repeated: it costs some 2 ns a byte. */
async function fill(
  spool: Spool,
  data: AsyncIterable<Uint8Array>,
  { bytesMax, isRepeatable }: { readonly bytesMax: number; readonly isRepeatable: boolean },
): Promise<string> {
  const hash = isRepeatable ? createHash('sha256') : undefined
  let bytes = 0
  for await (const piece of data) {
    bytes += piece.length
    if (bytes > bytesMax)
      throw new DbError('REQUEST_TOO_LARGE', `the data is larger than ${bytesMax} bytes`, {
        hint: 'send it in parts; http.copy_body_bytes_max is the bound',
      })
    hash?.update(piece)
    await spool.write(piece)
  }
  spool.end()
  return hash?.digest('hex') ?? ''
}

async function* copyOut(rooms: CopyRooms, task: CopyTask): AsyncGenerator<Uint8Array> {
  const spool = rooms.spools.open()
  const running = copyTo(spool, rooms, task).catch((cause: unknown) => spool.fail(cause))
  try {
    yield* spool
  } finally {
    // Who still writes is told so, and that ends the statement.
    await spool.close()
    await running
  }
}

async function copyTo(spool: Spool, rooms: CopyRooms, task: CopyTask): Promise<void> {
  let isBegun = false
  const attempt = async (): Promise<void> => {
    const payload = new CopyPayload()
    // Kept back until more comes or all has gone well: a small COPY that fails has given nothing.
    let first: Uint8Array | undefined
    const output = async (bytes: Uint8Array): Promise<void> => {
      const data = payload.take(bytes)
      if (data.length === 0) return
      if (first === undefined && !isBegun) {
        first = data
        return
      }
      isBegun = true
      if (first !== undefined) await spool.write(first)
      first = undefined
      await spool.write(data)
    }
    await execute(rooms, task, { stream: { output }, digest: '' })
    if (first !== undefined) await spool.write(first)
  }
  const { locks, settings } = rooms
  await waitForLocks(attempt, {
    ...{ locks, signal: task.signal, timeoutMs: settings.statementTimeoutMs },
    mayWait: () => !isBegun,
  })
  spool.end()
}

interface CopyData {
  readonly stream: CopyStream
  readonly digest: string
}

async function execute(rooms: CopyRooms, task: CopyTask, data: CopyData): Promise<SqlOutcome> {
  const runner = task.openRunner()
  try {
    const isAlone = task.settings.length === 0 && task.request.idempotencyKey === undefined
    if (isAlone) return { results: [await copyLogged(rooms, task, runner, data)], replayed: false }
    return await inSession(rooms, task, { runner, data })
  } finally {
    runner.finish()
  }
}

/** With settings before it, or with its outcome kept: one transaction, as long as a statement may take. */
async function inSession(
  { rooms, settings, hold, log }: CopyRooms,
  task: CopyTask,
  how: { readonly runner: StatementRunner; readonly data: CopyData },
): Promise<SqlOutcome> {
  const { runner, data } = how
  const { identity } = task.caller
  const session = rooms.engine.openSession({ leaseMs: settings.statementTimeoutMs })
  try {
    await hold(session, task.signal)
    const system = rooms.queries.within(session)
    const key = outcomeKeyOf(task, data.digest)
    const first = key && (await findOutcome(system, key))
    if (first !== undefined) return { results: first, replayed: true }
    runner.enter(session, { reuse: false })
    await runner.runText('BEGIN', identity)
    for (const [index, setting] of task.settings.entries())
      await atStatement(index, () => runner.run(setting))
    const results = [await copyLogged({ log }, task, runner, data)]
    if (key !== undefined)
      await keepOutcome(system, key, { results, bytesMax: settings.idempotencyBytesMax })
    await runner.runText('COMMIT', identity)
    return { results, replayed: false }
  } finally {
    session.close().catch((cause: unknown) => log.failed(cause))
  }
}

function outcomeKeyOf({ caller, request }: CopyTask, digest: string): OutcomeKey | undefined {
  const { idempotencyKey } = request
  if (idempotencyKey === undefined) return undefined
  return { userId: caller.userId, key: idempotencyKey, digest: requestDigest(request, digest) }
}

/** Errors say which statement of the request they are of. */
async function atStatement<T>(index: number, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw error instanceof DbError ? error.with({ statement: index }) : error
  }
}

async function copyLogged(
  { log }: Pick<CopyRooms, 'log'>,
  { copy, settings }: CopyTask,
  runner: StatementRunner,
  { stream }: CopyData,
): Promise<StatementOutcome> {
  const startedAt = performance.now()
  try {
    const rowCount = await atStatement(settings.length, () => runner.copy(copy, stream))
    log.succeeded(copy, 'COPY', performance.now() - startedAt)
    return { command: 'COPY', columns: [], described: [], frames: rowFrames([]), rowCount }
  } catch (error) {
    log.rejected(copy, error, performance.now() - startedAt)
    throw error
  }
}
