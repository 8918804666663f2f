/** WHERE clauses decided in JavaScript, against PostgreSQL: random conditions on random rows. */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDialect, type Dialect } from '#src/dialect/open-dialect.js'
import { familyOf } from '#src/live/comparable.js'
import { compilePredicate } from '#src/live/predicate.js'
import { openTestCatalog, type TestCatalog } from '../support/catalog.js'
import { propertyRuns } from '../support/counts.js'

const columns = [
  ['i2', 21, 'int2'],
  ['i4', 23, 'int4'],
  ['i8', 20, 'int8'],
  ['t', 25, 'text'],
  ['b', 16, 'bool'],
  ['u', 2950, 'uuid'],
] as const

const integers = ['-3', '0', '1', '2', '7']
const uuids = ['00000000-0000-0000-0000-00000000000a', 'ffffffff-0000-4000-8000-000000000000']
const values: Readonly<Record<string, readonly string[]>> = {
  i2: integers,
  i4: integers,
  i8: [...integers, '9007199254740993', '-9223372036854775808'],
  t: ['', 'a', 'A', 'ä', "o'k", ' 1'],
  b: ['t', 'f'],
  u: uuids,
}
const literals: Readonly<Record<string, readonly string[]>> = {
  i2: [...integers, `'7'`, `' 1 '`],
  i4: [...integers, `'-3'`, '+2'],
  i8: [...integers, '9007199254740993', `'9007199254740992'`],
  t: [`''`, `'a'`, `'A'`, `'ä'`, `'o''k'`],
  b: ['true', 'false', `'t'`, `'true'`],
  u: [`'${uuids[0]}'`, `'${uuids[1]?.toUpperCase()}'`],
}

const column = fc.constantFrom(...columns.map(([name]) => name))
const operator = fc.constantFrom('=', '<>', '<', '<=', '>', '>=', '!=')
const literalOf = (name: string) =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...(literals[name] ?? [])) },
    { weight: 1, arbitrary: fc.constant('null') },
  )
const equality = (name: string) => (name === 't' ? fc.constantFrom('=', '<>') : operator)

const atom = column.chain((name) =>
  fc.oneof(
    fc.tuple(equality(name), literalOf(name)).map(([op, text]) => `${name} ${op} ${text}`),
    fc.tuple(equality(name), literalOf(name)).map(([op, text]) => `${text} ${op} ${name}`),
    fc
      .tuple(
        fc.constantFrom('in', 'not in'),
        fc.array(literalOf(name), { minLength: 1, maxLength: 3 }),
      )
      .map(([op, list]) => `${name} ${op} (${list.join(', ')})`),
    fc.constantFrom(`${name} is null`, `${name} is not null`),
    fc.constantFrom(
      'b',
      'not b',
      'b is true',
      'b is not true',
      'b is false',
      'b is not false',
      'true',
      'i2 = i8',
      'i4 < i2',
      'i8 between -1 and i4',
    ),
  ),
)
const condition: fc.Arbitrary<string> = fc.letrec<{ tree: string }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    atom,
    fc
      .tuple(tie('tree'), fc.constantFrom('and', 'or'), tie('tree'))
      .map(([a, op, b]) => `(${a} ${op} ${b})`),
    tie('tree').map((a) => `not (${a})`),
  ),
})).tree
const row = fc.tuple(
  ...columns.map(([name]) => fc.option(fc.constantFrom(...(values[name] ?? [])), { freq: 4 })),
)

let catalog: TestCatalog
let dialect: Dialect

beforeAll(async () => {
  catalog = await openTestCatalog()
  dialect = await openDialect({ cachedTextsMax: 0, cachedCharactersMax: 0 })
})
afterAll(() => catalog.close())

test('every condition that is compiled decides as PostgreSQL does', async () => {
  const definition = columns.map(([name, , type]) => `${name} ${type}`).join(', ')
  let compiled = 0
  await fc.assert(
    fc.asyncProperty(
      condition,
      fc.array(row, { minLength: 1, maxLength: 12 }),
      async (where, rows) => {
        const analysis = dialect.analyseLive(`select 1 from t where ${where}`)
        if (analysis.kind === 'refused' || analysis.single?.where === undefined)
          throw new Error(where)
        const decide = compilePredicate(analysis.single.where, {
          column: ({ name }) => {
            const index = columns.findIndex(([each]) => each === name)
            return { index, family: familyOf(columns[index]?.[1] ?? 0) }
          },
          parameter: () => undefined,
        })
        if (decide === undefined) return
        compiled += 1
        const answer = await catalog.queries.query(
          `select (${where})::text from json_to_recordset($1::json) as t (${definition}, n int) order by n`,
          [JSON.stringify(rows.map((each, n) => objectOf(each, n)))],
        )
        const expected = answer.rows.map(([text]) => (text === null ? null : text === 'true'))
        expect(rows.map((each) => decide((place) => each[place] ?? null))).toEqual(expected)
      },
    ),
    propertyRuns(500),
  )
  expect(compiled).toBeGreaterThan(300)
})

function objectOf(values: readonly (string | null)[], n: number): Record<string, unknown> {
  const entries = columns.map(([name], index): [string, unknown] => [name, values[index]])
  return Object.fromEntries([...entries, ['n', n]])
}
