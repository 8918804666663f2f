/**
 * The client core against a careful client in plain TypeScript, each in a process of its own, from
 * the bytes of a message to rows as values and their places. Both tell the same, which is checked.
 * Times are the processor's: a busy machine makes them little worse.
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
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
import { browserMissing, openBrowser, type Browser } from '../../tests/support/browsers/browser.js'
import { openSite } from '../../tests/support/browsers/site.js'
import type { ClientName } from './clients.js'
import type { Times } from './measure-client.js'
import type { Sample } from './measure.js'
import type { StartUp } from './start-up.js'

export const linkBench: Bench = {
  name: 'link',
  question:
    'What does the WebAssembly core cost or save, from bytes to rows in place: 10,000 rows, then ' +
    '100,000 changes? ratio: the plain client’s over the core’s; above 1 the core is better.',
  run: runLinkBench,
}

/** Who takes part where; all are compared with the core. */
const clients = {
  node: ['core', 'plain'],
  chromium: ['core', 'plain', 'text'],
} as const satisfies Record<string, readonly ClientName[]>

interface Line {
  readonly where: keyof typeof clients
  readonly eventsPerFrame: number
  readonly samples: ReadonlyMap<ClientName, readonly Times[]>
}

interface Runs {
  readonly frameSizes: readonly number[]
  readonly rounds: number
  readonly events: number
}

type Measure = (client: ClientName, eventsPerFrame: number, events: number) => Promise<Times>

async function runLinkBench(options: BenchOptions): Promise<BenchReport> {
  const { quick } = options
  const say = (line: string) => options.say(line)
  const frameSizes = quick ? [10] : [1, 10, 100, 500]
  const runs = { frameSizes, rounds: quick ? 3 : 5, events: quick ? 30_000 : 100_000 }
  const inNode = await measureLines('node', measureInProcess, runs, say)
  const missing = browserMissing('chromium')
  if (missing !== undefined) say(missing)
  const inChromium = missing === undefined ? await measureInChromium(runs, say) : undefined
  return {
    name: linkBench.name,
    machine: describeMachine(),
    versions: packageVersions({
      assemblyscript: new URL('../../../node_modules/assemblyscript/package.json', import.meta.url),
      ...(inChromium === undefined ? {} : { chromium: inChromium.version }),
    }),
    results: [
      ...[inNode, inChromium?.lines ?? []].flatMap((lines) => [
        ...lines.flatMap(eventLines),
        ...lines.filter(isUsual).flatMap(onceLines),
      ]),
      ...inNode.filter(isUsual).flatMap(heapLines),
      ...startLines(runs.rounds),
    ],
    budgets: [...budgetsOf('node', inNode), ...budgetsOf('chromium', inChromium?.lines ?? [])],
  }
}

async function measureLines(
  where: Line['where'],
  measure: Measure,
  { frameSizes, rounds, events }: Runs,
  say: BenchOptions['say'],
): Promise<Line[]> {
  const lines: Line[] = []
  for (const eventsPerFrame of frameSizes) {
    say(`${where}, ${eventsPerFrame} changes a frame`)
    const samples = new Map<ClientName, Times[]>(clients[where].map((client) => [client, []]))
    // They take turns, so that a slow minute of the machine hits all.
    for (let round = 0; round < rounds; round++)
      for (const [client, own] of samples) own.push(await measure(client, eventsPerFrame, events))
    checkEqual(samples)
    lines.push({ where, eventsPerFrame, samples })
  }
  return lines
}

const measureInProcess: Measure = (client, eventsPerFrame, events) => {
  // That is what it prints.
  const sample = runScript('measure.js', client, String(eventsPerFrame), String(events)) as Sample
  return Promise.resolve(sample)
}

