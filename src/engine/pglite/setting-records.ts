/**
 * Which settings differ from their defaults, and why: PostgreSQL's own records of them (guc_tables.h,
 * `struct config_generic`), read in place. `pg_settings` tells the same and takes 590 µs.
 */
import type { StaticMemory } from './static-memory.js'

/** A setting that was changed in this session, in whichever way. */
export interface ChangedSetting {
  /** As PostgreSQL spells it. */
  readonly name: string
  /** Without a unit: in PostgreSQL's own, ms or kB mostly. */
  readonly value: string
}

/** Offsets in the record, in bytes; PostgreSQL 18 for 32-bit machines. */
const field = {
  name: 0,
  flags: 20,
  type: 24,
  source: 32,
  role: 48,
  resetRole: 52,
  next: 68,
} as const
/** Where in the record the list goes through: `nondef_link`. */
const link = { previous: 0, next: 4, inRecord: 64 } as const
/** The first field past the part that all types have: the address of the value. */
const variable = 92
const type = { bool: 0, real: 2, string: 3 } as const
/** guc.h: GUC_NO_RESET and GUC_NO_RESET_ALL, of what is a transaction's or is no value: `seed`, `role`. */
const notOwnFlags = 0x18
const sourceSession = 13
const bootstrapSuperuserOid = 10

interface KnownValue {
  readonly low: number
  readonly high: number
  readonly value: string
}

export class SettingRecords {
  readonly #memory: StaticMemory
  readonly #valueOf: (name: string) => string
  /** The head of PostgreSQL's list of all that are not at their defaults: `guc_nondef_list`. */
  readonly #list: number
  readonly #known = new Map<number, KnownValue>()
  readonly #names = new Map<number, string>()
  readonly #ignored: readonly string[]

  /**
   * `probe` is a setting that is at its default; `change` changes it. `valueOf` gives what PostgreSQL
   * says a setting is. Those that are `ignored` are none of a session's.
   */
  constructor(options: {
    readonly memory: StaticMemory
    readonly probe: string
    readonly change: () => void
    readonly valueOf: (name: string) => string
    readonly ignored: readonly string[]
  }) {
    this.#memory = options.memory
    this.#ignored = options.ignored
    this.#valueOf = options.valueOf
    const record = this.#find(options.probe)
    options.change()
    // What is not at its default any more goes to the end of the list.
    this.#list = this.#memory.word(record + field.next)
    const last = this.#memory.word(this.#list + link.previous)
    const isFound = this.#memory.isStatic(this.#list) && last === record + link.inRecord
    if (!isFound || this.changed().every(({ name }) => name !== options.probe))
      throw new Error('the settings of this PGlite are not where those of 0.5.16 are')
  }

  /** All that were changed in the session or transaction, except what belongs to a transaction. */
  changed(): ChangedSetting[] {
    const { words } = this.#memory
    const found: ChangedSetting[] = []
    // Every unit of a session that lasts comes here, and over half a hundred records: no calls.
    for (
      let at = words[(this.#list + link.next) >> 2] ?? 0;
      at !== this.#list;
      at = words[(at + link.next) >> 2] ?? 0
    ) {
      const record = at - link.inRecord
      if (words[(record + field.source) >> 2] !== sourceSession) continue
      if (((words[(record + field.flags) >> 2] ?? 0) & notOwnFlags) !== 0) continue
      const name = this.#name(record)
      if (!this.#ignored.includes(name)) found.push({ name, value: this.#value(record, name) })
    }
    return found
  }

  /** Forgets what was read: records are gone, and others may be in their places. */
  forget(): void {
    this.#known.clear()
  }

  /** The names of those that an extension or nobody defines may be freed. */
  #name(record: number): string {
    const pointer = this.#memory.word(record + field.name)
    const known = this.#names.get(pointer)
    if (known !== undefined) return known
    const name = this.#memory.text(pointer)
    if (this.#memory.isStatic(pointer)) this.#names.set(pointer, name)
    return name
  }

  #value(record: number, name: string): string {
    const memory = this.#memory
    const address = memory.word(record + variable)
    const kind = memory.word(record + field.type)
    // A bool is one byte, wherever it fits.
    const low = kind === type.bool ? memory.byte(address) : memory.word(address)
    const known = this.#known.get(record)
    // A new text may be where an old one was.
    if (kind === type.string) {
      if (known !== undefined && memory.hasText(low, known.value)) return known.value
      const value = low === 0 ? '' : memory.text(low)
      this.#known.set(record, { low, high: 0, value })
      return value
    }
    const high = kind === type.real ? memory.word(address + 4) : 0
    if (known?.low === low && known.high === high) return known.value
    const value = this.#valueOf(name)
    this.#known.set(record, { low, high, value })
    return value
  }

  #find(name: string): number {
    const memory = this.#memory
    for (const text of memory.textsOf(name))
      for (const record of memory.wordsWith(text))
        if (
          memory.word(record + field.role) === bootstrapSuperuserOid &&
          memory.word(record + field.resetRole) === bootstrapSuperuserOid
        )
          return record
    throw new Error(`the setting ${name} of this PGlite is not where that of 0.5.16 is`)
  }
}
