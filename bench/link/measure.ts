/**
 * One client in a process of its own, for what others leave on the heap slows who comes after:
 * node measure.js core|plain EVENTS_PER_FRAME EVENTS. Prints a Sample as JSON.
 */
import { openClient, type ClientName } from './clients.js'
import { median } from '../result.js'
import { makeTraffic } from './traffic.js'

export interface Sample {
  /** A snapshot whose rows are all read, and one of which a page shows some. */
  readonly readMs: number
  readonly shownMs: number
  readonly eventMicros: number
  readonly heapMiB: number
  /** Equal for clients that told the same. */
  readonly checksum: number
}

const rows = 10_000
/** The first ones compile what runs. */
const warmUps = 2
/** Of these the second half counts. */
const loads = 20
const rowsShown = 50

const [, , name = 'core', eventsPerFrame = '10', events = '100000'] = process.argv
// The name was checked by who started this.
const clientName = name as ClientName
const traffic = makeTraffic({
  ...{ rows, events: Number(events), eventsPerFrame: Number(eventsPerFrame) },
})
for (let left = warmUps; left > 0; left--) run()
const sample: Sample = { ...run(), readMs: medianOf(readAll), shownMs: medianOf(showSome) }
process.stdout.write(JSON.stringify(sample))

function medianOf(load: () => void): number {
  const times = Array.from({ length: loads }, () => {
    const begin = processorMs()
    load()
    return processorMs() - begin
  })
  return median(times.slice(loads / 2))
}

function readAll(): void {
  const client = openClient(clientName, ignore)
  for (const frame of traffic.snapshot) client.snapshot(frame)
}

function showSome(): void {
  const client = openClient(clientName, ignore)
  for (const frame of traffic.snapshot) client.hold(frame)
  client.show(rowsShown)
}

function ignore(): void {
  // What is told was looked at before.
}

/** All threads, the collector's too; what others do on the machine does not count. */
function processorMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

function run(): Omit<Sample, 'readMs' | 'shownMs'> {
  globalThis.gc?.()
  const heapBefore = process.memoryUsage().heapUsed
  let checksum = 0
  const client = openClient(clientName, (from, to, row) => {
    checksum = (checksum * 31 + from * 7 + to + Number(row?.[0] ?? 0)) % 1_000_000_007
  })
  for (const frame of traffic.snapshot) client.snapshot(frame)
  client.ready()
  const loaded = processorMs()
  for (const frame of traffic.changes) client.changes(frame)
  const done = processorMs()
  globalThis.gc?.()
  return {
    eventMicros: ((done - loaded) * 1_000) / traffic.events,
    heapMiB: (process.memoryUsage().heapUsed - heapBefore) / 2 ** 20,
    checksum,
  }
}
