import { beforeAll, describe, expect, test } from 'vitest'
import type { LiveAnalysis } from '#src/dialect/live-analysis.js'
import { normalisedText, withTableReplaced } from '#src/dialect/live-text.js'
import { openDialect, type Dialect } from '#src/dialect/open-dialect.js'

let dialect: Dialect
beforeAll(async () => {
  dialect = await openDialect({ cachedTextsMax: 0, cachedCharactersMax: 0 })
})

function analyse(sql: string): LiveAnalysis {
  const analysis = dialect.analyseLive(sql)
  if (analysis.kind === 'refused') throw new Error(analysis.message)
  return analysis
}

describe('tables that are read', () => {
  test.each([
    ['select 1', []],
    ['select * from app.a x, b join c using (id)', ['app.a x', 'b b', 'c c']],
    ['with b as (select * from a) select * from b, c', ['a a', 'c c']],
    ['with a as (select * from a) select * from a', ['a a']],
    ['with recursive a as (select 1 union all select * from a) select * from a', []],
    ['with b as (select 1) select (with b as (select * from d) select 1 from b) from b', ['d d']],
    ['select * from a where id in (select id from b)', ['a a', 'b b']],
    ['select * from (select * from a) s', ['a a']],
  ])('%s', (sql, expected) => {
    const found = analyse(sql).relations.map(({ schema, name, alias }) => {
      return `${schema === undefined ? '' : `${schema}.`}${name} ${alias}`
    })
    expect(found.sort()).toEqual([...expected].sort())
  })
})

describe('whether changes can be followed', () => {
  test.each([
    ['select * from a', true],
    ['select id, upper(b) from app.a x where x.n > $1 and b like $2', true],
    ['select * from a order by id', false],
    ['select * from a limit 3', false],
    ['select distinct b from a', false],
    ['select b from a group by b', false],
    ['select * from a, b', false],
    ['select * from only a', false],
    ['select * from a x (y)', false],
    ['select (select 1) from a', false],
    ['select * from a union select * from a', false],
    ['select json_arrayagg(b) from a', false],
    ['with x as (select 1) select * from a', false],
  ])('%s: %s', (sql, expected) => {
    expect(analyse(sql).single?.followable ?? false).toBe(expected)
  })
})

test('conditions are those that every row fulfils, whatever stands around', () => {
  const columns = (sql: string) => analyse(sql).conditions.map(({ column }) => column.name)
  expect(
    columns(`select 1 from a where x = 1 and (y = 2 or z = 3) and 4 = w and v in (1, 2)`),
  ).toEqual(['x', 'w', 'v'])
  expect(columns('select 1 from a where x = 1 or y = 2')).toEqual([])
  expect(columns('select 1 from a where not (x = 1)')).toEqual([])
  expect(columns('select 1 from a where x = y')).toEqual([])
  expect(columns('select 1 from a left join b on a.x = 1 where b.y = 2')).toEqual(['y'])
  expect(columns('select 1 from a where x = 1 and id in (select 1)')).toEqual([])
})

describe('another table in place of the one that is named', () => {
  test.each([
    ['select * from app.todos', 'select * from (R) "todos"'],
    ['select t.* from app."Todos" as t where t.id = 1', 'select t.* from (R) "t" where t.id = 1'],
    ['select * from a b where 1 = 1', 'select * from (R) "b" where 1 = 1'],
    ['select * from a as "x ""y"', 'select * from (R) "x ""y"'],
    [`select 'ä€😀' from a -- comment`, `select 'ä€😀' from (R) "a" -- comment`],
    ['select * from a /* as b */ as c', 'select * from (R) "c"'],
    ['select * from a * where true', 'select * from (R) "a" where true'],
  ])('%s', (sql, expected) => {
    const { single } = analyse(sql)
    if (single === undefined) throw new Error('not one table')
    expect(withTableReplaced(sql, single, 'R')).toBe(expected)
  })
})

test('texts that differ in spaces, comments and case of keywords are the same query', () => {
  const same = ["select Id from A where b = 'X'", "SELECT id\n  FROM a -- all\n WHERE B='X'"]
  expect(new Set(same.map(normalisedText)).size).toBe(1)
  expect(normalisedText(`select 'A'`)).not.toBe(normalisedText(`select 'a'`))
  // PostgreSQL folds the letters of ASCII alone: these are two columns, and so are these.
  expect(normalisedText('select É')).not.toBe(normalisedText('select é'))
  expect(normalisedText('select \u212a')).not.toBe(normalisedText('select k'))
  expect(normalisedText('select "A"')).not.toBe(normalisedText('select "a"'))
})
