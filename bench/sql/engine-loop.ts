/**
 * The engine driven directly: one process, the engine's port, prepared statements, no HTTP, no
 * JSON, no access checks. What KalamDB's doors can at best reach.
 */
import { serveOrders } from '../load/worker-process.js'
import type { Durability } from './systems.js'
import type { WorkloadName } from './workloads.js'

export type EngineOrder =
  | { readonly kind: 'open'; readonly durability: Durability }
  | {
      readonly kind: 'run'
      readonly workload: WorkloadName
      readonly inFlight: number
      readonly durationMs: number
    }

serveOrders(
  (order: EngineOrder) => Promise.reject(new Error(`no engine yet for ${order.kind}`)),
  () => Promise.resolve(),
)
