/**
 * Who may use the one backend, and when an answer may leave. Lives in the worker.
 *
 *   units ──► queue ──► run ──► held until durable ──► out
 *              ▲         │
 *              │         ▼ status T or E, or a hold
 *              └── waits while another session owns the engine
 *
 * A session owns the engine while its transaction is open or it holds a lease. Deadlines end both, and
 * count while somebody waits: the transaction is rolled back and the session's next unit is told why.
 * So ends a session that keeps too much of the memory.
 */
import { DbError } from '../../errors.js'
import { lastTag } from '../backend-messages.js'
import { systemIdentity, type Identity } from '../engine.js'
import type { Backend, BackendReply, TransactionStatus } from './backend.js'
import type { Checkpointer } from './checkpointer.js'
import type { Control } from './control.js'
import type { RemoteCopy } from './copy-channel.js'
import { CopyPort } from './copy-port.js'
import { MemoryGuard, type Keeper, type MemoryGuardOptions, type Relief } from './memory-guard.js'
import {
  action,
  outcome,
  type Aside,
  type Expiry,
  type LastingHead,
  type Outcome,
  type UnitHead,
} from './messages.js'
import { sessionCleaner } from './session-cleaner.js'
import { OwnObjects, type SessionObjects } from './session-objects.js'
import type { SettingNames } from './setting-names.js'
import { SessionSettings } from './session-settings.js'
import type { WalSync } from './wal-sync.js'

/** Longest the worker works without looking for new messages and finished syncs. */
const sliceMs = 4
/** Units in a row after which a session counts as the only one that works. */
const aloneAfterUnits = 32
/** How often deadlines of an idle owner are looked at. */
const deadlineCheckMs = 20
const tagFlush = 0x48
const tagSync = 0x53

export interface QueuedUnit {
  readonly head: UnitHead
  readonly bytes: Uint8Array
  readonly copy?: RemoteCopy | undefined
  /** Of the first unit of a session that lasts. */
  readonly lasting?: LastingHead | undefined
}

interface SessionState {
  readonly leaseMs: number
  readonly idleMs: number
  /** What a session that lasts has in the backend. */
  readonly own: Own | undefined
  status: TransactionStatus
  held: boolean
  /** It made temporary objects, which a plain transaction is not expected to. */
  leftObjects: boolean
  /** It had its first turn. */
  begun: boolean
  /** The caller's search_path was applied; from then on it is the session's own to change. */
  entered: boolean
  expired: Expiry | undefined
}

interface Own {
  readonly settings: SessionSettings
  readonly objects: OwnObjects
  /** Of its cursors and prepared statements. */
  readonly namePrefix: string | undefined
}

export interface SettledReply {
  readonly serial: number
  readonly outcome: Outcome
  readonly bytes: Uint8Array
  /** Mostly none. */
  readonly asides: readonly Aside[]
}

interface HeldReply extends SettledReply {
  readonly mark: number
}

export interface SchedulerOptions {
  readonly backend: Backend
  readonly objects: SessionObjects
  readonly memory: Omit<MemoryGuardOptions, 'relieve' | 'tidy'>
  readonly settingNames: SettingNames
  readonly control: Control
  readonly walSync: WalSync
  readonly checkpointer: Checkpointer
  readonly send: (reply: SettledReply) => void
  /** So many were sent together; `syncMicros`: how long the sync took that let them go. */
  readonly onSent: (replies: number, syncMicros?: number) => void
  /** A session was ended, for its transaction's deadline or for what it kept. */
  readonly onExpired: (session: number, ended: Expiry) => void
  /** The backend can no longer be used; nothing is run or sent after it. */
  readonly onDead: (cause: unknown) => void
}

export class Scheduler {
  readonly #options: SchedulerOptions
  readonly #queue = new Fifo<QueuedUnit>()
  readonly #ownerQueue = new Fifo<QueuedUnit>()
  readonly #sessions = new Map<number, SessionState>()
  readonly #held = new Fifo<HeldReply>()
  readonly #cleaner: ReturnType<typeof sessionCleaner>
  readonly #guard: MemoryGuard
  /** How many sessions last. */
  #lasting = 0
  #owner = 0
  #ownedAt = 0
  #idleSince = 0
  #drainPlanned = false
  /** Of which session the last units were, and how many. */
  #lastSession = 0
  #unitsInARow = 0
  #isDead = false
  #deadlines: NodeJS.Timeout | undefined

