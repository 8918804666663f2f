/**
 * What a session sends to the engine and what its client hears. Steps gather until a Flush or Sync;
 * then they run as one unit, or as one for each identity:
 *
 *   add, add, add ──► parts, by identity ──► unit … Flush, unit … Sync ──► engine
 *                                   client ◄── replies, read along the steps
 *
 * After an error all is passed over until Sync, as PostgreSQL does. A unit that fails for an advisory
 * lock runs again when that is free, if its transaction has done nothing before it.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { transactionStatus } from '../../engine/backend-messages.js'
import type { CopyStream, Identity, Reply, Session } from '../../engine/engine.js'
import { DbError } from '../../errors.js'
import type { AdvisoryLock, LockTurn } from '../advisory-locks.js'
import { asideMessages } from './aside.js'
import { clientMessage, clientTag } from './client-messages.js'
import type { Outbox } from './outbox.js'
import { PartedReply } from './parted-reply.js'
import { failEach, readReply, type ReplyRead, type Step } from './read-reply.js'
import { errorMessage, readyForQuery, type TransactionStatus } from './server-messages.js'
import { hasTaken, missedLockIn, type SessionLocks } from './session-locks.js'
import { TransactionOpening, unprepare, type OpeningUnit } from './transaction-opening.js'

export interface PipelineLimits {
  readonly searchPath: string
  readonly timeoutMs: number
  readonly waitMs: number
  /** An answer to the client that is longer comes in parts. */
  readonly replyBytesMax: number
}

export interface PipelineOptions {
  readonly session: Session
  readonly outbox: Outbox
  readonly locks: SessionLocks
  /** Largest answer to what is asked beside. */
  readonly asideBytesMax: number
  /** Who Sync and what we refuse run as. */
  readonly identity: Identity
  readonly limits: () => PipelineLimits
  /** DDL was done, by a function perhaps. */
  readonly onSchemaChange: () => void
  /** A temporary object was made, likewise. */
  readonly onTemporary: () => void
  /** ReadyForQuery came: nothing is pending. */
  readonly onReady: (status: TransactionStatus, hasFailed: boolean) => void
  /** What else is to be said before ReadyForQuery. */
  readonly beforeReady: (status: TransactionStatus) => readonly Uint8Array[]
}

/** Where messages go: see Outbox. */
export type Outlet = Pick<Outbox, 'send' | 'sendLast'>

export interface RunOptions {
  /** The data of a COPY in it. */
  readonly copy?: CopyStream | undefined
}

export interface SyncOptions {
  /** The client asked for no ReadyForQuery. */
  readonly hidden?: boolean
}

interface Part {
  readonly identity: Identity
  readonly messages: Uint8Array[]
  readonly steps: Step[]
}

/** Of a unit: the client hears nothing of a hidden Sync. */
type End = 'flush' | 'sync' | 'hidden-sync'

const begin = statementMessages('BEGIN')
const rollBack = statementMessages('ROLLBACK')
const syncMessage = clientMessage(clientTag.sync)
const flushMessage = clientMessage(clientTag.flush)
const none: readonly Uint8Array[] = []
const noBytes = new Uint8Array(0)
const noSteps: readonly Step[] = []

/** A message up to this is said whole, though its reply comes in parts. */
const wholeBytesMax = 1024 * 1024

/** For ever, and yet a wait: others who have the engine have their deadlines. */
const longestWaitMs = Number.MAX_SAFE_INTEGER

/** How often a transaction is kept from being idle while its client takes rows. */
const busyMs = 250

function statementMessages(text: string): readonly Uint8Array[] {
  const { prepare, execute } = asideMessages(text)
  return [...prepare, execute]
}

export class Pipeline {
  readonly #options: PipelineOptions
  #parts: Part[] = []
  #status: TransactionStatus = 'I'
  /** The engine has read messages after which no Sync came yet. */
  #isOpen = false
  /** An answer was lost, and with it what it said of the transaction. */
  #isUnsure = false
  #passesOver = false
  #isOver = false
  /** The last step added is one that fails. */
  #isRefused = false
  /** Said before anything else. */
  readonly #unsaid: Uint8Array[] = []
  #isCancelled = false
  #onCancel: (() => void) | undefined
  #hasExecutes = false
  /** Some Execute since the last Sync may have changed something. */
  #hasChanges = false
  /** The unit that runs, and its answer if that comes in parts. */
  #running: readonly Step[] = noSteps
  #parted: PartedReply | undefined
  /** Of a COPY that a Query ends with, whose Sync is a unit of its own: see ReplyRead. */
  #withheld: Uint8Array | undefined
  /** Takes what is said, if it is not for the client yet. */
  #kept: Outlet | undefined
  /** What was to be said before the last ReadyForQuery. */
  #lastHeard: readonly Uint8Array[] = none
  readonly #takePart = (part: Uint8Array): Promise<void> => this.#readPart(part)
  #tookMs = 0
  readonly #opening = new TransactionOpening()

