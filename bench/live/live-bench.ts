/**
 * One insert hits one of K live queries: what it takes until its client knows. Systems and numbers
 * of queries take turns in each round. Then what only KalamDB is asked: fan-out, catching up, memory.
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
import { kalamName, openContestants, type Contestant } from './contestants.js'
import type { LiveSample, Spread } from './live-process.js'
import type { Form } from './live-system.js'
import { measureSockets, type SocketSchedule } from './sockets-bench.js'

export const liveBench: Bench = {
  name: 'live',
  question:
    'How long until a client knows of a change, and how many live queries does a server carry? ' +
    'ratio: KalamDB’s inserts a second, end to end, over those of the line.',
  run: runLiveBench,
}

interface Schedule {
  readonly owners: number
  /** Numbers of live queries. */
  readonly levels: readonly number[]
  readonly rounds: number
  readonly oneMs: number
  readonly manyMs: number
  readonly warmUpMs: number
  readonly sockets: SocketSchedule
}

const fullSchedule: Schedule = {
  owners: 10_000,
  levels: [1, 100, 1_000, 10_000],
  rounds: 5,
  oneMs: 500,
  manyMs: 1_000,
  warmUpMs: 500,
  sockets: {
    owners: 10_000,
    fanOut: [1_000, 5_000],
    fanOutMs: 3_000,
    rounds: 5,
    missedChanges: 1_000,
    idleSockets: 5_000,
    liveQueries: 10_000,
  },
}

const quickSchedule: Schedule = {
  owners: 1_000,
  levels: [1, 1_000],
  rounds: 3,
  oneMs: 200,
  manyMs: 400,
  warmUpMs: 100,
  sockets: {
    owners: 1_000,
    fanOut: [1_000],
    fanOutMs: 1_000,
    rounds: 3,
    missedChanges: 1_000,
    idleSockets: 0,
    liveQueries: 0,
  },
}

/** Fewer than the rows of a window: else one insert could push out another before it is seen. */
const inFlight = 48

async function runLiveBench(options: BenchOptions): Promise<BenchReport> {
  const schedule = options.quick ? quickSchedule : fullSchedule
  const lines = await measureAll(schedule, options)
  const sockets = await measureSockets(schedule.sockets, options)
  return {
    name: liveBench.name,
    machine: describeMachine(),
    versions: versions(),
    results: [...lines.flatMap((line) => measurementsOf(line, lines)), ...sockets.results],
    budgets: [...budgetsOf(lines), ...sockets.budgets],
  }
}

interface Line {
  readonly contestant: Contestant
  readonly form: Form
  readonly queries: number
  readonly subscribeMs: number[]
  /** One insert at a time. */
  readonly one: LiveSample[]
  readonly many: LiveSample[]
  /** Of the server for one insert, `inFlight` at a time, in µs. */
  readonly processorUs: number[]
}

async function measureAll(schedule: Schedule, options: BenchOptions): Promise<readonly Line[]> {
  const { owners, rounds } = schedule
  const { profileFolder } = options
  const contestants = await openContestants({ owners, profileFolder }, options)
  try {
    let lines = linesOf(contestants, schedule)
    for (let round = 1; round <= rounds; round += 1) {
      options.say(`round ${round} of ${rounds}`)
      const failed = await takeTurns(lines, schedule, options)
      lines = lines.filter(({ contestant }) => !failed.has(contestant))
    }
    return lines
  } finally {
    for (const contestant of contestants) await contestant.close()
  }
}

function linesOf(contestants: readonly Contestant[], { levels }: Schedule): readonly Line[] {
  const forms: readonly Form[] = ['evaluated', 'follow']
  const empty = () => ({ subscribeMs: [], one: [], many: [], processorUs: [] })
  return forms.flatMap((form) =>
    levels.flatMap((queries) =>
      contestants
        .filter(({ forms, queriesMax }) => forms.includes(form) && queries <= queriesMax)
        .map((contestant): Line => ({ contestant, form, queries, ...empty() })),
    ),
  )
}

/** Returns the peers that failed, which is told; KalamDB fails the bench. */
async function takeTurns(
  lines: readonly Line[],
  schedule: Schedule,
  options: BenchOptions,
): Promise<ReadonlySet<Contestant>> {
  const failed = new Set<Contestant>()
  for (const line of lines) {
    const { contestant } = line
    if (failed.has(contestant)) continue
    try {
      await takeTurn(line, schedule)
    } catch (error) {
      if (contestant.name === kalamName) throw error
      failed.add(contestant)
      const reason = error instanceof Error ? error.message : 'unknown'
      options.say(`left out: ${contestant.name}: ${reason}`)
    }
  }
  return failed
}

