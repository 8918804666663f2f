/**
 * Names of settings that nobody defines, such as `app.user`: PostgreSQL makes a record for each that
 * is ever set, and keeps it for good. Whoever makes up names, or long ones, would fill its memory, for
 * all sessions and after their own end. Between sessions nothing is in these records: each session's
 * values are put back, under the names they have, when its turn comes.
 */
import type { StaticMemory } from './static-memory.js'

/** What is used of PGlite; see `backend.ts`. */
export interface SettingNameFunctions {
  _MemoryContextMemAllocated(context: number, recurse: number): number
  _hash_seq_init(scan: number, table: number): void
  _hash_seq_search(scan: number): number
  _hash_search(table: number, key: number, action: number, found: number): number
  _guc_free(pointer: number): void
}

export interface SettingNamesOptions {
  readonly module: SettingNameFunctions
  readonly memory: StaticMemory
  /** Where PostgreSQL's hash table of settings is told of. */
  readonly place: number
  /** Room for the state of a scan (`scanBytes`), and for a word. */
  readonly scan: number
  readonly key: number
}

/** PostgreSQL's memory for settings may grow by so much before names are forgotten. */
const growthBytesMax = 1024 * 1024
/** hsearch.h: HASH_REMOVE. */
const hashRemove = 2
/** dynahash.c, `struct HTAB`: its context, whose parent is that of the settings (`MemoryContextData`). */
const tableContext = 24
const contextParent = 16
/** guc.c, `GUCHashEntry`. */
const entryRecord = 4
/** guc_tables.h, `struct config_string`; offsets in bytes, PostgreSQL 18 for 32-bit machines. */
const field = {
  name: 0,
  flags: 20,
  source: 32,
  stack: 56,
  extra: 60,
  previous: 64,
  next: 68,
} as const
const variable = 92
const resetValue = 112
/** Where in a link of PostgreSQL's lists the next one is (ilist.h). */
const linkNext = 4
/** guc.h: GUC_CUSTOM_PLACEHOLDER. */
const nobodysFlag = 0x200

export class SettingNames {
  readonly #options: SettingNamesOptions
  #bytesMax: number

  constructor(options: SettingNamesOptions) {
    this.#options = options
    this.#bytesMax = this.bytes + growthBytesMax
  }

  /** What all settings take of PostgreSQL's memory. */
  get bytes(): number {
    const { module, memory, place } = this.#options
    const context = memory.word(memory.word(memory.word(place) + tableContext) + contextParent)
    return module._MemoryContextMemAllocated(context, 1) >>> 0
  }

  /** They take much more than they did after the last time. */
  get isDue(): boolean {
    return this.bytes > this.#bytesMax
  }

  /** Outside transactions, and while the settings are the server's own. */
  forget(): void {
    for (const record of this.#nobodys()) this.#forget(record)
    this.#bytesMax = this.bytes + growthBytesMax
  }

  #nobodys(): number[] {
    const { module, memory, place, scan } = this.#options
    const found: number[] = []
    module._hash_seq_init(scan, memory.word(place))
    for (let at = module._hash_seq_search(scan); at !== 0; at = module._hash_seq_search(scan)) {
      const record = memory.word(at + entryRecord)
      const isNobodys = (memory.word(record + field.flags) & nobodysFlag) !== 0
      // What a transaction has set and may take back stays; there is none now.
      if (isNobodys && memory.word(record + field.stack) === 0) found.push(record)
    }
    return found
  }

  #forget(record: number): void {
    const { module, memory, place, key } = this.#options
    memory.setWord(key, memory.word(record + field.name))
    module._hash_search(memory.word(place), key, hashRemove, 0)
    // Only what is at its default is in no list.
    if (memory.word(record + field.source) !== 0) this.#unlink(record)
    const value = memory.word(memory.word(record + variable))
    const reset = memory.word(record + resetValue)
    for (const pointer of new Set([value, reset, memory.word(record + field.name), record]))
      if (pointer !== 0) module._guc_free(pointer)
  }

  #unlink(record: number): void {
    const { memory } = this.#options
    const previous = memory.word(record + field.previous)
    const next = memory.word(record + field.next)
    memory.setWord(previous + linkNext, next)
    memory.setWord(next, previous)
  }
}
