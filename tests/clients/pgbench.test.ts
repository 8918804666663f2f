/** I1, I3: pgbench fills its tables and runs its transactions, several clients at a time. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clients, isMissing } from '../support/postgres-clients.js'
import { runProgram } from '../support/run-program.js'
import { openWireServer, type WireServer } from '../support/wire-server.js'

/** Of each connection. */
const transactions = 50

describe.skipIf(isMissing('pgbench'))('pgbench', () => {
  let server: WireServer
  beforeAll(async () => {
    server = await openWireServer()
    const { exit, stderr } = await pgbench(['-i', '-s', '1'])
    expect(exit, stderr).toBe(0)
  })
  afterAll(() => server.close())
  const pgbench = (args: readonly string[]) =>
    runProgram(clients.pgbench, args, { env: server.env })

  test.each([
    ['simple', 1, 1],
    ['simple', 4, 4],
    ['extended', 1, 1],
    ['extended', 4, 4],
    ['prepared', 1, 1],
    ['prepared', 4, 4],
    // One thread for four connections: while one is in a transaction, it waits for another's Parse.
    ['prepared', 4, 1],
  ])('-M %s -c %i -j %i', async (mode, connections, threads) => {
    const counts = ['-c', String(connections), '-j', String(threads)]
    const each = ['-t', String(transactions)]
    const { exit, stdout, stderr } = await pgbench(['-n', ...each, '-M', mode, ...counts])
    expect(exit, stderr).toBe(0)
    expect(stdout).toContain('number of failed transactions: 0 (0.000%)')
    const processed = /transactions actually processed: (\d+)/.exec(stdout)?.[1]
    expect(Number(processed)).toBe(connections * transactions)
    console.log(
      `pgbench ${mode} -c ${connections} -j ${threads}: ${/tps = .*/.exec(stdout)?.[0] ?? ''}`,
    )
  })

  test('-S reads, pipelined too', async () => {
    const { exit, stderr } = await pgbench(['-n', '-S', '-t', '200', '-M', 'prepared', '-c', '4'])
    expect(exit, stderr).toBe(0)
  })

  test('no transaction was lost, torn or doubled', async () => {
    const rows = await server.rows(`
      SELECT (SELECT count(*) FROM pgbench_accounts) AS accounts,
             (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history) AS a,
             (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT sum(delta) FROM pgbench_history) AS t,
             (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT sum(delta) FROM pgbench_history) AS b`)
    expect(rows).toEqual([{ accounts: '100000', a: true, t: true, b: true }])
  })
})
