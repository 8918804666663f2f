/** Builds the rooms in order, each on those before it, and stops them in reverse. */
import { randomBytes } from 'node:crypto'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { Callers } from './access/callers.js'
import { openLocalToken, removeLocalToken, type LocalToken } from './access/local-token.js'
import { bootstrapKey } from './catalog/bootstrap-key.js'
import { migrate } from './catalog/migrate.js'
import { renewLog } from './catalog/renew-log.js'
import { Retention } from './catalog/retention.js'
import { writeSettings } from './catalog/settings-table.js'
import { TableShapeStore } from './catalog/table-shapes.js'
import { Users } from './catalog/users.js'
import { ChangeLog } from './changes/change-log.js'
import { describeConfig } from './config/describe-config.js'
import type { LoadedConfig } from './config/load-config.js'
import type { Config } from './config/settings.js'
import { ColumnTypes } from './database/column-types.js'
import { StatementComposer } from './database/compose-statement.js'
import type { Adapter, AdapterParts } from './database/adapter.js'
import type { Database } from './database/database.js'
import { createDatabase } from './database/open-database.js'
import { liveRunner } from './database/live-requests.js'
import type { PostRoute } from './database/post-route.js'
import { Spools } from './database/spool.js'
import { createStatementLog } from './database/statement-log.js'
import type { RunnerRooms } from './database/statement-runner.js'
import { openDialect, type Dialect } from './dialect/open-dialect.js'
import { openEngine } from './engine/open-engine.js'
import type { PGliteEngine } from './engine/pglite/pglite-engine.js'
import { Queries, type QueryRunner } from './engine/queries.js'
import { Statements } from './engine/statements.js'
import { startUpkeep } from './engine/upkeep.js'
import { openHttp, type HttpServer } from './http/open-http.js'
import { LiveQueries } from './live/live-queries.js'
import { TableCatalog } from './live/table-catalog.js'
import { createLog, type Log } from './telemetry/log.js'
import { createMetrics, type Metrics } from './telemetry/metrics.js'

export interface ServerOptions {
  readonly loaded: LoadedConfig
  readonly version: string
  readonly log?: Log
  /** Doors beside HTTP; each opens if its settings say so. */
  readonly adapters?: readonly Adapter[]
  /** Where the CLI looks for the local token; else the user's home. */
  readonly home?: string
  /** Tests only: a module that exports `disk`, in place of the real one. */
  readonly diskModule?: string
}

export interface Server {
  /** `http://127.0.0.1:2900`; https with TLS. */
  readonly url: string
  readonly port: number
  /** Where the adapters listen that are open: `postgres://127.0.0.1:5433/kalamdb`. */
  readonly adapterAddresses: readonly string[]
  /** False if no key has been made yet. */
  readonly hasKeys: boolean
  /** What the doors call, for code that embeds the server. */
  readonly database: Database
  /** Lets running requests end, makes everything durable, frees the data folder. Safe twice. */
  close(): Promise<void>
}

