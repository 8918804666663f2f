import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { StatementSplitter, splitStatements, tokenize } from '#src/protocol/sql-text.js'
import { lineAndColumn } from '../support/line-and-column.js'

const kindsOf = (text: string) =>
  tokenize(text)
    .filter((token) => token.kind !== 'space')
    .map((token) => `${token.kind} ${text.slice(token.start, token.end)}`)

const statementsOf = (text: string) =>
  splitStatements(text).map((place) => text.slice(place.start, place.end))

describe('tokens', () => {
  test.each<[string, string[]]>([
    ['select a', ['word select', 'word a']],
    ["'it''s'", ["string 'it''s'"]],
    ["'back\\' x", ["string 'back\\'", 'word x']],
    ["e'back\\'s' x", ["string e'back\\'s'", 'word x']],
    ["E'a' -- then\n 'b\\'c' x", ["string E'a' -- then\n 'b\\'c'", 'word x']],
    ["E'a' 'b'", ["string E'a'", "string 'b'"]],
    [
      "x'1F' b'01' n'é' u&'\\0041'",
      ["string x'1F'", "string b'01'", "string n'é'", "string u&'\\0041'"],
    ],
    ['U&"d\\0061t" "a""b"', ['quoted-word U&"d\\0061t"', 'quoted-word "a""b"']],
    ["ab'c'", ['word ab', "string 'c'"]],
    ['$$a;b$$', ['string $$a;b$$']],
    ['$f$ $$ ; $$ $f$', ['string $f$ $$ ; $$ $f$']],
    ['a$b$c', ['word a$b$c']],
    ['$1+$23', ['parameter $1', 'operator +', 'parameter $23']],
    [
      '1.5e10 .5 0xFF 1_000 1..3',
      [
        'number 1.5e10',
        'number .5',
        'number 0xFF',
        'number 1_000',
        'number 1',
        'punctuation .',
        'number .3',
      ],
    ],
    [
      'a.b::int',
      ['word a', 'punctuation .', 'word b', 'punctuation :', 'punctuation :', 'word int'],
    ],
    ['a@>b -> c', ['word a', 'operator @>', 'word b', 'operator ->', 'word c']],
    ['a+--c\nb', ['word a', 'operator +', 'comment --c', 'word b']],
    ['a*/*c*/b', ['word a', 'operator *', 'comment /*c*/', 'word b']],
    ['/* a /* b */ c */ d', ['comment /* a /* b */ c */', 'word d']],
    ['größe “x”', ['word größe', 'word “x”']],
    ["'open", ["unterminated 'open"]],
    ['"open', ['unterminated "open']],
    ['$a$open$b$', ['unterminated $a$open$b$']],
    ['/* /* */', ['unterminated /* /* */']],
    ["E'a\\'", ["unterminated E'a\\'"]],
    ['$', ['other $']],
    ['a \\ {', ['word a', 'other \\', 'other {']],
  ])('%s', (text, expected) => {
    expect(kindsOf(text)).toEqual(expected)
  })

  test('a long run of comment marks after a string takes linear time', () => {
    const text = `E'a' ${'--'.repeat(100_000)}`
    expect(tokenize(text)).toHaveLength(3)
  })
})

