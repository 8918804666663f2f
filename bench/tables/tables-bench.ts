/**
 * The same statements on plain and on managed tables of one server. The kinds take turns in each
 * round; ratios are medians of ratios within rounds.
 */
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
import { createUser, repository, startKalam, type KalamServer } from '../load/kalam-server.js'
import type { Sample } from '../load/sample.js'
import { WorkerProcess } from '../load/worker-process.js'
import {
  createStatements,
  kinds,
  works,
  type Case,
  type Kind,
  type Scene,
  type StatementRows,
} from './scenes.js'
import type { TablesOrder } from './tables-load.js'

export const tablesBench: Bench = {
  name: 'tables',
  question:
    'What do USER and SHARED tables cost, that keep deleted rows and log every change? ' +
    'ratio: rate over that of the same statement on a plain table, over HTTP, 64 in flight; of ' +
    'processor time the inverse, so that less than 1 is dearer in both.',
  run: runTablesBench,
}

interface Schedule {
  readonly cases: readonly Case[]
  readonly rounds: number
  readonly sampleMs: number
  readonly warmUpMs: number
}

const fullSchedule: Schedule = {
  cases: [
    ...casesOf({ rows: 100_000, users: 1, deletedPercent: 0 }, [1, 100]),
    ...casesOf({ rows: 100_000, users: 1, deletedPercent: 10 }, [1, 100]),
    ...casesOf({ rows: 100_000, users: 1, deletedPercent: 90 }, [1, 100]),
    ...casesOf({ rows: 100_000, users: 1_000, deletedPercent: 0 }, [1, 100]),
  ],
  rounds: 5,
  sampleMs: 600,
  warmUpMs: 400,
}

const quickSchedule: Schedule = {
  cases: casesOf({ rows: 20_000, users: 1, deletedPercent: 10 }, [1, 100]),
  rounds: 3,
  sampleMs: 250,
  warmUpMs: 200,
}

function casesOf(scene: Scene, sizes: readonly StatementRows[]): readonly Case[] {
  return sizes.flatMap((statementRows) =>
    works.map((work): Case => ({ scene, work, statementRows })),
  )
}

type Load = WorkerProcess<TablesOrder, Sample | undefined>

async function runTablesBench(options: BenchOptions): Promise<BenchReport> {
  const schedule = options.quick ? quickSchedule : fullSchedule
  const { profileFolder } = options
  const server = await startKalam({ durability: 'fsync', profileFolder })
  const load: Load = WorkerProcess.start(new URL('tables-load.js', import.meta.url))
  try {
    await prepare(server, load, schedule)
    const lines = await measure({ server, load }, schedule, options)
    return {
      name: tablesBench.name,
      machine: describeMachine(),
      versions: versions(),
      results: lines.flatMap((line) => measurementsOf(line, lines)),
      budgets: budgetsOf(lines),
    }
  } finally {
    await load.close()
    await server.close()
  }
}

async function prepare(server: KalamServer, load: Load, { cases }: Schedule): Promise<void> {
  const scenes = [...new Set(cases.map(({ scene }) => scene))]
  const apiKeys: string[] = []
  const users = Math.max(...scenes.map((scene) => scene.users))
  while (apiKeys.length < users) apiKeys.push(await createUser(server, `bench${apiKeys.length}`))
  await load.ask({ kind: 'open', port: server.port, apiKeys })
  for (const scene of scenes)
    for (const kind of kinds) {
      for (const sql of createStatements(kind, scene)) await server.ask(sql)
      await load.ask({ kind: 'fill', table: kind, scene })
    }
}

interface Line {
  readonly task: Case
  readonly kind: Kind
  readonly rates: number[]
  /** Processor time of the server for one statement, in µs: it does not mind a busy machine. */
  readonly processorUs: number[]
}

interface Bed {
  readonly server: KalamServer
  readonly load: Load
}

async function measure(
  bed: Bed,
  { cases, rounds, sampleMs, warmUpMs }: Schedule,
  options: BenchOptions,
): Promise<readonly Line[]> {
  const lines = cases.flatMap((task) =>
    kinds.map((kind): Line => ({ task, kind, rates: [], processorUs: [] })),
  )
  for (const line of lines) await sample(bed, line, warmUpMs)
  for (let round = 1; round <= rounds; round += 1) {
    options.say(`round ${round} of ${rounds}`)
    for (const line of lines) {
      const { rate, processorUs } = await sample(bed, line, sampleMs)
      line.rates.push(rate)
      line.processorUs.push(processorUs)
    }
  }
  return lines
}

interface Rate {
  readonly rate: number
  readonly processorUs: number
}

async function sample({ server, load }: Bed, line: Line, durationMs: number): Promise<Rate> {
  const { task, kind: table } = line
  if (task.work === 'soft delete') await load.ask({ kind: 'make deletable', table, task })
  const before = server.processorMs()
  const got = await load.ask({ kind: 'sample', table, task, durationMs })
  if (got === undefined) throw new Error('the load gave no sample')
  const { operations, operationsPerSecond: rate } = got
  return { rate, processorUs: ((server.processorMs() - before) * 1000) / operations }
}

function measurementsOf(line: Line, lines: readonly Line[]): readonly Measurement[] {
  const { task, kind, rates, processorUs } = line
  const { users, deletedPercent } = task.scene
  const rows = task.statementRows === 1 ? '1 row' : `${task.statementRows} rows`
  const state = `${deletedPercent} % deleted, ${users === 1 ? '1 user' : `${users} users`}`
  const title = `${task.work}, ${rows}, ${state}, ${kind}`
  const plain = lines.find((other) => other.task === task && other.kind === 'plain')
  const isPlain = line === plain
  return [
    summarise({
      case: title,
      unit: 'statements/s',
      samples: rates,
      ratio: isPlain ? undefined : ratioOf(rates, plain?.rates),
    }),
    summarise({
      case: title,
      unit: 'µs of processor',
      samples: processorUs,
      ratio: isPlain ? undefined : ratioOf(plain?.processorUs ?? [], processorUs),
    }),
  ]
}

/** The rate of `line` over that on the plain table, within each round. */
function ratioTo({ task, rates }: Line, lines: readonly Line[]): number {
  const plain = lines.find((other) => other.task === task && other.kind === 'plain')
  return ratioOf(rates, plain?.rates)
}

function ratioOf(over: readonly number[], under: readonly number[] = []): number {
  return median(over.map((value, round) => value / (under[round] ?? NaN)))
}

/** Design, section 10: writes of one row, in the worst of the scenes. */
function budgetsOf(lines: readonly Line[]): readonly Budget[] {
  const managed = kinds.filter((kind) => kind !== 'plain')
  const writes = works.filter((work) => work !== 'select')
  return managed.flatMap((kind) =>
    writes.map((work): Budget => {
      const own = lines.filter(
        ({ task, ...line }) => line.kind === kind && task.work === work && task.statementRows === 1,
      )
      const got = Math.min(...own.map((line) => ratioTo(line, lines)))
      return {
        name: `${work} on a ${kind} table over plain, worst`,
        bound: 'at least',
        limit: 0.6,
        got,
      }
    }),
  )
}

function versions(): Record<string, string> {
  const manifest = (folder: string) => new URL(`${folder}/package.json`, repository)
  return packageVersions({
    kalamdb: manifest('.'),
    '@electric-sql/pglite': manifest('node_modules/@electric-sql/pglite'),
  })
}
