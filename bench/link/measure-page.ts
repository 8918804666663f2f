/** What measure.ts does in a process, for a page: `measure(name, eventsPerFrame, events)`. */
import type { ClientName } from './clients.js'
import { measureClient, type Times } from './measure-client.js'

Object.assign(globalThis, { measure })

async function measure(name: ClientName, eventsPerFrame: number, events: number): Promise<Times> {
  const response = await fetch('/link/core/kalam_core.wasm')
  return measureClient({
    ...{ name, eventsPerFrame, events },
    core: await WebAssembly.compileStreaming(response),
    clockMs: () => performance.now(),
  })
}