  constructor(options: SchedulerOptions) {
    this.#options = options
    this.#cleaner = sessionCleaner(options.backend)
    this.#guard = new MemoryGuard({
      ...options.memory,
      relieve: (relief) => this.#relieve(relief),
      tidy: (isNeeded) => this.#tidy(isNeeded),
    })
  }

  /** It waits for units, and for nothing of its own. */
  get isIdle(): boolean {
    return !this.#drainPlanned && this.#held.peek() === undefined
  }

  /** Takes units and runs what may run. */
  accept(units: Iterable<QueuedUnit>): void {
    for (const unit of units)
      (unit.head.session !== 0 && unit.head.session === this.#owner
        ? this.#ownerQueue
        : this.#queue
      ).push(unit)
    this.#drain()
  }

  /** Sends every answer whose commits are durable. */
  release(syncMicros?: number): void {
    const { walSync, send, onSent } = this.#options
    let sent = 0
    for (;;) {
      const reply = this.#held.peek()
      if (reply === undefined || reply.mark > walSync.syncedMark) break
      this.#held.shift()
      send(reply)
      sent += 1
    }
    if (sent > 0) onSent(sent, syncMicros)
  }

  /** Rolls back what is open and runs nothing any more. */
  stop(): void {
    clearInterval(this.#deadlines)
    if (this.#owner !== 0) this.#endTransaction()
    this.#isDead = true
  }

  #drain(): void {
    if (this.#isDead) return
    try {
      const workLeft = this.#runSlice()
      this.#makeDurable(workLeft)
      this.release()
      if (workLeft) this.#drainSoon()
    } catch (cause) {
      this.#isDead = true
      clearInterval(this.#deadlines)
      this.#options.onDead(cause)
    }
  }

  /**
   * Beside the thread, so that others run meanwhile. Where none can it would only cost two wake-ups:
   * one to the thread that syncs, and one back.
   */
  #makeDurable(workLeft: boolean): void {
    const { walSync } = this.#options
    if (workLeft || !walSync.isDirty || !this.#isAlone) {
      walSync.start()
      return
    }
    const startedAt = performance.now()
    walSync.flushNow()
    this.release((performance.now() - startedAt) * 1000)
  }

  /** No session works beside the last, or none may: it has the engine, and waits for its answer. */
  get #isAlone(): boolean {
    if (this.#owner !== 0) return this.#owner === this.#lastSession
    return this.#unitsInARow >= aloneAfterUnits
  }

  /** True if it stopped for the time, not for want of units. */
  #runSlice(): boolean {
    const until = performance.now() + sliceMs
    for (;;) {
      if (this.#options.checkpointer.isDue && !this.#isInTransaction()) this.#checkpoint()
      const unit = this.#next()
      if (unit === undefined) return false
      // Before it: whatever was before has left its transaction, and may have left much else.
      if (this.#owner === 0 && this.#guard.isDue) this.#guard.check(this.#keepers())
      if (this.#options.control.take(unit.head.slot)) this.#perform(unit)
      else this.#answer(unit.head.serial, outcome.skipped)
      // At once, not at the slice's end: the server's thread and the clients work meanwhile.
      this.release()
      if (performance.now() > until) return true
    }
  }

  #isInTransaction(): boolean {
    const owner = this.#sessions.get(this.#owner)
    return owner !== undefined && owner.status !== 'I'
  }

  /** The answers until now need not wait for it: it would make their WAL durable first anyway. */
  #checkpoint(): void {
    this.#options.walSync.flushNow()
    this.release()
    this.#options.checkpointer.run()
  }

  #next(): QueuedUnit | undefined {
    return this.#owner === 0 ? this.#queue.shift() : this.#ownerQueue.shift()
  }

  #drainSoon(): void {
    if (this.#drainPlanned) return
    this.#drainPlanned = true
    setImmediate(() => {
      this.#drainPlanned = false
      this.#drain()
    })
  }

  #perform(unit: QueuedUnit): void {
    const { head } = unit
    switch (head.action) {
      case action.run:
        this.#run(unit)
        break
      case action.hold:
        this.#hold(unit)
        break
      case action.close:
      case action.closeAndClean:
        this.#close(head)
        break
    }
  }

  #hold({ head, lasting }: QueuedUnit): void {
    const session = this.#session(head, lasting)
    session.held = true
    this.#own(head.session)
    this.#enter(session.own)
    this.#begin(session)
    // Sequences' last values are the backend's, and so a stranger's, until they are forgotten.
    if (session.own === undefined) this.#cleaner.forgetSequences()
    this.#answer(head.serial, outcome.answered)
  }

  #close(head: UnitHead): void {
    const session = this.#sessions.get(head.session)
    this.#sessions.delete(head.session)
    if (session !== undefined && this.#owner === head.session) {
      if (session.status !== 'I') this.#cleaner.rollBack(session.status)
      this.#disown()
    }
    if (session?.own !== undefined) {
      this.#lasting -= 1
      this.#endLasting(session.own)
    } else if (head.action === action.closeAndClean || session?.leftObjects === true) this.#clean()
    else if (session !== undefined) this.#cleaner.resetSettings()
    this.#answer(head.serial, outcome.answered)
  }

  /** Takes back what a session that lasts has in the backend. */
  #endLasting({ objects, namePrefix }: Own): void {
    this.#enter(undefined)
    this.#options.objects.end(objects)
    this.#cleaner.clean()
    if (namePrefix !== undefined) this.#cleaner.dropNames(namePrefix)
  }

  /** Takes back what a session that ends with its request left, or a unit without one. */
  #clean(): void {
    this.#enter(undefined)
    this.#cleaner.clean()
    // Not while others may listen: theirs would end too.
    if (this.#lasting === 0) this.#cleaner.unlisten()
  }

  #run(unit: QueuedUnit): void {
    const { head } = unit
    const goesOn = head.session !== 0 && head.session === this.#lastSession
    this.#unitsInARow = goesOn ? this.#unitsInARow + 1 : 0
    this.#lastSession = head.session
    if (head.session === 0) this.#runAlone(unit)
    else this.#runOf(unit)
  }

  #runOf(unit: QueuedUnit): void {
    const { head } = unit
    const session = this.#session(head, unit.lasting)
    if (session.expired !== undefined) {
      this.#answer(head.serial, session.expired)
      return
    }
    const settings = session.own?.settings
    const settingsBefore = settings?.all
    this.#enter(session.own)
    this.#begin(session)
    const reply = this.#refusedSettings(head, settings) ?? this.#runInSession(unit, session)
    session.leftObjects ||= reply.madeTemporaryObject
    session.status = reply.status
    const keeps = session.own === undefined || this.#keepObjects(session, session.own.objects)
    if (session.status !== 'I' || session.held) this.#own(head.session)
    else this.#disown()
    const news = settings?.all === settingsBefore ? undefined : settings?.all
    if (keeps) this.#answer(head.serial, outcomeOf(reply), reply.bytes, news)
    else this.#answer(head.serial, outcome.objectsLost, noBytes, news)
  }

  /** What a session works with: its own, or the server's. Outside transactions, if it changes. */
  #enter(own: Own | undefined): void {
    this.#options.objects.enter(own?.objects)
    this.#options.backend.enter(own?.settings)
  }

  #begin(session: SessionState): void {
    if (session.own === undefined && !session.begun) this.#options.objects.begin()
    session.begun = true
  }

  /** False if the temporary objects that were made could not be kept for the session. */
  #keepObjects(session: SessionState, objects: OwnObjects): boolean {
    if (!session.leftObjects || session.status !== 'I') return true
    session.leftObjects = false
    try {
      this.#options.objects.expect(objects)
      return true
    } catch (cause) {
      if (cause instanceof DbError) return false
      throw cause
    }
  }

  #refusedSettings(
    head: UnitHead,
    settings: SessionSettings | undefined,
  ): BackendReply | undefined {
    if (settings?.wanted === undefined) return undefined
    settings.wanted = new Map([['search_path', head.searchPath], ...settings.wanted])
    return this.#options.backend.begin(settings, identityOf(head))
  }

  #runInSession(unit: QueuedUnit, session: SessionState): BackendReply {
    const { head } = unit
    // The system's own units in a caller's session bring their path and leave the caller's.
    const isSystem = head.roleOid === systemIdentity.roleOid
    const hasPath = session.entered || session.own !== undefined
    session.entered ||= !isSystem
    return this.#runOnBackend(
      unit,
      hasPath && !isSystem ? undefined : head.searchPath,
      session.own?.settings,
    )
  }

  #runAlone(unit: QueuedUnit): void {
    const { head } = unit
    this.#enter(undefined)
    this.#options.objects.begin()
    const reply = this.#runOnBackend(unit, head.searchPath)
    if (reply.status !== 'I') this.#cleaner.rollBack(reply.status)
    if (reply.madeTemporaryObject) this.#clean()
    if (reply.status === 'I') this.#answer(head.serial, outcomeOf(reply), reply.bytes)
    else this.#answer(head.serial, outcome.leftOpen)
  }

  #runOnBackend(
    unit: QueuedUnit,
    searchPath: string | undefined,
    settings?: SessionSettings,
  ): BackendReply {
    const { head, bytes } = unit
    const { backend, control } = this.#options
    const last = lastTag(bytes)
    const copy = unit.copy === undefined ? undefined : this.#openCopy(unit.copy)
    control.setRunning(head.serial, () => backend.clearCancel())
    try {
      const reply = backend.run({
        bytes,
        identity: identityOf(head),
        searchPath,
        replyBytesMax: head.replyBytesMax,
        end: last === tagSync ? 'sync' : last === tagFlush ? 'flush' : 'query',
        ownSettings: head.session === 0,
        settings,
        copy,
        partsOf: head.inParts ? head.serial : 0,
      })
      if (reply.ranOutOfMemory) this.#guard.ranOut()
      return reply
    } finally {
      copy?.end()
      control.setRunning(0, () => backend.clearCancel())
    }
  }

  /** What it sends goes out before its reply is held: all that it can tell of is made durable now. */
  #openCopy({ port, wake, hasInput, hasOutput }: RemoteCopy): CopyPort {
    const { backend, walSync } = this.#options
    return new CopyPort({
      ...{ hasInput, hasOutput, end: { port, wake } },
      isCancelled: () => backend.isCancelled,
      beforeOutput: () => walSync.flushNow(),
    })
  }

  /** The session of a unit; it begins with its first. */
  #session(head: UnitHead, lasting: LastingHead | undefined): SessionState {
    const known = this.#sessions.get(head.session)
    if (known !== undefined) return known
    if (lasting !== undefined) this.#lasting += 1
    const session: SessionState = {
      leaseMs: head.leaseMs,
      idleMs: head.idleMs,
      own: lasting === undefined ? undefined : ownOf(lasting),
      status: 'I',
      held: false,
      leftObjects: false,
      begun: false,
      entered: false,
      expired: undefined,
    }
    this.#sessions.set(head.session, session)
    return session
  }

  #answer(
    serial: number,
    ended: Outcome,
    bytes: Uint8Array = noBytes,
    settings?: ReadonlyMap<string, string>,
  ): void {
    const { backend, walSync } = this.#options
    const notifications = backend.takeNotifications()
    const asides: readonly Aside[] =
      settings === undefined && notifications.length === 0
        ? noAsides
        : [
            ...(settings === undefined ? [] : [{ kind: 'settings', settings } as const]),
            ...(notifications.length === 0
              ? []
              : [{ kind: 'notifications', notifications } as const]),
          ]
    this.#held.push({ mark: walSync.mark, serial, outcome: ended, bytes, asides })
  }

  #own(session: number): void {
    this.#idleSince = performance.now()
    if (this.#owner === session) return
    this.#owner = session
    this.#ownedAt = this.#idleSince
    this.#options.control.owner = session
    this.#deadlines ??= setInterval(() => this.#checkDeadlines(), deadlineCheckMs)
  }

  #disown(): void {
    if (this.#owner === 0) return
    this.#owner = 0
    this.#options.control.owner = 0
    clearInterval(this.#deadlines)
    this.#deadlines = undefined
    // What the former owner sent meanwhile goes on in line with everybody's.
    for (let unit = this.#ownerQueue.shift(); unit !== undefined; unit = this.#ownerQueue.shift())
      this.#queue.push(unit)
  }

  /** Of a session that has the engine and runs nothing; else the main thread looks (ADR 0025). */
  #checkDeadlines(): void {
    const session = this.#sessions.get(this.#owner)
    if (session === undefined) return
    const waitedMs = this.#options.control.waitedMs()
    if (waitedMs === undefined) return
    const now = performance.now()
    const expired =
      Math.min(waitedMs, now - this.#ownedAt) > session.leaseMs
        ? outcome.leaseExpired
        : Math.min(waitedMs, now - this.#idleSince) > session.idleMs
          ? outcome.idleExpired
          : undefined
    if (expired === undefined) return
    try {
      this.#expire(this.#owner, session, expired)
    } catch (cause) {
      this.#isDead = true
      this.#options.onDead(cause)
    }
  }

  /** Those that last and have not been ended. */
  #keepers(): Keeper[] {
    const keepers: Keeper[] = []
    for (const [session, { own, expired }] of this.#sessions)
      if (own !== undefined && expired === undefined)
        keepers.push({ session, namePrefix: own.namePrefix, otherBytes: otherBytesOf(own) })
    return keepers
  }

  /** Forgets names of settings: of those that are set, their sessions have the values. */
  #tidy(isNeeded: boolean): void {
    const { settingNames, backend } = this.#options
    if (!isNeeded && !settingNames.isDue) return
    this.#enter(undefined)
    settingNames.forget()
    backend.forgetSettingRecords()
  }

  #relieve(relief: Relief): void {
    if (relief.kind === 'name') {
      this.#enter(undefined)
      this.#cleaner.dropName(relief.name)
      return
    }
    const session = this.#sessions.get(relief.session)
    const why = relief.why === 'bound' ? outcome.keptTooMuch : outcome.keptMost
    if (session !== undefined) this.#expire(relief.session, session, why)
  }

  #expire(id: number, session: SessionState, expired: Expiry): void {
    session.expired = expired
    this.#endTransaction()
    // The next unit is a stranger's, and the session's own end may be long in coming.
    if (session.own === undefined) this.#clean()
    else this.#endLasting(session.own)
    this.#options.onExpired(id, expired)
  }

  #endTransaction(): void {
    const session = this.#sessions.get(this.#owner)
    if (session !== undefined) {
      if (session.status !== 'I') this.#cleaner.rollBack(session.status)
      session.status = 'I'
      session.held = false
    }
    this.#disown()
    this.#drainSoon()
  }
}