describe('statements', () => {
  test.each<[string, string[]]>([
    ['', []],
    [' ; ;; -- nothing\n', []],
    ['select 1', ['select 1']],
    ['select 1; select 2;', ['select 1', 'select 2']],
    ['select \';\' ; select ";"', ["select ';'", 'select ";"']],
    ['-- first;\nselect 1 /* ; */ -- end;\n; select 2', ['select 1', 'select 2']],
    ['select 1 /* inside */ + 2', ['select 1 /* inside */ + 2']],
    ['do $$begin; end$$; select 1', ['do $$begin; end$$', 'select 1']],
    ["execute as 'a' (select 1; select 2); x", ["execute as 'a' (select 1; select 2)", 'x']],
    ['a) ; b', ['a)', 'b']],
    ['begin; select 1; end; select 2', ['begin', 'select 1', 'end', 'select 2']],
    [
      'create function f() returns int begin atomic; select case when true then 1 end; end; select 2',
      [
        'create function f() returns int begin atomic; select case when true then 1 end; end',
        'select 2',
      ],
    ],
    [
      'create or replace procedure p() begin atomic insert into t values (1); end; x',
      ['create or replace procedure p() begin atomic insert into t values (1); end', 'x'],
    ],
    ['create table begin (a int); select 1', ['create table begin (a int)', 'select 1']],
    ["select 'open; select 2", ["select 'open; select 2"]],
  ])('%s', (text, expected) => {
    expect(statementsOf(text)).toEqual(expected)
  })
})

describe('text in pieces', () => {
  const inPieces = (text: string, size: number) => {
    const splitter = new StatementSplitter()
    const found = []
    for (let index = 0; index < text.length; index += size) {
      found.push(...splitter.push(text.slice(index, index + size)))
    }
    return [...found, ...splitter.end()]
  }

  const tricky = [
    '-- é;\nselect 1;\n\tselect $a$;$a$, "x;""y", /* ; /* ; */ ; */ 2;',
    "select E'a'\n'b\\';';select U&'\\003b', u&\";\" ; 😀;\r\nend",
    "create function f() begin atomic; select 1; end;select 'x'';';select 1",
    "select 'never closed; /* ; ",
  ].join('\n')

  test.each([1, 2, 3, 7, 1000])('pieces of %i give the same statements', (size) => {
    const whole = splitStatements(tricky).map(({ start, end }) => ({
      text: tricky.slice(start, end),
      ...lineAndColumn(tricky, start),
    }))
    expect(inPieces(tricky, size)).toEqual(whole)
  })

  test('a statement is given as soon as its semicolon is there', () => {
    const splitter = new StatementSplitter()
    expect(splitter.push('select 1')).toEqual([])
    expect(splitter.isInside).toBe(true)
    expect(splitter.push(';')).toEqual([{ text: 'select 1', line: 1, column: 1 }])
    expect(splitter.isInside).toBe(false)
    expect(splitter.push('\n')).toEqual([])
    expect(splitter.isInside).toBe(false)
    expect(splitter.push('select 2;')).toEqual([{ text: 'select 2', line: 2, column: 1 }])
  })

  test('a quote of many pieces is read in linear time', () => {
    const splitter = new StatementSplitter()
    const piece = 'x'.repeat(64 * 1024)
    splitter.push("select '")
    for (let count = 0; count < 500; count++) splitter.push(piece)
    splitter.push("';")
    const [found] = splitter.end()
    expect(found?.text).toHaveLength("select ''".length + 500 * piece.length)
  })

  test('chinook.sql: every statement, at its line', () => {
    const text = readFileSync('tests/data/chinook.sql', 'utf8')
    const places = splitStatements(text)
    const found = inPieces(text, 64 * 1024)
    expect(found).toHaveLength(places.length)
    expect(found.map((statement) => statement.text)).toEqual(statementsOf(text))
    const lines = text.split('\n')
    for (const { line, column, text: statement } of found) {
      const firstLine = statement.split('\n', 1)[0] ?? ''
      expect(lines[line - 1]?.slice(column - 1)).toContain(firstLine)
    }
  })
})

describe('lines and columns', () => {
  test.each<[string, number, number, number]>([
    ['abc', 0, 1, 1],
    ['abc', 3, 1, 4],
    ['abc', 99, 1, 4],
    ['a\nb', 2, 2, 1],
    ['a\r\nb', 3, 2, 1],
    ['é😀x', 3, 1, 3],
  ])('%j at %i', (text, index, line, column) => {
    expect(lineAndColumn(text, index)).toEqual({ line, column })
  })
})
