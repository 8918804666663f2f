/**
 * What stays in PostgreSQL's memory between units because somebody has a name for it: cursors WITH
 * HOLD and prepared statements, each as large as PostgreSQL's own account of its memory says
 * (`MemoryContextMemAllocated`). It is read in place: `pg_backend_memory_contexts` knows no names of
 * statements, and takes milliseconds.
 */
import type { StaticMemory } from './static-memory.js'

/** A cursor or prepared statement. */
export interface KeptName {
  readonly kind: 'cursor' | 'statement'
  /** As PostgreSQL has it, cut to 63 bytes. */
  readonly name: string
  readonly bytes: number
}

/** What is used of PGlite; see `backend.ts`. */
export interface MemoryFunctions {
  _MemoryContextMemAllocated(context: number, recurse: number): number
  _hash_seq_init(scan: number, table: number): void
  _hash_seq_search(scan: number): number
}

export interface KeptMemoryOptions {
  readonly module: MemoryFunctions
  readonly memory: StaticMemory
  /** Where PostgreSQL's hash tables of portals and of prepared statements are told of; addresses. */
  readonly places: { readonly portals: number; readonly statements: number }
  /** Room for the state of a scan, `scanBytes`. */
  readonly scan: number
}

/** dynahash.c, `HASH_SEQ_STATUS`, with room to spare. */
export const scanBytes = 64

/** portalmem.c and prepare.c: an entry is the name, then what it is of. */
const entry = { name: 0, value: 64 } as const
/** portal.h, `struct PortalData`; offsets in bytes, PostgreSQL 18 for 32-bit machines. */
const portal = { context: 8, holdContext: 108 } as const
/** plancache.h, `struct CachedPlanSource` and `struct CachedPlan`. */
const source = { context: 56, genericPlan: 88 } as const
const genericPlan = { context: 32 } as const

export class KeptMemory {
  readonly #options: KeptMemoryOptions

  constructor(options: KeptMemoryOptions) {
    this.#options = options
  }

  /** All of them, about 0.5 µs each. Outside transactions: in one there are portals that will not stay. */
  names(): KeptName[] {
    const { portals, statements } = this.#options.places
    const { memory } = this.#options
    const found: KeptName[] = []
    for (const at of this.#entries(portals)) {
      const address = memory.word(at + entry.value)
      const bytes =
        this.#allocated(memory.word(address + portal.context)) +
        this.#allocated(memory.word(address + portal.holdContext))
      found.push({ kind: 'cursor', name: memory.shortText(at + entry.name), bytes })
    }
    for (const at of this.#entries(statements)) {
      const address = memory.word(at + entry.value)
      const plan = memory.word(address + source.genericPlan)
      const bytes =
        this.#allocated(memory.word(address + source.context)) +
        (plan === 0 ? 0 : this.#allocated(memory.word(plan + genericPlan.context)))
      found.push({ kind: 'statement', name: memory.shortText(at + entry.name), bytes })
    }
    return found
  }

  /** To the end always: PostgreSQL keeps account of scans that are under way. */
  #entries(place: number): number[] {
    const { module, memory, scan } = this.#options
    const table = memory.word(place)
    const found: number[] = []
    // That of prepared statements is made with the first.
    if (table === 0) return found
    module._hash_seq_init(scan, table)
    for (let at = module._hash_seq_search(scan); at !== 0; at = module._hash_seq_search(scan))
      found.push(at)
    return found
  }

  #allocated(context: number): number {
    if (context === 0) return 0
    return this.#options.module._MemoryContextMemAllocated(context, 1) >>> 0
  }
}
