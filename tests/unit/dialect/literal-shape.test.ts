import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { beforeAll, describe, expect, test } from 'vitest'
import { literalShape } from '#src/dialect/literal-shape.js'
import { openDialect, type Dialect } from '#src/dialect/open-dialect.js'

describe('the shape of a text', () => {
  test.each([
    ["SELECT a FROM t1 WHERE id = 417 AND k = 'a b';", "SELECT a FROM t1 WHERE id = 0 AND k = '';"],
    [' update t set a = a + -12, b2 = 3 ', ' update t set a = a + -0, b2 = 0 '],
    ["insert into t values (1, 'é', '')", "insert into t values (0, '', '')"],
    ["insert into t values (1, 'é')", "insert into t values (0, '')"],
    ["select E'a', 1", undefined],
    ["select U&'a', 1", undefined],
    ["select 'it''s', 1", undefined],
    ['select 1234567890', undefined],
    ['select 1.5', undefined],
    ['select .5', undefined],
    ['select 1e5', undefined],
    ['select "a1", 1', undefined],
    ['select $1, 1', undefined],
    ['select 1 -- 2', undefined],
    ['select 1 /* 2 */', undefined],
    ["select 'open", undefined],
    ['select 1, \ud800', undefined],
    ['select 1, \0', undefined],
    ["set datestyle = 'german'", undefined],
    ["execute as 'bob' (select 1)", undefined],
    // Names may have letters from all of Unicode, and digits behind them.
    ['select ａ1 from ｔ2 where ﬀ3 = 4', 'select ａ1 from ｔ2 where ﬀ3 = 0'],
  ])('%s', (sql, shape) => {
    expect(literalShape(sql)).toBe(shape)
  })
})

describe('plans of one shape', () => {
  let dialect: Dialect
  beforeAll(async () => {
    dialect = await openDialect({ cachedTextsMax: 100, cachedCharactersMax: 100_000 })
  })
  const context = { role: 'user', readOnly: false, door: 'postgres' } as const

  test('are those that each text has by itself', async () => {
    const alone = await openDialect({ cachedTextsMax: 0, cachedCharactersMax: 0 })
    for (const [first, second] of [
      [
        "  SELECT * FROM t WHERE a = 1 AND b = 'x'; ",
        "  SELECT * FROM t WHERE a = 23456 AND b = '';",
      ],
      ['UPDATE t SET a = 1 RETURNING a', 'UPDATE t SET a = 1000 RETURNING a ; \n'],
      ['select nextval(1), currval(2)', 'select nextval(11), currval(22)'],
    ] as const) {
      dialect.planStatements(first, context)
      expect(dialect.planStatements(second, context)).toEqual(alone.planStatements(second, context))
    }
  })
  test('keep no value of the text that came first', () => {
    const before = heapBytes()
    for (let index = 0; index < 20; index++)
      dialect.planStatements(`select '${'x'.repeat(2_000_000)}' as c_${index}_`, context)
    // Bounds and plans go by the length of shapes, which is some 20 characters.
    expect(heapBytes() - before).toBeLessThan(10_000_000)
  })
})

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function heapBytes(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}
