import * as fs from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Backend } from '#src/engine/pglite/backend.js'
import { claimTempSchema } from '#src/engine/pglite/claim-temp-schema.js'
import { realDisk } from '#src/engine/pglite/disk.js'
import { runAsSystem } from '#src/engine/pglite/run-as-system.js'
import { findPlaces, placesOfThisBuild } from '#src/engine/pglite/session-memory.js'
import { WalSync } from '#src/engine/pglite/wal-sync.js'
import { copyOfTemplate } from '../../support/engine.js'

test("PostgreSQL's variables are where they are said to be, as what they do shows", async () => {
  const folder = copyOfTemplate()
  const walSync = new WalSync({
    disk: realDisk,
    events: { synced: () => undefined, failed: (cause) => expect.unreachable(cause.message) },
    open: (path) => fs.openSync(path, 'r+'),
    close: (fd) => fs.closeSync(fd),
  })
  const wasmFile = createRequire(import.meta.url).resolve('@electric-sql/pglite/pglite.wasm')
  const wasmModule = new WebAssembly.Module(fs.readFileSync(wasmFile))
  const backend = await Backend.open({
    folder: join(folder, 'pgdata'),
    ...{ disk: realDisk, walSync, durable: false, memory: undefined, wasmModule },
    ...{ sharedBuffersBytes: 16 << 20, walBytesMax: 64 << 20, temporaryBytesMax: 1 << 20 },
    ...{ extensions: {}, onWalWrite: () => undefined, onStderr: () => undefined },
    openParts: () => {
      throw new Error('no answer of these comes in parts')
    },
  })
  try {
    const claimed = claimTempSchema(backend)
    const run = (sql: string) => void runAsSystem(backend, sql, null)
    expect(findPlaces(backend.sessionMemoryOptions({ claimed, run }))).toEqual(placesOfThisBuild)
    run(`PREPARE kept_one AS SELECT relname FROM pg_class WHERE oid = $1; EXECUTE kept_one(1)`)
    run(`PREPARE kept_two AS SELECT ${Array(500).fill('1').join()}; EXECUTE kept_two`)
    run(`DECLARE kept_three CURSOR WITH HOLD FOR SELECT repeat('x', 1000000)`)
    run(
      `DECLARE kept_four CURSOR WITH HOLD FOR SELECT repeat('x', 1000) FROM generate_series(1, 999)`,
    )
    const found = backend.keptMemory(placesOfThisBuild).names()
    const kept = found.filter(({ name }) => name.startsWith('kept_'))
    // PostgreSQL's own account knows a statement by its text; what cursors hold is below a context without a name.
    const [[statements, cursors] = []] = runAsSystem(
      backend,
      `SELECT (WITH RECURSIVE of_statements AS (
         SELECT path[level] AS id, total_bytes FROM pg_catalog.pg_backend_memory_contexts
           WHERE name IN ('CachedPlanSource', 'CachedPlan') AND ident LIKE 'PREPARE kept_%'
         UNION ALL SELECT c.path[level], c.total_bytes FROM of_statements s
           JOIN pg_catalog.pg_backend_memory_contexts c ON c.path[level - 1] = s.id)
         SELECT sum(total_bytes) FROM of_statements),
       (WITH RECURSIVE of_cursors AS (
         SELECT path[level] AS id, total_bytes FROM pg_catalog.pg_backend_memory_contexts
           WHERE ident LIKE 'kept_%' OR name = 'PortalHoldContext'
         UNION ALL SELECT c.path[level], c.total_bytes FROM of_cursors s
           JOIN pg_catalog.pg_backend_memory_contexts c ON c.path[level - 1] = s.id)
         SELECT sum(total_bytes) FROM of_cursors)`,
    )
    const sum = (kind: string) =>
      kept.reduce((total, each) => total + (each.kind === kind ? each.bytes : 0), 0)
    expect(kept.map(({ name }) => name).toSorted()).toEqual([
      'kept_four',
      'kept_one',
      'kept_three',
      'kept_two',
    ])
    expect(sum('statement')).toBe(Number(statements))
    // Heads of contexts are in one account and not in the other.
    expect(Math.abs(sum('cursor') - Number(cursors))).toBeLessThan(1_000)
    expect(sum('cursor')).toBeGreaterThan(3_000_000)
    const names = backend.settingNames(placesOfThisBuild.settings)
    run(
      `SELECT set_config('kept.n' || n, repeat('x', 1000), n % 2 = 0) FROM generate_series(1, 2000) n`,
    )
    const [[settings] = []] = runAsSystem(
      backend,
      `WITH RECURSIVE of_settings AS (
         SELECT path[level] AS id, total_bytes FROM pg_catalog.pg_backend_memory_contexts
           WHERE name = 'GUCMemoryContext'
         UNION ALL SELECT c.path[level], c.total_bytes FROM of_settings s
           JOIN pg_catalog.pg_backend_memory_contexts c ON c.path[level - 1] = s.id)
       SELECT sum(total_bytes) FROM of_settings`,
    )
    expect(names.bytes).toBe(Number(settings))
    expect(names.isDue).toBe(true)
  } finally {
    await backend.close()
    fs.rmSync(join(folder, '..'), { recursive: true, force: true })
  }
})
