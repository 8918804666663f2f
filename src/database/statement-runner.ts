/**
 * Runs planned statements for one request, on the engine at large or in a session, and gives
 * errors the place in the caller's own text.
 */
import type { Users } from '../catalog/users.js'
import { runKalamPlan } from '../catalog/kalam-statements.js'
import type { TableShapeStore } from '../catalog/table-shapes.js'
import { quoteIdentifier, type ComposedText } from '../dialect/compose-text.js'
import type { KalamPlan, Plan, SqlPlan } from '../dialect/plan.js'
import type { StagedCopy } from '../dialect/rewrite/copy.js'
import { dependsOnTables, type Rewriting } from '../dialect/rewrite/rewrite-statement.js'
import type { TableShapes } from '../dialect/table-shape.js'
import { dataRows } from '../engine/backend-messages.js'
import type { CopyStream, Engine, Identity, Reply, Session, Unit } from '../engine/engine.js'
import type { Queries, QueryRunner } from '../engine/queries.js'
import { runCopy } from '../engine/run-copy.js'
import type { RawResult, Scope } from '../engine/statement.js'
import type { Statements } from '../engine/statements.js'
import { DbError } from '../errors.js'
import type { ColumnTypes } from './column-types.js'
import {
  mentionsNone,
  namedUsers,
  type NamesNow,
  type StatementComposer,
} from './compose-statement.js'
import type { ChangeLog } from '../changes/change-log.js'
import type { TableCatalog } from '../live/table-catalog.js'
import type { LiveQueries } from '../live/live-queries.js'
import type { Caller, CancelSignal, Parameter, StatementOutcome } from './database.js'
import { inTime } from './in-time.js'
import { listsLiveQueries, writeLiveQueries } from './live-query-list.js'
import { parameterText } from './parameters.js'
import {
  mustSeeEverything,
  readRowSecurity,
  seesEverything,
  withRowSecurity,
} from './row-security.js'
import { rowFrames } from './row-frames.js'

/** What every request's runner works with. */
export interface RunnerRooms {
  readonly engine: Engine
  readonly queries: Queries
  readonly statements: Statements
  readonly columnTypes: ColumnTypes
  readonly users: Users
  readonly tables: TableShapeStore
  readonly composer: StatementComposer
  readonly live: LiveQueries
  readonly log: ChangeLog
  readonly catalog: TableCatalog
  /** OID of the role that an admin's statements run as while row_security is off. */
  readonly everythingRoleOid: number
  /** Tables, types or functions have changed: forget what was learned of them. */
  readonly schemaChanged: () => void
}

/** A statement ready to run: its plan, its caller, its values. Its text is composed at its turn. */
export type ReadyStatement =
  | { readonly kind: 'kalam'; readonly plan: KalamPlan; readonly caller: Caller }
  /** A GRANT or REVOKE that names users: resolved at its turn, for they may be made just before. */
  | { readonly kind: 'grant'; readonly plan: SqlPlan; readonly identity: Identity }
  | {
      readonly kind: 'sql'
      readonly plan: SqlPlan
      readonly identity: Identity
      readonly parameters: readonly Parameter[]
    }

type GrantStatement = ReadyStatement & { readonly kind: 'grant' }
type SqlStatement = ReadyStatement & { readonly kind: 'sql' }

export interface RequestLimits {
  /** Schemas in which unqualified names are looked up, in order. */
  readonly searchPath: readonly string[]
  readonly timeoutMs: number
  readonly waitMs: number
  readonly replyBytesMax: number
  /** It only gives back what an earlier statement took. */
  readonly freesRoom?: boolean
}

export class StatementRunner {
  readonly #rooms: RunnerRooms
  readonly #limits: RequestLimits
  readonly #searchPathText: string
  readonly #signal: CancelSignal
  readonly #onAbort = (): void => this.#cancel()
  #running: Unit | undefined
  #session: Session | undefined
  #reuse = true
  /** The session has changed tables: only it sees them as they are. */
  #hasChangedTables = false
  #sessionTables: TableShapes | undefined
  #rowSecurityMayBeOff = false

