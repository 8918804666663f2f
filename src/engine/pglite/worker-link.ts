/**
 * One life of the worker thread, seen from the main thread: units go in, answers come back by
 * serial. It knows nothing of restarts; when the worker dies it says so once.
 */
import { MessageChannel, Worker } from 'node:worker_threads'
import { BusyPoll } from './busy-poll.js'
import { setCancelFlags, type CancelFlags } from './cancel-flags.js'
import type { Checkpoint } from './checkpointer.js'
import { Control, unitSlots } from './control.js'
import type { CopyEnd } from './copy-channel.js'
import type { Aside, Expiry, FromWorker, Outcome, ToWorker, WorkerOptions } from './messages.js'
import { headOf, type PendingUnit } from './pending-unit.js'
import { readReplyRecord } from './reply-record.js'
import { Ring } from './ring.js'
import { ThreadReceiver, ThreadSender, type RemoteEnd } from './thread-channel.js'
import { unitRecordBytes, writeUnit } from './unit-record.js'

export interface WorkerLinkEvents {
  replied(serial: number, ended: Outcome, bytes: Uint8Array): void
  /** What came with an answer, before that is told of. */
  aside(serial: number, aside: Aside): void
  /** An answer comes in parts. */
  parts(serial: number, end: CopyEnd): void
  /** A session was ended. */
  expired(session: number, ended: Expiry): void
  /** A group commit: how long its sync took and how many units it made durable. */
  synced(micros: number, units: number): void
  checkpointed(checkpoint: Checkpoint): void
  /** Answers have come, and WAL was written since answers came before: there may be a commit among them. */
  committed(): void
  died(cause: string): void
  stderr(line: string): void
}

/** How often a unit that runs is asked to end when the worker is to close. */
const interruptEveryMs = 20

export class WorkerLink {
  readonly control = new Control()
  readonly #worker: Worker
  readonly #sender: ThreadSender<ToWorker>
  readonly #receiver: ThreadReceiver<FromWorker>
  readonly #busyPoll: BusyPoll
  readonly #events: WorkerLinkEvents
  readonly #freeSlots: number[] = Array.from({ length: unitSlots }, (_, slot) => slot)
  /** Units that were sent and not answered. */
  #underWay = 0
  /** The turn's end is awaited, to look for answers. */
  #looksSoon = false
  /** Of the units of this turn one is of the session that has the engine. */
  #ownerWaits = false
  #walWrites = 0
  #cancelFlags: CancelFlags | undefined
  #wasmModule: WebAssembly.Module | undefined
  #isDead = false
  #opened: { resolve: () => void; reject: (cause: Error) => void } | undefined
  #closed: (() => void) | undefined

