import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { columnsOf, encodedText, encodedValue } from '../support/encode-rows.js'
import { dataRow } from '../support/data-rows.js'

interface GoldenValue {
  readonly type: string
  readonly text: string
  readonly json: string
}

const golden = JSON.parse(
  readFileSync(new URL('../golden/values.json', import.meta.url), 'utf8'),
) as GoldenValue[]

describe('C4: PostgreSQL text becomes JSON', () => {
  test.each(golden)('$type $text', ({ type, text, json }) => {
    expect(encodedValue(type, text)).toBe(json)
  })

  test('NULL is null in every type', () => {
    for (const { type } of golden) expect(encodedValue(type, null)).toBe('null')
  })

  test('a text of a megabyte, with and without escapes', () => {
    for (const unit of ['x', 'ä', '"', '\n', 'long run then "quote" ']) {
      const text = unit.repeat(1_048_576 / Buffer.byteLength(unit))
      expect(encodedValue('text', text) === JSON.stringify(text)).toBe(true)
    }
  })

  test.each([255, 256, 257])('a text of %i bytes, all escaped', (length) => {
    const text = '\u0001'.repeat(length)
    expect(JSON.parse(encodedValue('text', text))).toBe(text)
  })
})

describe('C4: text that its type does not promise stays a string', () => {
  test.each([
    ['int4', ''],
    ['int4', '01'],
    ['int4', '-'],
    ['int4', '1,"a":2'],
    ['int4', '１'],
    ['float8', '.5'],
    ['float8', '1.'],
    ['float8', '1e'],
    ['float8', '+1'],
    ['bool', 'true'],
    ['bool', ''],
    ['json', ''],
    ['json', '{"a":1'],
    ['json', '{"a":1}}'],
    ['json', '{a:1}'],
    ['json', '[1,]'],
    ['json', '{,}'],
    ['json', '{"a":1,}'],
    ['json', '[1 2]'],
    ['json', '"\\x"'],
    ['json', '"\\u12g4"'],
    ['json', '"a\nb"'],
    ['json', 'nul'],
    ['json', '1]'],
    ['json', '}'],
    ['timestamptz', ''],
    ['timestamptz', '23.11.2026 11:42:50 UTC'],
    ['timestamptz', '2026-11-23 11:42:50'],
    ['timestamptz', '2026-11-23 11:42:50.+00'],
    ['timestamptz', '2026-11-23 11:42:5x+00'],
    ['timestamptz', '2026-11-23 11:42:50+00 AD'],
    ['int4[]', ''],
    ['int4[]', '{'],
    ['int4[]', '{1'],
    ['int4[]', '{1,}'],
    ['int4[]', '{,1}'],
    ['int4[]', '{1}2'],
    ['int4[]', '{{1},{2}'],
    ['int4[]', '[0:1]='],
    ['int4[]', '[0:1]{1}'],
    ['int4[]', '{{{{{{{1}}}}}}}'],
    ['text[]', '{"a}'],
    ['text[]', '{"a\\'],
    ['text[]', '{a"b}'],
    ['text[]', '{a\\b}'],
  ])('%s %j', (type, text) => {
    expect(encodedValue(type, text)).toBe(JSON.stringify(text))
  })

  test('a wrong element of an array is a string, its neighbours are not', () => {
    expect(encodedValue('int4[]', '{1,x,3}')).toBe('[1,"x",3]')
  })
})

describe('C1: rows', () => {
  const columns = columnsOf(['id', 'int4'], ['name', 'text'], ['id', 'int8'])
  const frames = Buffer.concat([dataRow(['1', 'a', '10']), dataRow(['2', null, '20'])])

  test('of duplicate names the last wins in objects', () => {
    expect(encodedText({ columns, frames, shape: 'object' })).toBe(
      '{"name":"a","id":"10"},{"name":null,"id":"20"}',
    )
  })

  test('arrays keep all columns', () => {
    expect(encodedText({ columns, frames, shape: 'array' })).toBe('[1,"a","10"],[2,null,"20"]')
  })

  test('one row a line, each line complete', () => {
    const json = dataRow(['{\n"a":\r\n1}'])
    const lines = encodedText({
      columns: columnsOf(['doc', 'json']),
      frames: Buffer.concat([json, json]),
      shape: 'object',
      separator: 'newline',
    })
    expect(lines).toBe('{"doc":{ "a":  1}}\n'.repeat(2))
  })

  test('names are any text', () => {
    const names = ['__proto__', 'a"b', '\u2028', '', 'ü', '1']
    const row = encodedText({
      columns: columnsOf(...names.map((name) => [name, 'int4'] as const)),
      frames: dataRow(names.map((_, index) => String(index))),
      shape: 'object',
    })
    const parsed = JSON.parse(row) as object
    expect(new Map(Object.entries(parsed))).toEqual(
      new Map(names.map((name, index) => [name, index])),
    )
  })

  test('rows without columns are empty', () => {
    const none = Buffer.concat([dataRow([]), dataRow([])])
    expect(encodedText({ columns: [], frames: none, shape: 'object' })).toBe('{},{}')
    expect(encodedText({ columns: [], frames: none, shape: 'array' })).toBe('[],[]')
  })

  test('other messages among the rows are passed over', () => {
    const notice = Buffer.from([0x4e, 0, 0, 0, 5, 0])
    const among = Buffer.concat([notice, dataRow(['1', 'a', '10']), notice])
    expect(encodedText({ columns, frames: among, shape: 'array' })).toBe('[1,"a","10"]')
  })
})
