/**
 * One client in a process of its own, for what others leave on the heap slows who comes after:
 * node measure.js core|plain EVENTS_PER_FRAME EVENTS. Prints a Sample as JSON.
 */
import { readFileSync } from 'node:fs'
import type { ClientName } from './clients.js'
import { measureClient, type Times } from './measure-client.js'

export interface Sample extends Times {
  readonly heapMiB: number
}

const [, , name = 'core', eventsPerFrame = '10', events = '100000'] = process.argv
const bytes = readFileSync(new URL('../../../link/core/kalam_core.wasm', import.meta.url))
const heaps: number[] = []
const times = measureClient({
  // It was checked by who started this.
  name: name as ClientName,
  core: new WebAssembly.Module(bytes),
  eventsPerFrame: Number(eventsPerFrame),
  events: Number(events),
  clockMs: processorMs,
  onRest: () => {
    globalThis.gc?.()
    heaps.push(process.memoryUsage().heapUsed)
  },
})
const [before = NaN, after = NaN] = heaps
const sample: Sample = { ...times, heapMiB: (after - before) / 2 ** 20 }
process.stdout.write(JSON.stringify(sample))

/** All threads, the collector's too; what others do on the machine does not count. */
function processorMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}
