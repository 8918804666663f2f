/**
 * SQL text in, undecoded rows out, over an engine. Statements that come again are prepared once and
 * then cost one Bind, Execute and Sync: 13 µs of the engine where parsing anew takes 90.
 *
 * A prepared statement belongs to one role and search path: PostgreSQL plans anew whenever either
 * changes under a statement (34–53 µs), so each combination has its own.
 */
import { LRUCache } from 'lru-cache'
import { DbError } from '../errors.js'
import {
  backendTag,
  commandTag,
  eachMessage,
  changedSchemaState,
  errorResponse,
  parameterTypes,
  rowDescription,
} from './backend-messages.js'
import type { Engine, Reply, Unit } from './engine.js'
import { MessageWriter, type TextValue } from './frontend-messages.js'
import type { Column, RawResult, Scope } from './statement.js'

export interface StatementsOptions {
  /** Tells these statements from others on the same engine; starts with `kalam`. */
  readonly namePrefix: `kalam${string}`
  /** Prepared statements kept; 5,000 take about 20 MB of the engine. */
  readonly preparedMax: number
  /** Longer texts are not worth keeping: they are data, not queries. In UTF-16 units. */
  readonly preparedTextMax: number
}

export interface StatementRequest {
  readonly text: string
  /** Number of the highest `$n` in the text. */
  readonly parameterCount: number
  /** Called with the types that PostgreSQL infers, in order; gives the values in text format. */
  readonly encode: (typeOids: readonly number[]) => readonly TextValue[]
  readonly scope: Scope
  /** Runs the unit: the engine's `run` or a session's. */
  readonly send: (unit: Unit) => Promise<Reply>
  /** False in sessions whose settings may give the same text another meaning. */
  readonly reuse: boolean
  /** `send` is that of a session that has the engine: it waits for nobody who waits for the engine. */
  readonly holdsEngine?: boolean
}

interface StatementName {
  readonly name: string
  readonly generation: number
}

interface Prepared extends StatementName {
  readonly typeOids: readonly number[]
  readonly columns: readonly Column[]
}

export class Statements {
  readonly #engine: Engine
  readonly #options: StatementsOptions
  /** A promise while it is being prepared. */
  readonly #prepared: LRUCache<string, Prepared | Promise<Prepared>>
  /** Texts without parameters that were run once; they are prepared when they come again. */
  readonly #seen: LRUCache<string, true>
  #lastName = 0

