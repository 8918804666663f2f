/**
 * What PostgreSQL keeps for its one session in static variables, so that several sessions can take
 * turns: the schema of temporary objects (namespace.c), last values of sequences (sequence.c), where
 * random() is (pseudorandomfuncs.c), and what was remembered by that schema's name (search paths,
 * functions' plans, relations).
 *
 * PostgreSQL has no functions for most of it. Where the variables are depends on the build alone: the
 * places in the one that we are made for are written down, and looked at when it starts. In any
 * other each is found by what it does, which takes 0.1 to 0.5 s.
 */
import type { StaticMemory } from './static-memory.js'

/** The schemas of one session's temporary objects, by OID. */
export interface TemporarySchema {
  readonly oid: number
  readonly toastOid: number
}

/** The last values of one session's sequences; addresses. */
export interface SequenceValues {
  readonly table: number
  readonly last: number
}

export const noSequences: SequenceValues = { table: 0, last: 0 }

/** Where one session's random() is, four words; undefined if it is to begin by chance. */
export type RandomState = readonly number[] | undefined

export interface SessionMemoryOptions {
  readonly memory: StaticMemory
  /** Runs statements as the system; throws if they fail. */
  readonly run: (sql: string) => void
  readonly claimed: TemporarySchema
  readonly isTemporarySchema: (oid: number) => boolean
  /** The entry of a hash table for a word as key; 0 for none. */
  readonly findInHash: (table: number, key: number) => number
}

export interface Places {
  readonly schema: number
  readonly toastSchema: number
  readonly pathsAreValid: number
  readonly sequenceTable: number
  readonly lastSequence: number
  readonly plans: number
  readonly relations: number
  readonly random: number
  readonly isSeeded: number
  readonly portals: number
  readonly statements: number
  readonly settings: number
}

/** In PGlite 0.5.16; `findPlaces` gives the same. */
export const placesOfThisBuild: Places = {
  schema: 2_777_896,
  toastSchema: 2_777_912,
  pathsAreValid: 2_777_917,
  sequenceTable: 2_778_204,
  lastSequence: 2_778_200,
  plans: 2_623_564,
  relations: 2_868_856,
  random: 2_865_712,
  isSeeded: 2_865_728,
  portals: 2_880_908,
  statements: 2_778_192,
  settings: 2_878_880,
}

/** plancache.h, `struct CachedPlanSource`; offsets in bytes, as all below. */
const plan = { magic: 0, parserSetup: 28, isValid: 95, link: 100 } as const
const planMagic = 195_726_186
/** rel.h, `struct RelationData`. */
const relation = { backend: 20, isLocalTemporary: 24, form: 48 } as const
/** pg_class.h: after `oid` and `relname`. */
const formSchema = 68
/** dynahash.c, `struct HTAB`. */
const hashTableName = 28
/** portalmem.c, prepare.c and guc.c: what their tables are called. */
const portalTable = 'Portal hash'
const statementTable = 'Prepared Queries'
const settingTable = 'GUC hash table'
/** relcache.c, `RelIdCacheEnt`. */
const relationOfEntry = 4
/** What `setseed(0.5)` makes of it: pg_prng.c, `pg_prng_fseed`. */
const seed = 'SELECT pg_catalog.setseed(0.5)'
const seeded: readonly number[] = [0x78873f33, 0xec38b85a, 0xc6429ff5, 0x0c3dbdab]
const wordBytes = Uint32Array.BYTES_PER_ELEMENT
/** Variables of one file stand together: what behaves alike by chance does not stand there too. */
const neighbourBytes = 64

export class SessionMemory {
  readonly #options: SessionMemoryOptions
  readonly #memory: StaticMemory
  readonly #places: Places

  constructor(options: SessionMemoryOptions) {
    this.#options = options
    this.#memory = options.memory
    const isThisBuild = areIn(placesOfThisBuild, options)
    this.#places = isThisBuild ? placesOfThisBuild : findPlaces(options)
  }

