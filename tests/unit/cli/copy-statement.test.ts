import { describe, expect, test } from 'vitest'
import { readCopy, readMetaCopy } from '#cli/copy-statement.js'

describe('COPY whose data goes over standard input and output', () => {
  test.each([
    ['copy t from stdin', 'from'],
    ['COPY app.t (a, "from") FROM STDIN WITH (FORMAT csv)', 'from'],
    ['/* x */ copy (select a from b) to stdout', 'to'],
    [`EXECUTE AS 'alice' (COPY t TO STDOUT)`, 'to'],
    [`execute as "copy" (COPY (select 1 from x) to stdout csv)`, 'to'],
    ["copy t from '/x'", undefined],
    ["copy t from program 'x'", undefined],
    ['copy t', undefined],
    ['select 1 as copy from stdin', undefined],
    ['insert into copy select * from stdin', undefined],
  ])('%s', (sql, direction) => {
    expect(readCopy(sql)).toBe(direction)
  })
})

describe('\\copy', () => {
  test.each([
    [`t from 'a b.csv' csv`, 'COPY t from STDIN csv', 'from', 'a b.csv'],
    [
      `app.t (a) to 'it''s' with (format csv)`,
      'COPY app.t (a) to STDOUT with (format csv)',
      'to',
      "it's",
    ],
    [
      '(select 1 from x) to /tmp/x.csv header',
      'COPY (select 1 from x) to STDOUT header',
      'to',
      '/tmp/x.csv',
    ],
    ['t from stdin', 'COPY t from STDIN', 'from', undefined],
    ['t TO pstdout', 'COPY t TO STDOUT', 'to', undefined],
    ['"from" from x', 'COPY "from" from STDIN', 'from', 'x'],
  ])('%s', (argument, sql, direction, file) => {
    expect(readMetaCopy(argument)).toEqual({ sql, direction, file })
  })

  test.each(['t', 't from', '', "t from program 'x'"])('%s is no use of it', (argument) => {
    expect(() => readMetaCopy(argument)).toThrow(expect.objectContaining({ exit: 'usage' }))
  })
})
