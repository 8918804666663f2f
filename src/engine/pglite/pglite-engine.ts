/**
 * The embedded engine: PGlite in a worker thread behind the engine's port. This file keeps account
 * of what is under way, gives each unit its deadlines, and starts the worker again when it dies.
 *
 *   starting ──► ready ──► restarting ──► ready …          closed
 *                             └── too often ──► failed
 */
import { DbError, assert } from '../../errors.js'
import type { Log } from '../../telemetry/log.js'
import type { Metrics } from '../../telemetry/metrics.js'
import {
  systemIdentity,
  type CopyStream,
  type Engine,
  type EngineStatus,
  type Notification,
  type Reply,
  type Session,
  type SessionOptions,
  type Unit,
} from '../engine.js'
import { firstError, lastTag } from '../backend-messages.js'
import type { Checkpoint } from './checkpointer.js'
import { CopyChannel, type CopyEnd } from './copy-channel.js'
import type { Control } from './control.js'
import { createDataFolder, openDatabaseFolder, removeLeftovers } from './data-folder.js'
import { lockFolder, type FolderLock } from './folder-lock.js'
import { markUnsynced, readUnsynced, settleUnsynced, type Unsynced } from './unsynced-mark.js'
import { action, outcome, type Action, type Aside, type Expiry, type Outcome } from './messages.js'
import { noSlot, type LastingSession, type PendingUnit } from './pending-unit.js'
import { PendingUnits } from './pending-units.js'
import { WaitedTime } from './waited-time.js'
import { WorkerLink } from './worker-link.js'

export interface PGliteEngineOptions {
  /** Folder that belongs to this server alone; made if it is not there. */
  readonly folder: string
  /** False leaves the moment of writing to the operating system. */
  readonly durable: boolean
  readonly sharedBuffersBytes: number
  readonly walBytesMax: number
  /** WAL after which a checkpoint is made. */
  readonly checkpointWalBytes: number
  /** Disk that sorts, hashes and streamed results may take together. */
  readonly temporaryBytesMax: number
  /** Most memory that PostgreSQL may have, `sharedBuffersBytes` included. */
  readonly memoryBytesMax: number
  /** What a session that lasts may keep of it between units, and all of them together. */
  readonly sessionBytesMax: number
  readonly sessionsBytesMax: number
  readonly stackMb: number
  /** Longest that a thread looks for what comes next before it sleeps; 0 for never. */
  readonly busyPollMs: number
  /** Longest a start may take, recovery included. */
  readonly startTimeoutMs: number
  readonly extensions: readonly string[]
  /** Units that may wait or run at once; past it OVERLOADED. */
  readonly queueMax: number
  readonly transactionTimeoutMs: number
  readonly idleTransactionTimeoutMs: number
  /** How long a cancelled unit may go on before the engine is restarted. */
  readonly cancelGraceMs: number
  /** Restarts within `restartWindowMs`; one more and the engine has failed. */
  readonly restartsMax: number
  readonly restartWindowMs: number
  readonly log: Log
  readonly metrics: EngineMetrics
  readonly diskModule?: string | undefined
}

/** What the engine tells of itself as it happens. */
export type EngineMetrics = Pick<
  Metrics,
  'walSynced' | 'leaseWaited' | 'engineRestarted' | 'checkpointed' | 'walWritten'
>

/** What the engine counts; read by metrics. */
export interface EngineCounters {
  readonly pending: number
  readonly unitsRun: number
  readonly walBytes: number
  readonly memoryBytes: number
  readonly restarts: number
}

/** How often deadlines are looked at; a deadline is met to within this. */
const tickMs = 10
/** Waiting units are looked at on every n-th tick. */
const waitCheckTicks = 5
const noBytes = new Uint8Array(0)

/** Opens the data folder and the engine on it. Errors: DATA_FOLDER, UNAVAILABLE. */
export async function openPGliteEngine(options: PGliteEngineOptions): Promise<PGliteEngine> {
  await createDataFolder(options.folder)
  const engine = new PGliteEngine(options)
  await engine.open()
  return engine
}

