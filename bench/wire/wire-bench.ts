/**
 * pgbench over the Postgres wire: workload × protocol × connections, each cell by all servers in turn
 * within a round. A peer that cannot do a cell is told so by a FAIL, and starts anew for the next.
 */
import { nativePostgresVersion } from '../../tests/support/native-postgres.js'
import { repository } from '../load/kalam-server.js'
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
  contestants,
  kalamName,
  socketName,
  unsyncedName,
  type Contestant,
  type OpenContestant,
} from './contestants.js'
import {
  findPgbench,
  runPgbench,
  type Address,
  type Load,
  type QueryMode,
  type Workload,
} from './pgbench.js'

export const wireBench: Bench = {
  name: 'wire',
  question:
    'How fast is the Postgres wire, beside PGlite’s own socket server and a native PostgreSQL? ' +
    'ratio: KalamDB’s transactions a second over those of the line; of processor time the line’s over ' +
    'KalamDB’s.',
  run: runWireBench,
}

interface Schedule {
  readonly loads: readonly Load[]
  readonly rounds: number
  readonly seconds: number
  /** What each server runs before it counts, each for so long. */
  readonly warmUp: readonly Load[]
}

const everyLoad: readonly Load[] = (['select', 'tpcb'] satisfies Workload[]).flatMap((workload) =>
  (['simple', 'extended', 'prepared'] satisfies QueryMode[]).flatMap((mode) =>
    [1, 4, 16].map((connections) => ({ workload, mode, connections })),
  ),
)

const warmUp: readonly Load[] = [
  { workload: 'select', mode: 'simple', connections: 4 },
  { workload: 'tpcb', mode: 'extended', connections: 1 },
]

const fullSchedule: Schedule = {
  loads: everyLoad,
  rounds: 5,
  seconds: 1,
  warmUp: [...warmUp, ...warmUp],
}

/** One of each kind. */
const quickSchedule: Schedule = {
  loads: [
    { workload: 'select', mode: 'simple', connections: 1 },
    { workload: 'select', mode: 'simple', connections: 16 },
    { workload: 'select', mode: 'prepared', connections: 1 },
    { workload: 'select', mode: 'extended', connections: 4 },
    { workload: 'tpcb', mode: 'simple', connections: 1 },
    { workload: 'tpcb', mode: 'prepared', connections: 16 },
  ],
  rounds: 1,
  seconds: 1,
  warmUp,
}

async function runWireBench(options: BenchOptions): Promise<BenchReport> {
  const pgbench = findPgbench()
  if (pgbench === undefined) throw new Error('no pgbench; install the package postgresql')
  const lines = await measureAll(pgbench, options)
  return {
    name: wireBench.name,
    machine: describeMachine(),
    versions: versions(),
    results: lines.flatMap((line) => measurementsOf(line, lines)),
    budgets: budgetsOf(lines),
  }
}

interface Line {
  readonly load: Load
  readonly name: string
  /** Transactions a second, one a round. */
  readonly samples: number[]
  /** Of the server for one transaction, in µs, one a round. */
  readonly processorUs: number[]
  /** Why there are no more samples. */
  failed: string | undefined
}

async function measureAll(pgbench: string, options: BenchOptions): Promise<readonly Line[]> {
  const schedule = options.quick ? quickSchedule : fullSchedule
  const { loads, rounds, seconds } = schedule
  const warm = async (address: Address): Promise<void> => {
    for (const load of schedule.warmUp) await runPgbench(pgbench, address, { ...load, seconds })
  }
  const stands = await openAll(contestants(pgbench, options), warm)
  const lines = loads.flatMap((load) =>
    stands.map(({ name }): Line => ({
      load,
      name,
      samples: [],
      processorUs: [],
      failed: undefined,
    })),
  )
  try {
    for (let round = 1; round <= rounds; round += 1)
      for (const line of lines) {
        const stand = stands.find(({ name }) => name === line.name)
        if (stand === undefined || line.failed !== undefined) continue
        options.say(`round ${round} of ${rounds}: ${titleOf(line)}`)
        await takeTurn(line, stand, (address) =>
          runPgbench(pgbench, address, { ...line.load, seconds }),
        )
      }
    return lines
  } finally {
    for (const { contestant } of stands) await contestant.close()
  }
}