  constructor(
    options: Omit<WorkerOptions, 'control' | 'hears' | 'tells'> & { readonly stackMb: number },
    events: WorkerLinkEvents,
  ) {
    this.#events = events
    const { stackMb, ...rest } = options
    const down = new MessageChannel()
    const up = new MessageChannel()
    const hears: RemoteEnd = { port: down.port2, ring: new Ring().buffer }
    const tells: RemoteEnd = { port: up.port2, ring: new Ring().buffer }
    this.#sender = new ThreadSender({ ...hears, port: down.port1 })
    this.#receiver = new ThreadReceiver(
      { ...tells, port: up.port1 },
      {
        record: (ring, place) => {
          const { serial, outcome, bytes } = readReplyRecord(ring, place)
          this.#replied(serial, outcome, bytes)
        },
        message: (message) => this.#receive(message),
      },
    )
    this.#busyPoll = new BusyPoll(options.busyPollMs)
    const workerData: WorkerOptions = { ...rest, control: this.control.buffer, hears, tells }
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData,
      transferList: [hears.port, tells.port],
      // PGlite's own stack is V8's: with Node's default, deep recursion kills it silently.
      resourceLimits: { stackSizeMb: stackMb, maxOldGenerationSizeMb: 4096 },
      execArgv: [],
    })
    this.#receiver.listen(() => {
      this.#busyPoll.came()
      this.#takeAll()
    })
    this.#worker.on('error', (cause) => this.#die(cause.message))
    this.#worker.on('exit', (code) => {
      this.#takeAll()
      this.#die(`the worker ended with code ${code}`)
    })
  }

  /** Resolves when the database is open. Rejects if the worker dies first or takes too long. */
  async opened(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    try {
      await new Promise<void>((resolve, reject) => {
        this.#opened = { resolve, reject }
        timer = setTimeout(() => {
          reject(new Error(`the engine did not start within ${timeoutMs} ms`))
        }, timeoutMs)
      })
    } finally {
      clearTimeout(timer)
    }
  }

  /** Whether a running unit can be stopped without ending the worker. */
  get canInterrupt(): boolean {
    return this.#cancelFlags !== undefined
  }

  /** PGlite's code with what of it is compiled by now; undefined until the database is open. */
  get wasmModule(): WebAssembly.Module | undefined {
    return this.#wasmModule
  }

  claimSlot(): number | undefined {
    return this.#freeSlots.pop()
  }

  freeSlot(slot: number): void {
    this.#freeSlots.push(slot)
  }

  /** Sends it at once: what comes in the same turn is read while the worker has begun. */
  send(unit: PendingUnit): void {
    if (this.#isDead) return
    this.control.announce(unit.slot)
    this.#sendNow(unit)
    this.#sender.wake()
    this.#underWay += 1
    this.#ownerWaits ||= unit.session !== 0 && unit.session === this.control.owner
    if (this.#looksSoon) return
    this.#looksSoon = true
    setImmediate(() => this.#look())
  }

  interrupt(serial: number): void {
    const flags = this.#cancelFlags
    if (flags !== undefined) this.control.interrupt(serial, () => setCancelFlags(flags))
  }

  /** Shuts PostgreSQL down cleanly and ends the thread. A unit that runs on past `graceMs` is cut off. */
  async close(graceMs: number): Promise<void> {
    if (this.#isDead) return
    const closed = new Promise<void>((resolve) => {
      this.#closed = resolve
    })
    this.#sender.post({ kind: 'close' })
    const until = performance.now() + graceMs
    const insisting = setInterval(() => this.#endRunning(until), interruptEveryMs)
    await closed
    clearInterval(insisting)
    await this.terminate()
  }

  #endRunning(until: number): void {
    const running = this.control.running()
    if (running === undefined) return
    if (performance.now() < until) this.interrupt(running.serial)
    else void this.terminate()
  }

  /** Ends the thread at once; what it had not made durable is undone at the next start. */
  async terminate(): Promise<void> {
    this.#isDead = true
    this.#opened?.reject(new Error('the worker was ended'))
    await this.#worker.terminate()
    this.#receiver.close()
    this.#closed?.()
  }

  /** Only for what no other can be answered before. */
  #look(): void {
    const isNext = this.#underWay === 1 || this.#ownerWaits
    this.#looksSoon = false
    this.#ownerWaits = false
    if (isNext && !this.#isDead) this.#poll()
  }

  #sendNow(pending: PendingUnit): void {
    const { unit } = pending
    const copy = pending.copy?.remote
    const lasting = pending.lasting?.head
    const isRecord =
      copy === undefined &&
      lasting === undefined &&
      this.#sender.put(unitRecordBytes(pending), (ring, place) => writeUnit(pending, ring, place))
    if (isRecord) return
    const message = { head: headOf(pending), bytes: unit.bytes, copy, lasting }
    this.#sender.post({ kind: 'unit', ...message }, copy === undefined ? [] : [copy.port])
  }

  /** The answer of a small statement is there soon. */
  #poll(): void {
    this.#receiver.wakeUp()
    this.#busyPoll.waitFor(() => this.#receiver.hasCome)
    this.#takeAll()
  }

  #takeAll(): void {
    do {
      this.#receiver.takeAll()
      this.#tellOfCommit()
    } while (!this.#receiver.fallAsleep())
  }

  #replied(serial: number, ended: Outcome, bytes: Uint8Array): void {
    this.#underWay -= 1
    if (!this.#isDead) this.#events.replied(serial, ended, bytes)
  }

  #receive(message: FromWorker): void {
    if (this.#isDead) return
    switch (message.kind) {
      case 'reply':
        for (const aside of message.asides) this.#events.aside(message.serial, aside)
        this.#replied(message.serial, message.outcome, message.bytes)
        break
      case 'synced':
        this.#events.synced(message.micros, message.units)
        break
      case 'parts':
        this.#events.parts(message.serial, message.end)
        break
      case 'expired':
        this.#events.expired(message.session, message.outcome)
        break
      case 'checkpoint':
        this.#events.checkpointed(message.checkpoint)
        break
      case 'ready':
        this.#cancelFlags = message.cancelFlags
        this.#wasmModule = message.wasmModule
        this.#opened?.resolve()
        break
      case 'dead':
        this.#die(message.cause)
        break
      case 'closed':
        this.#closed?.()
        break
      case 'stderr':
        this.#events.stderr(message.line)
        break
    }
  }

  /**
   * The count may run ahead of the answers that are here. A listener that then asks the engine is
   * answered after the unit that wrote, and its answer is held until that is durable.
   */
  #tellOfCommit(): void {
    const { walWrites } = this.control
    if (walWrites === this.#walWrites) return
    this.#walWrites = walWrites
    this.#events.committed()
  }

  #die(cause: string): void {
    if (this.#isDead) return
    this.#isDead = true
    this.#opened?.reject(new Error(cause))
    this.#events.died(cause)
    this.#closed?.()
  }
}
