import { describe, expect, test } from 'vitest'
import { createStatementLog } from '#src/database/statement-log.js'
import type { ReadyStatement } from '#src/database/statement-runner.js'
import { createLog } from '#src/telemetry/log.js'
import { createMetrics } from '#src/telemetry/metrics.js'

const statement = {
  kind: 'sql',
  plan: {
    kind: 'sql',
    text: `SELECT pg_catalog.length($1) /* ${'x'.repeat(2_000)} */`,
    place: { start: 0, end: 10, line: 1, column: 1, position: 1 },
    splices: [],
    transaction: 'none',
    stateful: false,
    query: true,
    ddl: false,
    parameterCount: 1,
    role: 'user',
    relations: [],
    words: { creates: undefined, undeletes: false, includesDeleted: [] },
    touchesRows: true,
    redoable: 'always',
    checksAllRows: false,
    setsRowSecurity: false,
    isSetting: false,
    session: undefined,
    copy: undefined,
  },
  identity: { roleOid: 10, userId: 'alice-id', readOnly: false },
  parameters: ['the caller’s own data'],
} satisfies ReadyStatement

function open(slowMs: number) {
  const lines: string[] = []
  const log = createLog(
    { level: 'info', format: 'json', slow_statement_ms: slowMs },
    { write: (line: string) => lines.push(line) },
  )
  return { statementLog: createStatementLog({ log, metrics: createMetrics(), slowMs }), lines }
}

describe('K6: the log of slow statements', () => {
  test.each([
    [99, 0],
    [100, 1],
    [101, 1],
  ])('of a bound of 100 ms, one of %s ms is written %s times', (tookMs, times) => {
    const { statementLog, lines } = open(100)
    statementLog.succeeded(statement, 'SELECT', tookMs)
    expect(lines).toHaveLength(times)
  })

  test('tells who, how long and the text, cut, but no parameter', () => {
    const { statementLog, lines } = open(100)
    statementLog.rejected(statement, new Error('late'), 1234.4)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'warn',
      message: 'slow statement',
      tookMs: 1234,
      userId: 'alice-id',
      sql: statement.plan.text.slice(0, 1_000),
    })
    expect(lines[0]).not.toContain('own data')
  })

  test('is off at 0', () => {
    const { statementLog, lines } = open(0)
    statementLog.succeeded(statement, 'SELECT', 1e6)
    expect(lines).toEqual([])
  })
})
