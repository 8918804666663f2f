/**
 * The few words that the engine's two threads share, besides messages: which unit runs, since
 * when, and for each unit whether it may still be taken back. With them a cancel hits exactly the
 * unit it means, and a unit is either run or given back, never both.
 */

/** Units that may be on their way at once; `engine.queue_max` must stay below. */
export const unitSlots = 65_536

const word = {
  /** 1 while a thread reads or writes the words below together. */
  lock: 0,
  /** Serial of the unit that runs; 0 for none. */
  running: 1,
  /** When it began, by `clockMs`. */
  startedAt: 2,
  /** When the present lease began, like `startedAt`; and the session that has it, 0 for none. */
  leaseStartedAt: 3,
  owner: 4,
  /** KiB of WAL written since the last checkpoint. */
  walKib: 5,
  /** Units run, modulo 2^32. */
  units: 6,
  /** Pages of 64 KiB that PGlite's memory has. */
  memoryPages: 7,
  /** Writes of WAL, modulo 2^32; unlike its size this only grows. */
  walWrites: 8,
  /** So long others have waited for the session that has the engine, as a moment like `startedAt`; 0 if nobody does. */
  waitedSince: 9,
  count: 10,
} as const

const slotWaiting = 0
const slotTaken = 1
const slotGivenBack = 2

/** Milliseconds that fit a signed 32-bit word; differences are taken modulo it. */
const clockMask = 0x7fffffff

/** `performance.now()` counts from the start of its thread, and this from one moment for all. */
const threadStartMs = Number(process.hrtime.bigint() / 1_000_000n) - performance.now()

/** Of a clock that all threads share and nobody sets: one set back would end what runs. */
function clockMs(): number {
  return (threadStartMs + performance.now()) & clockMask
}

/** Below 12 days; what another thread has begun a moment ahead of this one's clock began now. */
function elapsedMs(since: number): number {
  const elapsed = (clockMs() - since) & clockMask
  return elapsed > clockMask >> 1 ? 0 : elapsed
}

export interface RunningUnit {
  readonly serial: number
  readonly elapsedMs: number
}

export class Control {
  readonly buffer: SharedArrayBuffer
  readonly #words: Int32Array
  readonly #slots: Int8Array

  constructor(buffer?: SharedArrayBuffer) {
    const wordBytes = word.count * Int32Array.BYTES_PER_ELEMENT
    this.buffer = buffer ?? new SharedArrayBuffer(wordBytes + unitSlots)
    this.#words = new Int32Array(this.buffer, 0, word.count)
    this.#slots = new Int8Array(this.buffer, wordBytes, unitSlots)
  }

  /** Main thread, before the unit is sent. A slot serves one unit at a time. */
  announce(slot: number): void {
    Atomics.store(this.#slots, slot, slotWaiting)
  }

  /** Worker: true if the unit may run; it can no longer be given back then. */
  take(slot: number): boolean {
    return Atomics.compareExchange(this.#slots, slot, slotWaiting, slotTaken) === slotWaiting
  }

  /** Main thread: true if the unit will never run. */
  giveBack(slot: number): boolean {
    return Atomics.compareExchange(this.#slots, slot, slotWaiting, slotGivenBack) === slotWaiting
  }

  /** Worker: `serial` runs from now on; 0 for none. `clear` runs before anyone can cancel it. */
  setRunning(serial: number, clear: () => void): void {
    this.#locked(() => {
      clear()
      this.#words[word.running] = serial
      this.#words[word.startedAt] = clockMs()
    })
    if (serial !== 0) Atomics.add(this.#words, word.units, 1)
  }

  running(): RunningUnit | undefined {
    return this.#locked(() => {
      const serial = this.#words[word.running] ?? 0
      if (serial === 0) return undefined
      return { serial, elapsedMs: elapsedMs(this.#words[word.startedAt] ?? 0) }
    })
  }

  /** Main thread: calls `interrupt` only while `serial` runs. */
  interrupt(serial: number, interrupt: () => void): void {
    this.#locked(() => {
      if (this.#words[word.running] === serial) interrupt()
    })
  }

  /** The session that owns the engine; 0 for none. */
  set owner(session: number) {
    if (session !== 0) Atomics.store(this.#words, word.leaseStartedAt, clockMs())
    Atomics.store(this.#words, word.owner, session)
  }

  get owner(): number {
    return Atomics.load(this.#words, word.owner)
  }

  /** How long the present lease has lasted in ms; undefined without one. */
  leaseElapsedMs(): number | undefined {
    if (this.owner === 0) return undefined
    return elapsedMs(Atomics.load(this.#words, word.leaseStartedAt))
  }

  /** When the present lease began; another for another lease. Undefined without one. */
  get lease(): number | undefined {
    return this.owner === 0 ? undefined : Atomics.load(this.#words, word.leaseStartedAt)
  }

  /** Main thread: for how long others have waited for the session that has the engine; undefined if nobody does. */
  noteWaited(ms: number | undefined): void {
    // 0 has a meaning of its own, and a millisecond has none.
    const since = ms === undefined ? 0 : Math.max(1, (clockMs() - ms) & clockMask)
    Atomics.store(this.#words, word.waitedSince, since)
  }

  /** For how long others have waited for the session that has the engine, in ms; undefined if nobody waits. */
  waitedMs(): number | undefined {
    const since = Atomics.load(this.#words, word.waitedSince)
    return since === 0 ? undefined : elapsedMs(since)
  }

  addWalBytes(bytes: number): void {
    Atomics.add(this.#words, word.walKib, Math.ceil(bytes / 1024))
    Atomics.add(this.#words, word.walWrites, 1)
  }

  /** Changes whenever WAL is written, and a commit writes WAL. */
  get walWrites(): number {
    return Atomics.load(this.#words, word.walWrites)
  }

  walBytes(): number {
    return Atomics.load(this.#words, word.walKib) * 1024
  }

  resetWalBytes(): void {
    Atomics.store(this.#words, word.walKib, 0)
  }

  get unitsRun(): number {
    return Atomics.load(this.#words, word.units) >>> 0
  }

  set memoryBytes(bytes: number) {
    Atomics.store(this.#words, word.memoryPages, bytes / 65_536)
  }

  get memoryBytes(): number {
    return Atomics.load(this.#words, word.memoryPages) * 65_536
  }

  /** Spins: the other thread holds the lock for a few stores at most. */
  #locked<T>(work: () => T): T {
    while (Atomics.compareExchange(this.#words, word.lock, 0, 1) !== 0);
    try {
      return work()
    } finally {
      Atomics.store(this.#words, word.lock, 0)
    }
  }
}
