import { expect, test } from 'vitest'
import { ChangeLog } from '#src/changes/change-log.js'
import { sequenceOf } from '#src/changes/sequence.js'
import type { RawResult } from '#src/engine/statement.js'
import { FollowGroup } from '#src/live/follow-group.js'
import { HeldChanges } from '#src/live/held-changes.js'
import type { LiveRequest } from '#src/live/live-request.js'
import { LiveWatch } from '#src/live/live-watch.js'
import { TestReceiver } from '../../support/live.js'

const request: LiveRequest = {
  ...{ text: 'select n from t', sql: 'select n from t', parameterCount: 0, parameterKey: '[]' },
  ...{ encode: () => [], identity: { roleOid: 1, userId: 'u', readOnly: false }, userName: 'u' },
  ...{ searchPath: 'public', placeOf: () => undefined, placed: (error) => error },
  ...{ from: undefined, fromId: undefined },
}

const single = {
  ...{ relation: { schema: undefined, name: 't', alias: 't', byte: 14 }, targets: [] },
  ...{ where: undefined, byte: 14, hasAlias: false, followable: true },
}
const relation = {
  ...{ oid: 1, schema: 'public', name: 't', relkind: 'r', isTemporary: false, logged: undefined },
  ...{ hasOwnPolicies: false, hasRowSecurity: false, inherits: false, columns: [], key: ['n'] },
}
const plan = {
  table: { id: 1, kind: 'plain', version: 1, since: 0, isTwin: false },
  ...{ perOwner: false, single, targets: [], isExact: true },
  places: { relation, columns: new Map<string, number>() },
} as const
const bound = {
  ...{ follow: plan, dependencies: [], perUser: false, ordered: false, key: [] },
  ...{ single, singleRelation: relation, meaning: '', usesMade: false },
}

test('a receiver that begins anew elsewhere hears no more of a group it was on its way into', async () => {
  let answer: (result: RawResult) => void = () => undefined
  const unused = () => Promise.reject(new Error('not asked for'))
  const group = new FollowGroup({
    ...{ key: 'g', plan, request, position: () => sequenceOf('5'), reopen: () => undefined },
    query: {
      ...{ key: 'q', number: 1, bound, mode: 'follow', groups: 1, typeOids: [], shape: undefined },
    },
    rooms: {
      log: new ChangeLog({ query: unused }, { rowsMax: 1, bytes: 1 }),
      runner: {
        run: () => new Promise((resolve) => (answer = resolve)),
        ...{ runTogether: unused, treeOf: unused },
        columnsOf: () => Promise.resolve([]),
      },
      settings: {
        ...{ queriesMax: 1, queriesPerUserMax: 1, evaluationsAtOnce: 1, resultBytesMax: 1e6 },
        ...{ pieceBytes: 1e6, heldChangesMax: 1, evaluationSharePercent: 100 },
      },
      metrics: {
        ...{ liveEvaluated: () => undefined, liveDelivered: () => undefined },
        liveFault: () => undefined,
      },
      held: new HeldChanges({ max: 1, pause: () => Promise.resolve() }),
      ...{ cursor: String, pause: () => Promise.resolve(), clock: () => 0 },
    },
  })
  const receiver = new TestReceiver()
  const watch = new LiveWatch({
    ...{ id: 'w', request, receiver, openedAtMs: 0 },
    ...{ onClose: () => undefined, onBug: () => undefined },
  })
  const resuming = group.add(watch, { from: sequenceOf('3'), reset: undefined })
  group.remove(watch)
  const nothing = { columns: [], frames: new Uint8Array(0), rowCount: 0 }
  answer({ ...nothing, command: 'SELECT', changedSchema: false })
  await resuming
  expect(receiver.events).toEqual([])
})