/**
 * What PostgreSQL remembers of each temporary relation: a table with a key, a sequence and long texts is
 * five, and took 27 KB (PGlite 0.5.16, 100 of them).
 */
const relationBytes = 6_000

/** Of its settings, which the threads have as well, and its temporary relations. */
function otherBytesOf({ settings, objects }: Own): number {
  let texts = 0
  for (const [name, value] of settings.all) texts += name.length + value.length
  return texts * 2 + objects.relations.length * relationBytes
}

function ownOf({ settings, namePrefix, processId }: LastingHead): Own {
  return {
    settings: new SessionSettings(processId, settings),
    objects: new OwnObjects(),
    namePrefix,
  }
}

function identityOf({ roleOid, userId, readOnly }: UnitHead): Identity {
  return { roleOid, userId, readOnly }
}

function outcomeOf({ tooLarge, tooMuchDisk, cutOff }: BackendReply): Outcome {
  if (tooLarge) return outcome.tooLarge
  if (cutOff) return outcome.cutOff
  return tooMuchDisk ? outcome.tooMuchDisk : outcome.answered
}

const noBytes = new Uint8Array(0)
const noAsides: readonly Aside[] = []

/** A queue whose `shift` does not move the rest. */
class Fifo<T> {
  #items: (T | undefined)[] = []
  #first = 0

  push(item: T): void {
    this.#items.push(item)
  }

  peek(): T | undefined {
    return this.#items[this.#first]
  }

  shift(): T | undefined {
    const item = this.#items[this.#first]
    if (item === undefined) return undefined
    this.#items[this.#first++] = undefined
    if (this.#first === this.#items.length) {
      this.#items = []
      this.#first = 0
    } else if (this.#first > 1024 && this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first)
      this.#first = 0
    }
    return item
  }
}