  /** Where PostgreSQL's tables of portals, prepared statements and settings are told of. */
  get tables(): Pick<Places, 'portals' | 'statements' | 'settings'> {
    return this.#places
  }

  /** The schema that temporary objects are made and looked for in. */
  set schema({ oid, toastOid }: TemporarySchema) {
    this.#memory.setWord(this.#places.schema, oid)
    this.#memory.setWord(this.#places.toastSchema, toastOid)
    this.#memory.setByte(this.#places.pathsAreValid, 0)
    this.#forgetPlansOfFunctions()
  }

  get sequences(): SequenceValues {
    return {
      table: this.#memory.word(this.#places.sequenceTable),
      last: this.#memory.word(this.#places.lastSequence),
    }
  }

  set sequences({ table, last }: SequenceValues) {
    this.#memory.setWord(this.#places.sequenceTable, table)
    this.#memory.setWord(this.#places.lastSequence, last)
  }

  get random(): RandomState {
    const { random, isSeeded } = this.#places
    if (this.#memory.byte(isSeeded) === 0) return undefined
    return wordsAt(random).map((place) => this.#memory.word(place))
  }

  set random(state: RandomState) {
    const { random, isSeeded } = this.#places
    this.#memory.setByte(isSeeded, state === undefined ? 0 : 1)
    if (state === undefined) return
    for (const [index, place] of wordsAt(random).entries())
      this.#memory.setWord(place, state[index] ?? 0)
  }

  /**
   * PostgreSQL takes relations that it met in another session's turn for another's, whose pages are
   * not to be read: they are the present session's.
   */
  claimRelations(oids: readonly number[], schema: TemporarySchema): void {
    this.#setLocal(oids, schema, 1)
  }

  /** The other way round: their session leaves, and what runs over all tables is to pass over them. */
  disownRelations(oids: readonly number[], schema: TemporarySchema): void {
    this.#setLocal(oids, schema, 0)
  }

  /** Of those that PostgreSQL remembers; it looks at the others anew. */
  #setLocal(
    oids: readonly number[],
    { oid: schema, toastOid }: TemporarySchema,
    isLocal: 0 | 1,
  ): void {
    const memory = this.#memory
    for (const oid of oids) {
      const entry = this.#options.findInHash(memory.word(this.#places.relations), oid)
      if (entry === 0) continue
      const address = memory.word(entry + relationOfEntry)
      const found = memory.word(memory.word(address + relation.form) + formSchema)
      if (found === schema || found === toastOid)
        memory.setByte(address + relation.isLocalTemporary, isLocal)
    }
  }

  /**
   * A function's statements may mean another session's table of the same name. Prepared statements,
   * which have no parser of their own, belong to one session and are left.
   */
  #forgetPlansOfFunctions(): void {
    const memory = this.#memory
    const { plans } = this.#places
    for (let at = memory.word(plans + wordBytes); at !== plans; at = memory.word(at + wordBytes)) {
      const source = at - plan.link
      if (memory.word(source + plan.parserSetup) !== 0) memory.setByte(source + plan.isValid, 0)
    }
  }
}

/** Whether all that can be told of these places without changing anything lasting is true. */
function areIn(places: Places, options: SessionMemoryOptions): boolean {
  const { memory, claimed } = options
  const isPointer = (address: number): boolean => address === 0 || memory.isHeap(address)
  return (
    memory.word(places.toastSchema) === claimed.toastOid &&
    isSchema(options, places.schema) &&
    memory.byte(places.pathsAreValid) <= 1 &&
    isPointer(memory.word(places.sequenceTable)) &&
    isPointer(memory.word(places.lastSequence)) &&
    isRing(memory, places.plans) &&
    areRelations(options, places.relations) &&
    isTable(memory, places.portals, portalTable) &&
    isTable(memory, places.settings, settingTable) &&
    (memory.word(places.statements) === 0 || isTable(memory, places.statements, statementTable)) &&
    isRandom(options, places)
  )
}

