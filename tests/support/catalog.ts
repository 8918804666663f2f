/** A real engine on a folder of its own with the system schema, for tests below the doors. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrate } from '#src/catalog/migrate.js'
import { Users } from '#src/catalog/users.js'
import type { Engine, Identity } from '#src/engine/engine.js'
import { loadConfig } from '#src/config/load-config.js'
import type { PGliteEngine } from '#src/engine/pglite/pglite-engine.js'
import { openEngine } from '#src/engine/open-engine.js'
import { createLog } from '#src/telemetry/log.js'
import { Queries, type QueryResult } from '#src/engine/queries.js'
import { Statements } from '#src/engine/statements.js'
import { dataRows } from '#src/engine/backend-messages.js'

export interface TestCatalog extends AsyncDisposable {
  readonly engine: PGliteEngine
  readonly queries: Queries
  readonly users: Users
  /** Its clock; set it to travel. */
  readonly clock: { nowMs: number }
  /** Runs one statement as that identity. */
  as(identity: Identity, sql: string): Promise<QueryResult>
  close(): Promise<void>
}

/** Opens the engine without the system schema. */
export async function openTestEngine(): Promise<PGliteEngine & AsyncDisposable> {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-catalog-'))
  const { config } = loadConfig({
    file: '/dev/null',
    env: {
      KALAMDB_SERVER_DATA_DIR: folder,
      KALAMDB_ENGINE_DURABILITY: 'os',
      KALAMDB_ENGINE_SHARED_BUFFERS_BYTES: String(16 * 1024 * 1024),
    },
  })
  const engine = await openEngine({ config, log: createLog({ ...config.log, level: 'silent' }) })
  const close = engine.close.bind(engine)
  const closeAll = async () => {
    await close()
    rmSync(folder, { recursive: true, force: true })
  }
  return Object.assign(engine, { close: closeAll, [Symbol.asyncDispose]: closeAll })
}

export async function openTestCatalog(): Promise<TestCatalog> {
  const engine = await openTestEngine()
  const queries = new Queries(engine)
  await migrate(queries)
  const clock = { nowMs: Date.UTC(2026, 10, 23) }
  const users = new Users(queries, { random: randomBytes, now: () => clock.nowMs })
  const close = () => engine.close()
  return {
    engine,
    queries,
    users,
    clock,
    as: runnerOf(engine),
    close,
    [Symbol.asyncDispose]: close,
  }
}

function runnerOf(engine: Engine): TestCatalog['as'] {
  const statements = new Statements(engine, { preparedMax: 10, preparedTextMax: 1_000 })
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
