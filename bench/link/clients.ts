/** Two clients that do the same: from a message's bytes to rows as values, and where they go. */
import type { CoreExports } from '../../tests/link/core-host.js'
import { serverFrames } from '../../tests/link/frames.js'
import type { Frame } from './traffic.js'

export interface Client {
  /** Begins a live query, and drops the one before. */
  open(): void
  /** Tells its rows. */
  snapshot(frame: Frame): void
  /** Keeps its rows, and tells none. */
  hold(frame: Frame): void
  /** Tells the first rows that are kept, as a page shows them. */
  show(rows: number): void
  ready(): void
  changes(frame: Frame): void
}

/** What an app gets; `row` is undefined for a delete. */
export type OnChange = (from: number, to: number, row: readonly unknown[] | undefined) => void

/** `text` is `plain` for which the browser decodes messages, at no cost that shows. */
export type ClientName = 'core' | 'plain' | 'text'

export interface ClientOptions {
  readonly name: ClientName
  readonly core: WebAssembly.Module
  readonly onChange: OnChange
}

/** Connected, with no live query. */
export function openClient({ name, core, onChange }: ClientOptions): Client {
  return name === 'core' ? openCore(core, onChange) : new PlainClient(onChange)
}

/** The core with the shortest host: one copy in, one decode and one JSON.parse out. */
function openCore(module: WebAssembly.Module, onChange: OnChange): Client {
  // By ABI.md these are its exports, and it imports nothing.
  const core = new WebAssembly.Instance(module, {}).exports as unknown as CoreExports
  const decoder = new TextDecoder()
  let words = new Int32Array(core.memory.buffer)
  let bytes = new Uint8Array(core.memory.buffer)
  let id = 0
  const refresh = () => {
    if (bytes.length > 0) return
    words = new Int32Array(core.memory.buffer)
    bytes = new Uint8Array(core.memory.buffer)
  }
  const give = (frame: Uint8Array): number => {
    const at = core.inputRoom(frame.length)
    refresh()
    bytes.set(frame, at)
    return at
  }
  const receive = (frame: Uint8Array) => {
    give(frame)
    core.receive(1, frame.length, 0)
    refresh()
  }
  /** Frames are made for the live query 1. */
  const receiveOwn = (frame: Uint8Array): number => {
    const at = give(frame)
    bytes[at + 1] = id
    core.receive(1, frame.length, 0)
    refresh()
    return core.events() >> 2
  }
  const rowsAt = (event: number): unknown[][] => {
    const start = words[event + 4] ?? 0
    const text = decoder.decode(bytes.subarray(start, start + (words[event + 5] ?? 0)))
    // The server's rows are lists of values.
    return JSON.parse(text) as unknown[][]
  }
  const tellRows = (event: number) => {
    let index = words[event + 2] ?? 0
    for (const row of rowsAt(event)) onChange(-1, index++, row)
  }
  connect(core, give, receive)
  return {
    open() {
      if (id !== 0) core.unsubscribe(id, 0)
      const sql = textsOf('SELECT 1')
      give(sql)
      id = core.subscribe(sql.length, 0, 0)
      if (id >= 0x80) throw new Error('assertion failed: an id has one byte in a frame')
      receive(serverFrames.subscribed(id))
    },
    snapshot({ binary }) {
      tellRows(receiveOwn(binary))
    },
    hold({ binary }) {
      receiveOwn(binary)
    },
    show(count) {
      core.readRows(id, 0, count)
      refresh()
      tellRows(core.events() >> 2)
    },
    ready() {
      receive(serverFrames.ready(id, 'a'))
    },
    changes({ binary }) {
      const event = receiveOwn(binary)
      const rows = rowsAt(event)
      let next = 0
      let at = (words[event + 6] ?? 0) >> 2
      for (let left = words[event + 2] ?? 0; left > 0; left--, at += 3) {
        const to = words[at + 2] ?? 0
        onChange(words[at + 1] ?? 0, to, to < 0 ? undefined : rows[next++])
      }
    },
  }
}

type TakeBytes = (bytes: Uint8Array) => unknown

