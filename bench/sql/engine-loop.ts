/**
 * The engine driven directly: one process, the engine's port, prepared statements, an ordinary
 * role, durable acknowledgements; no HTTP, no JSON, no keys. What KalamDB's doors could at best
 * reach. Run as a process.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../src/config/load-config.js'
import type { Identity, Unit } from '../../src/engine/engine.js'
import { MessageWriter } from '../../src/engine/frontend-messages.js'
import { openEngine as openConfiguredEngine } from '../../src/engine/open-engine.js'
import type { PGliteEngine } from '../../src/engine/pglite/pglite-engine.js'
import { Queries } from '../../src/engine/queries.js'
import { createLog } from '../../src/telemetry/log.js'
import { createMetrics } from '../../src/telemetry/metrics.js'
import type { Durability } from '../load/kalam-server.js'
import { anyIdUpTo, runLoop, type Operation, type Sample } from '../load/sample.js'
import { serveOrders } from '../load/worker-process.js'
import { setupStatements, workloadNames, workloads, type WorkloadName } from './workloads.js'

export type EngineOrder =
  | { readonly kind: 'open'; readonly durability: Durability }
  | {
      readonly kind: 'run'
      readonly workload: WorkloadName
      readonly inFlight: number
      readonly durationMs: number
    }

interface OpenEngine {
  readonly engine: PGliteEngine
  readonly identity: Identity
}

const folder = mkdtempSync(join(tmpdir(), 'kalamdb-bench-engine-'))
let opened: OpenEngine | undefined

serveOrders(answer, async () => {
  await opened?.engine.close()
  rmSync(folder, { recursive: true, force: true })
})

async function answer(order: EngineOrder): Promise<Sample | undefined> {
  if (order.kind === 'open') {
    opened = await openEngine(order.durability)
    return undefined
  }
  if (opened === undefined) throw new Error('the engine is not open')
  const lane = laneOf(opened, order.workload)
  const lanes = Array.from({ length: order.inFlight }, () => lane)
  return runLoop({ ...order, lanes, nextId: anyIdUpTo(workloads[order.workload].idMax) })
}

/** With the server's defaults, apart from what is measured. */
async function openEngine(durability: Durability): Promise<OpenEngine> {
  const values = { 'engine.durability': durability, 'log.level': 'warn' }
  const settings = { ...values, 'server.data_dir': join(folder, 'data') }
  const flags = Object.entries(settings).map(([key, value]) => ({ flag: '--set', key, value }))
  const { config } = loadConfig({ env: {}, flags })
  const engine = await openConfiguredEngine({
    config,
    log: createLog(config.log, process.stderr),
    metrics: createMetrics(),
    diskModule: undefined,
  })
  const queries = new Queries(engine)
  for (const sql of [...setupStatements, ...roleStatements]) await queries.query(sql)
  const { rows } = await queries.query("SELECT 'bench'::regrole::oid")
  const identity = { roleOid: Number(rows[0]?.[0]), userId: 'bench', readOnly: false }
  for (const name of workloadNames) await prepare(engine, identity, name)
  return { engine, identity }
}

const roleStatements: readonly string[] = [
  'CREATE ROLE bench',
  'GRANT SELECT, UPDATE ON public.todo TO bench',
  'GRANT INSERT ON public.entry TO bench',
]

async function prepare(
  engine: PGliteEngine,
  identity: Identity,
  name: WorkloadName,
): Promise<void> {
  const bytes = new MessageWriter().parse(name, workloads[name].sql).sync().finish()
  await engine.run(unitOf(identity, bytes))
}

function laneOf({ engine, identity }: OpenEngine, name: WorkloadName): Operation {
  const workload = workloads[name]
  return (id, done) => {
    const values = workload.parameters(id).map(String)
    const bytes = new MessageWriter().bind(name, values).execute().sync().finish()
    engine.run(unitOf(identity, bytes)).then((reply) => {
      const text = Buffer.from(reply.buffer, reply.byteOffset, reply.byteLength).toString('latin1')
      done(workload.isRightReply(text, id) ? undefined : new Error(`wrong: ${text.slice(0, 300)}`))
    }, done)
  }
}

function unitOf(identity: Identity, bytes: Uint8Array): Unit {
  return { bytes, identity, ...bounds }
}

const bounds = {
  searchPath: 'public',
  timeoutMs: 30_000,
  waitMs: 10_000,
  replyBytesMax: 64 * 2 ** 20,
} as const
