/** Who takes part in the `sql` bench, behind one shape: "run this case for so long". */
import type { BenchOptions } from '../result.js'
import type { LoadOrder } from '../load/http-load.js'
import type { Durability } from '../load/kalam-server.js'
import type { Sample } from '../load/sample.js'
import { WorkerProcess } from '../load/worker-process.js'
import type { EngineOrder } from './engine-loop.js'
import { openKalam, openNative, openPgliteSocket, type HttpSystem } from './systems.js'
import type { WorkloadName } from './workloads.js'

export interface Case {
  readonly workload: WorkloadName
  /** Requests in flight at any time. */
  readonly inFlight: number
}

export interface Contestant {
  readonly name: string
  readonly durability: Durability
  /** Reads do not depend on durability, so each system reads once. */
  readonly reads: boolean
  sample(task: Case, durationMs: number): Promise<Sample>
  close(): Promise<void>
}

export const kalamName = 'kalamdb'
export const engineName = 'bare engine loop'

export type Load = WorkerProcess<LoadOrder, Sample>

export function startLoad(): Load {
  return WorkerProcess.start(new URL('../load/http-load.js', import.meta.url))
}

/** Opens all at once: starting is slow and not measured. Those that cannot run are named and left out. */
export async function openContestants(
  load: Load,
  options: BenchOptions,
): Promise<readonly Contestant[]> {
  const { quick, profileFolder } = options
  const chosen = quick ? openers.slice(0, quickOpeners) : openers
  const opened = await Promise.all(chosen.map((open) => open(load, profileFolder)))
  for (const reason of opened) if (typeof reason === 'string') options.say(`skipped: ${reason}`)
  return opened.filter((contestant) => typeof contestant !== 'string')
}

/** A contestant, or why it is missing. */
type Opener = (load: Load, profileFolder: string | undefined) => Promise<Contestant | string>

/** With `--quick` only the first of them: what is durable, and the nearest peer. */
const quickOpeners = 4

const openers: readonly Opener[] = [
  async (load, profileFolder) => {
    const system = await openKalam({ durability: 'fsync', profileFolder })
    return overHttp(load, { name: kalamName, durability: 'fsync', reads: true, system })
  },
  () => openEngineLoop('fsync', true),
  async (load) => {
    const system = await openPgliteSocket()
    if (system === undefined) return 'pglite-socket could not be installed (bench/peers)'
    return overHttp(load, { name: 'pglite-socket + pg', durability: 'os', reads: true, system })
  },
  (load) => openNativeContestant(load, 'fsync', true),
  async (load) => {
    const system = await openKalam({ durability: 'os' })
    return overHttp(load, { name: kalamName, durability: 'os', reads: false, system })
  },
  () => openEngineLoop('os', false),
  (load) => openNativeContestant(load, 'os', false),
]

async function openNativeContestant(
  load: Load,
  durability: Durability,
  reads: boolean,
): Promise<Contestant | string> {
  const system = await openNative(durability)
  if (system === undefined) return 'no native PostgreSQL on this machine'
  return overHttp(load, { name: 'native PostgreSQL + pg', durability, reads, system })
}

interface HttpContestant {
  readonly name: string
  readonly durability: Durability
  readonly reads: boolean
  readonly system: HttpSystem
}

function overHttp(load: Load, { system, ...rest }: HttpContestant): Contestant {
  const { port, apiKey } = system
  return {
    ...rest,
    sample: (task, durationMs) => load.ask({ ...task, durationMs, port, apiKey }),
    close: () => system.close(),
  }
}

async function openEngineLoop(durability: Durability, reads: boolean): Promise<Contestant> {
  const script = new URL('engine-loop.js', import.meta.url)
  const engine = WorkerProcess.start<EngineOrder, Sample | undefined>(script)
  await engine.ask({ kind: 'open', durability })
  return {
    name: engineName,
    durability,
    reads,
    sample: async (task, durationMs) => {
      const sample = await engine.ask({ kind: 'run', ...task, durationMs })
      if (sample === undefined) throw new Error('the engine loop gave no sample')
      return sample
    },
    close: () => engine.close(),
  }
}