function connect(core: CoreExports, give: TakeBytes, receive: TakeBytes): void {
  const texts = textsOf('http://127.0.0.1:2900', `kal_${'a'.repeat(42)}A`)
  give(texts)
  core.configure(texts.length)
  core.connect(0)
  core.opened(1, 0)
  receive(serverFrames.authenticated())
}

/** By ABI.md, each behind its length. */
function textsOf(...texts: readonly string[]): Uint8Array {
  const encoder = new TextEncoder()
  return Uint8Array.from(
    texts.flatMap((text) => {
      const bytes = encoder.encode(text)
      return [bytes.length, 0, 0, 0, ...bytes]
    }),
  )
}

interface Entry {
  row: readonly unknown[]
  chunk: Chunk
}

interface Chunk {
  index: number
  entries: Entry[]
}

type JsonChange = readonly [string, readonly [number], (readonly unknown[])?]

/** kalam.v1.json with care: one JSON.parse a message, a Map by key, and the core's own kind of list. */
class PlainClient implements Client {
  readonly #decoder = new TextDecoder()
  #byKey = new Map<number, Entry>()
  #chunks: Chunk[] = []
  readonly #onChange: OnChange
  #rows = 0

  constructor(onChange: OnChange) {
    this.#onChange = onChange
  }

  open(): void {
    this.#byKey = new Map()
    this.#chunks = []
    this.#rows = 0
  }

  snapshot({ json }: Frame): void {
    const { rows } = this.#parse(json) as { rows: (readonly [number, ...unknown[]])[] }
    for (const row of rows) this.#append(row[0], row)
  }

  hold({ json }: Frame): void {
    const { rows } = this.#parse(json) as { rows: (readonly [number, ...unknown[]])[] }
    for (const row of rows) this.#add(row[0], row)
  }

  show(count: number): void {
    let left = count
    for (const { entries } of this.#chunks) {
      for (const { row } of entries.slice(0, left)) this.#onChange(-1, count - left--, row)
      if (left === 0) return
    }
  }

  ready(): void {
    // Nothing waits for it.
  }

  changes({ json }: Frame): void {
    const { changes } = this.#parse(json) as { changes: JsonChange[] }
    for (const [operation, [key], row] of changes) {
      const known = this.#byKey.get(key)
      if (operation === 'd') {
        if (known !== undefined) this.#remove(key, known)
      } else if (row !== undefined) {
        if (known === undefined) this.#append(key, row)
        else this.#update(known, row)
      }
    }
  }

  #parse(json: Uint8Array | string): unknown {
    return JSON.parse(typeof json === 'string' ? json : this.#decoder.decode(json))
  }

  #append(key: number, row: readonly unknown[]): void {
    this.#onChange(-1, this.#rows, row)
    this.#add(key, row)
  }

  #add(key: number, row: readonly unknown[]): void {
    let chunk = this.#chunks.at(-1)
    if (chunk === undefined || chunk.entries.length >= chunkMax) {
      chunk = { index: this.#chunks.length, entries: [] }
      this.#chunks.push(chunk)
    }
    const entry = { row, chunk }
    chunk.entries.push(entry)
    this.#byKey.set(key, entry)
    this.#rows += 1
  }

  #update(known: Entry, row: readonly unknown[]): void {
    known.row = row
    const rank = this.#rankOf(known)
    this.#onChange(rank, rank, row)
  }

  #remove(key: number, known: Entry): void {
    const { chunk } = known
    const rank = this.#rankOf(known)
    chunk.entries.splice(chunk.entries.indexOf(known), 1)
    this.#byKey.delete(key)
    this.#rows -= 1
    if (chunk.entries.length === 0) {
      this.#chunks.splice(chunk.index, 1)
      for (let at = chunk.index; at < this.#chunks.length; at++) {
        const moved = this.#chunks[at]
        if (moved !== undefined) moved.index = at
      }
    }
    this.#onChange(rank, -1, undefined)
  }

  #rankOf(entry: Entry): number {
    const { chunk } = entry
    let rank = chunk.entries.indexOf(entry)
    for (let at = 0; at < chunk.index; at++) rank += this.#chunks[at]?.entries.length ?? 0
    return rank
  }
}

const chunkMax = 256