export class PGliteEngine implements Engine {
  readonly #options: PGliteEngineOptions
  readonly #pending = new PendingUnits()
  readonly #waited = new WaitedTime()
  readonly #restartedAt: number[] = []
  readonly #commitListeners = new Set<() => void>()
  /** Of sessions: told why one is over, though none of its units runs. */
  readonly #endListeners = new Map<number, (why: Expiry | DbError) => void>()
  readonly #notificationListeners = new Set<(notification: Notification) => void>()
  #lock: FolderLock | undefined
  #database = ''
  #unsynced: Unsynced = 'nothing'
  #link: WorkerLink | undefined
  #wasmModule: WebAssembly.Module | undefined
  #status: EngineStatus = { kind: 'restarting', cause: 'starting' }
  #generation = 0
  #restarts = 0
  #lastSerial = 0
  #lastSession = 0
  #tick: NodeJS.Timeout | undefined
  #ticks = 0
  #waitingForEngine: PendingUnit[] = []
  /** Serial → slot of units that were taken back and are still on the worker's list. */
  #givenBack = new Map<number, number>()
  #started: Promise<void> = Promise.resolve()
  #closing: Promise<void> | undefined

  constructor(options: PGliteEngineOptions) {
    this.#options = options
  }

  get generation(): number {
    return this.#generation
  }

  get status(): EngineStatus {
    return this.#status
  }

  get counters(): EngineCounters {
    const control = this.#link?.control
    return {
      pending: this.#pending.size,
      unitsRun: control?.unitsRun ?? 0,
      walBytes: control?.walBytes() ?? 0,
      memoryBytes: control?.memoryBytes ?? 0,
      restarts: this.#restarts,
    }
  }

