import { describe, expect, test } from 'vitest'
import { splitStatements } from '#src/protocol/sql-text.js'
import { StatementBatches, batchLimits, type Batch } from '#cli/statement-batches.js'
import { statementKind } from '#cli/statement-kind.js'

describe('what a statement is', () => {
  test.each([
    ['BEGIN', 'begin'],
    ['/* now */ start transaction isolation level serializable', 'begin'],
    ['COMMIT', 'commit'],
    ['end', 'commit'],
    ['COMMIT AND CHAIN', 'none'],
    ['COMMIT WORK AND NO CHAIN', 'commit'],
    ['ROLLBACK', 'rollback'],
    ['abort', 'rollback'],
    ['ROLLBACK TO SAVEPOINT a', 'none'],
    ['rollback work to a', 'none'],
    ['ROLLBACK AND CHAIN', 'none'],
    ['SAVEPOINT a', 'none'],
    ['SELECT 1', 'none'],
    ['"begin"', 'none'],
  ])('%s: transaction %s', (text, transaction) =>
    expect(statementKind(text).transaction).toBe(transaction),
  )

  test.each([
    ['SET search_path = app', true],
    ['set session timezone to utc', true],
    ['RESET ALL', true],
    ["SELECT pg_catalog.set_config('search_path', '', false)", true],
    ['SET LOCAL work_mem = 1', false],
    ['SET CONSTRAINTS ALL DEFERRED', false],
    ['SET TRANSACTION READ ONLY', false],
    ['UPDATE t SET a = 1', false],
  ])('%s: setting %s', (text, isSetting) => expect(statementKind(text).isSetting).toBe(isSetting))

  test.each([
    ['CREATE TEMP TABLE t (a int)', true],
    ['create local temporary table t (a int)', true],
    ['CREATE TABLE temp (a int)', false],
    ['DECLARE c CURSOR FOR SELECT 1', true],
  ])('%s: bound to its session %s', (text, isSessionBound) =>
    expect(statementKind(text).isSessionBound).toBe(isSessionBound),
  )

  test.each([
    ['INSERT INTO t VALUES (1)', true],
    ['INSERT INTO t VALUES (1) RETURNING id', false],
    ['CREATE TABLE t (a int)', true],
    ["CREATE USER 'alice'", false],
    ["CREATE APIKEY FOR 'alice'", false],
    ['WITH a AS (SELECT 1) SELECT * FROM a', false],
    ['SELECT 1', false],
    ['(SELECT 1)', false],
    ['TRUNCATE t', true],
  ])('%s: quiet %s', (text, isQuiet) => expect(statementKind(text).isQuiet).toBe(isQuiet))
})

describe('batches', () => {
  /** Each batch as its statements' first words. */
  function batchesOf(sql: string): string[] {
    const batches = new StatementBatches()
    const found = splitStatements(sql).flatMap(({ start, end }) =>
      batches.add({ text: sql.slice(start, end), line: 1, column: 1 }),
    )
    return [...found, ...batches.take()].map(wordsOf)
  }

  function wordsOf({ statements, isDivisible }: Batch): string {
    const words = statements.map(({ text }) => text.split(' ')[0]).join(' ')
    return isDivisible ? words : `[${words}]`
  }

  test('what answers nothing travels together, what answers rows alone', () =>
    expect(batchesOf('INSERT 1; INSERT 2; SELECT 3; INSERT 4; SELECT 5; SELECT 6')).toEqual([
      'INSERT INSERT',
      'SELECT',
      'INSERT',
      'SELECT',
      'SELECT',
    ]))

  test('a transaction is one request, whatever is in it', () =>
    expect(batchesOf('INSERT 1; BEGIN; SELECT 1; INSERT 2; COMMIT; INSERT 3')).toEqual([
      'INSERT',
      '[BEGIN SELECT INSERT COMMIT]',
      'INSERT',
    ]))

  test('all that follows a temporary table stays with it', () =>
    expect(batchesOf('SELECT 0; CREATE TEMP TABLE t; SELECT 1; SELECT 2')).toEqual([
      'SELECT',
      '[CREATE SELECT SELECT]',
    ]))

  test.each([
    batchLimits.statementsMax - 1,
    batchLimits.statementsMax,
    batchLimits.statementsMax + 1,
  ])('%i statements', (count) => {
    const sizes = batchesOf('INSERT 1;'.repeat(count)).map((words) => words.split(' ').length)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(batchLimits.statementsMax)
    expect(sizes.length).toBe(count > batchLimits.statementsMax ? 2 : 1)
  })

  test('a batch ends when its text is long enough', () => {
    const long = `INSERT '${'x'.repeat(batchLimits.textLengthMax)}'`
    expect(batchesOf(`${long}; INSERT 2; INSERT 3`)).toEqual(['INSERT', 'INSERT INSERT'])
  })
})