async function takeTurn(line: Line, { warmUpMs, oneMs, manyMs }: Schedule): Promise<void> {
  const { contestant, form, queries, subscribeMs, one, many } = line
  const subscribed = await contestant.ask({ kind: 'subscribe', form, queries })
  if (subscribed.kind === 'subscribed') subscribeMs.push(subscribed.tookMs)
  await sample(contestant, inFlight, warmUpMs)
  one.push(await sample(contestant, 1, oneMs))
  const before = contestant.processorMs()
  const got = await sample(contestant, inFlight, manyMs)
  line.processorUs.push(((contestant.processorMs() - before) * 1000) / got.inserts)
  many.push(got)
  await contestant.ask({ kind: 'finish' })
}

async function sample(
  contestant: Contestant,
  inFlight: number,
  durationMs: number,
): Promise<LiveSample> {
  const got = await contestant.ask({ kind: 'sample', inFlight, durationMs })
  if (got.kind !== 'sample') throw new Error(`${contestant.name} gave no sample`)
  return got
}

function measurementsOf(line: Line, lines: readonly Line[]): readonly Measurement[] {
  const { contestant, form, queries, subscribeMs, one, many, processorUs } = line
  const isOurs = contestant.name === kalamName
  const title = `${queries} live queries, ${form}, ${contestant.name}`
  const of = (name: string, unit: string, samples: readonly number[], ratio?: number) =>
    summarise({ case: `${title}: ${name}`, unit, samples, ratio })
  const spread = (name: string, spreads: readonly Spread[]) => [
    of(
      name,
      'ms, p50',
      spreads.map(({ p50 }) => p50),
    ),
    of(
      name,
      'ms, p95',
      spreads.map(({ p95 }) => p95),
    ),
  ]
  const busy = `${inFlight} in flight`
  const ratio = isOurs ? undefined : ratioTo(line, lines)
  return [
    of('subscribe all', 'ms', subscribeMs),
    ...spread(
      'insert → event',
      one.map(({ eventMs }) => eventMs),
    ),
    ...spread(
      'commit → event',
      one.map(({ commitMs }) => commitMs),
    ),
    of(`inserts, ${busy}`, 'inserts/s', ratesOf(line), ratio),
    ...spread(
      `insert → event, ${busy}`,
      many.map(({ eventMs }) => eventMs),
    ),
    ...(isOurs ? [of(`an insert, ${busy}`, 'µs of server processor', processorUs)] : []),
  ]
}

function ratesOf({ many }: Line): readonly number[] {
  return many.map(({ insertsPerSecond }) => insertsPerSecond)
}

/** KalamDB over `line`, within each round. */
function ratioTo(line: Line, lines: readonly Line[]): number | undefined {
  const ours = lines.find(
    ({ contestant, form, queries }) =>
      contestant.name === kalamName && form === line.form && queries === line.queries,
  )
  if (ours === undefined) return undefined
  const rates = ratesOf(line)
  return median(ratesOf(ours).map((rate, round) => rate / (rates[round] ?? NaN)))
}

/** Issue 4. */
function budgetsOf(lines: readonly Line[]): readonly Budget[] {
  const ours = lines.filter(({ contestant }) => contestant.name === kalamName)
  const forms: readonly Form[] = ['evaluated', 'follow']
  return forms.flatMap((form): readonly Budget[] => {
    const at = (queries: number) =>
      ours.find((line) => line.form === form && line.queries === queries)
    const name = `1,000 live queries, ${form}`
    const [thousand, most] = [at(1_000), at(10_000)]
    const latency = (share: 'p50' | 'p95') =>
      median(thousand?.one.map(({ eventMs }) => eventMs[share]) ?? [])
    const rate = median(thousand === undefined ? [] : ratesOf(thousand))
    const flat =
      most &&
      median(
        ratesOf(most).map((of, round) => of / (thousand ? (ratesOf(thousand)[round] ?? NaN) : NaN)),
      )
    return [
      { name: `${name}: insert → event, ms, p50`, bound: 'at most', limit: 5, got: latency('p50') },
      {
        name: `${name}: insert → event, ms, p95`,
        bound: 'at most',
        limit: 20,
        got: latency('p95'),
      },
      { name: `${name}: inserts/s`, bound: 'at least', limit: 2_000, got: rate },
      {
        name: `${form}: inserts/s of 10,000 over 1,000`,
        bound: 'at least',
        limit: 0.8,
        got: flat ?? NaN,
      },
    ]
  })
}

function versions(): Record<string, string> {
  const manifest = (folder: string) => new URL(`${folder}/package.json`, repository)
  return packageVersions({
    kalamdb: manifest('.'),
    '@electric-sql/pglite': manifest('node_modules/@electric-sql/pglite'),
    'uWebSockets.js': manifest('node_modules/uWebSockets.js'),
    ws: manifest('node_modules/ws'),
    Zero: manifest('bench/peers/zero/node_modules/@rocicorp/zero'),
    'native PostgreSQL': nativePostgresVersion() ?? 'none',
  })
}
