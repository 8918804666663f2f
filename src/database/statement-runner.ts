/**
 * Runs planned statements for one request, on the engine at large or in a session, and gives
 * errors the place in the caller's own text.
 */
import type { Users } from '../catalog/users.js'
import { runKalamPlan } from '../catalog/kalam-statements.js'
import { composeText, type ComposedText } from '../dialect/compose-text.js'
import type { ExecuteAsPlan, KalamPlan, Plan, SqlPlan } from '../dialect/plan.js'
import type { Engine, Identity, Reply, Session, Unit } from '../engine/engine.js'
import type { Queries, QueryRunner } from '../engine/queries.js'
import type { RawResult, Scope } from '../engine/statement.js'
import type { Statements } from '../engine/statements.js'
import { DbError, assert } from '../errors.js'
import type { ColumnTypes } from './column-types.js'
import type { CancelSignal, Parameter, StatementOutcome } from './database.js'
import { parameterText } from './parameters.js'
import { rowFrames } from './row-frames.js'

/** What every request's runner works with. */
export interface RunnerRooms {
  readonly engine: Engine
  readonly queries: Queries
  readonly statements: Statements
  readonly columnTypes: ColumnTypes
  readonly users: Users
  /** Tables, types or functions have changed: forget what was learned of them. */
  readonly schemaChanged: () => void
}

/** A statement ready to run: its plan, its caller, its text. */
export type ReadyStatement =
  | { readonly kind: 'kalam'; readonly plan: KalamPlan }
  /** A GRANT or REVOKE that names users: resolved at its turn, for they may be made just before. */
  | { readonly kind: 'grant'; readonly plan: SqlPlan; readonly identity: Identity }
  | {
      readonly kind: 'sql'
      readonly plan: SqlPlan
      readonly identity: Identity
      readonly composed: ComposedText
      readonly parameters: readonly Parameter[]
    }

type GrantStatement = ReadyStatement & { readonly kind: 'grant' }

export interface RequestLimits {
  readonly searchPath: string
  readonly timeoutMs: number
  readonly waitMs: number
  readonly replyBytesMax: number
  /** It only gives back what an earlier statement took. */
  readonly freesRoom?: boolean
}

export class StatementRunner {
  readonly #rooms: RunnerRooms
  readonly #limits: RequestLimits
  readonly #signal: CancelSignal
  readonly #onAbort = (): void => this.#cancel()
  #running: Unit | undefined
  #session: Session | undefined
  #reuse = true

  constructor(rooms: RunnerRooms, limits: RequestLimits, signal: CancelSignal) {
    this.#rooms = rooms
    this.#limits = limits
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

  /** Runs one statement. `index` is its place in the request, for errors. */
  async run(statement: ReadyStatement, index: number): Promise<StatementOutcome> {
    try {
      switch (statement.kind) {
        case 'kalam':
          return await this.#runKalam(statement.plan)
        case 'grant':
          return await this.#runGrant(statement)
        case 'sql':
          return await this.#runSql(statement)
      }
    } catch (error) {
      throw error instanceof DbError ? inCallersText(error, statement, index) : error
    }
  }

  /** Runs text of our own as the caller: BEGIN, COMMIT, FETCH. */
  runText(text: string, identity: Identity): Promise<RawResult> {
    return this.#execute({ text, parameterCount: 0, parameters: [], identity })
  }

  /** Runs a statement's text inside another, such as DECLARE CURSOR; error positions stay its own. */
  async runWrapped(
    statement: ReadyStatement & { kind: 'sql' },
    prefix: string,
  ): Promise<RawResult> {
    const { plan, composed, parameters, identity } = statement
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
      throw inCallersText(own, statement, 0)
    }
  }

  async outcomeOf(result: RawResult): Promise<StatementOutcome> {
    const { columnTypes } = this.#rooms
    const { columns, frames, command, rowCount } = result
    const types =
      columnTypes.known(columns) ?? (await columnTypes.resolve(columns, this.#queryRunner()))
    return { command, columns: types, frames, rowCount }
  }

  async #runSql(statement: ReadyStatement & { kind: 'sql' }): Promise<StatementOutcome> {
    const { plan, composed, parameters, identity } = statement
    const { parameterCount } = plan
    const result = await this.#execute({
      text: composed.text,
      parameterCount,
      parameters,
      identity,
    })
    if (plan.ddl) this.#rooms.schemaChanged()
    return this.outcomeOf(result)
  }

  async #runGrant({ plan, identity }: GrantStatement): Promise<StatementOutcome> {
    const roles = new Map<string, string>()
    const users = this.#users()
    for (const name of new Set(namedUsers(plan))) roles.set(name, await users.roleOfUser(name))
    const composed = compose(plan, roles)
    const statement = { kind: 'sql', plan, identity, composed, parameters: [] } as const
    try {
      return await this.#runSql(statement)
    } catch (error) {
      throw error instanceof DbError ? inCallersText(error, statement, 0) : error
    }
  }

  async #runKalam(plan: KalamPlan): Promise<StatementOutcome> {
    const { command, columns, rows } = await runKalamPlan(this.#users(), plan)
    return {
      command,
      columns: await this.#rooms.columnTypes.resolve(columns, this.#queryRunner()),
      frames: rowFrames(rows),
      rowCount: rows.length,
    }
  }

  #execute(statement: {
    readonly text: string
    readonly parameterCount: number
    readonly parameters: readonly Parameter[]
    readonly identity: Identity
  }): Promise<RawResult> {
    const { text, parameterCount, parameters, identity } = statement
    const scope: Scope = { identity, ...this.#limits }
    return this.#rooms.statements.execute({
      text,
      parameterCount,
      encode: (typeOids) =>
        parameters.map((value, index) => parameterText(value, typeOids[index] ?? 0)),
      scope,
      send: (unit) => this.#send(unit),
      reuse: this.#reuse,
    })
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

/** Users whose own PostgreSQL roles the statement names. */
export function namedUsers(plan: SqlPlan): readonly string[] {
  return plan.splices.flatMap(({ text }) => (typeof text === 'string' ? [] : [text.roleOfUser]))
}

export function compose(plan: SqlPlan, roles: ReadonlyMap<string, string>): ComposedText {
  return composeText(plan, (name) => {
    const role = roles.get(name)
    assert(role !== undefined, `the role of '${name}' was resolved`)
    return role
  })
}

export function isExecuteAs(plan: Plan): plan is ExecuteAsPlan {
  return plan.kind === 'execute-as'
}

function inCallersText(error: DbError, statement: ReadyStatement, index: number): DbError {
  const { position } = error.fields
  if (position === undefined || statement.kind !== 'sql') return error.with({ statement: index })
  return error.with({ statement: index, ...statement.composed.toCallerPosition(position) })
}
