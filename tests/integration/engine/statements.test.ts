/** Prepared statements live in the one backend: none may be left there that nobody uses again. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { DbError } from '#src/errors.js'
import { Statements, type StatementRequest } from '#src/engine/statements.js'
import { openTestEngine, rowsOf, unit, type TestEngine } from '../../support/engine.js'

let opened: TestEngine
let statements: Statements
let round = 0
beforeAll(async () => {
  opened = await openTestEngine({ settings: { 'engine.queue_max': 30 } })
  await opened.engine.run(unit('CREATE TABLE shapes (n int PRIMARY KEY)'))
})
afterAll(() => opened[Symbol.asyncDispose]())
beforeEach(() => {
  statements = new Statements(opened.engine, {
    namePrefix: `kalam_test_${++round}_`,
    preparedMax: 100,
    preparedTextMax: 1_000,
  })
})

function request(text: string, options: Partial<StatementRequest> = {}): StatementRequest {
  return {
    text,
    parameterCount: 1,
    encode: () => ['1'],
    scope: unit(''),
    send: (sent) => opened.engine.run(sent),
    reuse: true,
    ...options,
  }
}

const prepared = async () => {
  const count = `SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'kalam_test_%'`
  return Number(rowsOf(await opened.engine.run(unit(count)))[0]?.[0])
}

test('one that is used once is gone when it has failed', async () => {
  const once = request('INSERT INTO shapes VALUES ($1)', { reuse: false })
  await statements.execute(once)
  expect(await prepared()).toBe(0)
  await expect(statements.execute(once)).rejects.toMatchObject({ sqlState: '23505' })
  expect(await prepared()).toBe(0)
  const unwritable = request('SELECT $1::int', {
    reuse: false,
    encode: () => {
      throw new Error('cannot be written')
    },
  })
  await expect(statements.execute(unwritable)).rejects.toThrow('cannot be written')
  expect(await prepared()).toBe(0)
})

test.each([
  ['once', false],
  ['often', true],
])('one that is used %s runs though its memory was needed before it did', async (_often, reuse) => {
  const send: StatementRequest['send'] = async (sent) => {
    const reply = await opened.engine.run(sent)
    await opened.engine.run(unit('DEALLOCATE ALL'))
    return reply
  }
  const needy = request('SELECT $1::int + 1', { reuse, send })
  const { rowCount, columns } = await statements.execute(needy)
  expect({ rowCount, columns: columns.length }).toEqual({ rowCount: 1, columns: 1 })
})

test('requests that meet one of an older shape leave one behind, not one each', async () => {
  const select = request('SELECT * FROM shapes WHERE n = $1')
  await statements.execute(select)
  await opened.engine.run(unit('ALTER TABLE shapes ADD COLUMN t text'))
  const results = await Promise.all(Array.from({ length: 10 }, () => statements.execute(select)))
  expect(results.map(({ columns }) => columns.length)).toEqual(results.map(() => 2))
  expect(await prepared()).toBe(1)
  statements.forget()
  expect(await prepared()).toBe(0)
})

test('a hundred are forgotten at once, however many requests may wait', async () => {
  for (let n = 0; n < 100; n++) await statements.execute(request(`SELECT $1::int + ${n}`))
  expect(await prepared()).toBe(100)
  const full = Array.from({ length: 30 }, () => opened.engine.run(unit('SELECT 1')))
  statements.forget()
  await Promise.all(full)
  expect(await prepared()).toBe(0)
})

test('a session that has the engine does not wait for who waits for the engine', async () => {
  const session = opened.engine.openSession({ idleMs: 60_000, leaseMs: 60_000 })
  try {
    await session.hold(10_000)
    const text = 'SELECT $1::int * 3'
    const outside = statements.execute(request(text))
    const inside = request(text, { send: (sent) => session.run(sent), holdsEngine: true })
    expect((await statements.execute(inside)).rowCount).toBe(1)
    await session.close()
    expect((await outside).rowCount).toBe(1)
    expect(await prepared()).toBe(1)
    statements.forget()
  } finally {
    await session.close()
  }
})

test('who waits for another to prepare it is not told of the other’s end', async () => {
  const text = 'SELECT $1::int * 5'
  const gone = () => Promise.reject(new DbError('CANCELLED', 'the caller has gone'))
  const outcomes = await Promise.allSettled([
    statements.execute(request(text, { send: gone })),
    statements.execute(request(text, { send: gone })),
    statements.execute(request(text)),
    statements.execute(request(text)),
  ])
  expect(outcomes.map(({ status }) => status)).toEqual([
    ...['rejected', 'rejected', 'fulfilled', 'fulfilled'],
  ])
  expect(await prepared()).toBe(1)
  statements.forget()
  const wrong = Array.from({ length: 3 }, () => statements.execute(request('SELECT $1 +')))
  for (const { status } of await Promise.allSettled(wrong)) expect(status).toBe('rejected')
})