/** Whether a hash table of that name is told of there. */
function isTable(memory: StaticMemory, place: number, name: string): boolean {
  const table = memory.word(place)
  if (!memory.isHeap(table)) return false
  const nameAt = memory.word(table + hashTableName)
  return memory.isHeap(nameAt) && memory.text(nameAt, name.length + 1) === name
}

/** Whether the ring that begins there comes back in its first step; an empty one does. */
function isRing(memory: StaticMemory, head: number): boolean {
  const next = memory.word(head + wordBytes)
  return (next === head || memory.isHeap(next)) && memory.word(next) === head
}

/** Errors: a variable that is in no place, or seems to be in several. */
export function findPlaces(options: SessionMemoryOptions): Places {
  const schema = only('myTempNamespace', findSchema(options))
  return {
    schema,
    toastSchema: only('myTempToastNamespace', findToastSchema(options, schema)),
    pathsAreValid: only('searchPathCacheValid', findPathsAreValid(options, schema)),
    ...findSequences(options),
    plans: only('saved_plan_list', findPlans(options)),
    relations: only('RelationIdCache', findRelations(options)),
    ...findTables(options),
    ...findRandom(options),
  }
}

function only(name: string, found: readonly number[]): number {
  const [place, ...others] = found
  if (place === undefined || others.length > 0)
    throw new Error(`${name} of this PGlite is not where that of 0.5.16 is: ${String(found)}`)
  return place
}

function findSchema(options: SessionMemoryOptions): number[] {
  const { memory, claimed } = options
  return [...memory.wordsWith(claimed.oid)].filter((place) => isSchema(options, place))
}

function isSchema(options: SessionMemoryOptions, place: number): boolean {
  const { memory, claimed, isTemporarySchema } = options
  if (memory.word(place) !== claimed.oid) return false
  memory.setWord(place, claimed.toastOid)
  const isFound = isTemporarySchema(claimed.toastOid)
  memory.setWord(place, claimed.oid)
  return isFound
}

function findToastSchema({ memory, claimed }: SessionMemoryOptions, schema: number): number[] {
  return [...memory.wordsWith(claimed.toastOid)].filter((place) => areNeighbours(place, schema))
}

function areNeighbours(one: number, other: number): boolean {
  return Math.abs(one - other) <= neighbourBytes
}

/** It is 1 after a look-up of a name and 0 after a change of schemas. */
function findPathsAreValid({ memory, run }: SessionMemoryOptions, schema: number): number[] {
  const use = () => run('SELECT FROM pg_class WHERE false')
  const change = () =>
    run('BEGIN; SET LOCAL event_triggers = off; CREATE SCHEMA kalam_probe; ROLLBACK')
  let places: number[] | undefined
  for (const [step, expected] of [
    [use, 1],
    [change, 0],
    [use, 1],
    [change, 0],
    [use, 1],
  ] as const) {
    step()
    const bytes = memory.staticBytes()
    places =
      places === undefined
        ? [...memory.bytesWith(expected)].filter((place) => areNeighbours(place, schema))
        : places.filter((place) => bytes[place] === expected)
  }
  return places ?? []
}

/** The last one used changes with it, and the table of them does not; DISCARD ends both. */
function findSequences({ memory, run }: SessionMemoryOptions) {
  run('CREATE TEMP SEQUENCE kalam_one; CREATE TEMP SEQUENCE kalam_two')
  const discarded = () => {
    run('DISCARD SEQUENCES')
    return memory.staticWords()
  }
  const used = (name: string) => {
    run(`SELECT nextval('pg_temp.${name}')`)
    return memory.staticWords()
  }
  const before = discarded()
  const [one, two, again] = [used('kalam_one'), used('kalam_two'), used('kalam_one')]
  const after = discarded()
  run('DROP SEQUENCE pg_temp.kalam_one, pg_temp.kalam_two')
  const lasts: number[] = []
  const tables: number[] = []
  for (let at = 0; at < before.length; at++) {
    const value = one[at] ?? 0
    if (before[at] !== 0 || after[at] !== 0 || !memory.isHeap(value)) continue
    if (again[at] !== value || !memory.isHeap(two[at] ?? 0)) continue
    const places = two[at] === value ? tables : lasts
    places.push(at * wordBytes)
  }
  const near = (places: readonly number[]) => (place: number) =>
    places.some((other) => areNeighbours(place, other))
  return {
    lastSequence: only('last_used_seq', lasts.filter(near(tables))),
    sequenceTable: only('seqhashtab', tables.filter(near(lasts))),
  }
}