  constructor(options: PipelineOptions) {
    this.#options = options
  }

  /** As of the last ReadyForQuery. */
  get status(): TransactionStatus {
    return this.#status
  }

  /** The engine is this session's own at the moment. */
  get isEngaged(): boolean {
    return this.#isOpen || this.#status !== 'I'
  }

  /** Messages ran or wait to run that no Sync has ended yet. */
  get isOpen(): boolean {
    return this.#isOpen || this.#parts.length > 0
  }

  /** The engine has ended the session: what was thrown is no error of a statement. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** The client has not taken all that was said. */
  get isBehind(): boolean {
    return this.#options.outbox.isBehind
  }

  /** A statement was executed, or waits to be, that no Sync has ended yet. */
  get hasExecutes(): boolean {
    return this.#hasExecutes
  }

  /** Of what no Sync has ended yet, all only reads, as far as its text says. */
  get onlyReads(): boolean {
    return !this.#hasChanges
  }

  /** Something failed, or is going to: all is passed over until Sync. */
  get passesOver(): boolean {
    return this.#passesOver || this.#isRefused
  }

  /** How long each Execute of the present unit took, on average. */
  get tookMs(): number {
    return this.#tookMs
  }

  /** `message`: one for each step, in one piece. */
  add(identity: Identity, message: Uint8Array, ...steps: readonly Step[]): void {
    for (const step of steps)
      if (step.does !== undefined) {
        this.#hasExecutes = true
        this.#hasChanges ||= step.does !== 'reads'
      }
    const last = this.#parts.at(-1)
    if (last !== undefined && isSame(last.identity, identity)) {
      last.messages.push(message)
      last.steps.push(...steps)
    } else this.#parts.push({ identity, messages: [message], steps: [...steps] })
  }

