/** What many sockets cost: one change for thousands of readers, catching up, and memory. */
import type { KalamServer } from '../load/kalam-server.js'
import { WorkerProcess } from '../load/worker-process.js'
import { median, summarise, type BenchOptions, type Budget, type Measurement } from '../result.js'
import { startLiveKalam } from './contestants.js'
import type { Form } from './live-system.js'
import type { SocketsAnswer, SocketsOrder } from './sockets-load.js'

export interface SocketSchedule {
  readonly owners: number
  /** Numbers of subscribers. */
  readonly fanOut: readonly number[]
  readonly fanOutMs: number
  readonly rounds: number
  readonly missedChanges: number
  /** 0: memory is not measured. */
  readonly idleSockets: number
  readonly liveQueries: number
}

export interface SocketResults {
  readonly results: readonly Measurement[]
  readonly budgets: readonly Budget[]
}

type Load = WorkerProcess<SocketsOrder, SocketsAnswer | undefined>

export async function measureSockets(
  schedule: SocketSchedule,
  options: BenchOptions,
): Promise<SocketResults> {
  const { owners, idleSockets, liveQueries } = schedule
  options.say('fan-out and catching up')
  const timed = await withServer(owners, (_, load) => measureTimes(load, schedule))
  if (idleSockets === 0) return timed
  options.say('memory')
  const idle = await memoryOf(owners, idleSockets, (sockets) => ({ kind: 'idle', sockets }))
  const evaluated = await memoryOf(owners, liveQueries, holding('evaluated'))
  const follow = await memoryOf(owners, liveQueries, holding('follow'))
  const memory = [
    memoryLine(`${idleSockets} idle sockets`, idle, 10),
    memoryLine(`${liveQueries} live queries, evaluated, on 100 sockets`, evaluated, 8),
    memoryLine(`${liveQueries} live queries, follow, on 100 sockets`, follow, 8),
  ]
  return {
    results: [...timed.results, ...memory.flatMap(({ results }) => results)],
    budgets: [...timed.budgets, ...memory.flatMap(({ budgets }) => budgets)],
  }
}

function holding(form: Form): (queries: number) => SocketsOrder {
  return (queries) => ({ kind: 'hold', form, queries })
}

async function withServer<T>(
  owners: number,
  work: (server: KalamServer, load: Load) => Promise<T>,
): Promise<T> {
  const { server, apiKey } = await startLiveKalam(owners)
  const load: Load = WorkerProcess.start(new URL('sockets-load.js', import.meta.url), {
    args: [String(server.port), apiKey],
  })
  try {
    return await work(server, load)
  } finally {
    await load.close()
    await server.close()
  }
}

async function measureTimes(load: Load, schedule: SocketSchedule): Promise<SocketResults> {
  const { fanOut, fanOutMs, rounds, missedChanges } = schedule
  const parts: SocketResults[] = []
  for (const subscribers of fanOut) {
    await load.ask({ kind: 'watch', subscribers })
    await load.ask({ kind: 'fan out', durationMs: fanOutMs / 2 })
    const samples = await repeated(load, rounds, { kind: 'fan out', durationMs: fanOutMs })
    await load.ask({ kind: 'close' })
    parts.push(fanOutLine(subscribers, samples))
  }
  await load.ask({ kind: 'catch up', changes: missedChanges })
  const caughtUp = await repeated(load, rounds, { kind: 'catch up', changes: missedChanges })
  parts.push(catchUpLine(missedChanges, caughtUp))
  return {
    results: parts.flatMap(({ results }) => results),
    budgets: parts.flatMap(({ budgets }) => budgets),
  }
}

async function repeated(
  load: Load,
  rounds: number,
  order: SocketsOrder,
): Promise<readonly SocketsAnswer[]> {
  const samples: SocketsAnswer[] = []
  for (let round = 1; round <= rounds; round += 1) {
    const sample = await load.ask(order)
    if (sample !== undefined) samples.push(sample)
  }
  return samples
}

function fanOutLine(subscribers: number, samples: readonly SocketsAnswer[]): SocketResults {
  const name = `${subscribers} subscribers of one query, 10 writes/s: insert → event`
  const p95s = samples.map(({ p95Ms }) => p95Ms)
  const p50s = samples.map(({ p50Ms }) => p50Ms)
  return {
    results: [
      summarise({ case: name, unit: 'ms, p50', samples: p50s }),
      summarise({ case: name, unit: 'ms, p95', samples: p95s }),
    ],
    budgets:
      subscribers === 1_000
        ? [{ name: `${name}, ms, p95`, bound: 'at most', limit: 50, got: median(p95s) }]
        : [],
  }
}

function catchUpLine(changes: number, samples: readonly SocketsAnswer[]): SocketResults {
  const name = `catching up ${changes} missed changes, from connecting on`
  const tookMs = samples.map(({ p50Ms }) => p50Ms)
  return {
    results: [summarise({ case: name, unit: 'ms', samples: tookMs })],
    budgets: [{ name: `${name}, ms`, bound: 'at most', limit: 200, got: median(tookMs) }],
  }
}

/**
 * Bytes of the server's resident memory for each after the first fifth, which pays for what the
 * server needs once. Measured once, garbage that is not given back included.
 */
function memoryOf(
  owners: number,
  count: number,
  order: (count: number) => SocketsOrder,
): Promise<number> {
  return withServer(owners, async (server, load) => {
    await touchAll(server)
    const first = count / 5
    await load.ask(order(first))
    const before = await settledBytes(server)
    await load.ask(order(count))
    return ((await settledBytes(server)) - before) / (count - first)
  })
}

/** The pages of the table are in the engine's cache before: they are not what a query costs. */
async function touchAll(server: KalamServer): Promise<void> {
  for (let run = 0; run < 3; run += 1) await server.ask('SELECT owner, sum(n) FROM todo GROUP BY 1')
}

const settleMs = 5_000
const sampleEveryMs = 100

/** The least within some seconds: garbage is no memory in use. */
async function settledBytes(server: KalamServer): Promise<number> {
  let least = Infinity
  const end = performance.now() + settleMs
  while (performance.now() < end) {
    least = Math.min(least, server.residentBytes())
    await new Promise((resolve) => setTimeout(resolve, sampleEveryMs))
  }
  return least
}

function memoryLine(what: string, bytes: number, limitKiB: number): SocketResults {
  const kib = bytes / 1024
  return {
    results: [summarise({ case: `memory of each of ${what}`, unit: 'KiB', samples: [kib] })],
    budgets: [{ name: `KiB of each of ${what}`, bound: 'at most', limit: limitKiB, got: kib }],
  }
}
