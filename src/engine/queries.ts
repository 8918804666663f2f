import { dataRows } from './backend-messages.js'
import { systemIdentity, type Engine, type Session } from './engine.js'
import type { TextValue } from './frontend-messages.js'
import { Statements } from './statements.js'
import type { Column, Scope } from './statement.js'

export interface QueryResult {
  readonly columns: readonly Column[]
  readonly rows: readonly (readonly TextValue[])[]
  readonly command: string
  readonly rowCount: number
}

/** Something that answers the system's own SQL. */
export interface QueryRunner {
  /** Values and results are PostgreSQL's text. Errors: DbError with PostgreSQL's SQLSTATE. */
  query(sql: string, parameters?: readonly TextValue[]): Promise<QueryResult>
}

/** Longer than any caller's statement: migrations and checkpoints take their time. */
const systemTimeoutMs = 600_000
const systemScope: Scope = {
  identity: systemIdentity,
  searchPath: 'pg_catalog, pg_temp',
  timeoutMs: systemTimeoutMs,
  waitMs: systemTimeoutMs,
  replyBytesMax: 256 * 1024 * 1024,
}

const backgroundScope: Scope = { ...systemScope, waitMs: Infinity }

/** The system's own SQL: as bootstrap superuser, never with text from a caller in it. */
export class Queries implements QueryRunner {
  readonly #engine: Engine
  readonly #statements: Statements

  constructor(engine: Engine) {
    this.#engine = engine
    this.#statements = new Statements(engine, {
      namePrefix: 'kalam_system_',
      preparedMax: 200,
      preparedTextMax: 10_000,
    })
  }

  query(sql: string, parameters: readonly TextValue[] = []): Promise<QueryResult> {
    return this.#execute(sql, parameters, {})
  }

  /** For what nobody waits for: no transaction is hurried for it. */
  readonly inBackground: QueryRunner = {
    query: (sql, parameters = []) => this.#execute(sql, parameters, { scope: backgroundScope }),
  }

  /** Runs `work` in one transaction, alone on the engine; an error rolls all of it back. */
  async transaction<T>(work: (runner: QueryRunner) => Promise<T>): Promise<T> {
    const session = this.#engine.openSession({
      leaseMs: systemTimeoutMs,
      idleMs: systemTimeoutMs,
      leavesState: false,
    })
    const runner = { query: this.#runnerFor(session) }
    try {
      await session.hold(systemTimeoutMs)
      await runner.query('BEGIN')
      const result = await work(runner)
      await runner.query('COMMIT')
      return result
    } finally {
      await session.close()
    }
  }

  /** Runs in a session that someone else holds: inside its transaction, as the system. */
  within(session: Session): QueryRunner {
    return { query: this.#runnerFor(session) }
  }

  #runnerFor(session: Session): QueryRunner['query'] {
    return (sql, parameters = []) => this.#execute(sql, parameters, { session })
  }

  async #execute(
    sql: string,
    parameters: readonly TextValue[],
    { session, scope = systemScope }: { readonly session?: Session; readonly scope?: Scope },
  ): Promise<QueryResult> {
    const result = await this.#statements.execute({
      text: sql,
      parameterCount: parameters.length,
      encode: () => parameters,
      scope,
      send: (unit) => (session ?? this.#engine).run(unit),
      reuse: session === undefined,
    })
    const { columns, command, rowCount } = result
    return { columns, rows: dataRows(result.frames), command, rowCount }
  }
}