  constructor(rooms: RunnerRooms, limits: RequestLimits, signal: CancelSignal) {
    this.#rooms = rooms
    this.#limits = limits
    this.#searchPathText = limits.searchPath.map(quoteIfNeeded).join(', ')
    this.#signal = signal
    signal.addEventListener('abort', this.#onAbort)
  }

  /** Runs from now on in a session. `reuse`: prepared statements keep their meaning in it. */
  enter(session: Session, options: { readonly reuse: boolean }): void {
    this.#session = session
    this.#reuse = options.reuse
  }

  /** What is run from now on will not come again: it takes the place of no prepared statement. */
  runOnce(): void {
    this.#reuse = false
  }

  /** Ends the watch on the caller. */
  finish(): void {
    this.#signal.removeEventListener('abort', this.#onAbort)
  }

  /** Runs one statement. What is wrong with it may be thrown at once. */
  run(statement: ReadyStatement): Promise<StatementOutcome> {
    switch (statement.kind) {
      case 'kalam':
        return this.#runKalam(statement.plan, statement.caller)
      case 'grant':
        return this.#runGrant(statement)
      case 'sql':
        return this.#runSql(statement)
    }
  }

  /** Runs COPY … FROM STDIN or TO STDOUT with its data; the rows that it copied. */
  async copy(statement: SqlStatement, stream: CopyStream): Promise<number> {
    const rewriting = await this.#compose(statement)
    if (!this.#rowSecurityMayBeOff) return this.#copyComposed(statement, rewriting, stream)
    return this.#runPastRowSecurity(statement, (as) => this.#copyComposed(as, rewriting, stream))
  }

  /** Runs text of our own as the caller: BEGIN, COMMIT, FETCH. */
  async runText(text: string, identity: Identity): Promise<RawResult> {
    const result = await this.#execute({ text, parameterCount: 0, parameters: [], identity })
    // FETCH runs what the cursor's query calls.
    if (result.changedSchema) this.#forgetSchema()
    return result
  }

  /** Runs a statement's text inside another, such as DECLARE CURSOR; error positions stay its own. */
  async runWrapped(statement: SqlStatement, prefix: string): Promise<RawResult> {
    const { plan, parameters, identity } = statement
    const { composed, refusal } = await this.#compose(statement)
    if (refusal !== undefined) throw await this.#refusalOf(refusal, composed, identity)
    try {
      return await this.#execute({
        text: prefix + composed.text,
        parameterCount: plan.parameterCount,
        parameters,
        identity,
      })
    } catch (error) {
      if (!(error instanceof DbError)) throw error
      const { position } = error.fields
      const own =
        position === undefined ? error : error.with({ position: position - prefix.length })
      throw inCallersText(own, composed).with({ statement: 0 })
    }
  }

  /** A promise only where a type is met for the first time. */
  outcomeOf(result: RawResult): StatementOutcome | Promise<StatementOutcome> {
    const { columnTypes } = this.#rooms
    const { columns, frames, command, rowCount } = result
    const known = columnTypes.known(columns)
    if (known !== undefined)
      return { command, columns: known, described: columns, frames, rowCount }
    return columnTypes
      .resolve(columns, this.#queryRunner())
      .then((types) => ({ command, columns: types, described: columns, frames, rowCount }))
  }

  #runSql(statement: SqlStatement): Promise<StatementOutcome> {
    if (listsLiveQueries(statement.plan)) return this.#runListing(statement)
    const rewriting = this.#compose(statement)
    return rewriting instanceof Promise
      ? rewriting.then((composed) => this.#runAsItIs(statement, composed))
      : this.#runAsItIs(statement, rewriting)
  }

  async #runListing(statement: SqlStatement): Promise<StatementOutcome> {
    await writeLiveQueries(this.#queryRunner(), this.#rooms.live.list())
    return this.#runAsItIs(statement, await this.#compose(statement))
  }

  #runAsItIs(statement: SqlStatement, composed: Rewriting): Promise<StatementOutcome> {
    if (mustSeeEverything(statement.plan))
      return this.#runComposed(this.#seeingEverything(statement), composed)
    return this.#rowSecurityMayBeOff
      ? this.#runPastRowSecurity(statement, (as) => this.#runComposed(as, composed))
      : this.#runComposed(statement, composed)
  }

