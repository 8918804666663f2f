/**
 * One life of the worker thread, seen from the main thread: units go in coalesced by tick, answers
 * come back by serial. It knows nothing of restarts; when the worker dies it says so once.
 */
import { Worker, type MessagePort } from 'node:worker_threads'
import { setCancelFlags, type CancelFlags } from './cancel-flags.js'
import type { Checkpoint } from './checkpointer.js'
import { Control, unitSlots } from './control.js'
import type { CopyEnd } from './copy-channel.js'
import {
  replyHeadFields,
  type Aside,
  type FlatUnitHeads,
  type FromWorker,
  type Outcome,
  type ToWorker,
  type WorkerOptions,
} from './messages.js'
import { flattenUnit, type PendingUnit } from './pending-unit.js'

export interface WorkerLinkEvents {
  replied(serial: number, ended: Outcome, bytes: Uint8Array): void
  /** What came with answers, before they are told of. */
  aside(aside: Aside): void
  /** An answer comes in parts. */
  parts(serial: number, end: CopyEnd): void
  /** A session's transaction was ended. */
  expired(session: number, ended: Outcome): void
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
  readonly #events: WorkerLinkEvents
  readonly #freeSlots: number[] = Array.from({ length: unitSlots }, (_, slot) => slot)
  #outgoing: PendingUnit[] = []
  #walWrites = 0
  #cancelFlags: CancelFlags | undefined
  #wasmModule: WebAssembly.Module | undefined
  #isDead = false
  #opened: { resolve: () => void; reject: (cause: Error) => void } | undefined
  #closed: (() => void) | undefined

  constructor(
    options: Omit<WorkerOptions, 'control'> & { readonly stackMb: number },
    events: WorkerLinkEvents,
  ) {
    this.#events = events
    const { stackMb, ...rest } = options
    const workerData: WorkerOptions = { ...rest, control: this.control.buffer }
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData,
      // PGlite's own stack is V8's: with Node's default, deep recursion kills it silently.
      resourceLimits: { stackSizeMb: stackMb, maxOldGenerationSizeMb: 4096 },
      execArgv: [],
    })
    this.#worker.on('message', (message: FromWorker) => this.#receive(message))
    this.#worker.on('error', (cause) => this.#die(cause.message))
    this.#worker.on('exit', (code) => this.#die(`the worker ended with code ${code}`))
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

  /** Sends at the end of this tick, with all else of the tick. */
  send(unit: PendingUnit): void {
    this.control.announce(unit.slot)
    this.#outgoing.push(unit)
    if (this.#outgoing.length === 1) setImmediate(() => this.#flush())
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
    this.#post({ kind: 'close' })
    const until = Date.now() + graceMs
    const insisting = setInterval(() => this.#endRunning(until), interruptEveryMs)
    await closed
    clearInterval(insisting)
    await this.terminate()
  }

  #endRunning(until: number): void {
    const running = this.control.running()
    if (running === undefined) return
    if (Date.now() < until) this.interrupt(running.serial)
    else void this.terminate()
  }

  /** Ends the thread at once; what it had not made durable is undone at the next start. */
  async terminate(): Promise<void> {
    this.#isDead = true
    this.#opened?.reject(new Error('the worker was ended'))
    await this.#worker.terminate()
    this.#closed?.()
  }

  #flush(): void {
    const units = this.#outgoing
    this.#outgoing = []
    if (this.#isDead) return
    const heads: FlatUnitHeads = []
    const total = units.reduce((sum, { unit }) => sum + unit.bytes.length, 0)
    const bytes = new Uint8Array(total)
    let offset = 0
    for (const pending of units) {
      bytes.set(pending.unit.bytes, offset)
      flattenUnit(pending, offset, heads)
      offset += pending.unit.bytes.length
    }
    const copies = units.flatMap(({ copy }) => copy?.remote ?? [])
    const ports = copies.map(({ port }) => port)
    const lasting = units.flatMap((pending) => pending.lasting?.head ?? [])
    this.#post({ kind: 'units', heads, bytes, copies, lasting }, [bytes.buffer, ...ports])
  }

  #post(message: ToWorker, transfer: (ArrayBuffer | MessagePort)[] = []): void {
    this.#worker.postMessage(message, transfer)
  }

  #receive(message: FromWorker): void {
    if (this.#isDead) return
    switch (message.kind) {
      case 'replies':
        for (const aside of message.asides) this.#events.aside(aside)
        this.#replies(message.heads, message.bytes)
        if (message.syncMicros !== undefined)
          this.#events.synced(message.syncMicros, message.heads.length / replyHeadFields)
        this.#tellOfCommit()
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

  #replies(heads: readonly number[], bytes: Uint8Array): void {
    for (let at = 0; at < heads.length; at += replyHeadFields) {
      const offset = heads[at + 2] ?? 0
      const reply = bytes.subarray(offset, offset + (heads[at + 3] ?? 0))
      this.#events.replied(heads[at] ?? 0, heads[at + 1] as Outcome, reply)
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
