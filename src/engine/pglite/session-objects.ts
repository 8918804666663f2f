/**
 * Temporary objects, sequences' last values and random() of sessions that last, in the one backend.
 *
 *   default schema ◄── works in it: who has made nothing
 *        │ somebody leaves objects behind when others are next
 *        ▼
 *   that session's own, from then on ──► spare, when it ends     a spare becomes the default
 *
 * So nobody need know beforehand what a statement makes, and a session that makes nothing costs nothing.
 */
import type { Backend } from './backend.js'
import { runAsSystem } from './run-as-system.js'
import {
  noSequences,
  type RandomState,
  type SequenceValues,
  type SessionMemory,
  type TemporarySchema,
} from './session-memory.js'

/** What one session has. */
export class OwnObjects {
  schema: TemporarySchema | undefined
  /** Tables, indexes and such among its temporary objects. */
  relations: readonly number[] = []
  sequences: SequenceValues = noSequences
  random: RandomState
  /** Objects were made since `relations` was read, or perhaps. */
  madeMore = false
}

/**
 * Their names say that they are the backend's own, number 0: so PostgreSQL finds the files even of
 * relations that it met in another session's turn.
 */
const schemaPrefix = 'pg_temp_0_'
const toastPrefix = 'pg_toast_temp_0_'
/** The server's DDL triggers are for what callers make. */
const quietly =
  'BEGIN; SET LOCAL event_triggers = off; SET LOCAL allow_system_table_mods = on; SET LOCAL client_min_messages = error;'

export class SessionObjects {
  readonly #backend: Backend
  readonly #memory: SessionMemory
  readonly #spare: TemporarySchema[] = []
  #schemasMade = 0
  #default: TemporarySchema
  #sequencesOfOthers: SequenceValues = noSequences
  #resident: OwnObjects | undefined

  /** Drops what sessions before a crash left. Throws if PostgreSQL refuses. */
  constructor(options: {
    readonly backend: Backend
    readonly memory: SessionMemory
    readonly claimed: TemporarySchema
  }) {
    this.#backend = options.backend
    this.#memory = options.memory
    this.#default = options.claimed
    this.#dropLeft()
  }

  /** Makes a session's objects those that the backend works with, or nobody's. Outside transactions. */
  enter(own: OwnObjects | undefined): void {
    const before = this.#resident
    if (before === own) return
    if (before === undefined) this.#sequencesOfOthers = this.#memory.sequences
    else {
      before.sequences = this.#memory.sequences
      before.random = this.#memory.random
      if (before.madeMore) this.#keep(before)
      if (before.schema !== undefined) this.#memory.disownRelations(before.relations, before.schema)
    }
    const schemaBefore = before?.schema ?? this.#default
    this.#resident = own
    this.#memory.sequences = own === undefined ? this.#sequencesOfOthers : own.sequences
    this.#memory.random = own?.random
    const schema = own?.schema ?? this.#default
    if (schema !== schemaBefore) this.#use(schema, own?.relations ?? [])
  }

  /** Whoever has no session that lasts begins: what another seeded is not for them to foresee. */
  begin(): void {
    this.#memory.random = undefined
  }

  /**
   * Sees to it that what the session made can stay its own. Throws if that cannot be, and then has
   * dropped it.
   */
  expect(own: OwnObjects): void {
    own.madeMore = true
    if (own.schema !== undefined || this.#spare.length > 0) return
    try {
      this.#spare.push(this.#makeSchema())
    } catch (cause) {
      this.#run('DISCARD TEMP')
      own.madeMore = false
      throw cause
    }
  }

  /** Drops all that the session has. */
  end(own: OwnObjects): void {
    this.enter(own)
    this.#run('DISCARD TEMP; DISCARD SEQUENCES')
    own.madeMore = false
    this.enter(undefined)
    if (own.schema !== undefined) this.#spare.push(own.schema)
    own.schema = undefined
    own.relations = []
    own.sequences = noSequences
  }

  /** The session leaves: what it made in the default schema makes that its own. */
  #keep(own: OwnObjects): void {
    const schema = own.schema ?? this.#default
    const relations = this.#objectsIn(schema)
    own.madeMore = false
    if (relations === undefined) {
      this.#release(own)
      return
    }
    own.relations = relations
    if (own.schema !== undefined) return
    own.schema = schema
    this.#default = this.#spare.pop() ?? this.#makeSchema()
  }

  #release(own: OwnObjects): void {
    if (own.schema === undefined) return
    // It is empty, and the one that is worked with.
    this.#spare.push(this.#default)
    this.#default = own.schema
    own.schema = undefined
    own.relations = []
  }

  #use(schema: TemporarySchema, relations: readonly number[]): void {
    this.#memory.schema = schema
    this.#memory.claimRelations(relations, schema)
    this.#backend.forgetPath()
  }

  /** The relations in a schema; undefined if nothing at all is in it. */
  #objectsIn({ oid, toastOid }: TemporarySchema): number[] | undefined {
    const { length } = this.#run(
      `SELECT 1 FROM pg_catalog.pg_depend WHERE refclassid = 2615 AND refobjid = ${oid} LIMIT 1`,
    )
    if (length === 0) return undefined
    return this.#run(
      `SELECT oid FROM pg_catalog.pg_class WHERE relnamespace IN (${oid}, ${toastOid})`,
    ).map(([found]) => Number(found))
  }

  #makeSchema(): TemporarySchema {
    const number = ++this.#schemasMade
    const names = [`${schemaPrefix}${number}`, `${toastPrefix}${number}`]
    const rows = this.#run(
      `${quietly} ${names.map((name) => `CREATE SCHEMA ${name};`).join(' ')} COMMIT;
       SELECT '${names[0]}'::regnamespace::oid, '${names[1]}'::regnamespace::oid`,
    )
    const [[oid, toastOid] = []] = rows
    return { oid: Number(oid), toastOid: Number(toastOid) }
  }

  #dropLeft(): void {
    const left = this.#run(
      `SELECT nspname FROM pg_catalog.pg_namespace
        WHERE starts_with(nspname, '${schemaPrefix}') OR starts_with(nspname, '${toastPrefix}')
        ORDER BY starts_with(nspname, '${toastPrefix}')`,
    )
    if (left.length === 0) return
    const drops = left.map(([name]) => `DROP SCHEMA ${name} CASCADE;`)
    this.#run(`${quietly} ${drops.join(' ')} COMMIT`)
  }

  #run(sql: string): (string | null)[][] {
    return runAsSystem(this.#backend, sql)
  }
}
