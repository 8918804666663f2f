/** The auditor of re-evaluated queries: it must notice what the rest of the code is to prevent. */
import { expect, test } from 'vitest'
import { ChangeLog } from '#src/changes/change-log.js'
import { sequenceOf } from '#src/changes/sequence.js'
import type { RawResult } from '#src/engine/statement.js'
import { EvaluatedGroup } from '#src/live/evaluated-group.js'
import { HeldChanges } from '#src/live/held-changes.js'
import type { LiveRequest } from '#src/live/live-request.js'
import type { LiveRooms } from '#src/live/live-rooms.js'
import { LiveWatch } from '#src/live/live-watch.js'
import { dataRow } from '../../support/data-rows.js'
import { TestReceiver } from '../../support/live.js'

const columns = [{ name: 'n', typeOid: 23 }]

function rowsOf(values: readonly string[], rowCount = values.length): RawResult {
  const frames = Buffer.concat(values.map((value) => dataRow([value])))
  return { columns, frames, command: 'SELECT', rowCount, changedSchema: false }
}

const request: LiveRequest = {
  ...{ text: 'select n from t', sql: 'select n from t', parameterCount: 0, parameterKey: '[]' },
  ...{ encode: () => [], identity: { roleOid: 1, userId: 'u', readOnly: false }, userName: 'u' },
  ...{ searchPath: 'public', placeOf: () => undefined, placed: (error) => error },
  ...{ from: undefined, fromId: undefined },
}

/** A group that has one receiver with the row 1, at position 5. */
async function loadedGroup() {
  const opened = group((due) => void due.evaluated(rowsOf(['1']), sequenceOf('5')))
  await opened.added
  return opened
}

/** A group to which a receiver is being added. */
function group(evaluate: (group: EvaluatedGroup) => void) {
  const faults: string[] = []
  const unused = () => Promise.reject(new Error('not asked for'))
  const rooms: LiveRooms = {
    log: new ChangeLog({ query: unused }, { rowsMax: 1, bytes: 1 }),
    runner: {
      ...{ run: unused, runTogether: unused, treeOf: unused },
      columnsOf: () => Promise.resolve([{ name: 'n', type: { name: 'int4', encoding: 'number' } }]),
    },
    settings: {
      ...{ queriesMax: 1, queriesPerUserMax: 1, evaluationsAtOnce: 1, resultBytesMax: 1e6 },
      ...{ pieceBytes: 1e6, heldChangesMax: 1, evaluationSharePercent: 100 },
    },
    metrics: {
      liveEvaluated: () => undefined,
      liveDelivered: () => undefined,
      liveFault: (kind) => faults.push(kind),
    },
    held: new HeldChanges({ max: 1, pause: () => Promise.resolve() }),
    ...{ cursor: String, pause: () => Promise.resolve(), clock: () => 0 },
  }
  const bound = {
    ...{ follow: undefined, dependencies: [], perUser: false, ordered: false, key: [] },
    ...{ single: undefined, singleRelation: undefined, meaning: '', usesMade: false },
  }
  const query = {
    number: 1,
    key: 'q',
    bound,
    mode: 'evaluated',
    groups: 1,
    shape: undefined,
    typeOids: [],
  } as const
  const evaluated = new EvaluatedGroup({
    ...{ key: 'g', query, request, rooms },
    evaluate,
  })
  const receiver = new TestReceiver()
  const watch = new LiveWatch({
    ...{ id: 'w', request, receiver, openedAtMs: 0 },
    ...{ onClose: () => undefined, onBug: () => undefined },
  })
  const added = evaluated.add(watch, undefined)
  return { evaluated, receiver, faults, watch, added }
}

test('tells nothing of its first rows to who began anew in another group meanwhile', async () => {
  const due: EvaluatedGroup[] = []
  const { evaluated, receiver, added, watch } = group((group) => due.push(group))
  evaluated.remove(watch)
  await due[0]?.evaluated(rowsOf(['1']), sequenceOf('5'))
  await added
  expect(receiver.events).toEqual([])
})

test('finds nothing where rows come and go as they were counted', async () => {
  const { evaluated, receiver, faults } = await loadedGroup()
  await evaluated.evaluated(rowsOf(['1', '2', '2']), sequenceOf('6'))
  await evaluated.evaluated(rowsOf(['2']), sequenceOf('7'))
  await evaluated.evaluated(rowsOf([]), sequenceOf('7'))
  await evaluated.evaluated(rowsOf(['3']), sequenceOf('8'))
  expect(receiver.rows).toEqual([[3]])
  expect(faults).toEqual([])
})

test('finds a row that is not told of', async () => {
  const { evaluated, faults } = await loadedGroup()
  await evaluated.evaluated(rowsOf(['1', '2'], 3), sequenceOf('6'))
  expect(faults).toEqual(['gap'])
})

test('finds a row that is told of and was not there', async () => {
  const { evaluated, faults } = await loadedGroup()
  await evaluated.evaluated(rowsOf(['1', '2'], 1), sequenceOf('6'))
  expect(faults).toEqual(['duplicate'])
})

test('finds rows of an earlier place in the log than those that were told', async () => {
  const { evaluated, faults } = await loadedGroup()
  await evaluated.evaluated(rowsOf(['1', '2']), sequenceOf('4'))
  expect(faults).toEqual(['duplicate'])
})