/** Errors: CONFIG_INVALID, DATA_FOLDER, UNAVAILABLE. What was opened before an error is closed. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const closers: (() => Promise<void>)[] = []
  let closing: Promise<void> | undefined
  const closeAll = (): Promise<void> => (closing ??= closeInReverse(closers))
  try {
    return await start(options, closers, closeAll)
  } catch (cause) {
    await closeAll()
    throw cause
  }
}

/** One that fails keeps none of the others open: the engine, last, makes everything durable. */
async function closeInReverse(closers: readonly (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = []
  for (const close of [...closers].reverse())
    await close().catch((cause: unknown) => failures.push(cause))
  if (failures.length > 0) throw new AggregateError(failures, 'the server did not stop cleanly')
}

async function start(
  options: ServerOptions,
  closers: (() => Promise<void>)[],
  closeAll: () => Promise<void>,
): Promise<Server> {
  const { config } = options.loaded
  const log = options.log ?? createLog(config.log)
  const metrics = createMetrics()
  const engine = await openEngine({ config, log, metrics, diskModule: options.diskModule })
  closers.push(() => engine.close())
  metrics.watchQueue(() => engine.counters.pending)

  const queries = new Queries(engine)
  await migrate(queries)
  if (engine.mayHaveLostTail) await forgetLostTail(queries, engine, log)
  await createExtensions(queries, config)
  await writeSettings(queries, describeConfig(options.loaded))
  const users = new Users(queries, { random: randomBytes, now: Date.now })
  await bootstrap(queries, config, log)
  const token = await localToken(config)
  if (token !== undefined) closers.push(() => token.close())

  const { inBackground } = queries
  const retention = new Retention(inBackground, {
    deletedHours: config.tables.deleted_retention_hours,
    changesHours: config.changes.retention_hours,
    changesBytes: config.changes.retention_bytes,
  })
  const upkeep = startUpkeep({
    ...{ queries: inBackground, log, metrics, settings: config.engine },
    tasks: [() => forgetOldOutcomes(inBackground, config, metrics), () => retention.runOnce()],
  })
  closers.push(() => upkeep.close())
  const database = await buildDatabase({ config, engine, queries, users, token, log, metrics })
  const { http, adapterAddresses } = await openDoors(
    { config, database, log, metrics, version: options.version },
    options.adapters ?? [],
    closers,
  )
  await announce(token, options.home ?? homedir(), http.port, log)
  return {
    url: urlOf(config, http.port),
    port: http.port,
    adapterAddresses,
    hasKeys: await hasKeys(queries),
    database,
    close: closeAll,
  }
}

/**
 * They close together: what runs behind any of them has the same time to end,
 * `server.shutdown_timeout_ms`.
 */
async function openDoors(
  parts: Omit<AdapterParts, 'servePost'>,
  adapters: readonly Adapter[],
  closers: (() => Promise<void>)[],
): Promise<{ readonly http: HttpServer; readonly adapterAddresses: readonly string[] }> {
  const doors: { close(): Promise<void> }[] = []
  closers.push(async () => {
    parts.database.close()
    await closeTogether(doors)
  })
  const postRoutes = new Map<string, PostRoute>()
  const servePost = (route: PostRoute): void => void postRoutes.set(route.path, route)
  const adapterAddresses: string[] = []
  for (const adapter of adapters) {
    const open = await adapter({ ...parts, servePost })
    if (open === undefined) continue
    doors.push(open)
    adapterAddresses.push(open.address)
  }
  // Last: what the adapters serve on its port is there from its first request on.
  const http = await openHttp({ ...parts, postRoutes })
  doors.push(http)
  return { http, adapterAddresses }
}

async function closeTogether(doors: readonly { close(): Promise<void> }[]): Promise<void> {
  const outcomes = await Promise.allSettled(doors.map((door) => door.close()))
  const failures = outcomes.flatMap((outcome): unknown[] =>
    outcome.status === 'rejected' ? [outcome.reason] : [],
  )
  if (failures.length > 0) throw new AggregateError(failures, 'a door did not close cleanly')
}

/** The order matters: if the machine ends between the two it is done again. */
async function forgetLostTail(queries: Queries, engine: PGliteEngine, log: Log): Promise<void> {
  await renewLog(queries)
  await engine.acceptLostTail()
  log.warn(
    'the machine was started anew without the server having been stopped: writes may be lost',
    {
      durability: 'os',
    },
  )
}

async function buildDatabase(parts: {
  readonly config: Config
  readonly engine: PGliteEngine
  readonly queries: Queries
  readonly users: Users
  readonly token: LocalToken | undefined
  readonly log: Log
  readonly metrics: Metrics
}): Promise<Database> {
  const { config, engine, queries, users, token, log, metrics } = parts
  const statements = new Statements(engine, {
    preparedMax: config.engine.plan_cache_entries,
    preparedTextMax,
    namePrefix: 'kalam_caller_',
  })
  const columnTypes = new ColumnTypes()
  const dialect = await openDialect({
    statementsMax: config.http.statements_max,
    cachedTextsMax: config.sql.parse_cache_entries,
    cachedCharactersMax: Math.floor(config.sql.parse_cache_bytes / bytesPerCharacter),
  })
  const tables = new TableShapeStore(queries)
  const catalog = new TableCatalog(queries)
  const changes = new ChangeLog(queries, {
    rowsMax: config.live.read_changes_max,
    bytes: config.live.read_bytes,
  })
  const live = openLive({
    ...{ config, engine, queries, statements, columnTypes, dialect, log, metrics },
    ...{ catalog, changes },
  })
  metrics.watchLive(() => live.figures)
  const rooms: RunnerRooms = {
    ...{ engine, queries, statements, columnTypes, users, tables, live, catalog },
    log: changes,
    composer: new StatementComposer(dialect),
    everythingRoleOid: await roleOid(queries, 'kalam_everything'),
    schemaChanged: () => {
      statements.forget()
      columnTypes.forget()
      tables.forget()
    },
  }
  return createDatabase({
    ...{ rooms, dialect },
    callers: new Callers(users, {
      now: Date.now,
      keysMax: config.auth.key_cache_entries,
      requestsPerSecond: config.limits.requests_per_second_per_key,
      burstRequests: config.limits.burst_requests_per_key,
      localToken: token,
      onKeyRefused: metrics.authenticationFailed,
      onRateLimited: metrics.rateLimited,
    }),
    settings: {
      statementTimeoutMs: config.engine.statement_timeout_ms,
      leaseWaitMs: config.engine.lease_wait_ms,
      adminLeaseMs: config.engine.admin_transaction_timeout_ms,
      resultBytesMax: config.http.result_bytes_max,
      streamPieceRows: config.http.stream_piece_rows,
      streamPieceBytes: config.http.stream_piece_bytes,
      streamIdleTimeoutMs: config.http.stream_idle_timeout_ms,
      idempotencyBytesMax: config.http.idempotency_bytes_max,
      copyBytesMax: config.http.copy_body_bytes_max,
      notifiedBytesMax: config.postgres_wire.notified_bytes_max,
      channelsMax: config.postgres_wire.channels_max,
      statementsBytesMax: config.postgres_wire.statements_bytes_max,
    },
    spools: new Spools({
      folder: join(config.server.data_dir, 'spool'),
      diskBytesMax: config.http.copy_spool_bytes_max,
    }),
    log: createStatementLog({ log, metrics, slowMs: config.log.slow_statement_ms }),
  })
}

async function roleOid(queries: Queries, name: string): Promise<number> {
  const { rows } = await queries.query('select oid from pg_roles where rolname = $1', [name])
  return Number(rows[0]?.[0])
}

function openLive(parts: {
  readonly config: Config
  readonly engine: PGliteEngine
  readonly queries: Queries
  readonly statements: Statements
  readonly columnTypes: ColumnTypes
  readonly dialect: Dialect
  readonly catalog: TableCatalog
  readonly changes: ChangeLog
  readonly log: Log
  readonly metrics: Metrics
}): LiveQueries {
  const { config, engine, dialect, catalog, log, metrics } = parts
  const { live } = config
  return new LiveQueries({
    ...{ metrics, engine, catalog, log: parts.changes },
    runner: liveRunner({
      ...parts,
      timeoutMs: config.engine.statement_timeout_ms,
      waitMs: config.engine.lease_wait_ms,
    }),
    analyse: (sql) => dialect.analyseLive(sql),
    settings: {
      queriesMax: live.queries_max,
      queriesPerUserMax: live.queries_per_user_max,
      evaluationsAtOnce: live.evaluations_at_once,
      evaluationSharePercent: live.evaluation_share_percent,
      resultBytesMax: live.result_bytes_max,
      pieceBytes: live.piece_bytes,
      heldChangesMax: live.held_changes_max,
    },
    newId: () => randomBytes(liveIdBytes).toString('hex'),
    now: Date.now,
    clock: () => performance.now(),
    pause,
    onBug: (cause) => log.error('a live query failed', { cause: String(cause) }),
  })
}

const liveIdBytes = 8

/** Keeps no process alive. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}

/** Longer statements carry data: they come once. In UTF-16 units. */
const preparedTextMax = 16_384
/** V8 keeps text in one or two bytes a character. */
const bytesPerCharacter = 2

async function createExtensions(queries: Queries, config: Config): Promise<void> {
  for (const name of config.engine.extensions)
    await queries.query(`create extension if not exists "${name}" with schema public cascade`)
}

async function bootstrap(queries: Queries, config: Config, log: Log): Promise<void> {
  const { bootstrap_user: name, bootstrap_apikey: apikey } = config.auth
  const result = await bootstrapKey(queries, { name, apikey, now: Date.now })
  if (result === 'revoked')
    log.warn('auth.bootstrap_apikey was revoked since and stays so', { user: name })
}

async function localToken(config: Config): Promise<LocalToken | undefined> {
  const dataDir = config.server.data_dir
  if (config.auth.allow_localhost) return openLocalToken({ dataDir, random: randomBytes })
  await removeLocalToken(dataDir)
  return undefined
}

/** Without a home that can be written the CLI finds the token by the data folder alone. */
async function announce(
  token: LocalToken | undefined,
  home: string,
  port: number,
  log: Log,
): Promise<void> {
  try {
    await token?.announce({ home, port })
  } catch (cause) {
    log.info('the home cannot be written: kalam finds its token by KALAMDB_SERVER_DATA_DIR alone', {
      cause: String(cause),
    })
  }
}

async function forgetOldOutcomes(
  queries: QueryRunner,
  config: Config,
  metrics: Metrics,
): Promise<void> {
  await queries.query(
    'delete from kalam.idempotency where created_at < now() - make_interval(hours => $1::int)',
    [String(config.http.idempotency_retention_hours)],
  )
  metrics.upkeep('idempotency')
}

async function hasKeys(queries: Queries): Promise<boolean> {
  const { rows } = await queries.query(
    'select 1 from kalam.apikeys where revoked_at is null limit 1',
  )
  return rows.length > 0
}

function urlOf({ server }: Config, port: number): string {
  const host = server.host.includes(':') ? `[${server.host}]` : server.host
  return `${server.tls_cert === '' ? 'http' : 'https'}://${host}:${port}`
}
