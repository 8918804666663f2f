/** A receiver of a live query that keeps its rows current, as a client would, and notes all it gets. */
import type { Caller, Database, Parameter } from '#src/database/database.js'
import type { Watch, WatchEvent, WatchReceiver } from '#src/database/watch.js'

export type Value = unknown
export type Row = readonly Value[]
export type RowChange = readonly ['i' | 'u', Row, Row, number?] | readonly ['d', Row]

export interface WatchOptions {
  readonly params?: readonly Parameter[]
  readonly namespace?: string
  readonly from?: string
  readonly fromId?: string
  /** Awaited between the pieces of a snapshot. */
  readonly writable?: () => Promise<void>
}

/** Longest a test waits for an event. */
const deadlineMs = 20_000

export class TestReceiver implements WatchReceiver {
  readonly events: WatchEvent[] = []
  /** As the changes say, in order. */
  readonly changes: RowChange[] = []
  rows: Row[] = []
  cursor: string | undefined
  columns: readonly string[] = []
  mode: string | undefined
  ended: { readonly code: string; readonly message: string } | undefined
  /** What could not be applied: each is a fault. */
  readonly faults: string[] = []
  watch: Watch | undefined
  #key: readonly number[] = []
  #ordered = false
  #loading: Row[] | undefined = []
  #waiting: { readonly isDone: () => boolean; readonly resolve: () => void }[] = []
  readonly #writable: () => Promise<void>

  constructor(options: WatchOptions = {}, known?: { readonly rows: readonly Row[] }) {
    this.#writable = options.writable ?? (() => Promise.resolve())
    if (known !== undefined) {
      this.rows = [...known.rows]
      this.#loading = undefined
    }
  }

  get isReady(): boolean {
    return this.#loading === undefined
  }

  deliver(event: WatchEvent): void {
    this.events.push(event)
    this.#apply(event)
    this.#waiting = this.#waiting.filter(({ isDone, resolve }) => {
      if (!isDone()) return true
      resolve()
      return false
    })
  }

  writable(): Promise<void> {
    return this.#writable()
  }

  close(): void {
    this.watch?.close()
  }

  /** Resolves once it is so. */
  async until(what: string, isDone: () => boolean): Promise<void> {
    if (isDone()) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ isDone, resolve })
      timer = setTimeout(() => {
        const seen = JSON.stringify({
          rows: this.rows.slice(0, 20),
          changes: this.changes.slice(-20),
          ended: this.ended,
          faults: this.faults,
        })
        reject(new Error(`not within ${deadlineMs} ms: ${what}; ${seen}`))
      }, deadlineMs)
    }).finally(() => clearTimeout(timer))
  }

  async ready(): Promise<this> {
    await this.until('ready', () => this.isReady || this.ended !== undefined)
    return this
  }

  /** The rows, those of an unordered result in one order. */
  sorted(ordered = this.#ordered): string[] {
    const texts = this.rows.map((row) => JSON.stringify(row))
    return ordered ? texts : texts.sort()
  }

  #apply(event: WatchEvent): void {
    switch (event.kind) {
      case 'subscribed':
        this.columns = event.columns.map(({ name }) => name)
        this.mode = event.mode
        this.#key = event.key
        this.#ordered = event.ordered
        if (!event.resumed) this.#loading = []
        break
      case 'reset':
        this.#loading = []
        break
      case 'rows':
        this.#loading?.push(...(JSON.parse(text(event.rows)) as Row[]))
        break
      case 'ready':
        this.rows = this.#loading ?? []
        this.#loading = undefined
        this.cursor = event.cursor
        break
      case 'changes':
        this.#applyChanges(JSON.parse(text(event.changes)) as RowChange[], event.count)
        if (this.cursor !== undefined && event.cursor <= this.cursor)
          this.faults.push(`cursor ${event.cursor} after ${this.cursor}`)
        this.cursor = event.cursor
        break
      case 'ended':
        this.ended = { code: event.error.code, message: event.error.message }
    }
  }

  #applyChanges(changes: readonly RowChange[], count: number): void {
    if (changes.length !== count) this.faults.push(`${changes.length} changes, not ${count}`)
    if (this.#loading !== undefined) this.faults.push('changes before ready')
    this.changes.push(...changes)
    for (const [kind, key, , at] of changes)
      if (kind === 'u' && at !== undefined) this.#takeOut(key)
    for (const change of changes) {
      if (change[0] === 'd') {
        this.#takeOut(change[1])
        continue
      }
      const [kind, key, row, at] = change
      if (kind === 'i' && this.#isSearchable && this.#find(key) >= 0)
        this.faults.push(`inserted twice: ${JSON.stringify(key)}`)
      if (at !== undefined) this.rows.splice(at, 0, row)
      else if (kind === 'i') this.rows.push(row)
      else this.#replace(key, row)
    }
  }

  /** Each look goes through all rows: of very many it is not worth it. */
  get #isSearchable(): boolean {
    return this.#key.length > 0 && this.rows.length <= 2_000
  }

  #replace(key: Row, row: Row): void {
    const index = this.#find(key)
    if (index < 0) this.faults.push(`updated and not there: ${JSON.stringify(key)}`)
    else this.rows[index] = row
  }

  #takeOut(key: Row): void {
    const index = this.#find(key)
    if (index < 0) this.faults.push(`deleted and not there: ${JSON.stringify(key)}`)
    else this.rows.splice(index, 1)
  }

  #find(key: Row): number {
    const wanted = JSON.stringify(key)
    const keyOf = (row: Row) =>
      this.#key.length === 0 ? row : this.#key.map((column) => row[column])
    return this.rows.findIndex((row) => JSON.stringify(keyOf(row)) === wanted)
  }
}

export async function watch(
  database: Database,
  caller: Caller,
  sql: string,
  options: WatchOptions = {},
  known?: { readonly rows: readonly Row[] },
): Promise<TestReceiver> {
  const { params = [], namespace, from, fromId } = options
  const receiver = new TestReceiver(options, known)
  const parameters = { single: params, each: undefined }
  receiver.watch = await database.watch(
    caller,
    { sql, parameters, namespace, from, fromId },
    receiver,
  )
  return receiver
}

/** The rows of a fresh run, as `TestReceiver.sorted` gives them. */
export async function freshRows(
  database: Database,
  caller: Caller,
  sql: string,
  options: WatchOptions & { readonly ordered?: boolean } = {},
): Promise<string[]> {
  const receiver = await watch(database, caller, sql, options)
  await receiver.ready()
  receiver.close()
  return receiver.sorted()
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8')
}