  /** The statement fails with this error, and with it what it stands in. */
  refuse(error: DbError): void {
    if (this.#parts.length === 0 && !this.isEngaged) {
      this.#passesOver = true
      this.#unsaid.push(errorMessage(error))
      return
    }
    this.#isRefused = true
    this.add(this.#options.identity, failingMessage, { hides: 'nothing', refusal: error })
  }

  /** Says something of ours at the next Sync, where nothing else is pending before it. */
  sayLocally(message: Uint8Array): void {
    this.#unsaid.push(message)
  }

  /** Says something of ours, after the answers to all that was added before. */
  async say(...messages: readonly Uint8Array[]): Promise<void> {
    await this.flush()
    if (!this.#passesOver) await this.#send(messages)
  }

  /** Runs what is pending. */
  async flush(how: RunOptions = {}): Promise<void> {
    await this.#sendUnsaid()
    for (const part of this.#takeParts())
      if (this.#passesOver) passOver(part)
      else await this.#run(part, 'flush', how)
  }

  /** Runs what is pending and ends it. */
  async sync({ hidden = false }: SyncOptions = {}): Promise<void> {
    await this.#sendUnsaid()
    const parts = this.#takeParts()
    let isReady = false
    for (const [index, part] of parts.entries()) {
      if (this.#passesOver) {
        passOver(part)
        continue
      }
      const end = index < parts.length - 1 ? 'flush' : hidden ? 'hidden-sync' : 'sync'
      isReady = (await this.#run(part, end))?.status !== undefined
    }
    if (!isReady && (this.#isOpen || this.#isUnsure))
      isReady = (await this.#runSync(hidden))?.status !== undefined
    const hasFailed = this.#passesOver
    // The client has sent no Sync: all up to it is still passed over.
    this.#passesOver = hidden && hasFailed
    this.#isRefused = false
    this.#isOpen = false
    this.#hasExecutes = false
    if (!isReady) this.#options.onReady(this.#status, hasFailed)
    if (!isReady && !hidden) await this.#sayReady([...this.#heard(), readyForQuery(this.#status)])
    this.#hasChanges = false
  }

  /** The client asks to end what runs: of its own, for without the rest nobody knows where it stands. */
  cancel(): void {
    this.#isCancelled = true
    this.#onCancel?.()
    if (this.#running.length > 0) this.#options.session.cancel()
  }

  /** What was cancelled until now is over. */
  begin(): void {
    this.#isCancelled = false
  }

  /** Waits for the client; `stop` makes it end when the client cancels: CANCELLED. */
  async whileUncancelled<T>(waiting: Promise<T>, stop: () => void): Promise<T> {
    this.#onCancel = stop
    if (this.#isCancelled) stop()
    try {
      const value = await waiting
      if (this.#isCancelled) throw cancelled()
      return value
    } catch (error) {
      // In PostgreSQL's words, whatever the waiting made of it.
      throw this.#isCancelled && error instanceof DbError ? cancelled() : error
    } finally {
      this.#onCancel = undefined
    }
  }

  /**
   * Runs what is pending and ends it, though the client has not: what that says is kept for it. So
   * others have the engine while the client takes it.
   */
  async runAhead(kept: Outlet): Promise<void> {
    this.#kept = kept
    try {
      await this.sync({ hidden: true })
    } finally {
      this.#kept = undefined
    }
    // The client hears of an error at its place, but for its own.
    this.#passesOver = false
    if (this.#isCancelled) throw cancelled()
  }

  /** Says what was kept. `hasFailed`: an error came last, so all is passed over until Sync. */
  async sayKept(say: (outlet: Outlet) => Promise<{ readonly hasFailed: boolean }>): Promise<void> {
    await this.flush()
    if (this.passesOver) return
    const { hasFailed } = await say(this.#outlet)
    if (hasFailed) this.#passesOver = true
  }

  get #outlet(): Outlet {
    return this.#kept ?? this.#options.outbox
  }

  #heard(): readonly Uint8Array[] {
    this.#lastHeard = this.#options.beforeReady(this.#status)
    return this.#lastHeard
  }

  /** Runs messages of our own as the system or the caller, after all that is pending. */
  async runAside(
    identity: Identity,
    messages: readonly Uint8Array[],
    copy?: CopyStream,
  ): Promise<Reply> {
    await this.flush()
    const end = this.#isOpen ? flushMessage : syncMessage
    const { session, limits, asideBytesMax: replyBytesMax } = this.#options
    const bytes = Buffer.concat([...messages, end])
    return session.run({ ...limits(), replyBytesMax, bytes, identity, copy })
  }

  #takeParts(): Part[] {
    const parts = this.#parts
    this.#parts = []
    return parts
  }

  #runSync(hidden: boolean): Promise<ReplyRead | undefined> {
    const part = { identity: this.#options.identity, messages: [], steps: [] }
    return this.#run(part, hidden ? 'hidden-sync' : 'sync')
  }

  /** Undefined if the engine gave no answer; then why was said. */
  async #run(part: Part, end: End, how: RunOptions = {}): Promise<ReplyRead | undefined> {
    if (this.#isCancelled && part.steps.length > 0) return this.#runCancelled(part, end)
    const reply = await this.#runUnit(part, end === 'flush' ? flushMessage : syncMessage, how)
    return reply === undefined ? undefined : this.#read(reply, part, end)
  }

  /** Between its units nothing runs that a cancel could end: what is next fails in its place. */
  #runCancelled(part: Part, end: End): Promise<ReplyRead | undefined> {
    passOver(part)
    this.#isCancelled = false
    const { identity } = this.#options
    const step = { hides: 'nothing', refusal: cancelled() } as const
    return this.#run({ identity, messages: [failingMessage], steps: [step] }, end)
  }

  async #read(reply: Reply, part: Part, end: End): Promise<ReplyRead> {
    const withheld = this.#parted?.withheld ?? this.#takeWithheld()
    const read = readReply(reply, this.#stepsLeft(part), {
      hidesReady: end === 'hidden-sync',
      isPart: end === 'flush',
      withheld,
      schemaChanged: this.#options.onSchemaChange,
      lockHeard: (text) => this.#options.locks.heard(text),
      madeTemporary: this.#options.onTemporary,
      beforeReady: (status, hasFailed) => this.#becomeReady(status, hasFailed),
    })
    if (end === 'flush') {
      this.#isOpen = true
      this.#withheld = read.withheld
    }
    if (!this.isEngaged) this.#opening.ended()
    else if (!this.#opening.isOver)
      this.#opening.ran({ ...part, end: end === 'flush' ? flushMessage : syncMessage })
    if (read.hasFailed) this.#passesOver = true
    if (read.pieces.length === 0) return read
    if (end === 'sync') {
      const saying = this.#sayReady(read.pieces)
      if (saying !== undefined) await saying
    } else if (read.hasFailed) await this.#outlet.sendLast(Buffer.concat(read.pieces))
    else await this.#sendOrRefuse(read.pieces)
    return read
  }

  /** What has run and cannot be said is undone. */
  async #sendOrRefuse(messages: readonly Uint8Array[]): Promise<void> {
    try {
      await this.#send(messages)
    } catch (error) {
      if (!(error instanceof DbError) || !isFull.has(error.code)) throw error
      if (this.#kept !== undefined) void this.#kept.sendLast(errorMessage(error))
      else {
        this.refuse(error)
        await this.flush()
      }
    }
  }

  #takeWithheld(): Uint8Array | undefined {
    const withheld = this.#passesOver ? undefined : this.#withheld
    this.#withheld = undefined
    return withheld
  }

  /** Those of a unit whose answers have not come in parts. */
  #stepsLeft({ steps }: Part): readonly Step[] {
    const parted = this.#parted
    this.#parted = undefined
    return parted === undefined ? steps : parted.stepsLeft
  }

  /** The steps of what runs know what of its answer is for the client. */
  #readPart(part: Uint8Array): Promise<void> {
    this.#parted ??= new PartedReply(this.#running, {
      hidesReady: false,
      schemaChanged: this.#options.onSchemaChange,
      madeTemporary: this.#options.onTemporary,
      lockHeard: (text) => this.#options.locks.heard(text),
      beforeReady: () => none,
      wholeBytesMax,
      say: (bytes, following) => this.#outlet.send(bytes, following),
    })
    return this.#parted.take(part)
  }

  /** ReadyForQuery came; what is to be said before it. */
  #becomeReady(status: TransactionStatus, hasFailed: boolean): readonly Uint8Array[] {
    this.#status = status
    this.#isOpen = false
    this.#isUnsure = false
    this.#options.onReady(status, hasFailed || this.#passesOver)
    return this.#heard()
  }

  async #runUnit(part: Part, end: Uint8Array, { copy }: RunOptions): Promise<Reply | undefined> {
    const { session, limits, asideBytesMax } = this.#options
    const bytes = Buffer.concat([...part.messages, end])
    const startedAt = performance.now()
    const settle = (): void => {
      const executes = part.steps.filter(({ does }) => does !== undefined).length
      this.#tookMs = (performance.now() - startedAt) / Math.max(1, executes)
    }
    this.#running = part.steps
    this.#parted = undefined
    try {
      const { identity } = part
      const unit =
        copy === undefined
          ? {
              ...limits(),
              bytes,
              identity,
              takePart: this.#takePart,
              endsLease: this.#kept !== undefined,
            }
          : { ...limits(), bytes, identity, copy, replyBytesMax: asideBytesMax }
      const first = await session.run(unit)
      const missed = copy === undefined && this.#isUnsaid() ? missedLockIn(first) : undefined
      const reply =
        missed === undefined ? first : await this.#onceLocked(missed, { failed: first, part, end })
      this.#running = noSteps
      settle()
      return reply
    } catch (error) {
      this.#running = noSteps
      if (!(error instanceof DbError)) throw error
      if (!nothingRan.has(error.code)) this.#options.locks.lost()
      if (endsConnection.has(error.code)) {
        this.#isOver = true
        throw inPostgresWords(error)
      }
      settle()
      failEach(this.#stepsLeft(part), error)
      this.#withheld = undefined
      this.#passesOver = true
      // Behind another's transaction nothing of its own is open, and a Sync would wait for that.
      const isBehind = session.mustWait && !this.isEngaged
      if (!nothingRan.has(error.code) && !isBehind) this.#isUnsure = true
      // It may not have begun: of what it stands in PostgreSQL knows no error then.
      if (error.code === 'CANCELLED' && this.isEngaged) await this.#runFailing()
      await this.#outlet.sendLast(errorMessage(inPostgresWords(error)))
      return undefined
    }
  }

  /** What comes of a unit that failed for an advisory lock, when it has waited for that. */
  async #onceLocked(
    first: AdvisoryLock,
    {
      failed,
      part,
      end,
    }: { readonly failed: Reply; readonly part: Part; readonly end: Uint8Array },
  ): Promise<Reply> {
    let reply = failed
    let had: AdvisoryLock | undefined
    for (let missed: AdvisoryLock | undefined = first; missed !== undefined;) {
      // Who had its turn, and yet may not have the lock, is told so.
      if (missed.slot === had?.slot || !this.#mayWait(part)) break
      had = missed
      const turn = await this.#waitFor(had, reply, end)
      let isTaken = false
      try {
        await this.#openAgain(part.messages)
        if (this.#isCancelled) throw cancelled()
        const bytes = Buffer.concat([...part.messages, end])
        const { session, limits } = this.#options
        const { identity } = part
        reply = await session.run({ ...limits(), bytes, identity, takePart: this.#takePart })
        isTaken = hasTaken(reply, had)
      } finally {
        turn.end(isTaken)
      }
      missed = missedLockIn(reply)
    }
    return reply
  }

  /** Nothing of the answer to what runs was passed on in parts, or is kept. */
  #isUnsaid(): boolean {
    return this.#parted === undefined && this.#kept === undefined
  }

  /** Whether nothing is lost, and nothing done twice, when all up to now runs again. */
  #mayWait({ steps }: Part): boolean {
    const doings = steps.flatMap(({ does }) => does ?? [])
    // After a statement PostgreSQL is in a block, an implicit one if in no other.
    const isInBlock = this.#status === 'T' || this.#opening.isBegun || doings[0] !== 'commits'
    return !this.#opening.isOver && isInBlock && !doings.includes('lasts')
  }

  /** Gives the engine up to wait. Where that fails, a transaction is left as a failed one. */
  async #waitFor(lock: AdvisoryLock, failed: Reply, end: Uint8Array): Promise<LockTurn> {
    const { identity, locks } = this.#options
    const ended = end === flushMessage ? await this.#runBytes(identity, syncMessage) : failed
    const isInBlock = transactionStatus(ended) !== 'I'
    if (isInBlock) await this.#runBytes(identity, Buffer.concat([...rollBack, syncMessage]))
    this.#onCancel = () => locks.cancel()
    try {
      if (this.#isCancelled) throw cancelled()
      return await locks.wait(lock, failed)
    } catch (error) {
      if (isInBlock) await this.#begin([{ identity, messages: [...begin, failingMessage], end }])
      throw error
    } finally {
      this.#onCancel = undefined
    }
  }

  /** Brings the transaction to where it was, after statements of `messages` were dropped. */
  async #openAgain(messages: readonly Uint8Array[]): Promise<void> {
    const { identity } = this.#options
    const drops = unprepare(messages)
    if (drops.length > 0) await this.#runBytes(identity, Buffer.concat([...drops, syncMessage]))
    await this.#begin(this.#opening.again())
  }

  async #begin(units: readonly Omit<OpeningUnit, 'steps'>[]): Promise<void> {
    const running = this.#running
    // Not for a cancel to end: what comes after it is.
    this.#running = noSteps
    try {
      for (const { identity, messages, end } of units)
        await this.#runBytes(identity, Buffer.concat([...messages, end]), longestWaitMs)
    } catch (cause) {
      // The client believes in it: what it sends next must not run outside of it.
      const message = 'the transaction could not be begun again after a wait for an advisory lock'
      throw new DbError('UNAVAILABLE', message, { sqlState: '57P01' }, { cause })
    } finally {
      this.#running = running
    }
  }

  #runBytes(identity: Identity, bytes: Uint8Array, waitMs?: number): Promise<Reply> {
    const { session, limits } = this.#options
    const all = limits()
    return session.run({ ...all, waitMs: waitMs ?? all.waitMs, bytes, identity })
  }

