/** What ends a statement, and what the engine survives. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MessageWriter } from '#src/engine/frontend-messages.js'
import { openTestEngine, rowsOf, statusOf, unit, type TestEngine } from '../../support/engine.js'

let opened: TestEngine
beforeAll(async () => {
  opened = await openTestEngine({
    settings: {
      'engine.queue_max': 50,
      // A busy machine may take a while to let the engine see that it is to end.
      'engine.cancel_grace_ms': 1_000,
      'engine.restarts_max': 100,
    },
  })
  await opened.engine.run(
    unit(
      `CREATE FUNCTION deep(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN deep($1 + 1); END'`,
    ),
  )
})
afterAll(() => opened[Symbol.asyncDispose]())

const rows = async (sql: string) => rowsOf(await opened.engine.run(unit(sql)))
const sqlState = (sql: string) =>
  rows(sql).then(
    () => 'no error',
    (error: unknown) => (error as { sqlState?: string }).sqlState,
  )

describe('a statement', () => {
  test.each([
    ['a scan', 'SELECT count(*) FROM generate_series(1, 100000000000)'],
    ['a loop', 'DO $$ BEGIN LOOP END LOOP; END $$'],
    [
      'a recursive query',
      'WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r',
    ],
    [
      'a join',
      'SELECT count(*) FROM generate_series(1, 9000) a, generate_series(1, 9000) b, generate_series(1, 9000) c',
    ],
  ])('ends at its deadline: %s', async (_name, sql) => {
    const { generation } = opened.engine
    await expect(opened.engine.run(unit(sql, { timeoutMs: 80 }))).rejects.toMatchObject({
      code: 'STATEMENT_TIMEOUT',
      sqlState: '57014',
    })
    expect(opened.engine.generation).toBe(generation)
    expect(await rows('SELECT 1')).toEqual([['1']])
  })

  test('ends when it is cancelled, and only that one', async () => {
    const long = unit('SELECT count(*) FROM generate_series(1, 100000000000)')
    const running = opened.engine.run(long)
    const next = rows('SELECT 2')
    opened.engine.cancel(long)
    await expect(running).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(await next).toEqual([['2']])
  })

  test('that waits is cancelled without having run', async () => {
    const long = unit('SELECT count(*) FROM generate_series(1, 30000000)')
    const running = opened.engine.run(long)
    const waiting = unit('CREATE TABLE never_made (n int)')
    const waited = opened.engine.run(waiting)
    opened.engine.cancel(waiting)
    await expect(waited).rejects.toMatchObject({ code: 'CANCELLED' })
    opened.engine.cancel(long)
    await expect(running).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(await rows(`SELECT to_regclass('never_made')`)).toEqual([[null]])
  })

  test('cancels at random moments never hit another', async () => {
    for (let round = 0; round < 60; round++) {
      const victim = unit('SELECT count(*) FROM generate_series(1, 40000)')
      const running = opened.engine.run(victim).catch((error: unknown) => error)
      const bystanders = Array.from({ length: 5 }, (_, n) => rows(`SELECT ${n}`))
      setTimeout(() => opened.engine.cancel(victim), round % 12)
      expect(await Promise.all(bystanders)).toEqual([0, 1, 2, 3, 4].map((n) => [[String(n)]]))
      await running
    }
  })

  test('that cannot be stopped costs the engine a restart, and others an answer', async () => {
    const { generation } = opened.engine
    const stuck = opened.engine.run(unit('SELECT pg_sleep(600)', { timeoutMs: 50 }))
    const waiting = rows('SELECT 3')
    await expect(stuck).rejects.toMatchObject({ code: 'STATEMENT_TIMEOUT' })
    expect(await waiting).toEqual([['3']])
    expect(opened.engine.generation).toBe(generation + 1)
  })

  test('sessions that wait at a restart begin in the new engine; those that have begun end', async () => {
    const begun = opened.engine.openSession()
    await begun.run(unit('SELECT 1'))
    const stuck = opened.engine.run(unit('SELECT pg_sleep(600)', { timeoutMs: 50 }))
    const held = opened.engine.openSession()
    const holding = held.hold(60_000)
    const opener = opened.engine.openSession()
    const opening = opener.run(unit('BEGIN; SELECT 1', { waitMs: 60_000 }))
    const lost = begun.run(unit('SELECT 1', { waitMs: 60_000 }))
    await expect(stuck).rejects.toMatchObject({ code: 'STATEMENT_TIMEOUT' })
    await expect(lost).rejects.toMatchObject({ code: 'ENGINE_RESTARTED' })
    await holding
    expect(rowsOf(await held.run(unit('SELECT 2')))).toEqual([['2']])
    await held.close()
    expect(statusOf(await opening)).toBe('T')
    await Promise.all([opener.close(), begun.close()])
    expect(await rows('SELECT 3')).toEqual([['3']])
  })

  test.each([
    ['a function that calls itself for ever', 'SELECT deep(1)', '54001'],
    ['50,000 terms', `SELECT ${Array(50_000).fill('1').join('+')}`, '54001'],
    ['300,000 terms', `SELECT ${Array(300_000).fill('1').join('+')}`, '54001'],
    ['JSON 200,000 deep', `SELECT '${'['.repeat(200_000)}${']'.repeat(200_000)}'::jsonb`, '54001'],
    ['100,000 parentheses', `SELECT ${'('.repeat(100_000)}1${')'.repeat(100_000)}`, '42601'],
  ])('too deep ends with an error: %s', async (_name, sql, expected) => {
    const { generation } = opened.engine
    expect(await sqlState(sql)).toBe(expected)
    expect(opened.engine.generation).toBe(generation)
    expect(await rows('SELECT 4')).toEqual([['4']])
  })

  test('that wants more memory than there is ends with an error', async () => {
    expect(await sqlState(`SELECT length(repeat('x', 1073741824))`)).toMatch(/^5[34]/)
    expect(
      await sqlState(
        'SELECT array_agg(repeat($$x$$, 100000000) || g) FROM generate_series(1, 30) g',
      ),
    ).toMatch(/^5[34]/)
    expect(await rows('SELECT 5')).toEqual([['5']])
  })

  test('that takes more of the disk than it may ends with an error', async () => {
    // An engine of its own: with so little, every long query would meet this bound first.
    await using small = await openTestEngine({
      settings: { 'engine.temporary_bytes_max': 8 * 1024 * 1024 },
    })
    const sort = async (rows: number) =>
      rowsOf(
        await small.engine.run(
          unit(
            `SELECT count(*) FROM (SELECT g FROM generate_series(1, ${rows}) g ORDER BY random() OFFSET 0) s`,
          ),
        ),
      )
    expect(await sort(200_000)).toEqual([['200000']])
    await expect(sort(2_000_000)).rejects.toMatchObject({
      code: 'OUT_OF_RESOURCES',
      sqlState: '53400',
    })
  })

  test('whose answer is too large ends; one of just the size does not', async () => {
    const sql = `SELECT repeat('x', 1000) FROM generate_series(1, 20000)`
    const { length } = await opened.engine.run(unit(sql))
    for (const replyBytesMax of [length, length + 1])
      expect(await opened.engine.run(unit(sql, { replyBytesMax }))).toHaveLength(length)
    await expect(opened.engine.run(unit(sql, { replyBytesMax: length / 2 }))).rejects.toMatchObject(
      { code: 'RESULT_TOO_LARGE' },
    )
    expect(await rows('SELECT 6')).toEqual([['6']])
  })

  test('whose answer is too large is undone', async () => {
    await opened.engine.run(unit('CREATE TABLE echoes (t text)'))
    const insert = `INSERT INTO echoes SELECT repeat('x', 1000) FROM generate_series(1, 5000) RETURNING t`
    const bytes = new MessageWriter().parse('', insert).bind('', []).execute().sync().finish()
    await expect(
      opened.engine.run({ ...unit('', { replyBytesMax: 100_000 }), bytes }),
    ).rejects.toMatchObject({
      code: 'RESULT_TOO_LARGE',
      fields: { hint: expect.stringContaining('the statement was undone') as string },
    })
    expect(await rows('SELECT count(*) FROM echoes')).toEqual([['0']])
    // A simple Query commits by itself: by then nobody can undo it.
    await expect(opened.engine.run(unit(insert, { replyBytesMax: 100_000 }))).rejects.toMatchObject(
      {
        code: 'RESULT_TOO_LARGE',
        fields: { hint: expect.stringContaining('may be kept') as string },
      },
    )
    expect(await rows('SELECT count(*) FROM echoes')).toEqual([['5000']])
  })

  test('whose answer is far too large leaves nothing that is taken for messages', async () => {
    await opened.engine.run(unit('CREATE TABLE holes (n int)'))
    const nulls = Array(100).fill('null').join(', ')
    const insert = `INSERT INTO holes SELECT generate_series(1, 60000) RETURNING ${nulls}`
    await expect(opened.engine.run(unit(insert, { replyBytesMax: 1_000 }))).rejects.toMatchObject({
      code: 'RESULT_TOO_LARGE',
    })
    expect(await rows('SELECT 7')).toEqual([['7']])
  })
})

test('one more than engine.queue_max is turned away, and nothing else', async () => {
  const units = Array.from({ length: 51 }, () => opened.engine.run(unit('SELECT 1')))
  const settled = await Promise.allSettled(units)
  expect(settled.slice(0, 50).every(({ status }) => status === 'fulfilled')).toBe(true)
  expect(settled[50]).toMatchObject({ status: 'rejected', reason: { code: 'OVERLOADED' } })
})

test('a full queue keeps no session from going on and being closed', async () => {
  const session = opened.engine.openSession()
  await session.hold(1_000)
  await session.run(unit('CREATE TEMP TABLE own (n int)'))
  const others = Array.from({ length: 50 }, () => rows(`SELECT to_regclass('pg_temp.own')`))
  expect(rowsOf(await session.run(unit('SELECT count(*) FROM own')))).toEqual([['0']])
  await session.close()
  expect(await Promise.all(others)).toEqual(others.map(() => [[null]]))
})

test('COPY FROM STDIN without data does not end the engine', async () => {
  const { generation } = opened.engine
  await opened.engine.run(unit('CREATE TABLE copied (n int)'))
  expect(await sqlState('COPY copied FROM STDIN')).toBe('57014')
  expect(opened.engine.generation).toBe(generation)
})

test('engine.memory_bytes_max leaves statements room beside what lasts', async () => {
  const MiB = 1024 * 1024
  const settings = (sessionsBytesMax: number) => ({
    'engine.memory_bytes_max': 128 * MiB,
    'engine.shared_buffers_bytes': 16 * MiB,
    'engine.sessions_bytes_max': sessionsBytesMax,
  })
  await expect(openTestEngine({ settings: settings(16 * MiB + 1) })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining(`it must be ${128 * MiB + 1} at least`) as string,
  })
  await using small = await openTestEngine({ settings: settings(16 * MiB) })
  expect(rowsOf(await small.engine.run(unit('SELECT 1')))).toEqual([['1']])
})
