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
import type { ClientName } from './clients.js'
import type { Sample } from './measure.js'
import type { StartUp } from './start-up.js'

export const linkBench: Bench = {
  name: 'link',
  question:
    'What does the WebAssembly core cost or save, from bytes to rows in place: 10,000 rows, then ' +
    '100,000 changes? ratio: the plain client’s over the core’s; above 1 the core is better.',
  run: runLinkBench,
}

const clients = ['core', 'plain'] as const satisfies readonly ClientName[]

interface Line {
  readonly eventsPerFrame: number
  readonly samples: Readonly<Record<ClientName, readonly Sample[]>>
}

function runLinkBench(options: BenchOptions): Promise<BenchReport> {
  const { quick } = options
  const frameSizes = quick ? [10] : [1, 10, 100, 500]
  const rounds = quick ? 3 : 5
  const events = quick ? 30_000 : 100_000
  const lines = frameSizes.map((eventsPerFrame): Line => {
    options.say(`${eventsPerFrame} changes a frame`)
    const samples: Record<ClientName, Sample[]> = { core: [], plain: [] }
    // They take turns, so that a slow minute of the machine hits both.
    for (let round = 0; round < rounds; round++)
      for (const client of clients) samples[client].push(measure(client, eventsPerFrame, events))
    checkEqual(samples)
    return { eventsPerFrame, samples }
  })
  return Promise.resolve({
    name: linkBench.name,
    machine: describeMachine(),
    versions: packageVersions({
      assemblyscript: new URL('../../../node_modules/assemblyscript/package.json', import.meta.url),
    }),
    results: [...lines.flatMap(eventLines), ...onceLines(lines), ...startLines(rounds)],
    budgets: budgetsOf(lines),
  })
}

function measure(client: ClientName, eventsPerFrame: number, events: number): Sample {
  // That is what it prints.
  return runScript('measure.js', client, String(eventsPerFrame), String(events)) as Sample
}

function runScript(name: string, ...args: readonly string[]): unknown {
  const script = fileURLToPath(new URL(name, import.meta.url))
  return JSON.parse(
    execFileSync(process.execPath, ['--expose-gc', script, ...args]).toString(),
  ) as unknown
}

function checkEqual(samples: Line['samples']): void {
  const sums = new Set([...samples.core, ...samples.plain].map(({ checksum }) => checksum))
  if (sums.size !== 1) throw new Error('the clients told different things')
}

type Figure = 'eventMicros' | 'readMs' | 'shownMs' | 'heapMiB'

function ratioOf({ samples }: Line, figure: Figure): number {
  return median(
    samples.core.map((sample, round) => (samples.plain[round]?.[figure] ?? NaN) / sample[figure]),
  )
}

function eventLines(line: Line): Measurement[] {
  return clients.map((client) =>
    summarise({
      case: `change, ${line.eventsPerFrame} a frame, ${client}`,
      unit: 'µs of processor',
      samples: line.samples[client].map(({ eventMicros }) => eventMicros),
      ratio: client === 'plain' ? ratioOf(line, 'eventMicros') : undefined,
    }),
  )
}

/** What frames of changes have nothing to do with: from the line of 10 a frame. */
function onceLines(lines: readonly Line[]): Measurement[] {
  const line = lineOf(lines)
  const summary = (name: string, client: ClientName, figure: keyof Sample) =>
    summarise({
      case: `${name}, ${client}`,
      unit: figure.endsWith('MiB') ? 'MiB' : 'ms of processor',
      samples: line.samples[client].map((sample) => sample[figure]),
    })
  const pairs = (name: string, figure: Figure) =>
    clients.map((client) => ({
      ...summary(name, client, figure),
      ...(client === 'plain' && figure !== 'heapMiB'
        ? { ratio: Number(ratioOf(line, figure).toFixed(3)) }
        : {}),
    }))
  return [
    ...pairs('10,000 rows, all read', 'readMs'),
    ...pairs('10,000 rows, 50 shown', 'shownMs'),
    ...pairs('heap afterwards', 'heapMiB'),
  ]
}

function startLines(rounds: number): Measurement[] {
  // That is what it prints.
  const samples = Array.from({ length: rounds }, () => runScript('start-up.js') as StartUp)
  return [
    summarise({
      ...{ case: 'compile the module', unit: 'ms' },
      samples: samples.map(({ compileMs }) => compileMs),
    }),
    summarise({
      ...{ case: 'make an instance', unit: 'ms' },
      samples: samples.map(({ instanceMs }) => instanceMs),
    }),
  ]
}

function lineOf(lines: readonly Line[]): Line {
  const line = lines.find(({ eventsPerFrame }) => eventsPerFrame === 10)
  if (line === undefined) throw new Error('assertion failed: 10 a frame is always measured')
  return line
}

function budgetsOf(lines: readonly Line[]): Budget[] {
  const line = lineOf(lines)
  return [
    {
      name: 'plain over core, 10 changes a frame',
      bound: 'at least',
      limit: 1,
      got: ratioOf(line, 'eventMicros'),
    },
    {
      name: 'plain over core, 10,000 rows, all read',
      bound: 'at least',
      limit: 1,
      got: ratioOf(line, 'readMs'),
    },
    {
      name: 'plain over core, 10,000 rows, 50 shown',
      bound: 'at least',
      limit: 1,
      got: ratioOf(line, 'shownMs'),
    },
  ]
}