  async open(): Promise<void> {
    this.#lock = await lockFolder(this.#options.folder, () =>
      this.#fail('the folder lock was lost'),
    )
    try {
      this.#database = await openDatabaseFolder(this.#options.folder)
      await this.#readMark()
      await this.#startWorker()
    } catch (cause) {
      await this.#link?.terminate()
      this.#lock.release()
      throw cause
    }
  }

  /** The machine ended while writes were not on its disk: the last of them may be gone. */
  get mayHaveLostTail(): boolean {
    return this.#unsynced === 'lost'
  }

  /** Whoever must know of the tail that may be lost has noted it, in this engine. */
  async acceptLostTail(): Promise<void> {
    await markUnsynced(this.#options.folder)
    this.#unsynced = 'some'
  }

  async #readMark(): Promise<void> {
    const { folder, durable } = this.#options
    this.#unsynced = readUnsynced(folder)
    if (durable || this.#unsynced !== 'nothing') return
    await markUnsynced(folder)
    this.#unsynced = 'some'
  }

  run(unit: Unit): Promise<Reply> {
    return this.submit(unit, action.run, withoutSession)
  }

  cancel(unit: Unit): void {
    // Rare, and a table from units to serials would cost every unit that is not cancelled.
    for (const pending of this.#pending.inOrder())
      if (pending.unit === unit)
        this.#cancel(pending.serial, new DbError('CANCELLED', 'the caller cancelled'))
  }

  openSession(options: SessionOptions = {}): Session {
    const id = this.#nextSession()
    const session = new PGliteSession(this, {
      ...options,
      id,
      leaseMs: options.leaseMs ?? this.#options.transactionTimeoutMs,
      idleMs: options.idleMs ?? this.#options.idleTransactionTimeoutMs,
      closed: () => this.#endListeners.delete(id),
      bounds: this.#options,
    })
    const { onExpired } = options
    if (onExpired !== undefined)
      this.#endListeners.set(id, (why) => {
        const error = session.expired(why)
        if (error !== undefined) onExpired(error)
      })
    return session
  }

  onCommit(listener: () => void): () => void {
    this.#commitListeners.add(listener)
    return () => this.#commitListeners.delete(listener)
  }

  onNotification(listener: (notification: Notification) => void): () => void {
    this.#notificationListeners.add(listener)
    return () => this.#notificationListeners.delete(listener)
  }

  /** The session that owns the engine; 0 for none. */
  get owner(): number {
    return this.#link?.control.owner ?? 0
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const wasReady = this.#status.kind === 'ready'
    this.#status = { kind: 'closed' }
    for (const { serial } of this.#pending.inOrder())
      this.#settle(serial, new DbError('UNAVAILABLE', 'the server is stopping'))
    this.#waitingForEngine = []
    this.#stopTicking()
    if (wasReady) await this.#link?.close(this.#options.cancelGraceMs)
    else await this.#link?.terminate()
    // A start that was under way sees that it is not wanted any more; the folder is its until then.
    await this.#started
    try {
      if (this.#unsynced === 'some') await settleUnsynced(this.#options.folder, this.#database)
    } finally {
      this.#lock?.release()
    }
  }

  /** A session got the engine for itself. */
  leaseWaited(seconds: number): void {
    this.#options.metrics.leaseWaited(seconds)
  }

  /** Gives the worker something to do for a session; `run` and sessions end here. */
  submit(unit: Unit, kind: Action, session: SessionIdentity): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const refused = this.#refusal(entersEngine(unit, kind, session))
      if (refused !== undefined) {
        reject(refused)
        return
      }
      const now = performance.now()
      const pending: PendingUnit = {
        serial: this.#nextSerial(),
        session: session.id,
        begins: session.begins,
        lasting: session.lasting,
        action: kind,
        unit,
        leaseMs: session.leaseMs,
        idleMs: session.idleMs,
        askedAt: now,
        waitUntil: now + unit.waitMs,
        resolve,
        reject,
        slot: noSlot,
        next: undefined,
      }
      this.#pending.add(pending)
      this.#startTicking()
      this.#dispatch(pending)
    })
  }

  /** A session that is in must be able to end: the bound is for who comes in. */
  #refusal(isEntering: boolean): DbError | undefined {
    switch (this.#status.kind) {
      case 'closed':
        return new DbError('UNAVAILABLE', 'the server is stopping')
      case 'failed':
        return new DbError('UNAVAILABLE', `the engine has failed: ${this.#status.cause}`)
      case 'ready':
      case 'restarting':
        if (!isEntering || this.#pending.size < this.#options.queueMax) return undefined
        return new DbError(
          'OVERLOADED',
          `${this.#pending.size} requests wait for the engine already`,
          { retryAfterS: 1, hint: 'engine.queue_max is the bound' },
        )
    }
  }

  #nextSerial(): number {
    this.#lastSerial = numberAfter(this.#lastSerial)
    return this.#lastSerial
  }

  #nextSession(): number {
    this.#lastSession = numberAfter(this.#lastSession)
    return this.#lastSession
  }

  #dispatch(pending: PendingUnit): void {
    const link = this.#status.kind === 'ready' ? this.#link : undefined
    const slot = link?.claimSlot()
    if (link === undefined || slot === undefined) {
      this.#waitingForEngine.push(pending)
      return
    }
    pending.slot = slot
    const { copy } = pending.unit
    if (copy !== undefined) pending.copy = this.#openCopy(pending.serial, copy)
    link.send(pending)
  }

  /** Where its data goes to is gone or full: the unit ends, and that is why. */
  #openCopy(serial: number, copy: CopyStream): CopyChannel {
    return CopyChannel.toWorker(copy, (cause) => this.#cancel(serial, toDbError(cause)))
  }

  #openParts(serial: number, end: CopyEnd): void {
    const pending = this.#pending.get(serial)
    const output = pending?.unit.takePart
    if (pending === undefined || output === undefined) {
      end.port.close()
      return
    }
    const onFailure = (cause: unknown): void => this.#cancel(serial, toDbError(cause))
    pending.copy = new CopyChannel(end, { stream: { output }, onFailure })
  }

  #replied(serial: number, ended: Outcome, bytes: Uint8Array): void {
    if (ended === outcome.skipped) {
      this.#freeGivenBack(serial)
      return
    }
    const pending = this.#pending.get(serial)
    if (pending === undefined) return
    const settle = () => this.#settle(serial, this.#errorOf(pending, ended, bytes) ?? bytes)
    // Its data came another way and may be later.
    if (pending.copy === undefined) settle()
    else
      void pending.copy
        .finished()
        .then(settle, (cause: unknown) => this.#settle(serial, toDbError(cause)))
  }

  #errorOf(pending: PendingUnit, ended: Outcome, bytes: Uint8Array): DbError | undefined {
    switch (ended) {
      case outcome.answered:
        if (pending.cancelled === undefined) return undefined
        return firstError(bytes)?.sqlState === '57014' ? pending.cancelled.error : undefined
      case outcome.tooLarge:
        // Never a success: one row too large may end before its cancel is seen, and what is left of
        // the answer then need not even be whole messages.
        return new DbError(
          'RESULT_TOO_LARGE',
          `the result is larger than ${pending.unit.replyBytesMax} bytes`,
          {
            hint: `${keptOf(pending.unit)}; stream it, ask for less, or raise http.result_bytes_max`,
          },
        )
      case outcome.cutOff:
        return pending.cancelled?.error ?? new DbError('CANCELLED', 'the answer was not taken')
      case outcome.tooMuchDisk:
        if (firstError(bytes)?.sqlState !== '57014') return undefined
        return new DbError(
          'OUT_OF_RESOURCES',
          `temporary files would grow past ${this.#options.temporaryBytesMax} bytes`,
          { sqlState: '53400', hint: 'engine.temporary_bytes_max is the bound of all together' },
        )
      case outcome.leaseExpired:
        return leaseTimeout(pending.leaseMs)
      case outcome.idleExpired:
        return idleTimeout(pending.idleMs)
      case outcome.keptTooMuch:
        return keptTooMuch(this.#options.sessionBytesMax)
      case outcome.keptMost:
        return keptMost(this.#options.sessionsBytesMax)
      case outcome.skipped:
        return undefined
      case outcome.objectsLost:
        return new DbError(
          'OUT_OF_RESOURCES',
          'no schema could be made for the temporary objects of the session: they were dropped',
          { hint: 'what the statement did besides is kept' },
        )
      case outcome.leftOpen:
        return new DbError('QUERY_REJECTED', 'the statement would leave a transaction open')
    }
  }

  #settle(serial: number, result: Uint8Array | DbError): void {
    const pending = this.#pending.take(serial)
    if (pending === undefined) return
    pending.copy?.close()
    const isGivenBack = this.#givenBack.has(serial)
    if (pending.slot !== noSlot && !isGivenBack) this.#link?.freeSlot(pending.slot)
    if (result instanceof DbError) pending.reject(result)
    else pending.resolve(result)
  }

  #cancel(serial: number, error: DbError): void {
    const pending = this.#pending.get(serial)
    if (pending === undefined || pending.cancelled !== undefined) return
    if (this.#takeBack(pending)) {
      this.#settle(serial, error)
      return
    }
    pending.cancelled = { error, at: performance.now() }
    this.#link?.interrupt(serial)
  }

  /** True if the unit has not begun and now never will. */
  #takeBack(pending: PendingUnit): boolean {
    const waiting = this.#waitingForEngine.indexOf(pending)
    if (waiting >= 0) {
      this.#waitingForEngine.splice(waiting, 1)
      return true
    }
    if (this.#link?.control.giveBack(pending.slot) === false) return false
    this.#givenBack.set(pending.serial, pending.slot)
    return true
  }

  /** The worker has passed over a unit that was given back: only now may its slot serve another. */
  #freeGivenBack(serial: number): void {
    const slot = this.#givenBack.get(serial)
    this.#givenBack.delete(serial)
    if (slot !== undefined) this.#link?.freeSlot(slot)
  }

  #startTicking(): void {
    this.#tick ??= setInterval(() => this.#checkDeadlines(), tickMs)
  }

  #stopTicking(): void {
    clearInterval(this.#tick)
    this.#tick = undefined
  }

  #checkDeadlines(): void {
    this.#ticks += 1
    this.#noteWaiting()
    // Not at the last answer: under light load the timer would come and go with every unit.
    if (this.#pending.size === 0) {
      this.#stopTicking()
      return
    }
    this.#checkRunning()
    if (this.#ticks % waitCheckTicks === 0) this.#checkWaiting()
  }

  /** Whoever has the engine is hurried for those who are told when it takes too long, and for nobody else. */
  #noteWaiting(): void {
    const control = this.#link?.control
    if (control === undefined) return
    const { owner, lease } = control
    const waiting = owner === 0 ? undefined : this.#pending.inOrder().find(waitsFor(owner))
    const heldMs = control.leaseElapsedMs() ?? 0
    const now = performance.now()
    control.noteWaited(this.#waited.note({ lease, heldMs, since: waiting?.askedAt, now }))
  }

  #checkRunning(): void {
    const control = this.#link?.control
    const running = control?.running()
    const pending = running === undefined ? undefined : this.#pending.get(running.serial)
    if (control === undefined || running === undefined || pending === undefined) return
    if (pending.cancelled !== undefined) this.#insist(pending)
    else if (running.elapsedMs > pending.unit.timeoutMs)
      this.#cancel(running.serial, statementTimeout(pending.unit.timeoutMs))
    else this.#checkLease(pending, control)
  }

  /** Of a transaction that runs something. One whose data does not come is as idle as if it ran nothing. */
  #checkLease(
    { serial, session, unit, copy, leaseMs, idleMs }: PendingUnit,
    control: Control,
  ): void {
    const heldMs = control.leaseElapsedMs()
    const waitedMs = control.waitedMs()
    if (heldMs === undefined || waitedMs === undefined || unit.endsLease === true) return
    if (session !== control.owner) return
    if (Math.min(heldMs, waitedMs) > leaseMs) this.#cancel(serial, leaseTimeout(leaseMs))
    else if (Math.min(copy?.starvedMs ?? 0, waitedMs) > idleMs)
      this.#cancel(serial, idleTimeout(idleMs))
  }

  /** A cancelled unit that goes on: ask again, and past the grace end the whole engine. */
  #insist(pending: PendingUnit): void {
    const overdue = performance.now() - (pending.cancelled?.at ?? 0) > this.#options.cancelGraceMs
    if (overdue || this.#link?.canInterrupt !== true)
      void this.#restart(
        `a statement did not end within ${this.#options.cancelGraceMs} ms of its cancel`,
      )
    else this.#link.interrupt(pending.serial)
  }

  #checkWaiting(): void {
    const now = performance.now()
    for (const pending of this.#pending.inOrder())
      if (now > pending.waitUntil && this.#takeBack(pending))
        this.#settle(
          pending.serial,
          new DbError('LEASE_TIMEOUT', 'the engine was busy with other transactions for too long', {
            retryAfterS: 1,
          }),
        )
  }

  async #startWorker(): Promise<void> {
    const { log, ...options } = this.#options
    assert(this.#lock !== undefined, 'the folder is locked before a worker uses it')
    removeLeftovers(this.#database)
    const workerOptions = {
      busyPollMs: options.busyPollMs,
      folder: this.#database,
      lock: { file: this.#lock.file, ownerId: this.#lock.ownerId },
      durable: options.durable,
      sharedBuffersBytes: options.sharedBuffersBytes,
      walBytesMax: options.walBytesMax,
      checkpointWalBytes: options.checkpointWalBytes,
      temporaryBytesMax: options.temporaryBytesMax,
      memoryBytesMax: options.memoryBytesMax,
      sessionBytesMax: options.sessionBytesMax,
      sessionsBytesMax: options.sessionsBytesMax,
      extensions: options.extensions,
      diskModule: options.diskModule,
      wasmModule: this.#wasmModule,
    }
    const link = new WorkerLink(
      { ...workerOptions, stackMb: options.stackMb },
      {
        replied: (serial, ended, bytes) => this.#replied(serial, ended, bytes),
        aside: (serial, aside) => this.#setAside(serial, aside),
        parts: (serial, end) => this.#openParts(serial, end),
        expired: (session, ended) => this.#endListeners.get(session)?.(ended),
        died: (cause) => {
          if (this.#status.kind === 'ready') void this.#restart(cause)
        },
        committed: () => this.#tellOfCommit(),
        synced: (micros, units) => options.metrics.walSynced({ seconds: micros / 1e6, units }),
        checkpointed: (checkpoint) => this.#checkpointed(checkpoint),
        stderr: (line) => log.debug('PostgreSQL said', { line }),
      },
    )
    this.#link = link
    await link.opened(options.startTimeoutMs)
    this.#wasmModule = link.wasmModule
    // Closed, or without its lock, while it was starting.
    if (this.#status.kind !== 'restarting') {
      await link.terminate()
      return
    }
    this.#generation += 1
    this.#status = { kind: 'ready' }
    for (const pending of this.#waitingForEngine.splice(0)) this.#dispatch(pending)
    // The engine before it may have committed what it could not answer any more.
    this.#tellOfCommit()
  }

  #setAside(serial: number, aside: Aside): void {
    const lasting = this.#pending.get(serial)?.lasting
    if (aside.kind === 'settings') {
      lasting?.settingsChanged(aside.settings)
      return
    }
    const processId = lasting?.processId ?? 0
    for (const notification of aside.notifications)
      for (const listener of this.#notificationListeners) listener({ ...notification, processId })
  }

  #tellOfCommit(): void {
    for (const listener of this.#commitListeners) listener()
  }

  #checkpointed({ seconds, walBytes, failure }: Checkpoint): void {
    const { log, metrics } = this.#options
    metrics.checkpointed(seconds)
    metrics.walWritten(walBytes)
    if (failure !== undefined) log.warn('a checkpoint failed', { failure })
  }

  /** Units that have not begun wait for the new engine; of those that have, the end is unknown. */
  async #restart(cause: string): Promise<void> {
    if (this.#status.kind !== 'ready') return
    this.#status = { kind: 'restarting', cause }
    this.#restarts += 1
    this.#options.metrics.engineRestarted()
    this.#options.log.error('the engine is started again', { cause })
    const old = this.#link
    this.#waitingForEngine = this.#saveUnbegun(cause)
    this.#endSessions(restarted(cause))
    this.#link = undefined
    this.#givenBack.clear()
    this.#started = this.#replace(old, cause)
    await this.#started
  }

  async #replace(old: WorkerLink | undefined, cause: string): Promise<void> {
    await old?.terminate()
    if (this.#tooManyRestarts()) this.#fail(cause)
    // Nothing of the folder may be touched if it is another's by now; the lock tells `#fail`.
    this.#lock?.isHeld()
    if (this.#status.kind !== 'restarting') return
    try {
      await this.#startWorker()
    } catch (failure) {
      this.#fail(String(failure))
    }
  }

  #saveUnbegun(cause: string): PendingUnit[] {
    const unbegun: PendingUnit[] = []
    for (const pending of this.#pending.inOrder()) {
      const saved = (pending.session === 0 || pending.begins) && this.#takeBack(pending)
      if (saved) unbegun.push(withoutWorker(pending))
      else this.#settle(pending.serial, pending.cancelled?.error ?? restarted(cause))
    }
    return unbegun
  }

  /** Those that nothing runs of; the others are told by their units. */
  #endSessions(error: DbError): void {
    for (const tell of [...this.#endListeners.values()]) tell(error)
  }

  #tooManyRestarts(): boolean {
    const now = performance.now()
    this.#restartedAt.push(now)
    const since = now - this.#options.restartWindowMs
    return this.#restartedAt.filter((at) => at > since).length > this.#options.restartsMax
  }

  #fail(cause: string): void {
    if (this.#status.kind === 'closed') return
    this.#status = { kind: 'failed', cause }
    this.#options.log.error('the engine has failed', { cause })
    for (const { serial } of this.#pending.inOrder())
      this.#settle(serial, new DbError('UNAVAILABLE', `the engine has failed: ${cause}`))
    void this.#link?.terminate()
  }
}

/** Of those that fit a word of `Control`, where 0 means none. */
function numberAfter(last: number): number {
  return last === 0x7fffffff ? 1 : last + 1
}

/** As it was before it was sent; the port of its data went with the worker. */
function withoutWorker(pending: PendingUnit): PendingUnit {
  pending.copy?.close()
  return Object.assign(pending, { slot: noSlot, copy: undefined })
}

function toDbError(cause: unknown): DbError {
  if (cause instanceof DbError) return cause
  return new DbError('INTERNAL', 'the output was not taken', {}, { cause })
}

export interface SessionIdentity {
  /** 0 for none. */
  readonly id: number
  readonly leaseMs: number
  readonly idleMs: number
  /** Nothing of it has been run. */
  readonly begins: boolean
  readonly lasting: LastingSession | undefined
}

const withoutSession: SessionIdentity = {
  id: 0,
  leaseMs: 0,
  idleMs: 0,
  begins: false,
  lasting: undefined,
}

const tagSync = 0x53

/** What is left of a unit whose answer was too large. Only one with a Sync was made to fail before it. */
function keptOf({ bytes }: Unit): string {
  return lastTag(bytes) === tagSync ? 'the statement was undone' : 'what it changed may be kept'
}

/** Whether it waits, and not for as long as it takes, for the session that has the engine. */
function waitsFor(owner: number) {
  return ({ session, unit }: PendingUnit): boolean => session !== owner && unit.waitMs !== Infinity
}

/** Whether it asks for room of its own, rather than going on with or ending what has it. */
function entersEngine(unit: Unit, kind: Action, session: SessionIdentity): boolean {
  if (kind === action.run) return session.id === 0 && unit.freesRoom !== true
  return kind === action.hold
}

interface SessionLife extends SessionOptions {
  readonly id: number
  readonly leaseMs: number
  readonly idleMs: number
  readonly closed: () => void
  readonly bounds: Pick<PGliteEngineOptions, 'sessionBytesMax' | 'sessionsBytesMax'>
}

class PGliteSession implements Session {
  readonly #engine: PGliteEngine
  readonly #life: SessionLife
  /** The engine's generation that knows the session; undefined before its first unit has ended. */
  #generation: number | undefined
  #running: { readonly unit: Unit; readonly ended: Promise<unknown> } | undefined
  #closing: Promise<void> | undefined
  #hasAnswered = false
  /** Why it was ended by itself. */
  #over: Expiry | DbError | undefined
  #settings: ReadonlyMap<string, string> = new Map()

  constructor(engine: PGliteEngine, life: SessionLife) {
    this.#engine = engine
    this.#life = life
  }

  get mustWait(): boolean {
    const { owner, counters } = this.#engine
    if (owner === this.#life.id) return false
    // What is on its way may begin a transaction.
    return owner !== 0 || counters.pending > 0
  }

  get settings(): ReadonlyMap<string, string> {
    return this.#settings
  }

  run(unit: Unit): Promise<Reply> {
    return this.#submit(unit, action.run)
  }

  async hold(waitMs: number): Promise<void> {
    const askedAt = performance.now()
    await this.#submit(emptyUnit(waitMs), action.hold)
    this.#engine.leaseWaited((performance.now() - askedAt) / 1000)
  }

  cancel(): void {
    if (this.#running !== undefined) this.#engine.cancel(this.#running.unit)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #submit(unit: Unit, kind: Action): Promise<Reply> {
    if (this.#closing !== undefined) throw new DbError('CANCELLED', 'the session is closed')
    const begins = this.#generation === undefined
    if (!begins && this.#isGone()) throw restarted('the session is gone')
    const reply = this.#engine.submit(unit, kind, this.#identity(begins))
    this.#running = { unit, ended: reply.catch(() => undefined) }
    // A hold that fails never began: of such a session there is nothing to close.
    let isKnown = kind !== action.hold
    try {
      const bytes = await reply
      isKnown = true
      this.#hasAnswered = true
      // After that answer was taken.
      if (this.#over !== undefined) setImmediate(() => this.#tellOfEnd())
      return bytes
    } finally {
      this.#running = undefined
      // The first may have waited while the engine was started again.
      if (isKnown) this.#generation ??= this.#engine.generation
    }
  }

  /** A session lives in one engine: after a restart it is gone. */
  #isGone(): boolean {
    const { generation, status } = this.#engine
    return this.#generation !== generation || status.kind === 'restarting'
  }

  /** Why it was ended, unless a unit runs, which is told, or none ever has. */
  expired(why: Expiry | DbError): DbError | undefined {
    this.#over = why
    if (this.#running !== undefined || this.#generation === undefined) return undefined
    return why instanceof DbError ? why : this.#errorOf(why)
  }

  /** The unit that ran had its answer on the way when the session was ended: the next one is not there yet. */
  #tellOfEnd(): void {
    if (this.#over === undefined || this.#closing !== undefined) return
    const error = this.expired(this.#over)
    if (error !== undefined) this.#life.onExpired?.(error)
  }

  #errorOf(why: Expiry): DbError {
    const { leaseMs, idleMs, bounds } = this.#life
    switch (why) {
      case outcome.leaseExpired:
        return leaseTimeout(leaseMs)
      case outcome.idleExpired:
        return idleTimeout(idleMs)
      case outcome.keptTooMuch:
        return keptTooMuch(bounds.sessionBytesMax)
      case outcome.keptMost:
        return keptMost(bounds.sessionsBytesMax)
    }
  }

  #identity(begins: boolean): SessionIdentity {
    const { id, leaseMs, idleMs } = this.#life
    const lasting = this.#life.lasts === true ? this.#lasting() : undefined
    return { id, leaseMs, idleMs, begins, lasting }
  }

  #lasting(): LastingSession {
    const { id, settings = new Map(), namePrefix, processId = 0 } = this.#life
    return {
      // A unit that was given back has told the worker nothing.
      head: this.#hasAnswered ? undefined : { session: id, settings, namePrefix, processId },
      processId,
      settingsChanged: (now) => {
        this.#settings = now
      },
    }
  }

  async #close(): Promise<void> {
    this.#life.closed()
    this.cancel()
    // Only then it is known whether there is a session, and in which engine.
    await this.#running?.ended
    if (this.#isGone()) return
    const kind = this.#life.leavesState === false ? action.close : action.closeAndClean
    try {
      await this.#engine.submit(emptyUnit(Infinity), kind, this.#identity(false))
    } catch (cause) {
      // An engine that is gone took the session and all it left along.
      if (!(cause instanceof DbError)) throw cause
    }
  }
}

function emptyUnit(waitMs: number): Unit {
  return {
    bytes: noBytes,
    identity: systemIdentity,
    searchPath: '',
    timeoutMs: Infinity,
    waitMs,
    replyBytesMax: 0,
  }
}

function statementTimeout(ms: number): DbError {
  return new DbError('STATEMENT_TIMEOUT', `the statement took longer than ${ms} ms`, {
    hint: 'engine.statement_timeout_ms is the bound',
  })
}

function idleTimeout(ms: number): DbError {
  return new DbError(
    'TRANSACTION_TIMEOUT',
    `the transaction was idle for longer than ${ms} ms while others waited, and was rolled back`,
    { sqlState: '25P03', hint: 'engine.idle_transaction_timeout_ms is the bound' },
  )
}

function leaseTimeout(ms: number): DbError {
  return new DbError(
    'TRANSACTION_TIMEOUT',
    `others waited longer than ${ms} ms for the transaction, which was rolled back`,
    {
      sqlState: '25P04',
      hint: 'engine.transaction_timeout_ms is the bound, of admins engine.admin_transaction_timeout_ms',
    },
  )
}

const whatIsKept =
  'cursors WITH HOLD, prepared statements, settings and temporary tables are what is kept'

function keptTooMuch(bytes: number): DbError {
  return new DbError(
    'SESSION_TOO_LARGE',
    `the session kept more than ${bytes} bytes of the engine's memory`,
    { hint: `engine.session_bytes_max is the bound; ${whatIsKept}` },
  )
}

function keptMost(bytes: number): DbError {
  return new DbError(
    'SESSION_TOO_LARGE',
    `others need the engine's memory, of which the session kept the most`,
    {
      sqlState: '53200',
      hint: `all sessions may keep ${bytes} bytes, engine.sessions_bytes_max; ${whatIsKept}`,
    },
  )
}

function restarted(cause: string): DbError {
  return new DbError('ENGINE_RESTARTED', `the engine was restarted: ${cause}`, {
    hint: 'whether the statement was kept is unknown; with an Idempotency-Key it can be sent again safely',
  })
}