  constructor(engine: Engine, options: StatementsOptions) {
    this.#engine = engine
    this.#options = options
    this.#prepared = new LRUCache({
      max: options.preparedMax,
      dispose: (prepared, _key, reason) => {
        if (reason === 'evict') void this.#deallocate(prepared)
      },
    })
    this.#seen = new LRUCache({ max: options.preparedMax })
  }

  /** Prepared statements are made anew from now on: a table or function has changed. */
  forget(): void {
    const known = [...this.#prepared.values()]
    this.#prepared.clear()
    this.#seen.clear()
    const settled: Prepared[] = []
    for (const prepared of known)
      if (prepared instanceof Promise) void this.#deallocate(prepared)
      else settled.push(prepared)
    void this.#deallocateAll(settled)
  }

  /** Errors: PostgreSQL's, with `position` in `text`; those of the engine's `run`. */
  execute(request: StatementRequest): Promise<RawResult> {
    const key = this.#keyOf(request)
    if (key === undefined) return this.#executeOnce(request)
    return this.#executePrepared(key, request, retriesMax)
  }

  #keyOf(request: StatementRequest): string | undefined {
    const { text, scope } = request
    if (!request.reuse || text.length > this.#options.preparedTextMax) return undefined
    const key = `${scope.identity.roleOid} ${scope.searchPath} ${text}`
    if (request.parameterCount > 0 || this.#prepared.has(key) || this.#seen.has(key)) return key
    this.#seen.set(key, true)
    return undefined
  }

  async #executePrepared(
    key: string,
    request: StatementRequest,
    retries: number,
  ): Promise<RawResult> {
    const known = this.#prepare(key, request)
    if (known === undefined) return this.#executeOnce(request)
    const prepared = known instanceof Promise ? await known : known
    const values = request.encode(prepared.typeOids)
    const bytes = new MessageWriter().bind(prepared.name, values).execute().sync().finish()
    const reply = await request.send(unitOf(bytes, request.scope))
    try {
      return resultOf(reply, prepared.columns)
    } catch (error) {
      if (!isStale(error)) throw error
      this.#discard(key, prepared)
      // Large ones push each other out of the memory, which may go on.
      if (retries === 0 && isUnknownName(error)) return this.#executeAtOnce(request, values)
      if (retries === 0) throw error
      // Nothing of it has run: prepare it anew and run it once more.
      return this.#executePrepared(key, request, retries - 1)
    }
  }

  /** Of many requests that find it stale at once, the first does it; the others find its successor. */
  #discard(key: string, prepared: Prepared): void {
    if (this.#prepared.peek(key) !== prepared) return
    this.#prepared.delete(key)
    void this.#deallocate(prepared)
  }

  async #executeOnce(request: StatementRequest): Promise<RawResult> {
    const { text, scope } = request
    if (request.parameterCount === 0) {
      const writer = new MessageWriter(text.length * 3 + 64).parse('', text).bind('', [])
      const bytes = writer.describePortal().execute().sync().finish()
      return resultOf(await request.send(unitOf(bytes, scope)), undefined)
    }
    // Types first: only PostgreSQL knows how each value is to be written. The statement keeps a
    // name of its own until it has run, since others use the unnamed one in between.
    const name = this.#nextName()
    const { generation } = this.#engine
    const { typeOids, columns } = await this.#parse(name, request)
    try {
      const writer = new MessageWriter().bind(name, request.encode(typeOids)).execute()
      const bytes = writer.closeStatement(name).sync().finish()
      return resultOf(await request.send(unitOf(bytes, scope)), columns)
    } catch (error) {
      // It was large, and others needed the memory: nothing of it has run.
      if (isUnknownName(error)) return this.#executeAtOnce(request, request.encode(typeOids))
      // After an error PostgreSQL skips the rest of the unit, the closing too.
      void this.#deallocateAll([{ name, generation }])
      throw error
    }
  }

  /** Parsed where it runs: nothing is kept from unit to unit. */
  async #executeAtOnce(
    { text, scope, send }: StatementRequest,
    values: readonly TextValue[],
  ): Promise<RawResult> {
    const writer = new MessageWriter(text.length * 3 + 64).parse('', text).bind('', values)
    const bytes = writer.describePortal().execute().sync().finish()
    return resultOf(await send(unitOf(bytes, scope)), undefined)
  }

  /** Undefined if another prepares it, for whom this request cannot wait. */
  #prepare(key: string, request: StatementRequest): Prepared | Promise<Prepared> | undefined {
    const known = this.#prepared.get(key)
    if (known instanceof Promise)
      return request.holdsEngine === true ? undefined : this.#preparedByAnother(known, key, request)
    const isOfThisEngine = known?.generation === this.#engine.generation
    return known !== undefined && isOfThisEngine ? known : this.#prepareAnew(key, request)
  }

  /** That the other went away, or had no more time, is not this request's failure. */
  async #preparedByAnother(
    preparing: Promise<Prepared>,
    key: string,
    request: StatementRequest,
  ): Promise<Prepared> {
    try {
      return await preparing
    } catch (error) {
      if (!(error instanceof DbError) || !othersCodes.has(error.code)) throw error
      const next = this.#prepared.get(key)
      return next instanceof Promise
        ? this.#preparedByAnother(next, key, request)
        : (next ?? this.#prepareAnew(key, request))
    }
  }

  async #prepareAnew(key: string, request: StatementRequest): Promise<Prepared> {
    const generation = this.#engine.generation
    const name = this.#nextName()
    const preparing = this.#parse(name, request).then((types) => ({ name, generation, ...types }))
    this.#prepared.set(key, preparing)
    try {
      const prepared = await preparing
      // Unless it was forgotten meanwhile, or evicted and deallocated.
      if (this.#prepared.peek(key) === preparing) this.#prepared.set(key, prepared)
      return prepared
    } catch (error) {
      if (this.#prepared.peek(key) === preparing) this.#prepared.delete(key)
      throw error
    }
  }

  async #parse(
    name: string,
    { text, scope, send }: StatementRequest,
  ): Promise<{ readonly columns: readonly Column[]; readonly typeOids: readonly number[] }> {
    const writer = new MessageWriter(text.length * 3 + 64).parse(name, text)
    const reply = await send(unitOf(writer.describeStatement(name).sync().finish(), scope))
    let columns: readonly Column[] = []
    let typeOids: readonly number[] = []
    eachMessage(reply, (tag, start, end) => {
      if (tag === backendTag.rowDescription) columns = rowDescription(reply, start)
      else if (tag === backendTag.parameterDescription) typeOids = parameterTypes(reply, start)
      else if (tag === backendTag.error) throw errorResponse(reply, start, end)
    })
    return { columns, typeOids }
  }

  async #deallocate(preparing: Prepared | Promise<Prepared>): Promise<void> {
    try {
      await this.#deallocateAll([await preparing])
    } catch (error) {
      // It never was prepared.
      if (!(error instanceof DbError)) throw error
    }
  }

  /** In one unit: a change of the schema forgets thousands, which would fill the queue. */
  async #deallocateAll(statements: readonly StatementName[]): Promise<void> {
    const present = statements.filter(({ generation }) => generation === this.#engine.generation)
    if (present.length === 0) return
    const writer = new MessageWriter()
    for (const { name } of present) writer.closeStatement(name)
    try {
      await this.#engine.run(unitOf(writer.sync().finish(), deallocateScope))
    } catch (error) {
      // They went with the engine.
      if (!(error instanceof DbError)) throw error
    }
  }

  #nextName(): string {
    return `${this.#options.namePrefix}${++this.#lastName}`
  }
}

