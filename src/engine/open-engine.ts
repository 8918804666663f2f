import type { Config } from '../config/settings.js'
import { DbError } from '../errors.js'
import type { Log } from '../telemetry/log.js'
import { availableExtensions } from './pglite/extension-names.js'
import { openPGliteEngine, type EngineMetrics, type PGliteEngine } from './pglite/pglite-engine.js'

export interface OpenEngineOptions {
  readonly config: Config
  readonly log: Log
  readonly metrics: EngineMetrics
  /** Tests only: a module that exports `disk`, in place of the real one. */
  readonly diskModule?: string | undefined
}

/** The engine that the configuration asks for. Errors: CONFIG_INVALID, DATA_FOLDER, UNAVAILABLE. */
export async function openEngine(options: OpenEngineOptions): Promise<PGliteEngine> {
  const { server, engine } = options.config
  checkExtensions(engine.extensions)
  checkMemory(engine)
  return openPGliteEngine({
    folder: server.data_dir,
    durable: engine.durability === 'fsync',
    sharedBuffersBytes: engine.shared_buffers_bytes,
    // PostgreSQL's own bound is of what it keeps; the worker checkpoints well before it.
    walBytesMax: engine.checkpoint_wal_bytes * 2,
    checkpointWalBytes: engine.checkpoint_wal_bytes,
    temporaryBytesMax: engine.temporary_bytes_max,
    memoryBytesMax: engine.memory_bytes_max,
    sessionBytesMax: engine.session_bytes_max,
    sessionsBytesMax: engine.sessions_bytes_max,
    stackMb: engine.stack_mb,
    busyPollMs: engine.busy_poll_us / 1000,
    startTimeoutMs: engine.start_timeout_ms,
    extensions: engine.extensions,
    queueMax: engine.queue_max,
    transactionTimeoutMs: engine.transaction_timeout_ms,
    idleTransactionTimeoutMs: engine.idle_transaction_timeout_ms,
    cancelGraceMs: engine.cancel_grace_ms,
    restartsMax: engine.restarts_max,
    restartWindowMs: engine.restart_window_ms,
    log: options.log,
    metrics: options.metrics,
    diskModule: options.diskModule,
  })
}

function checkExtensions(names: readonly string[]): void {
  const unknown = names.filter((name) => !(name in availableExtensions))
  if (unknown.length === 0) return
  throw new DbError(
    'CONFIG_INVALID',
    `engine.extensions: ${unknown.join(', ')} cannot be loaded; there are ${Object.keys(availableExtensions).join(', ')}`,
  )
}

/** Of PostgreSQL's memory, what must be there for statements beside all that has a bound of its own. */
const statementsBytesMin = 96 * 1024 * 1024

/** Limits that are tied to each other: what lasts must leave statements some room. */
function checkMemory(engine: Config['engine']): void {
  const lasting = engine.shared_buffers_bytes + engine.sessions_bytes_max
  const needed = lasting + statementsBytesMin
  if (engine.memory_bytes_max >= needed) return
  throw new DbError(
    'CONFIG_INVALID',
    `engine.memory_bytes_max is ${engine.memory_bytes_max}: with engine.shared_buffers_bytes and engine.sessions_bytes_max as they are it must be ${needed} at least`,
  )
}
