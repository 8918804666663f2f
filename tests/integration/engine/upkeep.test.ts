/** A server that looks after itself: bounded WAL, dead rows reused, old transactions frozen. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Queries } from '#src/engine/queries.js'
import { startUpkeep } from '#src/engine/upkeep.js'
import { createLog } from '#src/telemetry/log.js'
import { createMetrics } from '#src/telemetry/metrics.js'
import { openTestEngine, unit } from '../../support/engine.js'
import { openTestServer } from '../../support/server.js'

function walSegments(folder: string): number {
  const names = readdirSync(join(folder, 'pgdata', 'pg_wal'))
  return names.filter((name) => /^[0-9A-F]{24}$/.test(name)).length
}

test('K5: checkpoints keep the WAL bounded', async () => {
  const checkpointBytes = 16 * 1024 * 1024
  await using server = await openTestServer({
    settings: { 'engine.checkpoint_wal_bytes': checkpointBytes, 'engine.lease_wait_ms': 120_000 },
  })
  await server.sql('CREATE TABLE blobs (t text)')
  const segments: number[] = []
  // 12 × 16 MB of rows that do not compress, all at once: faster than any timer.
  await Promise.all(
    Array.from({ length: 12 }, async () => {
      await server.sql(
        `INSERT INTO blobs SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 512000) g GROUP BY g % 1000`,
      )
      segments.push(walSegments(server.folder))
    }),
  )
  // What a checkpoint is due for, what the one statement before it wrote, and the one in hand;
  // PostgreSQL keeps as much again for the next.
  expect(Math.max(...segments)).toBeLessThanOrEqual(8)
  const page = await (await fetch(`${server.url}/metrics`)).text()
  expect(
    Number(/^kalamdb_engine_checkpoint_seconds_count (\d+)$/m.exec(page)?.[1]),
  ).toBeGreaterThan(3)
})

test('K5: small commits do not count their page of WAL again and again', async () => {
  await using server = await openTestServer({
    settings: { 'engine.checkpoint_wal_bytes': 16 * 1024 * 1024 },
  })
  await server.sql('CREATE TABLE small (n int)')
  // Each commit writes a page of 8 KiB: 2,600 of them are 20 MB written, of less than 1 MB of WAL.
  for (let round = 0; round < 26; round++)
    await Promise.all(
      Array.from({ length: 100 }, (_, n) =>
        server.sql('INSERT INTO small VALUES ($1)', { params: [n] }),
      ),
    )
  const page = await (await fetch(`${server.url}/metrics`)).text()
  expect(page).toMatch(/^kalamdb_engine_checkpoint_seconds_count 0$/m)
})

test('K5: dead rows are vacuumed and statistics kept, also where ANALYZE fails for others', async () => {
  await using server = await openTestServer({
    settings: { 'engine.vacuum_changes_min': 1_000, 'engine.upkeep_interval_ms': 200 },
  })
  await server.sql(
    `CREATE TABLE switch AS SELECT false AS is_broken;
     CREATE FUNCTION picky(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
       IF (SELECT is_broken FROM public.switch) THEN RAISE 'never'; END IF; RETURN n; END $$;
     CREATE TABLE broken (n int);
     CREATE INDEX ON broken (picky(n));
     INSERT INTO broken SELECT g FROM generate_series(1, 5000) g;
     UPDATE switch SET is_broken = true`,
    { transaction: true },
  )
  await server.sql(
    'CREATE TABLE busy (id int PRIMARY KEY, n int) WITH (fillfactor = 100); CREATE INDEX ON busy (n)',
  )
  await server.sql('INSERT INTO busy SELECT g, g FROM generate_series(1, 5000) g')
  await server.sql('UPDATE busy SET n = n + 1')
  const vacuumed = async () =>
    (
      await server.sql(
        `SELECT vacuum_count > 0 AND analyze_count > 0 AS done, n_dead_tup::int AS dead
           FROM pg_stat_user_tables WHERE relname = 'busy'`,
      )
    ).rows[0]
  await expect.poll(vacuumed, { timeout: 20_000 }).toEqual({ done: true, dead: 0 })
  const tasks = async () => {
    const page = await (await fetch(`${server.url}/metrics`)).text()
    return [...page.matchAll(/^kalamdb_engine_upkeep_total\{task="(\w+)"\} [1-9]/gm)].map(
      ([, t]) => t,
    )
  }
  await expect
    .poll(tasks, { timeout: 20_000 })
    .toEqual(expect.arrayContaining(['vacuum', 'analyze', 'idempotency']))
})

test('K5: tables older than engine.freeze_age_max are frozen', async () => {
  await using opened = await openTestEngine()
  const queries = new Queries(opened.engine)
  const upkeep = startUpkeep({
    queries,
    settings: {
      freeze_age_max: 100,
      upkeep_interval_ms: 3_600_000,
      vacuum_changes_min: 1_000_000,
    },
    log: createLog({ level: 'silent', format: 'json', slow_statement_ms: 0 }),
    metrics: createMetrics(),
  })
  const ages = async () => {
    const { rows } = await queries.query(
      `SELECT relname, age(relfrozenxid) FROM pg_class WHERE relname IN ('old', 'young') ORDER BY 1`,
    )
    return Object.fromEntries(rows.map(([name, age]) => [String(name), Number(age)]))
  }
  await queries.query('CREATE TABLE public.old (n int)')
  for (let n = 0; n < 101; n++) await queries.query('INSERT INTO public.old VALUES ($1)', ['1'])
  await queries.query('CREATE TABLE public.young (n int)')
  expect((await ages())['old']).toBeGreaterThan(100)
  const young = (await ages())['young'] ?? Infinity
  // The catalog's own tables are as old, and a round does twenty.
  await expect
    .poll(async () => (await upkeep.runOnce(), (await ages())['old']), { timeout: 20_000 })
    .toBeLessThan(100)
  expect((await ages())['young']).toBeGreaterThanOrEqual(young)
  await upkeep.close()
})

test('K5: rounds do not heap up behind a transaction', async () => {
  await using opened = await openTestEngine()
  const { engine } = opened
  const { inBackground } = new Queries(engine)
  let rounds = 0
  let turns = 0
  const interval = 20
  const upkeep = startUpkeep({
    queries: {
      query: (sql, parameters) => {
        if (sql.includes('pg_stat_all_tables')) rounds += 1
        return inBackground.query(sql, parameters)
      },
    },
    settings: { freeze_age_max: 1e9, upkeep_interval_ms: interval, vacuum_changes_min: 1e9 },
    log: createLog({ level: 'silent', format: 'json', slow_statement_ms: 0 }),
    metrics: createMetrics(),
  })
  const session = engine.openSession()
  await session.run(unit('BEGIN'))
  rounds = 0
  const counting = setInterval(() => (turns += 1), interval)
  await expect.poll(() => turns, { timeout: 20_000 }).toBeGreaterThan(15)
  clearInterval(counting)
  const last = upkeep.runOnce()
  await session.run(unit('COMMIT'))
  await last
  await Promise.all([upkeep.close(), session.close()])
  expect(rounds).toBeLessThanOrEqual(2)
})

test('K5: databases that nobody can enter do not age: transaction numbers can come round', async () => {
  await using opened = await openTestEngine()
  const queries = new Queries(opened.engine)
  const upkeep = startUpkeep({
    queries,
    settings: { freeze_age_max: 50, upkeep_interval_ms: 3_600_000, vacuum_changes_min: 1_000_000 },
    log: createLog({ level: 'silent', format: 'json', slow_statement_ms: 0 }),
    metrics: createMetrics(),
  })
  await queries.query('CREATE TABLE public.busy (n int)')
  for (let n = 0; n < 600; n++) await queries.query('INSERT INTO public.busy VALUES ($1)', ['1'])
  const oldest = async () => {
    const { rows } = await queries.query('SELECT max(age(datfrozenxid)) FROM pg_database')
    return Number(rows[0]?.[0])
  }
  expect(await oldest()).toBeGreaterThan(600)
  // A round freezes twenty tables, and grows older by as many transactions.
  await expect
    .poll(async () => (await upkeep.runOnce(), oldest()), { timeout: 20_000 })
    .toBeLessThan(400)
  await upkeep.close()
})

test('K6: extensions named in the configuration are there for everyone', async () => {
  await using server = await openTestServer({
    settings: { 'engine.extensions': ['vector', 'pg_trgm', 'pgcrypto', 'citext'] },
  })
  const key = await server.createUser('alice')
  const { rows } = await server.sql(
    `SELECT '[1,2,3]'::vector <-> '[4,5,6]'::vector AS distance, similarity('kalam', 'kalom') > 0.3 AS close,
            encode(digest('x', 'sha256'), 'hex') AS hash, 'A'::citext = 'a' AS same`,
    { key },
  )
  expect(rows[0]).toMatchObject({ distance: Math.sqrt(27), close: true, same: true })
  expect(rows[0]?.['hash']).toHaveLength(64)
})

test('K6: an extension that does not exist stops the start by name', async () => {
  await expect(
    openTestServer({ settings: { 'engine.extensions': ['file_fdw'] } }),
  ).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('file_fdw') as string,
  })
})