  async #runComposed(
    { plan, identity, parameters }: SqlStatement,
    { composed, command, refusal }: Rewriting,
  ): Promise<StatementOutcome> {
    if (refusal !== undefined) throw await this.#refusalOf(refusal, composed, identity)
    const { parameterCount } = plan
    try {
      const result = await this.#execute({
        text: composed.text,
        parameterCount,
        parameters,
        identity,
      })
      this.#lookAfter(plan, result)
      const outcome = this.outcomeOf(command === undefined ? result : answerAs(command, result))
      return outcome instanceof Promise ? await outcome : outcome
    } catch (error) {
      throw error instanceof DbError ? inCallersText(error, composed) : error
    }
  }

  /** Why it is refused, or what PostgreSQL says first of the table that it names. */
  async #refusalOf(refusal: DbError, composed: ComposedText, identity: Identity): Promise<DbError> {
    try {
      await this.#execute({ text: composed.text, parameterCount: 0, parameters: [], identity })
      return refusal
    } catch (error) {
      if (!(error instanceof DbError)) throw error
      return inCallersText(error, composed)
    }
  }

  /** As whom it runs depends on what the setting is by now. */
  async #runPastRowSecurity<T>(
    statement: SqlStatement,
    run: (as: SqlStatement) => Promise<T>,
  ): Promise<T> {
    const { plan, identity } = statement
    const runText = (text: string): Promise<RawResult> => this.runText(text, identity)
    const state = await readRowSecurity(runText)
    if (state.kind === 'on') return run(statement)
    if (seesEverything(plan)) return run(this.#seeingEverything(statement))
    if (plan.role === 'admin') return run(statement)
    return withRowSecurity(runText, state.inTransaction, () => run(statement))
  }

  #seeingEverything(statement: SqlStatement): SqlStatement {
    const { everythingRoleOid } = this.#rooms
    return { ...statement, identity: { ...statement.identity, roleOid: everythingRoleOid } }
  }

  async #copyComposed(
    { plan, identity }: SqlStatement,
    { composed, stage, refusal }: Rewriting,
    stream: CopyStream,
  ): Promise<number> {
    if (refusal !== undefined) throw await this.#refusalOf(refusal, composed, identity)
    // Row security does not hold for who sees everything: PostgreSQL copies by itself.
    const isStaged = identity.roleOid !== this.#rooms.everythingRoleOid
    const staged = isStaged ? stage?.() : undefined
    const text = staged?.copy ?? composed
    try {
      const result = await runCopy({
        texts: staged === undefined ? [text.text] : [staged.create, text.text, staged.insert],
        callersText: staged === undefined ? 0 : 1,
        stream,
        scope: this.#scopeOf(identity),
        send: (unit) => this.#send(unit),
      })
      this.#lookAfter(plan, result)
      return result.rowCount
    } catch (error) {
      if (!(error instanceof DbError)) throw error
      throw inCallersText(staged === undefined ? error : inTablesName(error, staged), text)
    }
  }

  async #runGrant(grant: GrantStatement): Promise<StatementOutcome> {
    const { plan, identity } = grant
    const roles = new Map<string, string>()
    const users = this.#users()
    for (const name of new Set(namedUsers(plan))) roles.set(name, await users.roleOfUser(name))
    const names = await this.#namesNow(plan, identity)
    const composed = this.#rooms.composer.composeWithRoles(plan, names, roles)
    return this.#runComposed({ kind: 'sql', plan, identity, parameters: [] }, composed)
  }

  /** Nothing is awaited where all is known, which is nearly always. */
  #compose({ plan, identity }: SqlStatement): Rewriting | Promise<Rewriting> {
    const { composer, tables } = this.#rooms
    if (mentionsNone(plan)) return composer.composePlain(plan)
    const isUsual = this.#session === undefined || (this.#reuse && !this.#hasChangedTables)
    if (isUsual && tables.known !== undefined)
      return composer.compose(plan, { tables: tables.known, searchPath: this.#limits.searchPath })
    return this.#namesNow(plan, identity).then((names) => composer.compose(plan, names))
  }

  async #namesNow(plan: SqlPlan, identity: Identity): Promise<NamesNow> {
    const tables = await this.#tablesNow()
    const isOwn = this.#session !== undefined && !this.#reuse && dependsOnTables(plan, tables)
    if (!isOwn) return { tables, searchPath: this.#limits.searchPath }
    const { frames } = await this.runText(selectSearchPath, identity)
    return { tables, searchPath: dataRows(frames).map(([schema]) => schema ?? '') }
  }

  async #tablesNow(): Promise<TableShapes> {
    const { tables } = this.#rooms
    if (!this.#hasChangedTables) {
      if (tables.known !== undefined) return tables.known
      if (this.#session === undefined) {
        const { waitMs } = this.#limits
        return inTime(tables.load(), { waitMs, signal: this.#signal })
      }
    }
    return (this.#sessionTables ??= await tables.loadWithin(this.#queryRunner()))
  }

  /** What a statement leaves for those after it; a rollback may bring back what was. */
  #lookAfter(plan: SqlPlan, { changedSchema }: Pick<RawResult, 'changedSchema'>): void {
    if (plan.ddl || changedSchema) this.#forgetSchema()
    if (plan.ddl || plan.stateful) this.#sessionTables = undefined
    if (plan.setsRowSecurity) this.#rowSecurityMayBeOff = true
  }

  #forgetSchema(): void {
    this.#rooms.schemaChanged()
    this.#hasChangedTables = this.#session !== undefined
    this.#sessionTables = undefined
  }

  async #runKalam(plan: KalamPlan, caller: Caller): Promise<StatementOutcome> {
    if (plan.kind === 'kill-live-query') return this.#kill(plan.id, caller)
    const { command, columns, rows } = await runKalamPlan(this.#users(), plan)
    return {
      command,
      columns: await this.#rooms.columnTypes.resolve(columns, this.#queryRunner()),
      described: columns,
      frames: rowFrames(rows),
      rowCount: rows.length,
    }
  }

  /** Others' live queries are not there for those who may not end them. */
  #kill(id: string, { role, userId }: Caller): StatementOutcome {
    const isEnded = this.#rooms.live.end(id, (owner) => role === 'admin' || owner === userId)
    if (!isEnded) throw new DbError('NOT_FOUND', `there is no live query '${id}'`)
    return {
      command: 'KILL LIVE QUERY',
      columns: [],
      described: [],
      frames: rowFrames([]),
      rowCount: 0,
    }
  }

  #execute(statement: {
    readonly text: string
    readonly parameterCount: number
    readonly parameters: readonly Parameter[]
    readonly identity: Identity
  }): Promise<RawResult> {
    const { text, parameterCount, parameters, identity } = statement
    return this.#rooms.statements.execute({
      text,
      parameterCount,
      encode: (typeOids) =>
        parameters.map((value, index) => parameterText(value, typeOids[index] ?? 0)),
      scope: this.#scopeOf(identity),
      send: (unit) => this.#send(unit),
      reuse: this.#reuse,
      holdsEngine: this.#session !== undefined,
    })
  }

  #scopeOf(identity: Identity): Scope {
    return { identity, ...this.#limits, searchPath: this.#searchPathText }
  }

  #send(unit: Unit): Promise<Reply> {
    if (this.#signal.aborted) throw new DbError('CANCELLED', 'the caller has gone')
    // Stays when it has ended: to cancel it then does nothing.
    this.#running = unit
    return (this.#session ?? this.#rooms.engine).run(unit)
  }

  #cancel(): void {
    if (this.#running === undefined) return
    if (this.#session === undefined) this.#rooms.engine.cancel(this.#running)
    else this.#session.cancel()
  }

  /** Through the session, if there is one: it has the engine. */
  #users(): Users {
    const { users } = this.#rooms
    return this.#session === undefined ? users : users.within(this.#queryRunner())
  }

  #queryRunner(): QueryRunner {
    const { queries } = this.#rooms
    return this.#session === undefined ? queries : queries.within(this.#session)
  }
}