/** The head of a ring of plans, each of which knows that it is one, and becomes valid with its use. */
function findPlans({ memory, run }: SessionMemoryOptions): number[] {
  run('PREPARE kalam_probe AS SELECT FROM pg_class WHERE false; EXECUTE kalam_probe')
  const heads = [...memory.ringHeads()].filter((head) => {
    const last = memory.word(head) - plan.link
    if (memory.word(last + plan.magic) !== planMagic) return false
    memory.setByte(last + plan.isValid, 0)
    run('EXECUTE kalam_probe')
    return memory.byte(last + plan.isValid) === 1
  })
  run('DEALLOCATE kalam_probe')
  return heads
}

function wordsAt(place: number): number[] {
  return seeded.map((_word, index) => place + index * wordBytes)
}

/** Whether it is what setseed() sets; nobody has yet. */
function isRandom({ memory, run }: SessionMemoryOptions, places: Places): boolean {
  run(seed)
  const isFound = isSeed(memory, places.random) && memory.byte(places.isSeeded) === 1
  if (isFound) memory.setByte(places.isSeeded, 0)
  return isFound
}

function isSeed(memory: StaticMemory, place: number): boolean {
  return wordsAt(place).every((at, index) => memory.word(at) === seeded[index])
}

/** What setseed() sets, and beside it what makes random() begin by chance when it is 0. */
function findRandom({ memory, run }: SessionMemoryOptions) {
  run(seed)
  const [first = 0] = seeded
  const states = [...memory.wordsWith(first)].filter((place) => isSeed(memory, place))
  const random = only('prng_state', states)
  const flags = [...memory.bytesWith(1)].filter((place) => {
    if (!areNeighbours(place, random)) return false
    memory.setByte(place, 0)
    run('SELECT pg_catalog.random()')
    if (memory.byte(place) === 1) return true
    memory.setByte(place, 1)
    return false
  })
  const isSeeded = only('prng_seed_set', flags)
  memory.setByte(isSeeded, 0)
  return { random, isSeeded }
}

/** That of statements is made with the first of them. */
function findTables({ memory, run }: SessionMemoryOptions) {
  run('PREPARE kalam_probe AS SELECT; DEALLOCATE kalam_probe')
  const find = (name: string) =>
    only(
      name,
      [...memory.pointers()].filter((place) => isTable(memory, place, name)),
    )
  return {
    portals: find(portalTable),
    statements: find(statementTable),
    settings: find(settingTable),
  }
}

function findRelations(options: SessionMemoryOptions): number[] {
  return [...options.memory.pointers()].filter((place) => areRelations(options, place))
}

/** Whether it is the table of them, and has pg_class, which is always there. */
function areRelations(
  { memory, claimed, findInHash }: SessionMemoryOptions,
  place: number,
): boolean {
  const pgClass = 1259
  const table = memory.word(place)
  const name = memory.word(table + hashTableName)
  if (!memory.isHeap(name) || memory.text(name, 24) !== 'Relcache by OID') return false
  const entry = findInHash(table, pgClass)
  const form = memory.word(memory.word(entry + relationOfEntry) + relation.form)
  return memory.word(form) === pgClass && memory.word(form + formSchema) !== claimed.oid
}
