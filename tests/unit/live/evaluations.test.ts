import { describe, expect, test } from 'vitest'
import { ChangeLog } from '#src/changes/change-log.js'
import { sequenceOf, type Sequence } from '#src/changes/sequence.js'
import type { RawResult } from '#src/engine/statement.js'
import { DbError } from '#src/errors.js'
import { Evaluations, type Evaluated } from '#src/live/evaluations.js'
import { HeldChanges } from '#src/live/held-changes.js'
import type { LiveRooms } from '#src/live/live-rooms.js'

const result: RawResult = {
  columns: [],
  frames: new Uint8Array(0),
  command: 'SELECT',
  rowCount: 0,
  changedSchema: false,
}

/** An engine that takes as long as it is told, by a clock that only it and pauses move. */
function testRooms(
  options: {
    readonly tookMs?: number
    readonly positions?: number[]
    readonly atOnce?: number
  } = {},
) {
  const seen = {
    nowMs: 0,
    busyMs: 0,
    running: 0,
    most: 0,
    held: 0,
    failNext: undefined as DbError | undefined,
  }
  const positions = options.positions ?? []
  const log = new ChangeLog(
    {
      query: () =>
        Promise.resolve({
          columns: [],
          rows: [[String(positions.shift() ?? 1)]],
          command: '',
          rowCount: 1,
        }),
    },
    { rowsMax: 1, bytes: 1 },
  )
  const work = async (): Promise<RawResult> => {
    seen.running += 1
    seen.most = Math.max(seen.most, seen.running)
    await Promise.resolve()
    seen.running -= 1
    seen.nowMs += options.tookMs ?? 0
    seen.busyMs += options.tookMs ?? 0
    const error = seen.failNext
    seen.failNext = undefined
    if (error !== undefined) throw error
    return result
  }
  const rooms: LiveRooms = {
    log,
    runner: {
      run: work,
      runTogether: (together) => {
        seen.held += 1
        return together({ run: work, position: () => Promise.resolve(sequenceOf('1')) })
      },
      columnsOf: () => Promise.resolve([]),
      treeOf: () => Promise.resolve({ text: '{QUERY}', parameterTypes: [] }),
    },
    settings: {
      ...{
        queriesMax: 1,
        queriesPerUserMax: 1,
        resultBytesMax: 1,
        pieceBytes: 1,
        heldChangesMax: 1,
      },
      evaluationsAtOnce: options.atOnce ?? 64,
      evaluationSharePercent: 25,
    },
    metrics: {
      liveEvaluated: () => undefined,
      liveDelivered: () => undefined,
      liveFault: () => undefined,
    },
    held: new HeldChanges({ max: 1, pause: () => Promise.resolve() }),
    cursor: String,
    pause: async (ms) => {
      await new Promise((resolve) => setImmediate(resolve))
      seen.nowMs += ms
    },
    clock: () => seen.nowMs,
  }
  return { rooms, seen }
}

class TestGroup implements Evaluated {
  notBeforeMs = 0
  moved = 0
  readonly positions: Sequence[] = []
  readonly failures: unknown[] = []
  onEvaluated: () => void = () => undefined

  statement() {
    const identity = { roleOid: 1, userId: '', readOnly: true }
    return {
      text: '',
      parameterCount: 0,
      encode: () => [],
      identity,
      searchPath: '',
      replyBytesMax: 1,
    }
  }

  evaluated(_result: RawResult, position: Sequence): Promise<void> {
    this.positions.push(position)
    this.onEvaluated()
    return Promise.resolve()
  }

  failed(cause: unknown): void {
    this.failures.push(cause)
  }
}

const until = (isDone: () => boolean) => expect.poll(isDone, { interval: 1 }).toBe(true)

describe('re-evaluations', () => {
  test('live.evaluation_share_percent: a query that takes long is not always running', async () => {
    const { rooms, seen } = testRooms({ tookMs: 100 })
    const evaluations = new Evaluations(rooms)
    const group = new TestGroup()
    group.onEvaluated = () => {
      if (group.positions.length < 10) evaluations.add(group)
    }
    evaluations.add(group)
    await until(() => group.positions.length === 10)
    expect(seen.busyMs / seen.nowMs).toBeLessThan(0.3)
    expect(seen.busyMs / seen.nowMs).toBeGreaterThan(0.2)
  })

  test('a fast one never waits', async () => {
    const { rooms, seen } = testRooms({ tookMs: 1 })
    const evaluations = new Evaluations(rooms)
    const group = new TestGroup()
    group.onEvaluated = () => {
      if (group.positions.length < 10) evaluations.add(group)
    }
    evaluations.add(group)
    await until(() => group.positions.length === 10)
    expect(seen.nowMs).toBe(seen.busyMs)
  })

  test('live.evaluations_at_once bounds a round', async () => {
    const { rooms, seen } = testRooms({ atOnce: 3 })
    const evaluations = new Evaluations(rooms)
    const groups = Array.from({ length: 10 }, () => new TestGroup())
    for (const group of groups) evaluations.add(group)
    await until(() => groups.every(({ positions }) => positions.length === 1))
    expect(seen.most).toBe(3)
  })

  test('one under which the log moves is run again, at last with the engine held', async () => {
    const { rooms, seen } = testRooms({ positions: [1, 2, 3, 4, 5, 6, 7, 8] })
    const evaluations = new Evaluations(rooms)
    const group = new TestGroup()
    evaluations.add(group)
    await until(() => group.positions.length === 1)
    expect(seen.held).toBe(1)
  })

  test('a restart of the engine is waited out; any other error is the query’s', async () => {
    const { rooms, seen } = testRooms()
    const evaluations = new Evaluations(rooms)
    const group = new TestGroup()
    seen.failNext = new DbError('ENGINE_RESTARTED', 'again')
    evaluations.add(group)
    await until(() => group.positions.length === 1)
    expect(group.failures).toEqual([])
    const wrong = new DbError('QUERY_REJECTED', 'division by zero')
    seen.failNext = wrong
    evaluations.add(group)
    await until(() => group.failures.length === 1)
    expect(group.failures).toEqual([wrong])
  })
})
