import { expect, test } from 'vitest'
import { ChangeLog } from '#src/changes/change-log.js'
import type { QueryTree } from '#src/engine/query-tree.js'
import { DbError } from '#src/errors.js'
import type { LiveAnalysis } from '#src/dialect/live-analysis.js'
import { LiveQueries } from '#src/live/live-queries.js'
import type { LiveRequest } from '#src/live/live-request.js'
import { TableCatalog } from '#src/live/table-catalog.js'
import { TestReceiver } from '../../support/live.js'

const request: LiveRequest = {
  ...{ text: 'select 1', sql: 'select 1', parameterCount: 0, parameterKey: '[]' },
  ...{ encode: () => [], identity: { roleOid: 1, userId: 'u', readOnly: false }, userName: 'u' },
  ...{ searchPath: 'public', placeOf: () => undefined, placed: (error) => error },
  ...{ from: undefined, fromId: undefined },
}
const analysis: LiveAnalysis = {
  ...{ kind: 'analysed', relations: [], ordered: false, conditions: [], single: undefined },
}

/** A log whose first read fails in passing, and whose others never end; trees and pauses as they are let go. */
function world() {
  let reads = 0
  const trees: ((cause: unknown) => void)[] = []
  const pauses: (() => void)[] = []
  const unused = () => Promise.reject(new Error('not asked for'))
  const queries = {
    query: (sql: string) => {
      if (!sql.includes('changes_after'))
        return Promise.resolve({ columns: [], rows: [['a', '5', '0']], command: '', rowCount: 1 })
      reads += 1
      if (reads > 1) return new Promise<never>(() => undefined)
      return Promise.reject(new DbError('ENGINE_RESTARTED', 'the engine was restarted'))
    },
  }
  const pause = () => new Promise<void>((resolve) => pauses.push(resolve))
  const live = new LiveQueries({
    log: new ChangeLog(queries, { rowsMax: 1, bytes: 1 }),
    runner: {
      ...{ run: unused, runTogether: unused, columnsOf: unused },
      treeOf: () => new Promise<QueryTree>((_, reject) => trees.push(reject)),
    },
    settings: {
      ...{ queriesMax: 9, queriesPerUserMax: 9, evaluationsAtOnce: 1, resultBytesMax: 1e6 },
      ...{ pieceBytes: 1e6, heldChangesMax: 1, evaluationSharePercent: 100 },
    },
    metrics: {
      ...{ liveEvaluated: () => undefined, liveDelivered: () => undefined },
      liveFault: () => undefined,
    },
    catalog: new TableCatalog(queries),
    engine: { onCommit: () => () => undefined },
    ...{ analyse: () => analysis, newId: () => `w${Math.random()}`, now: () => 0, pause },
    ...{ clock: () => 0, onBug: () => undefined },
  })
  return { live, trees, pauses, reads: () => reads }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('a feed that failed goes on for those who waited, not beside that of those who came later', async () => {
  const { live, trees, pauses, reads } = world()
  const first = live.open(request, new TestReceiver())
  await turn()
  expect([reads(), pauses.length]).toEqual([1, 1])
  trees[0]?.(new DbError('QUERY_REJECTED', 'no such table'))
  await expect(first).rejects.toMatchObject({ code: 'QUERY_REJECTED' })
  const second = live.open(request, new TestReceiver())
  second.catch(() => undefined)
  await turn()
  expect(reads()).toBe(2)
  pauses[0]?.()
  await turn()
  expect(reads()).toBe(2)
  live.close()
})
