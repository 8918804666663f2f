/** A server that looks after itself: bounded WAL, dead rows reused, old transactions frozen. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openTestServer } from '../../support/server.js'

test('K5: checkpoints keep the WAL bounded', async () => {
  const checkpointBytes = 16 * 1024 * 1024
  await using server = await openTestServer({
    settings: { 'engine.checkpoint_wal_bytes': checkpointBytes },
  })
  await server.sql('CREATE TABLE blobs (t text)')
  // 12 × 16 MB of rows that do not compress.
  for (let round = 0; round < 12; round++)
    await server.sql(
      `INSERT INTO blobs SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 512000) g GROUP BY g % 1000`,
    )
  const segments = readdirSync(join(server.folder, 'pgdata', 'pg_wal')).filter((name) =>
    /^[0-9A-F]{24}$/.test(name),
  )
  // min_wal_size keeps 3 segments; one checkpoint's worth and the one in hand come on top.
  expect(segments.length).toBeLessThanOrEqual(8)
  const page = await (await fetch(`${server.url}/metrics`)).text()
  expect(
    Number(/^kalamdb_engine_checkpoint_seconds_count (\d+)$/m.exec(page)?.[1]),
  ).toBeGreaterThan(3)
})

test('K5: dead rows are vacuumed and statistics kept, without being asked', async () => {
  await using server = await openTestServer({
    settings: { 'engine.vacuum_changes_min': 1_000, 'engine.upkeep_interval_ms': 200 },
  })
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
})

test('K5: tables older than engine.freeze_age_max are frozen', async () => {
  await using server = await openTestServer({
    settings: { 'engine.freeze_age_max': 100_000, 'engine.upkeep_interval_ms': 3_600_000 },
  })
  await server.sql('CREATE TABLE old (n int); INSERT INTO old VALUES (1)')
  const age = async () =>
    Number(
      (await server.sql(`SELECT age(relfrozenxid) AS a FROM pg_class WHERE relname = 'old'`))
        .rows[0]?.['a'],
    )
  expect(await age()).toBeLessThan(1_000)
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
