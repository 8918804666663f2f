/** Drives link/core in tests, by ABI.md. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { CoreExports as SdkCoreExports } from '../../link/sdks/typescript/src/core.js'
import { repositoryRoot } from '../support/repository-root.js'

export const coreFolder = fileURLToPath(new URL('link/core/', repositoryRoot))

const wasm = new WebAssembly.Module(readFileSync(`${coreFolder}kalam_core.wasm`))

/** The SDK uses all but two. */
export interface CoreExports extends SdkCoreExports {
  abiVersion(): number
  rowCount(id: number): number
}

export type Difference = readonly [operation: number, from: number, to: number]

export interface CoreEvent {
  readonly kind: string
  readonly id: number
  /** Words a to d of the record. */
  readonly words: readonly [number, number, number, number]
  readonly text: string
  readonly bytes: Uint8Array
  readonly more: string
  readonly differences: readonly Difference[]
  readonly cursor: string
}

const kinds = [
  ...['', 'open', 'send', 'close', 'state', 'welcome', 'result', 'error', 'subscribed', 'rows'],
  ...['changes', 'ready', 'reset'],
]
const eventBytes = 48

export type Text = string | undefined

export class CoreHost {
  readonly core: CoreExports
  now = 0

  constructor() {
    // By ABI.md these are its exports, and it imports nothing.
    this.core = new WebAssembly.Instance(wasm, {}).exports as unknown as CoreExports
  }

  static get module(): WebAssembly.Module {
    return wasm
  }

  give(bytes: Uint8Array): number {
    const at = this.core.inputRoom(bytes.length)
    new Uint8Array(this.core.memory.buffer).set(bytes, at)
    return bytes.length
  }

  giveTexts(texts: readonly Text[]): number {
    const parts = texts.map((text) => {
      const bytes = Buffer.from(text ?? '')
      const head = Buffer.alloc(4)
      head.writeUInt32LE(text === undefined ? 0xffffffff : bytes.length)
      return Buffer.concat([head, bytes])
    })
    return this.give(Buffer.concat(parts))
  }

  configure(...texts: readonly Text[]): boolean {
    return this.core.configure(this.giveTexts(texts)) !== 0
  }

  /** Configures, connects, and is known to the server. */
  start(): this {
    this.configure('http://127.0.0.1:2900', anyKey)
    this.core.connect(this.now)
    this.reopen()
    return this
  }

  /** Opens the socket that the core asks for. */
  reopen(): void {
    const socket = this.take().findLast(({ kind }) => kind === 'open')?.words[0] ?? 0
    this.socket = socket
    this.core.opened(socket, this.now)
  }

  socket = 0

  receive(frame: Uint8Array): CoreEvent[] {
    this.core.receive(this.socket, this.give(frame), this.now)
    return this.take()
  }

  closed(code: number, reason = ''): CoreEvent[] {
    this.core.closed(this.socket, code, this.give(Buffer.from(reason)), this.now)
    return this.take()
  }

  subscribe(...texts: readonly Text[]): number {
    return this.core.subscribe(this.giveTexts(texts), 0, this.now)
  }

  query(texts: readonly Text[], mayWait = false): number {
    return this.core.query(this.giveTexts(texts), mayWait ? 1 : 0, this.now)
  }

  tick(afterMs: number): CoreEvent[] {
    this.now += afterMs
    this.core.tick(this.now)
    return this.take()
  }

  /** What the last call has to tell. */
  take(): CoreEvent[] {
    const { core } = this
    const view = new DataView(core.memory.buffer)
    return Array.from({ length: core.eventCount() }, (_, index) =>
      readEvent(view, core.events() + index * eventBytes),
    )
  }

  /** The rows that the core has, as values. */
  rows(id: number, first = 0, rowsMax = 0xffffffff): unknown {
    this.core.readRows(id, first, rowsMax)
    return JSON.parse(this.take()[0]?.text ?? '')
  }
}

/** It has the form of a key. */
export const anyKey = `kal_${'a'.repeat(42)}A`

function readEvent(view: DataView<ArrayBuffer>, at: number): CoreEvent {
  const word = (index: number) => view.getUint32(at + index * 4, true)
  const signed = (index: number) => view.getInt32(at + index * 4, true)
  const bytes = (index: number) => Buffer.from(view.buffer, word(index), word(index + 1))
  const kind = kinds[word(0)] ?? ''
  const isChanges = kind === 'changes'
  return {
    kind,
    id: word(1),
    words: [signed(2), signed(3), signed(10), signed(11)],
    text: bytes(4).toString(),
    bytes: Uint8Array.from(bytes(4)),
    more: isChanges ? '' : bytes(6).toString(),
    differences: isChanges ? readDifferences(view, word(6), word(2)) : [],
    cursor: bytes(8).toString(),
  }
}

function readDifferences(view: DataView, at: number, count: number): Difference[] {
  return Array.from({ length: count }, (_, index) => [
    view.getInt32(at + index * 12, true),
    view.getInt32(at + index * 12 + 4, true),
    view.getInt32(at + index * 12 + 8, true),
  ])
}
