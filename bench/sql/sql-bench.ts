/**
 * The same statements in closed loops, every answer checked. Systems take turns in each round, so
 * that a slow minute of the machine hits all of them; ratios are medians of ratios within rounds.
 */
import { nativePostgresVersion } from '../../tests/support/native-postgres.js'
import {
  describeMachine,
  median,
  packageVersions,
  summarise,
  type Bench,
  type BenchOptions,
  type BenchReport,
  type Budget,
  type Measurement,
} from '../result.js'
import {
  engineName,
  kalamName,
  openContestants,
  startLoad,
  type Case,
  type Contestant,
} from './contestants.js'
import type { WorkloadName } from './workloads.js'

export const sqlBench: Bench = {
  name: 'sql',
  question:
    'How much of the engine’s speed reaches an app over HTTP, and what would it get elsewhere? ' +
    'ratio: KalamDB’s rate over that of the line, same durability where measured.',
  run: runSqlBench,
}

interface Schedule {
  readonly cases: readonly Case[]
  readonly rounds: number
  readonly sampleMs: number
  readonly warmUpMs: number
}

const fullSchedule: Schedule = {
  cases: [
    ...levels('point read', [1, 16, 64]),
    ...levels('insert', [1, 16, 64]),
    ...levels('update', [1, 16, 64]),
    ...levels('1,000-row read', [1, 16, 64]),
  ],
  rounds: 5,
  sampleMs: 1_000,
  warmUpMs: 700,
}

const quickSchedule: Schedule = {
  cases: [...levels('point read', [64]), ...levels('insert', [64]), ...levels('update', [64])],
  rounds: 5,
  sampleMs: 250,
  warmUpMs: 300,
}

function levels(workload: WorkloadName, inFlight: readonly number[]): readonly Case[] {
  return inFlight.map((count) => ({ workload, inFlight: count }))
}

async function runSqlBench(options: BenchOptions): Promise<BenchReport> {
  const load = startLoad()
  const contestants = await openContestants(load, options)
  try {
    const schedule = options.quick ? quickSchedule : fullSchedule
    const lines = await measure(contestants, schedule, options)
    const results = lines.flatMap((line) => [rateOf(line, lines), latencyOf(line)])
    return {
      name: sqlBench.name,
      machine: describeMachine(),
      versions: versions(),
      results,
      budgets: budgetsOf(lines),
    }
  } finally {
    for (const contestant of contestants) await contestant.close()
    await load.close()
  }
}

/** One contestant at one case: a sample for each round. */
interface Line {
  readonly task: Case
  readonly contestant: Contestant
  readonly rates: number[]
  readonly p99sMs: number[]
}

async function measure(
  contestants: readonly Contestant[],
  schedule: Schedule,
  options: BenchOptions,
): Promise<readonly Line[]> {
  const lines = schedule.cases.flatMap((task) =>
    contestants
      .filter((contestant) => contestant.reads || !isRead(task))
      .map((contestant): Line => ({ task, contestant, rates: [], p99sMs: [] })),
  )
  for (const { task, contestant } of lines) await contestant.sample(task, schedule.warmUpMs)
  for (let round = 1; round <= schedule.rounds; round += 1) {
    options.say(`round ${round} of ${schedule.rounds}`)
    for (const line of lines) await takeSample(line, schedule.sampleMs)
  }
  return lines
}

function isRead({ workload }: Case): boolean {
  return workload === 'point read' || workload === '1,000-row read'
}

async function takeSample({ contestant, task, rates, p99sMs }: Line, ms: number): Promise<void> {
  const sample = await contestant.sample(task, ms)
  rates.push(sample.operationsPerSecond)
  p99sMs.push(sample.p99Ms)
}

function rateOf(line: Line, lines: readonly Line[]): Measurement {
  return summarise({
    case: titleOf(line),
    unit: 'operations/s',
    samples: line.rates,
    ratio: line.contestant.name === kalamName ? undefined : ratioTo(line, lines),
  })
}

function latencyOf(line: Line): Measurement {
  return summarise({ case: titleOf(line), unit: 'ms, p99', samples: line.p99sMs })
}

function titleOf({ task, contestant }: Line): string {
  const durability = isRead(task) ? '' : ` (${contestant.durability})`
  return `${task.workload}, ${task.inFlight} in flight, ${contestant.name}${durability}`
}

/** KalamDB over `line`, within each round. */
function ratioTo(line: Line, lines: readonly Line[]): number | undefined {
  const ours = lines.filter(
    ({ task, contestant }) => task === line.task && contestant.name === kalamName,
  )
  const like = ours.find((our) => our.contestant.durability === line.contestant.durability)
  const rates = (like ?? ours[0])?.rates
  return rates && median(rates.map((rate, round) => rate / (line.rates[round] ?? NaN)))
}

/** Design, section 10. */
function budgetsOf(lines: readonly Line[]): readonly Budget[] {
  const at64 = (workload: WorkloadName, name: string) =>
    lines.find(
      ({ task, contestant }) =>
        task.workload === workload &&
        task.inFlight === 64 &&
        contestant.name === name &&
        contestant.durability === 'fsync',
    )
  const engine = at64('point read', engineName)
  const inserts = at64('insert', kalamName)
  return [
    {
      name: 'point reads at 64 in flight over the bare engine loop',
      bound: 'at least',
      limit: 0.5,
      got: (engine && ratioTo(engine, lines)) ?? NaN,
    },
    {
      name: 'durable inserts at 64 in flight, a second',
      bound: 'at least',
      limit: 10_000,
      got: inserts === undefined ? NaN : median(inserts.rates),
    },
  ]
}

function versions(): Record<string, string> {
  const root = new URL('../../../', import.meta.url)
  const manifest = (folder: string) => new URL(`${folder}/package.json`, root)
  return packageVersions({
    kalamdb: manifest('.'),
    '@electric-sql/pglite': manifest('node_modules/@electric-sql/pglite'),
    'uWebSockets.js': manifest('node_modules/uWebSockets.js'),
    'pglite-socket': manifest('bench/peers/node_modules/@electric-sql/pglite-socket'),
    'native PostgreSQL': nativePostgresVersion() ?? 'none',
    pg: manifest('node_modules/pg'),
  })
}
