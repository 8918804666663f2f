import { describe, expect, test } from 'vitest'
import { formatCsv } from '#cli/csv-format.js'
import { displayLine, displayLines, displayWidth } from '#cli/display-text.js'
import type { StatementResult } from '#cli/server-connection.js'
import { formatSqlError } from '#cli/sql-error-text.js'
import { formatTable } from '#cli/table-format.js'

function result(
  columns: Readonly<Record<string, string>>,
  rows: readonly string[],
  command = 'SELECT',
): StatementResult {
  return {
    command,
    columns: Object.entries(columns).map(([name, type]) => ({ name, type })),
    rows,
    rowCount: rows.length,
    source: '{}',
  }
}

function table(shown: StatementResult, isExpanded = false): string[] {
  return formatTable(shown, { isExpanded }).split('\n').slice(0, -1)
}

describe('a table', () => {
  test('is aligned like psql: numbers right, text left, names centred', () => {
    expect(table(result({ id: 'int4', title: 'text' }, ['[1,"milk"]', '[12,"a"]']))).toEqual([
      ' id | title',
      '----+-------',
      '  1 | milk',
      ' 12 | a',
      '(2 rows)',
    ])
  })

  test('lines up wide and combining characters', () => {
    expect(
      table(result({ t: 'text', n: 'int4' }, ['["日本",1]', '["e\u0301",2]', '["👨‍👩‍👧",3]'])),
    ).toEqual(['  t   | n', '------+---', ' 日本 | 1', ' e\u0301    | 2', ' 👨‍👩‍👧   | 3', '(3 rows)'])
  })

  test('marks a value that goes on in the next line', () => {
    expect(table(result({ a: 'text', b: 'text' }, ['["one\\ntwo","x"]']))).toEqual([
      '  a  | b',
      '-----+---',
      ' one+| x',
      ' two |',
      '(1 row)',
    ])
  })

  test('tells NULL, a list and JSON apart from text, and keeps every digit', () => {
    const row = '[null,[1,null],{"n":9007199254740993.10},"9007199254740993"]'
    const shown = table(result({ a: 'text', b: 'int4[]', c: 'jsonb', d: 'int8' }, [row]))
    expect(shown[2]).toBe(' NULL | [1,null] | {"n":9007199254740993.10} | 9007199254740993')
  })

  test('never lets data drive the terminal', () => {
    const columns = { '\u001b[2J': 'text' }
    expect(table(result(columns, ['["\\u001b]0;owned\\u0007"]', '["a\\u202eb\\r"]']))).toEqual([
      '     \\x1b[2J',
      '------------------',
      ' \\x1b]0;owned\\x07',
      ' a\\u202eb\\r',
      '(2 rows)',
    ])
  })

  test('expanded has one line a column', () => {
    expect(table(result({ id: 'int4', name: 'text' }, ['[1,null]', '[2,"x\\ny"]']), true)).toEqual([
      '-[ RECORD 1 ]',
      'id   | 1',
      'name | NULL',
      '-[ RECORD 2 ]',
      'id   | 2',
      'name | x+',
      '     | y',
      '(2 rows)',
    ])
  })

  test.each([
    ['INSERT', 3, 'INSERT 3'],
    ['SELECT', 2, 'SELECT 2'],
    ['CREATE TABLE', 0, 'CREATE TABLE'],
  ])('%s without columns says what was done', (command, rowCount, expected) => {
    expect(table({ ...result({}, [], command), rowCount })).toEqual([expected])
  })

  test('RETURNING shows the rows and the count', () => {
    expect(table(result({ id: 'int4' }, ['[1]'], 'INSERT')).slice(-2)).toEqual([
      '(1 row)',
      'INSERT 1',
    ])
  })

  test('has a footer for no rows', () => {
    expect(table(result({ id: 'int4' }, []))).toEqual([' id', '----', '(0 rows)'])
  })
})

describe('text for a terminal', () => {
  test.each([
    ['plain', 'plain'],
    ['tab\tstop', 'tab     stop'],
    ['\u0000\u007f\u009b', '\\x00\\x7f\\x9b'],
    ['\u2028\u2066\ufeff', '\\u2028\\u2066\\ufeff'],
    ['\ud800', '\\ud800'],
    ['a\rb', 'a\\rb'],
    ['ünï', 'ünï'],
  ])('%j is shown as %j', (text, shown) => expect(displayLines(text)).toEqual([shown]))

  test('keeps to one line where one is wanted', () =>
    expect(displayLine('a\nb\tc')).toBe('a\\nb\\tc'))

  test.each([
    ['abc', 3],
    ['日本', 4],
    ['e\u0301', 1],
  ])('%s takes %i columns', (text, width) => expect(displayWidth(text)).toBe(width))
})

describe('CSV', () => {
  test('quotes what RFC 4180 wants quoted, and tells NULL from an empty text', () => {
    const rows = ['["a,b","say \\"hi\\"","x\\ny",null,""]', '[1,true,{"a":1},[1,2],"é"]']
    const csv = formatCsv(result({ a: 't', 'b"': 't', c: 't', d: 't', e: 't' }, rows))
    expect(csv).toBe(
      'a,"b""",c,d,e\r\n"a,b","say ""hi""","x\ny",,""\r\n1,true,"{""a"":1}","[1,2]",é\r\n',
    )
  })

  test('has nothing to say of a statement without columns', () =>
    expect(formatCsv(result({}, [], 'INSERT'))).toBe(''))
})

describe('an SQL error', () => {
  const error = { code: 'QUERY_REJECTED', sqlstate: '42703', message: 'column "x" does not exist' }
  const failure = {
    error,
    status: 400,
    text: 'SELECT 日, x\nFROM t',
    index: 10,
    line: 7,
    column: 11,
  }

  test('shows place, line, caret under wide text, detail and hint', () => {
    const told = { ...failure, error: { ...error, detail: 'More.', hint: 'Try y.' } }
    expect(formatSqlError(told, 'a.sql').split('\n')).toEqual([
      'a.sql:7:11: ERROR: column "x" does not exist (42703)',
      'LINE 7: SELECT 日, x',
      '                   ^',
      'DETAIL: More.',
      'HINT: Try y.',
      '',
    ])
  })

  test('cuts a long line around the place', () => {
    const text = `${'a'.repeat(500)}X${'b'.repeat(500)}`
    const [, line = '', caret = ''] = formatSqlError(
      { ...failure, text, index: 500 },
      undefined,
    ).split('\n')
    expect(line.length).toBeLessThan(90)
    expect(line[caret.indexOf('^')]).toBe('X')
  })

  test('is only the message where no place is known', () => {
    expect(formatSqlError({ ...failure, index: undefined }, undefined)).toBe(
      'ERROR: column "x" does not exist (42703)\n',
    )
  })

  test('has no escape sequences, even in the message', () => {
    const told = { ...failure, index: undefined, error: { ...error, message: '\u001b[2Jx' } }
    expect(formatSqlError(told, 'a\u001b.sql')).not.toContain('\u001b')
  })
})
