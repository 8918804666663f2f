/**
 * Sees to it that nobody keeps the engine's memory from others. A statement gives back what it took;
 * what lasts is a session's cursors WITH HOLD, prepared statements, settings and temporary tables, and
 * results that are streamed. Each has a bound, and all together one:
 *
 *   more than one may keep ──► that one goes
 *   more than all may keep, or no room after PostgreSQL ran out ──► whoever keeps the most goes, then
 *                                                                   the next, until there is room
 *
 * What is kept is looked at before a unit, and seldom: it takes about 0.5 µs for each name.
 */
import { DbError } from '../../errors.js'
import type { KeptName } from './kept-memory.js'

/** A session that lasts, as far as its memory goes. */
export interface Keeper {
  readonly session: number
  /** Its cursors and prepared statements begin so. */
  readonly namePrefix: string | undefined
  /** What it keeps besides those. */
  readonly otherBytes: number
}

/** Who is to go, and why: by itself it kept too much, or the memory is needed. */
export type Relief =
  | { readonly kind: 'session'; readonly session: number; readonly why: 'bound' | 'need' }
  /** Of no session that lasts: a result that is streamed, or a statement that is kept for many. */
  | { readonly kind: 'name'; readonly name: KeptName }

export interface MemoryGuardOptions {
  readonly names: () => readonly KeptName[]
  /** Gives back what is nobody's; `isNeeded`: PostgreSQL ran out of memory. */
  readonly tidy: (isNeeded: boolean) => void
  /** PostgreSQL's memory, which only grows. */
  readonly memoryBytes: () => number
  readonly sessionBytesMax: number
  readonly allBytesMax: number
  /** Ends a keeper, or drops a name. */
  readonly relieve: (relief: Relief) => void
  /** Whether a statement could have so much memory. */
  readonly hasRoom: (bytes: number) => boolean
  readonly roomBytes: number
  readonly now: () => number
}

/** What is kept is looked at so often, in ms, or so many times as long as looking took; always after a second. */
const lookEveryMs = 100
const lookShare = 100
const lookEveryMsMax = 1_000
/** Of what all may keep: the part of statements that are prepared for many. They are prepared anew. */
const cacheShare = 4

interface Kept {
  readonly relief: Relief
  bytes: number
}

export class MemoryGuard {
  readonly #options: MemoryGuardOptions
  #memoryBytes = 0
  #nextLook = 0
  #ranOut = false

  constructor(options: MemoryGuardOptions) {
    this.#options = options
    this.#memoryBytes = options.memoryBytes()
  }

  /** PostgreSQL found no memory for a statement, its own fault mostly. */
  ranOut(): void {
    this.#ranOut = true
  }

  /** What is kept is to be looked at now. */
  get isDue(): boolean {
    const { memoryBytes, now } = this.#options
    return this.#ranOut || memoryBytes() !== this.#memoryBytes || now() >= this.#nextLook
  }

  /**
   * Relieves PostgreSQL of what is too much. Outside transactions. Throws OUT_OF_RESOURCES if there is
   * no room, though nothing is kept any more.
   */
  check(keepers: readonly Keeper[]): void {
    const { now, memoryBytes, sessionBytesMax, allBytesMax, relieve, hasRoom, roomBytes } =
      this.#options
    const startedAt = now()
    this.#options.tidy(this.#ranOut)
    const kept = this.#kept(keepers)
    let total = 0
    const small: Kept[] = []
    for (const each of kept)
      if (each.bytes > sessionBytesMax) relieve(each.relief)
      else {
        total += each.bytes
        small.push(each)
      }
    small.sort((left, right) => right.bytes - left.bytes)
    const isNeeded = this.#ranOut
    this.#ranOut = false
    while (total > allBytesMax || (isNeeded && !hasRoom(roomBytes))) {
      const most = small.shift()
      if (most === undefined)
        throw new DbError('OUT_OF_RESOURCES', 'the memory of the engine is exhausted')
      total -= most.bytes
      relieve(needed(most.relief))
    }
    this.#memoryBytes = memoryBytes()
    const tookMs = now() - startedAt
    this.#nextLook = now() + Math.min(lookEveryMsMax, Math.max(lookEveryMs, tookMs * lookShare))
  }

  #kept(keepers: readonly Keeper[]): Kept[] {
    const kept: Kept[] = keepers.map(({ session, otherBytes }) => ({
      relief: { kind: 'session', session, why: 'bound' },
      bytes: otherBytes,
    }))
    const owners = new Owners(
      keepers.flatMap(({ namePrefix }, index) =>
        namePrefix === undefined ? [] : [[namePrefix, kept[index]] as const],
      ),
    )
    const cached: KeptName[] = []
    for (const name of this.#options.names()) {
      const owner = owners.of(name.name)
      if (owner !== undefined) owner.bytes += name.bytes
      else if (name.kind === 'statement') cached.push(name)
      // Without a name it is that of the last statement.
      else if (name.name !== '') kept.push({ relief: { kind: 'name', name }, bytes: name.bytes })
    }
    this.#trim(cached)
    return kept
  }

  /** The largest go first: the many that are small are what such statements are kept for. */
  #trim(cached: KeptName[]): void {
    const { allBytesMax, relieve } = this.#options
    let bytes = cached.reduce((sum, name) => sum + name.bytes, 0)
    if (bytes <= allBytesMax / cacheShare) return
    cached.sort((left, right) => right.bytes - left.bytes)
    for (const name of cached) {
      if (bytes <= allBytesMax / cacheShare / 2) return
      bytes -= name.bytes
      relieve({ kind: 'name', name })
    }
  }
}

function needed(relief: Relief): Relief {
  return relief.kind === 'session' ? { ...relief, why: 'need' } : relief
}

/** Whose a name is, by its beginning. No prefix begins with another. */
class Owners<T> {
  readonly #prefixes: readonly (readonly [string, T])[]

  constructor(prefixes: readonly (readonly [string, T])[]) {
    this.#prefixes = prefixes.toSorted(([left], [right]) => (left < right ? -1 : 1))
  }

  of(name: string): T | undefined {
    // What begins with a prefix comes right after it.
    let low = 0
    let high = this.#prefixes.length
    while (low < high) {
      const middle = (low + high) >> 1
      const [prefix = ''] = this.#prefixes[middle] ?? []
      if (prefix <= name) low = middle + 1
      else high = middle
    }
    const found = this.#prefixes[low - 1]
    return found !== undefined && name.startsWith(found[0]) ? found[1] : undefined
  }
}
