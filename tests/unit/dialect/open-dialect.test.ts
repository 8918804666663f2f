import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { openDialect } from '#src/dialect/open-dialect.js'
import type { PlanContext } from '#src/dialect/plan.js'
import { dialect, errorOf, outcomeOf, planAll, planSql } from '../../support/dialect.js'

const user: PlanContext = { role: 'user', readOnly: false, door: 'http' }

describe('syntax errors', () => {
  test.each<[string, object]>([
    ['selec 1', { position: 1, line: 1, column: 1, statement: 0 }],
    ["select 'é😀', a b c", { position: 18, line: 1, column: 18, statement: 0 }],
    ["select 'é';\r\n\tselect 1 1;", { position: 24, line: 2, column: 11, statement: 1 }],
    ['select 1 +', { position: 11, line: 1, column: 11, statement: 0 }],
    ['create namespace 1', { position: 18, line: 1, column: 18, statement: 0 }],
    ['grant select on t to user, 1', { position: 28, line: 1, column: 28, statement: 0 }],
    ["execute as 'é' (select 1 1)", { position: 26, line: 1, column: 26, statement: 0 }],
  ])('%s', (sql, fields) => {
    const error = errorOf(sql)
    expect(error.code).toBe('SYNTAX_ERROR')
    expect(error.fields).toMatchObject(fields)
  })

  test.each<[string, RegExp]>([
    ['select * from `t`', /double quotes/],
    ['select * from t where a = ?', /\$1/],
    ['create table t (id int auto_increment)', /IDENTITY/],
    ['use app', /namespace/],
    ["select 'open", /written twice/],
    ['select "open', /closing "/],
    ['select $a$open', /repeat the opening/],
    ['select 1 /* open', /nest/],
    ['select (1', /not complete/],
    ['select 1 limit 5, 10', /OFFSET/],
    ['insert into t values (1) on duplicate key update a = 1', /ON CONFLICT/],
  ])('%s has a hint', (sql, hint) => {
    expect(errorOf(sql).fields.hint).toMatch(hint)
  })
})

describe('text that is none', () => {
  test.each(['', ' \n', ';;', '-- only a comment', '/* */;'])('%j', (sql) => {
    expect(errorOf(sql)).toMatchObject({
      code: 'SYNTAX_ERROR',
      message: 'the text has no statement',
    })
  })

  test.each<[string, number]>([
    ['select 1;\n\0', 11],
    ["select '\ud800'", 9],
    ["select '😀\udc00'", 10],
  ])('%j is refused at %i', (sql, position) => {
    expect(errorOf(sql)).toMatchObject({ sqlState: '22021', fields: { position } })
  })

  test.each([2, 3, 4])('%i statements where three are allowed', async (count) => {
    const options = { cachedTextsMax: 0, cachedCharactersMax: 0, statementsMax: 3 }
    const bounded = await openDialect(options)
    // Not even the grammar is asked when there are too many.
    const plan = () => bounded.planStatements('nonsense;'.repeat(count), user)
    expect(plan).toThrow(count > 3 ? /4 statements are more than the 3/ : /syntax error/)
  })

  test('names of 63 bytes are allowed, of 64 not', () => {
    expect(outcomeOf(`select 1 as ${'a'.repeat(63)}`)).toBe('ok')
    expect(outcomeOf(`select 1 as "${'é'.repeat(31)}"`)).toBe('ok')
    expect(outcomeOf(`select 1 as "${'""'.repeat(63)}"`)).toBe('ok')
    const error = errorOf(`select 1 as "${'é'.repeat(32)}"`)
    expect(error).toMatchObject({ sqlState: '42622', fields: { position: 13 } })
    expect(error.message).toContain('64 bytes')
  })

  test('over the Postgres wire PostgreSQL cuts them and says so', () => {
    expect(outcomeOf(`select 1 as ${'a'.repeat(64)}`, { door: 'postgres' })).toBe('ok')
  })
})

describe('statements of any size', () => {
  test('nesting too deep is an error, and the parser lives on, again and again', async () => {
    for (let count = 0; count < 60; count++) {
      const error = errorOf(`select 1${'::int'.repeat(20_000)}`)
      expect(error).toMatchObject({ code: 'OUT_OF_RESOURCES', sqlState: '54001' })
      await new Promise(setImmediate)
    }
    expect(outcomeOf('select 1 as after_all')).toBe('ok')
  }, 60_000)

  test('without a turn of the event loop in between it is UNAVAILABLE, for a moment', async () => {
    const deep = `select 1${'::int'.repeat(20_000)}`
    const codes = Array.from({ length: 4 }, () => outcomeOf(deep))
    expect(codes).toEqual([...Array<string>(3).fill('OUT_OF_RESOURCES'), 'UNAVAILABLE'])
    await expect.poll(() => outcomeOf('select 1 as again')).toBe('ok')
  })

  test('long lists are no nesting', () => {
    expect(planSql(`insert into t values ${'(1, $1),'.repeat(5_000)} (2, $2)`).parameterCount).toBe(
      2,
    )
    expect(outcomeOf(`select 1 where a = 1 ${'or a = 2 '.repeat(5_000)}`)).toBe('ok')
  })

  test('chinook.sql: an admin may run all of it', () => {
    const sql = readFileSync('tests/data/chinook.sql', 'utf8')
    const plans = planAll(sql)
    for (const plan of plans)
      expect(sql.slice(plan.place.start, plan.place.end)).toContain(
        plan.kind === 'sql' ? plan.text : '',
      )
    expect(plans.length).toBeGreaterThan(50)
  })
})

describe('the cache', () => {
  test('the same text and caller get the same plans', () => {
    expect(dialect.planStatements('select 1', user)).toBe(dialect.planStatements('select 1', user))
  })

  test('another role, key or door gets its own', () => {
    const create = 'create table cached (a int)'
    expect(outcomeOf(create, { role: 'admin' })).toBe('ok')
    expect(outcomeOf(create, { role: 'user' })).toBe('FORBIDDEN')
    expect(outcomeOf(create, { role: 'admin', readOnly: true })).toBe('FORBIDDEN')
    expect(outcomeOf('set datestyle = german', { door: 'postgres' })).toBe('ok')
    expect(outcomeOf('set datestyle = german', { door: 'http' })).toBe('STATEMENT_REFUSED')
  })

  test('it keeps as many texts and characters as it is told', async () => {
    const small = await openDialect({ cachedTextsMax: 2, cachedCharactersMax: 20 })
    const isKept = (sql: string) =>
      small.planStatements(sql, user) === small.planStatements(sql, user)
    expect(isKept('select 1')).toBe(true)
    expect(isKept('select 1        /**/')).toBe(true)
    expect(isKept('select 1         /**/')).toBe(false)
    const first = small.planStatements('select 1', user)
    small.planStatements('select 2', user)
    expect(small.planStatements('select 1', user)).toBe(first)
    small.planStatements('select 2', user)
    small.planStatements('select 3', user)
    expect(small.planStatements('select 1', user)).not.toBe(first)
  })

  test('it can be off', async () => {
    const none = await openDialect({ cachedTextsMax: 0, cachedCharactersMax: 0 })
    expect(none.planStatements('select 1', user)).not.toBe(none.planStatements('select 1', user))
  })
})