/** Errors that are of a request, not of its statement. */
const othersCodes: ReadonlySet<string> = new Set([
  ...['CANCELLED', 'STATEMENT_TIMEOUT', 'TRANSACTION_TIMEOUT', 'LEASE_TIMEOUT'],
])

/** How often a statement is prepared anew that turns out stale when it runs. */
const retriesMax = 1

const deallocateScope: Scope = {
  identity: { roleOid: 10, userId: '', readOnly: false },
  searchPath: 'pg_catalog, pg_temp',
  timeoutMs: 10_000,
  waitMs: Infinity,
  replyBytesMax: 1024 * 1024,
  freesRoom: true,
}

function unitOf(
  bytes: Uint8Array,
  { identity, searchPath, timeoutMs, waitMs, replyBytesMax, freesRoom = false }: Scope,
): Unit {
  return { bytes, identity, searchPath, timeoutMs, waitMs, replyBytesMax, freesRoom }
}

/** A name the engine does not know (26000), or a result of another shape than was prepared. */
function isStale(error: unknown): boolean {
  if (!(error instanceof DbError)) return false
  const { sqlState, fields } = error
  return (
    isUnknownName(error) || (sqlState === '0A000' && fields.routine === 'RevalidateCachedQuery')
  )
}

function isUnknownName(error: unknown): boolean {
  return error instanceof DbError && error.sqlState === '26000'
}

function resultOf(reply: Reply, known: readonly Column[] | undefined): RawResult {
  let columns = known ?? []
  let ended = { command: '', rowCount: 0 }
  let changedSchema = false
  eachMessage(reply, (tag, start, end) => {
    if (tag === backendTag.dataRow) return
    if (tag === backendTag.commandComplete) ended = commandTag(reply, start, end)
    else if (tag === backendTag.error) throw errorResponse(reply, start, end)
    else if (tag === backendTag.rowDescription) columns = rowDescription(reply, start)
    else if (tag === backendTag.notice)
      changedSchema ||= errorResponse(reply, start, end).sqlState === changedSchemaState
  })
  return { columns, frames: reply, changedSchema, ...ended }
}
