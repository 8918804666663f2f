/** A real engine with the system schema and its users, for tests below the doors. */
import { randomBytes } from 'node:crypto'
import { migrate } from '#src/catalog/migrate.js'
import { Users } from '#src/catalog/users.js'
import { dataRows } from '#src/engine/backend-messages.js'
import type { Identity } from '#src/engine/engine.js'
import type { PGliteEngine } from '#src/engine/pglite/pglite-engine.js'
import { Queries, type QueryResult } from '#src/engine/queries.js'
import { Statements } from '#src/engine/statements.js'
import { openTestEngine } from './engine.js'

export interface TestCatalog {
  readonly engine: PGliteEngine
  readonly queries: Queries
  readonly users: Users
  /** The clock of `users`; set it to travel. */
  readonly clock: { nowMs: number }
  /** Runs one statement as that identity. */
  as(identity: Identity, sql: string): Promise<QueryResult>
  close(): Promise<void>
}

export async function openTestCatalog(): Promise<TestCatalog> {
  const opened = await openTestEngine()
  const { engine } = opened
  const queries = new Queries(engine)
  await migrate(queries)
  const clock = { nowMs: Date.UTC(2026, 10, 23) }
  const users = new Users(queries, { random: randomBytes, now: () => clock.nowMs })
  const close = async () => opened[Symbol.asyncDispose]()
  return { engine, queries, users, clock, as: runnerOf(engine), close }
}

function runnerOf(engine: PGliteEngine): TestCatalog['as'] {
  const options = { namePrefix: 'kalam_test', preparedMax: 10, preparedTextMax: 1_000 } as const
  const statements = new Statements(engine, options)
  return async (identity, sql) => {
    const { columns, frames, command, rowCount } = await statements.execute({
      text: sql,
      parameterCount: 0,
      encode: () => [],
      scope: {
        identity,
        searchPath: 'public',
        timeoutMs: 10_000,
        waitMs: 10_000,
        replyBytesMax: 1_000_000,
      },
      send: (unit) => engine.run(unit),
      reuse: false,
    })
    return { columns, rows: dataRows(frames), command, rowCount }
  }
}
