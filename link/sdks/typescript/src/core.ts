/**
 * One instance of the client core, as its ABI says (link/core/ABI.md): bytes go in, copies of what
 * it tells come out. It knows no socket and no timer; connection.ts does.
 */

/** A text for the core; undefined is left out. */
export type CoreText = string | undefined

/** A record as ABI.md has it, "Events": what `a`, `b`, `c` and the texts mean, says its kind there. */
export interface CoreEvent {
  readonly kind: CoreEventKind
  readonly id: number
  readonly a: number
  readonly b: number
  readonly c: number
  /** Of `send` empty: it has bytes. */
  readonly text: string
  /** Of `changes` empty: it has differences. */
  readonly more: string
  readonly cursor: string
  /** Of `send`: the frame. */
  readonly frame: Uint8Array<ArrayBuffer>
  /** Of `changes`: operation (1 insert, 2 update, 3 delete), from, to; one after the other. */
  readonly differences: Int32Array
}

// prettier-ignore
const kinds = [
  '', 'open', 'send', 'close', 'state', 'welcome', 'result', 'error', 'subscribed', 'rows', 'changes', 'ready',
  'reset',
] as const
export type CoreEventKind = (typeof kinds)[number]

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

const wordsPerEvent = 12
const leftOut = 0xffffffff
const encoder = new TextEncoder()
const decoder = new TextDecoder()
const noBytes = new Uint8Array()

export class Core {
  readonly exports: CoreExports
  #bytes: Uint8Array<ArrayBuffer>
  #words: Int32Array<ArrayBuffer>

  constructor(instance: WebAssembly.Instance) {
    // ABI.md says so; a test compares it with the module.
    this.exports = instance.exports as unknown as CoreExports
    this.#bytes = noBytes
    this.#words = new Int32Array()
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
    const word = (index: number) => this.#words[at + index] ?? 0
    const text = (index: number) => decoder.decode(this.#range(word(index), word(index + 1)))
    const kind = kinds[word(0)] ?? ''
    const isSend = kind === 'send'
    const isChanges = kind === 'changes'
    const first = word(6) >> 2
    return {
      ...{ kind, id: word(1), a: word(2), b: word(3), c: word(10) },
      ...{ text: isSend ? '' : text(4), more: isChanges ? '' : text(6), cursor: text(8) },
      frame: isSend ? this.#range(word(4), word(5)).slice() : noBytes,
      differences: this.#words.slice(first, isChanges ? first + word(2) * 3 : first),
    }
  }

  #range(start: number, length: number): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(start, start + length)
  }

  /** Memory that grew has another buffer. */
  #look(): void {
    const { buffer } = this.exports.memory
    if (this.#bytes.buffer === buffer) return
    this.#bytes = new Uint8Array(buffer)
    this.#words = new Int32Array(buffer)
  }
}