/** A contestant, and the way to have it anew. */
interface Stand {
  readonly name: string
  readonly open: OpenContestant
  contestant: Contestant
}

/** Each is warm whenever it is opened: code that has not run often is slow on all of them. */
async function openAll(
  all: ReadonlyMap<string, OpenContestant>,
  warm: (address: Address) => Promise<void>,
): Promise<readonly Stand[]> {
  const stands: Stand[] = []
  for (const [name, start] of all) {
    const open: OpenContestant = async () => {
      const contestant = await start()
      await warm(contestant.address)
      return contestant
    }
    stands.push({ name, open, contestant: await open() })
  }
  return stands
}

async function takeTurn(
  line: Line,
  stand: Stand,
  run: (address: Contestant['address']) => ReturnType<typeof runPgbench>,
): Promise<void> {
  const beforeMs = stand.contestant.processorMs()
  const ran = await run(stand.contestant.address)
  if (ran.kind === 'failed') line.failed = ran.reason
  else {
    line.samples.push(ran.tps)
    const usedMs = stand.contestant.processorMs() - beforeMs
    line.processorUs.push((usedMs * 1_000) / ran.transactions)
  }
  if (ran.kind === 'ran') {
    if (line.load.mode === 'prepared') await stand.contestant.forgetPrepared()
    return
  }
  // It may be stuck.
  await stand.contestant.close()
  stand.contestant = await stand.open()
}

function titleOf({ load, name }: Line): string {
  const { workload, mode, connections } = load
  const plural = connections === 1 ? 'connection' : 'connections'
  return `${workload}, ${mode}, ${connections} ${plural}, ${name}`
}

function measurementsOf(line: Line, lines: readonly Line[]): readonly Measurement[] {
  const title = titleOf(line)
  const unit = 'tps'
  const { samples, failed } = line
  if (failed !== undefined) return [{ case: title, unit, median: NaN, min: NaN, max: NaN, failed }]
  const ours = line.name === kalamName ? undefined : ourLine(kalamName, line, lines)
  const ratio = ours && ratioOf(ours.samples, samples)
  const speed = summarise({ case: title, unit, samples, ratio })
  const { processorUs } = line
  if (processorUs.some(Number.isNaN)) return [speed]
  const processor = { case: `${title}: processor`, unit: 'µs', samples: processorUs }
  return [speed, summarise({ ...processor, ratio: ours && ratioOf(processorUs, ours.processorUs) })]
}

/** KalamDB's in the same cell. */
function ourLine(name: string, { load }: Line, lines: readonly Line[]): Line | undefined {
  return lines.find((line) => line.name === name && line.load === load)
}

/** In each round; of these the median. NaN where one of them failed. */
function ratioOf(ones: readonly number[], others: readonly number[]): number {
  return median(others.map((other, round) => (ones[round] ?? NaN) / other))
}

/** Ahead of what gives the same engine without safety: by itself, and where it is as little safe. */
function budgetsOf(lines: readonly Line[]): readonly Budget[] {
  const ours = [kalamName, unsyncedName].filter((name) => lines.some((line) => line.name === name))
  return ours.flatMap((name) =>
    lines
      .filter((line) => line.name === socketName && line.failed === undefined)
      .map((line) => ({
        ...{ name: `${name} over ${titleOf(line)}`, bound: 'at least', limit: 1 },
        got: ratioOf(ourLine(name, line, lines)?.samples ?? [], line.samples),
      })),
  )
}

function versions(): Record<string, string> {
  const peers = (name: string) =>
    new URL(`bench/peers/node_modules/@electric-sql/${name}/package.json`, repository)
  return packageVersions({
    pglite: new URL('node_modules/@electric-sql/pglite/package.json', repository),
    'pglite-socket': peers('pglite-socket'),
    'pglite of pglite-socket': peers('pglite'),
    'postgresql, pgbench': nativePostgresVersion() ?? 'none',
  })
}
