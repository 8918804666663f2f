/**
 * One instance of the client core, as its ABI says (link/core/ABI.md): bytes go in, copies of what
 * it tells come out. It knows no socket and no timer; connection.ts does.
 */

/** A text for the core; undefined is left out. */
export type CoreText = string | undefined

/** Operation (1 insert, 2 update, 3 delete), from, to; one after the other. */
export type Differences = Int32Array

export type CoreEvent =
  | { readonly kind: 'open'; readonly socket: number; readonly url: string }
  | { readonly kind: 'send'; readonly socket: number; readonly frame: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'close'; readonly socket: number; readonly code: number }
  | CoreState
  | { readonly kind: 'welcome'; readonly text: string }
  | QueryEvent
  | SubscriptionEvent

export interface CoreState {
  readonly kind: 'state'
  /** 0 idle, 1 connecting, 2 connected, 3 reconnecting, 4 closed. */
  readonly state: number
  readonly attempt: number
  /** The next attempt, in so many ms. */
  readonly waitMs: number
  /** JSON of the error that led here, or empty. */
  readonly error: string
}

export type QueryEvent =
  | {
      readonly kind: 'result'
      readonly id: number
      readonly isReplayed: boolean
      readonly text: string
      readonly tookMs: string
    }
  | CoreError

export interface CoreError {
  readonly kind: 'error'
  readonly id: number
  readonly isUnknown: boolean
  readonly text: string
}

export type SubscriptionEvent =
  | {
      readonly kind: 'subscribed'
      readonly id: number
      /** Bits: 1 ordered, 2 resumed, 4 other columns than before, 8 evaluated. */
      readonly flags: number
      readonly columns: string
      readonly key: string
    }
  | { readonly kind: 'rows'; readonly id: number; readonly text: string }
  | {
      readonly kind: 'changes'
      readonly id: number
      /** JSON list of the rows of inserts and updates, in order. */
      readonly text: string
      readonly differences: Differences
      readonly cursor: string
    }
  | {
      readonly kind: 'ready'
      readonly id: number
      readonly isResumed: boolean
      readonly cursor: string
    }
  | { readonly kind: 'reset'; readonly id: number; readonly reason: string }
  | CoreError

/** What the module exports; ABI.md has each. */
export interface CoreExports {
  readonly memory: WebAssembly.Memory
  inputRoom(length: number): number
  events(): number
  eventCount(): number
  dueAt(): number
  seed(value: number): void
  setting(name: number, value: number): number
  configure(length: number): number
  connect(now: number): void
  disconnect(now: number): void
  opened(socket: number, now: number): void
  closed(socket: number, code: number, length: number, now: number): void
  receive(socket: number, length: number, now: number): void
  tick(now: number): void
  wake(now: number): void
  query(length: number, mayWait: number, now: number): number
  subscribe(length: number, isOrdered: number, now: number): number
  unsubscribe(id: number, now: number): number
  readRows(id: number, first: number, rowsMax: number): void
}

/** Numbers of ABI.md, "Settings". */
export const coreSettings = {
  delayMsMin: 1,
  delayMsMax: 2,
  attemptsMax: 3,
  requestMsMax: 4,
} as const

const wordsPerEvent = 12
const leftOut = 0xffffffff
const encoder = new TextEncoder()
const decoder = new TextDecoder()

export class Core {
  readonly exports: CoreExports
  #bytes: Uint8Array<ArrayBuffer>
  #words: Int32Array<ArrayBuffer>

  constructor(instance: WebAssembly.Instance) {
    // ABI.md says so; a test compares it with the module.
    this.exports = instance.exports as unknown as CoreExports
    this.#bytes = new Uint8Array(0)
    this.#words = new Int32Array(0)
  }

  /** Puts bytes into the input, and gives their length. */
  give(bytes: Uint8Array): number {
    const at = this.exports.inputRoom(bytes.length)
    this.#look()
    this.#bytes.set(bytes, at)
    return bytes.length
  }

  giveText(text: string): number {
    return this.give(encoder.encode(text))
  }

  /** Texts one after the other, each behind its length. */
  giveTexts(texts: readonly CoreText[]): number {
    const blocks = texts.map((text) => (text === undefined ? undefined : encoder.encode(text)))
    const bytes = new Uint8Array(blocks.reduce((sum, block) => sum + 4 + (block?.length ?? 0), 0))
    const view = new DataView(bytes.buffer)
    let at = 0
    for (const block of blocks) {
      view.setUint32(at, block?.length ?? leftOut, true)
      if (block !== undefined) bytes.set(block, at + 4)
      at += 4 + (block?.length ?? 0)
    }
    return this.give(bytes)
  }

  /** What the last call tells, copied: the next one takes it back. */
  take(): CoreEvent[] {
    this.#look()
    const first = this.exports.events() >> 2
    return Array.from({ length: this.exports.eventCount() }, (_, index) =>
      this.#event(first + index * wordsPerEvent),
    )
  }

  #event(at: number): CoreEvent {
    const id = this.#word(at + 1)
    const a = this.#word(at + 2)
    const b = this.#word(at + 3)
    switch (this.#word(at)) {
      case 1:
        return { kind: 'open', socket: a, url: this.#text(at + 4) }
      case 2:
        return { kind: 'send', socket: a, frame: this.#range(at + 4).slice() }
      case 3:
        return { kind: 'close', socket: a, code: b }
      case 4: {
        const waitMs = this.#word(at + 10)
        return { kind: 'state', state: a, attempt: b, waitMs, error: this.#text(at + 4) }
      }
      case 5:
        return { kind: 'welcome', text: this.#text(at + 4) }
      case 6: {
        const texts = { text: this.#text(at + 4), tookMs: this.#text(at + 6) }
        return { kind: 'result', id, isReplayed: a === 1, ...texts }
      }
      case 7:
        return { kind: 'error', id, isUnknown: b === 1, text: this.#text(at + 4) }
      case 8: {
        const texts = { columns: this.#text(at + 4), key: this.#text(at + 6) }
        return { kind: 'subscribed', id, flags: a, ...texts }
      }
      case 9:
        return { kind: 'rows', id, text: this.#text(at + 4) }
      case 10: {
        const start = this.#word(at + 6) >> 2
        const differences = this.#words.slice(start, start + a * 3)
        return {
          kind: 'changes',
          id,
          text: this.#text(at + 4),
          differences,
          cursor: this.#text(at + 8),
        }
      }
      case 11:
        return { kind: 'ready', id, isResumed: a === 1, cursor: this.#text(at + 8) }
      default:
        return { kind: 'reset', id, reason: this.#text(at + 4) }
    }
  }

  #word(at: number): number {
    return this.#words[at] ?? 0
  }

  #range(at: number): Uint8Array<ArrayBuffer> {
    const start = this.#word(at)
    return this.#bytes.subarray(start, start + this.#word(at + 1))
  }

  #text(at: number): string {
    return decoder.decode(this.#range(at))
  }

  /** Memory that grew has another buffer. */
  #look(): void {
    const { buffer } = this.exports.memory
    if (this.#bytes.buffer === buffer) return
    this.#bytes = new Uint8Array(buffer)
    this.#words = new Int32Array(buffer)
  }
}