  async #sendUnsaid(): Promise<void> {
    if (this.#unsaid.length > 0) await this.#send(this.#unsaid.splice(0))
  }

  async #send(messages: readonly Uint8Array[]): Promise<void> {
    const [first] = messages
    if (first === undefined) return
    const sent = this.#outlet.send(messages.length === 1 ? first : Buffer.concat(messages))
    if (sent !== undefined) await sent
  }

  /** What ends with ReadyForQuery: only when the client has taken all before it. */
  #sayReady(messages: readonly Uint8Array[]): undefined | Promise<void> {
    const { outbox } = this.#options
    if (this.isBehind) return this.#sayReadyLate(messages)
    const [first = noBytes] = messages
    const sent = outbox.send(messages.length === 1 ? first : Buffer.concat(messages))
    return sent ?? (outbox.isBehind ? this.#untilTaken() : undefined)
  }

  async #sayReadyLate(messages: readonly Uint8Array[]): Promise<void> {
    const isDropped = await this.#wasDropped()
    // What has failed has said so.
    if (isDropped && !this.#passesOver) {
      if (this.#status === 'T') await this.#failTransaction()
      const ready = readyForQuery(this.#status)
      await this.#send([errorMessage(dropped()), ...this.#lastHeard, ready])
    } else await this.#send(messages)
    await this.#untilTaken()
  }

  async #untilTaken(): Promise<void> {
    await this.#keepBusy(this.#options.outbox.taken())
  }

  /**
   * Waits until the client has taken what it is late with. True if it wanted the rest no more, and that is
   * gone. What has changed something is not said to have been cancelled.
   */
  async #wasDropped(): Promise<boolean> {
    const { outbox } = this.#options
    const isDroppable = !this.#hasChanges
    this.#onCancel = () => {
      if (isDroppable) outbox.drop()
    }
    if (this.#isCancelled) this.#onCancel()
    try {
      return await this.#keepBusy(outbox.taken())
    } finally {
      this.#onCancel = undefined
    }
  }

  /** Who takes rows inside of a transaction is not idle in it. */
  async #keepBusy(taking: Promise<boolean>): Promise<boolean> {
    const { outbox, identity } = this.#options
    if (this.#status === 'I') return taking
    let takenBytes = 0
    for (;;) {
      const hasDropped = await Promise.race([taking, wait(busyMs, undefined, { ref: false })])
      if (hasDropped !== undefined) return hasDropped
      if (outbox.takenBytes > takenBytes) await this.runAside(identity, [])
      takenBytes = outbox.takenBytes
    }
  }

  async #failTransaction(): Promise<void> {
    await this.#runFailing()
    this.#status = 'E'
    this.#options.onReady('E', true)
  }

  async #runFailing(): Promise<void> {
    await this.runAside(this.#options.identity, [failingMessage])
  }
}

