/** Disks that fail: what was acknowledged stays, what was not is told, and the engine comes back. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openTestEngine, rowsOf, unit, type TestEngine } from '../../support/engine.js'

let home: string
let opened: TestEngine
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'kalam-faults-'))
  const disk = new URL('../../support/disks/faulty.mjs', import.meta.url)
  disk.searchParams.set('switch', join(home, 'fault'))
  opened = await openTestEngine({ diskModule: disk.href })
  await opened.engine.run(unit('CREATE TABLE kept (n int PRIMARY KEY)'))
})
afterEach(async () => {
  await opened[Symbol.asyncDispose]()
  rmSync(home, { recursive: true, force: true })
})

const rows = async (sql: string) => rowsOf(await opened.engine.run(unit(sql)))
const fail = (fault: string) => writeFileSync(join(home, 'fault'), fault)
const mend = () => rmSync(join(home, 'fault'))

/** Inserts until one is refused; answers what was acknowledged and the refusal. */
async function insertUntilRefused(): Promise<{ acknowledged: number; error: unknown }> {
  for (let n = 1; n < 100_000; n++)
    try {
      await rows(`INSERT INTO kept VALUES (${n})`)
    } catch (error) {
      return { acknowledged: n - 1, error }
    }
  throw new Error('no insert was refused')
}

test.each(['wal-write ENOSPC', 'wal-write EIO', 'wal-sync EIO'])(
  'K2: %s: nothing acknowledged is lost and the engine starts again',
  async (fault) => {
    const generation = opened.engine.generation
    for (let n = -20; n < 0; n++) await rows(`INSERT INTO kept VALUES (${n})`)
    fail(fault)
    const { acknowledged, error } = await insertUntilRefused()
    expect(error).toMatchObject({ code: 'ENGINE_RESTARTED' })
    mend()
    await expect.poll(() => rows('SELECT 1').catch(() => []), { timeout: 20_000 }).toEqual([['1']])
    expect(opened.engine.generation).toBeGreaterThan(generation)
    const [[kept]] = (await rows('SELECT count(*) FROM kept')) as [[string]]
    expect(Number(kept)).toBeGreaterThanOrEqual(20 + acknowledged)
    expect(Number(kept)).toBeLessThanOrEqual(20 + acknowledged + 1)
  },
)

test('a full disk for data ends the statement with 53100 and nothing else', async () => {
  const { generation } = opened.engine
  await rows('CREATE TABLE large (t text)')
  fail('data-write ENOSPC')
  await expect(
    rows(`INSERT INTO large SELECT repeat('x', 1000) FROM generate_series(1, 1000)`),
  ).rejects.toMatchObject({ code: 'DISK_FULL', sqlState: '53100' })
  expect(await rows('SELECT count(*) FROM kept')).toEqual([['0']])
  mend()
  await rows(`INSERT INTO large VALUES ('fits')`)
  expect(await rows('SELECT count(*) FROM large')).toEqual([['1']])
  expect(opened.engine.generation).toBe(generation)
})

test('a table that grows by empty pages waits for no sync', async () => {
  const { engine } = opened
  await rows('CREATE TABLE growing (t text)')
  await rows('CHECKPOINT')
  const { generation } = engine
  fail('wal-wait EIO')
  // All at once: when a page is added, what the ones before wrote is not durable yet.
  const insert = unit(`INSERT INTO growing VALUES (repeat('x', 1000))`)
  await Promise.all(Array.from({ length: 200 }, () => engine.run(insert)))
  mend()
  expect(await rows(`SELECT count(*), pg_relation_size('growing') > 160000 FROM growing`)).toEqual([
    ['200', 't'],
  ])
  expect(engine.generation).toBe(generation)
})

test('where nobody can work meanwhile the engine waits for a sync itself', async () => {
  const { engine } = opened
  const [one, other] = [engine.openSession(), engine.openSession()]
  await one.run(unit('BEGIN; INSERT INTO kept VALUES (1)'))
  const begun = other.run(unit('BEGIN'))
  fail('wal-wait EIO')
  // The other has the engine by then, and cannot go on before it is answered.
  await expect(Promise.all([one.run(unit('COMMIT')), begun])).rejects.toMatchObject({
    code: 'ENGINE_RESTARTED',
  })
  mend()
})

test('an engine that dies again and again is given up, and says why', async () => {
  const disk = new URL('../../support/disks/faulty.mjs', import.meta.url)
  disk.searchParams.set('switch', join(home, 'other-fault'))
  await using weak = await openTestEngine({
    diskModule: disk.href,
    settings: { 'engine.restarts_max': 1 },
  })
  writeFileSync(join(home, 'other-fault'), 'wal-sync EIO')
  const write = () =>
    weak.engine.run(unit('CREATE TABLE t' + String(Math.random()).slice(2) + '()'))
  await expect
    .poll(
      () =>
        write().then(
          () => '',
          (error: unknown) => (error as { code: string }).code,
        ),
      {
        timeout: 30_000,
      },
    )
    .toBe('UNAVAILABLE')
  expect(weak.engine.status).toMatchObject({ kind: 'failed' })
})