/** The SQL that a plan runs, with EXECUTE AS seen through; undefined for KalamDB's statements. */
export function sqlPlanOf(plan: Plan): SqlPlan | undefined {
  if (plan.kind === 'sql') return plan
  return plan.kind === 'execute-as' ? plan.inner : undefined
}

/** The schemas that the session looks names up in, as far as the caller may use them. */
const selectSearchPath =
  'select pg_catalog.unnest(pg_catalog.current_schemas(false))::pg_catalog.text'

/** `public` alone is what nearly all requests have. */
export function quoteIfNeeded(schema: string): string {
  return schema === 'public' ? schema : quoteIdentifier(schema)
}

/** TRUNCATE counts no rows, and neither does ALTER TABLE. */
function answerAs(command: string, result: RawResult): RawResult {
  return command.endsWith(' TABLE') ? { ...result, command, rowCount: 0 } : { ...result, command }
}

/** What PostgreSQL said of the table on the way. */
function inTablesName(error: DbError, { inTablesName: rename }: StagedCopy): DbError {
  const { where, ...fields } = error.fields
  return new DbError(
    error.code,
    rename(error.message),
    { ...fields, where: where === undefined ? undefined : rename(where) },
    { cause: error.cause },
  )
}

function inCallersText(error: DbError, composed: ComposedText): DbError {
  const { position } = error.fields
  return position === undefined ? error : error.with(composed.toCallerPosition(position))
}
