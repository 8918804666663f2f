/** Whatever a server sends: no trap, no difference that does not fit, and the connection goes on. */
import assert from 'node:assert'
import { expect, test } from 'vitest'
import { countOf, seed } from '../support/counts.js'
import { CoreHost, type CoreEvent } from './core-host.js'
import { serverFrames, varint } from './frames.js'

/** `npm run test:long` tries more; `KALAM_TEST_SEED` sets others. */
const frames = countOf('KALAM_TEST_LINK_FRAMES', 20_000)
const deadlineMs = 20_000 + frames / 4

test(`K4: ${frames} broken frames, seed ${seed}`, { timeout: deadlineMs }, () => {
  const random = randomOf(seed)
  const told = new Map<string, number>()
  let session = new Session(told)
  for (let count = 0; count < frames; count++) {
    if (count % 2_000 === 0) session = new Session(told)
    if (random(4) === 0) session.receive(goodFrame(random, session.ids))
    session.receive(mutate(random, goodFrame(random, session.ids)))
  }
  // Frames that are all broken at their first byte would prove nothing.
  const kinds = ['changes', 'error', 'ready', 'reset', 'result', 'rows', 'subscribed']
  expect(kinds.filter((kind) => (told.get(kind) ?? 0) < frames / 1_000)).toEqual([])
})

/** A client whose server sends anything, and what its host would show. */
class Session {
  readonly #host = new CoreHost().start()
  readonly #rowCounts = new Map<number, number>()

  readonly #told: Map<string, number>
  #query: number

  constructor(told: Map<string, number>) {
    this.#told = told
    this.#host.receive(serverFrames.authenticated())
    this.#query = this.#host.query(['SELECT 1'])
    this.#subscribe()
  }

  /** What is not over: three subscriptions and a query. */
  get ids(): readonly number[] {
    return [...this.#rowCounts.keys(), this.#query]
  }

  receive(frame: Uint8Array): void {
    const events = this.#apply(this.#host.receive(frame))
    if (events.some(({ kind }) => kind === 'close')) this.#reconnect()
    if (events.some(({ id }) => id === this.#query)) this.#query = this.#host.query(['SELECT 1'])
    this.#subscribe()
  }

  #subscribe(): void {
    while (this.#rowCounts.size < 3) {
      const id = this.#host.subscribe('SELECT 1')
      this.#rowCounts.set(id, 0)
      this.#load(id)
    }
  }

  #load(id: number): void {
    const kind = id % 3
    const key = kind === 2 ? '[]' : '[0]'
    this.#apply(this.#host.receive(serverFrames.subscribed(id, { key, ordered: kind !== 0 })))
    this.#apply(this.#host.receive(serverFrames.rows(id, ['[1,"a"]', '[2,"b"]', '[3,"c"]'])))
    this.#apply(this.#host.receive(serverFrames.ready(id, 'a.0')))
  }

  #reconnect(): void {
    this.#host.now += 60_000
    this.#host.core.tick(this.#host.now)
    this.#host.reopen()
    this.#host.receive(serverFrames.authenticated())
    for (const id of this.#rowCounts.keys()) this.#load(id)
  }

  #apply(events: CoreEvent[]): CoreEvent[] {
    for (const { kind, id, words, differences } of events) {
      this.#told.set(kind, (this.#told.get(kind) ?? 0) + 1)
      let rows = this.#rowCounts.get(id) ?? 0
      if (kind === 'rows') rows += words[1]
      for (const [operation, from, to] of differences) {
        if (operation !== 1) assert(from >= 0 && from < rows--, `${from} is no row`)
        if (operation !== 3) assert(to >= 0 && to < ++rows, `${to} is no place`)
      }
      if (kind === 'error') this.#rowCounts.delete(id)
      else if (this.#rowCounts.has(id)) this.#rowCounts.set(id, rows)
    }
    for (const [id, rows] of this.#rowCounts)
      assert(this.#host.core.rowCount(id) === rows, `${id} has not ${rows} rows`)
    return events
  }
}

const frameMakers: readonly ((id: number) => Uint8Array)[] = [
  (id) => serverFrames.subscribed(id, { key: '[0,1]' }),
  (id) => serverFrames.subscribed(id, { key: '[]', ordered: true, resumed: true }),
  (id) => serverFrames.subscribed(id, { ordered: id % 2 === 0 }),
  (id) => serverFrames.rows(id, ['[1,"milk"]', '[2,"tea"]', '[3,null]']),
  (id) => serverFrames.rows(id, ['[1,"milk"]', '[1,"milk"]']),
  (id) => serverFrames.ready(id, 'a.41'),
  (id) => serverFrames.reset(id, 'EVALUATED'),
  (id) => serverFrames.unsubscribed(id),
  (id) => serverFrames.result(id, '[{"command":"SELECT","columns":[],"rows":[],"row_count":0}]'),
  (id) => serverFrames.error(id, { code: 'OVERLOADED', message: 'later' }),
  (id) => serverFrames.error(id, { code: 'QUERY_REJECTED', message: 'no' }),
  () => serverFrames.error(undefined, { code: 'UNAVAILABLE', message: 'stopping' }),
  () => serverFrames.pong(),
]

type Random = (below: number) => number

function goodFrame(random: Random, ids: readonly number[]): Uint8Array {
  const id = pick(random, ids)
  return random(4) > 0 ? changesOf(random, id) : pick(random, frameMakers)(id)
}

/** Few keys and places, so that they meet each other. */
function changesOf(random: Random, id: number): Uint8Array {
  const changes = Array.from({ length: random(8) }, () => {
    const key = random(6)
    const at = random(2) === 0 ? undefined : random(9)
    if (random(3) === 0) return ['d', `[${key}]`] as const
    return [random(2) === 0 ? 'i' : 'u', `[${key}]`, `[${key},"${random(9)}"]`, at] as const
  })
  return serverFrames.changes(id, `a.${random(1_000)}`, changes)
}

function mutate(random: Random, good: Uint8Array): Uint8Array {
  const bytes = [...good]
  for (let left = random(3) + 1; left > 0; left--) {
    const at = random(bytes.length + 1)
    switch (random(5)) {
      case 0:
        bytes.splice(at, 1, random(256))
        break
      case 1:
        bytes.splice(at, random(4))
        break
      case 2:
        bytes.splice(at, 1, ...varint(pick(random, hugeNumbers)))
        break
      case 3:
        bytes.splice(at, 0, ...pick(random, frameMakers)(1).subarray(0, random(20)))
        break
      default:
        bytes.length = at
    }
  }
  return Uint8Array.from(bytes)
}

const hugeNumbers = [127, 128, 2 ** 16, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]

function pick<T>(random: Random, values: readonly T[]): T {
  const value = values[random(values.length)]
  if (value === undefined) throw new Error('assertion failed: there are values')
  return value
}

/** Park and Miller's, 1988: enough for choices, and the same everywhere. */
function randomOf(start: number): Random {
  let state = Math.max(1, start % 0x7fffffff)
  return (below) => {
    state = (state * 48_271) % 0x7fffffff
    return state % below
  }
}