function passOver({ steps }: Part): void {
  for (const step of steps.toReversed()) step.failed?.(undefined)
}

/** For a CancelRequest, in PostgreSQL's words. */
export function cancelled(): DbError {
  return new DbError('CANCELLED', 'canceling statement due to user request')
}

function dropped(): DbError {
  const detail = 'The statement had run to its end; the rest of its result was dropped.'
  return cancelled().with({ detail })
}

/** The transaction is gone, or the session, or the engine. */
const endsConnection: ReadonlySet<string> = new Set([
  'TRANSACTION_TIMEOUT',
  'SESSION_TOO_LARGE',
  'ENGINE_RESTARTED',
  'UNAVAILABLE',
])

/** There is no room for what the client does not take. */
const isFull: ReadonlySet<string> = new Set(['OUT_OF_RESOURCES', 'DISK_FULL'])

const nothingRan: ReadonlySet<string> = new Set(['LEASE_TIMEOUT', 'OVERLOADED'])

/** Binds a statement that is not there: PostgreSQL fails as it would by itself. */
const failingMessage = clientMessage(
  clientTag.bind,
  '',
  'kalam_refused',
  Uint8Array.of(0, 0, 0, 0, 0, 0),
)

function isSame(one: Identity, other: Identity): boolean {
  return (
    one === other ||
    (one.roleOid === other.roleOid &&
      one.userId === other.userId &&
      one.readOnly === other.readOnly)
  )
}

/** In PostgreSQL's words, which clients look for. */
export function inPostgresWords(error: DbError): DbError {
  const { code, fields, sqlState } = error
  const message = postgresMessages.get(code) ?? timeoutMessages.get(sqlState)
  if (message !== undefined) return new DbError(code, message, fields)
  if (code === 'SESSION_TOO_LARGE')
    return new DbError(code, `terminating connection: ${error.message}`, fields)
  if (code === 'LEASE_TIMEOUT')
    return error.with({
      hint: 'engine.lease_wait_ms is the bound; transactions have the engine one at a time',
    })
  return error
}

const timeoutMessages: ReadonlyMap<string, string> = new Map([
  ['25P03', 'terminating connection due to idle-in-transaction timeout'],
  ['25P04', 'terminating connection due to transaction timeout'],
])

const postgresMessages: ReadonlyMap<string, string> = new Map([
  ['CANCELLED', 'canceling statement due to user request'],
  ['STATEMENT_TIMEOUT', 'canceling statement due to statement timeout'],
])