async function measureInChromium(
  runs: Runs,
  say: BenchOptions['say'],
): Promise<{ readonly version: string; readonly lines: readonly Line[] }> {
  await using site = await openSite()
  await using browser: Browser = await openBrowser('chromium')
  const url = site.page({ module: 'dist/bench/link/measure-page.js', title: 'bench' })
  const measure: Measure = async (...args) => {
    // A page of its own for each, as in Node a process.
    await browser.open(url)
    const list = args.map((value) => JSON.stringify(value)).join(', ')
    // That is what it gives.
    return (await browser.evaluate(`measure(${list})`)) as Times
  }
  const version = browser.name.replace('Chromium ', '')
  return { version, lines: await measureLines('chromium', measure, runs, say) }
}

function runScript(name: string, ...args: readonly string[]): unknown {
  const script = fileURLToPath(new URL(name, import.meta.url))
  return JSON.parse(
    execFileSync(process.execPath, ['--expose-gc', script, ...args]).toString(),
  ) as unknown
}

function checkEqual(samples: Line['samples']): void {
  const sums = new Set([...samples.values()].flat().map(({ checksum }) => checksum))
  if (sums.size !== 1) throw new Error('the clients told different things')
}

type Figure = 'eventMicros' | 'readMs' | 'shownMs' | 'firstMs'

function samplesOf({ samples }: Line, client: ClientName): readonly Times[] {
  return samples.get(client) ?? []
}

function ratioOf(line: Line, client: ClientName, figure: Figure): number {
  const others = samplesOf(line, client)
  return median(
    samplesOf(line, 'core').map((own, round) => (others[round]?.[figure] ?? NaN) / own[figure]),
  )
}

function eventLines(line: Line): Measurement[] {
  return compare(line, `change, ${line.eventsPerFrame} a frame`, 'eventMicros')
}

/** What frames of changes have nothing to do with: from the line of 10 a frame. */
function isUsual({ eventsPerFrame }: Line): boolean {
  return eventsPerFrame === 10
}

function onceLines(line: Line): Measurement[] {
  return [
    ...compare(line, '10,000 rows, all read', 'readMs'),
    ...compare(line, '10,000 rows, 50 shown', 'shownMs'),
    ...compare(line, '10,000 rows, the client’s first, all read', 'firstMs'),
  ]
}

function compare(line: Line, name: string, figure: Figure): Measurement[] {
  const unit = figure.endsWith('Micros') ? 'µs' : 'ms'
  return clients[line.where].map((client) =>
    summarise({
      case: `${line.where}: ${name}, ${client}`,
      unit: line.where === 'node' ? `${unit} of processor` : unit,
      samples: samplesOf(line, client).map((sample) => sample[figure]),
      ratio: client === 'core' ? undefined : ratioOf(line, client, figure),
    }),
  )
}

function heapLines(line: Line): Measurement[] {
  return clients.node.map((client) =>
    summarise({
      case: `node: heap afterwards, ${client}`,
      unit: 'MiB',
      // Those of processes have it.
      samples: samplesOf(line, client).map((sample) => (sample as Sample).heapMiB),
    }),
  )
}

function startLines(rounds: number): Measurement[] {
  // That is what it prints.
  const samples = Array.from({ length: rounds }, () => runScript('start-up.js') as StartUp)
  return [
    summarise({
      ...{ case: 'node: compile the module', unit: 'ms' },
      samples: samples.map(({ compileMs }) => compileMs),
    }),
    summarise({
      ...{ case: 'node: make an instance', unit: 'ms' },
      samples: samples.map(({ instanceMs }) => instanceMs),
    }),
  ]
}

function budgetsOf(where: Line['where'], lines: readonly Line[]): Budget[] {
  const line = lines.find(isUsual)
  const atLeastEqual = (name: string, figure: Figure): Budget => ({
    name: `${where}: plain over core, ${name}`,
    bound: 'at least',
    limit: 1,
    got: line === undefined ? NaN : ratioOf(line, 'plain', figure),
  })
  return [
    atLeastEqual('10 changes a frame', 'eventMicros'),
    atLeastEqual('10,000 rows, all read', 'readMs'),
    atLeastEqual('10,000 rows, 50 shown', 'shownMs'),
  ]
}
