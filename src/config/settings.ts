/**
 * Every setting of the server, once. config.toml, the environment variables, the bounds, the
 * types and docs/settings.md are all made from this table. Times are ms and sizes bytes unless the
 * name says otherwise.
 */
import { boolean, choice, integer, list, text, type Setting } from './setting.js'

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB
const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

export const sections = {
  server: {
    description: 'Where the server listens and keeps its data.',
    settings: {
      host: text({
        default: '127.0.0.1',
        pattern: /^[^\s/]+$/u,
        expects: 'an address or a host name',
        description: 'Address to listen on; `0.0.0.0` for all.',
      }),
      port: integer({
        default: 2900,
        min: 0,
        max: 65_535,
        description: 'TCP port to listen on; 0 takes a free one.',
      }),
      data_dir: text({
        default: './data/kalamdb',
        pattern: /^[^\0\r\n]+$/u,
        expects: 'the path of a folder',
        description: 'Folder that holds the database. One server at a time can open it.',
      }),
      tls_cert: text({
        default: '',
        description:
          'File with the certificate chain (PEM). Together with `tls_key` it turns on TLS.',
      }),
      tls_key: text({
        default: '',
        description: 'File with the private key (PEM) of `tls_cert`.',
      }),
      shutdown_timeout_ms: integer({
        default: 8_000,
        min: 0,
        max: 10 * minuteMs,
        unit: 'ms',
        description:
          'How long running requests may take to finish once the server is told to stop; ' +
          'less than the 10 s after which Docker kills it.',
      }),
    },
  },
  engine: {
    description: 'The SQL engine.',
    settings: {
      kind: choice({
        default: 'pglite',
        choices: ['pglite'],
        description: 'Which PostgreSQL serves: `pglite`, embedded in the server.',
      }),
      durability: choice({
        default: 'fsync',
        choices: ['fsync', 'os'],
        description:
          '`fsync`: an acknowledged write survives a power cut. ' +
          '`os`: it survives the end of the process only.',
      }),
      statement_timeout_ms: integer({
        default: 30_000,
        min: 1,
        max: dayMs,
        unit: 'ms',
        description: 'Longest a statement may run; then it ends with STATEMENT_TIMEOUT.',
      }),
      transaction_timeout_ms: integer({
        default: 5_000,
        min: 1,
        max: dayMs,
        unit: 'ms',
        description:
          'Longest that others wait for a transaction of several statements, which has the engine for itself; ' +
          'then it is rolled back. Nobody waiting, it may take as long as it likes.',
      }),
      admin_transaction_timeout_ms: integer({
        default: 30_000,
        min: 1,
        max: dayMs,
        unit: 'ms',
        description: 'The same for transactions of admins: dumps and migrations.',
      }),
      idle_transaction_timeout_ms: integer({
        default: 1_000,
        min: 1,
        max: dayMs,
        unit: 'ms',
        description:
          'Longest that others wait for a transaction which runs nothing, or gets no data for its COPY.',
      }),
      lease_wait_ms: integer({
        default: 10_000,
        min: 1,
        max: dayMs,
        unit: 'ms',
        description: 'Longest a request waits for the engine; then it ends with LEASE_TIMEOUT.',
      }),
      queue_max: integer({
        default: 10_000,
        min: 1,
        max: 60_000,
        unit: 'requests',
        description: 'Most requests that wait for the engine; one more ends with OVERLOADED.',
      }),
      extensions: list({
        default: [],
        pattern: /^[a-z][a-z0-9_-]{0,62}$/u,
        expects: 'a list of extension names',
        max: 32,
        description:
          'PostgreSQL extensions to load, of those PGlite ships: ' +
          '`vector`, `pg_trgm`, `pgcrypto`, `citext` and others.',
      }),
      shared_buffers_bytes: integer({
        default: 96 * MiB,
        min: 16 * MiB,
        max: 1 * GiB,
        unit: 'bytes',
        description: "The engine's page cache. It is part of the server's memory from the start.",
      }),
      memory_bytes_max: integer({
        default: 2 * GiB,
        min: 128 * MiB,
        max: 2 * GiB,
        unit: 'bytes',
        description:
          'Most memory of the engine, `shared_buffers_bytes` included: it grows with what statements need, and never shrinks. ' +
          'A statement that would need more ends with OUT_OF_RESOURCES (53200).',
      }),
      session_bytes_max: integer({
        default: 128 * MiB,
        min: 1 * MiB,
        max: 2 * GiB,
        unit: 'bytes',
        description:
          "What a session of the Postgres wire may keep of the engine's memory between statements: cursors WITH HOLD, prepared statements, " +
          'settings and temporary tables. One that keeps more is ended with SESSION_TOO_LARGE (53400), and so is a streamed result.',
      }),
      sessions_bytes_max: integer({
        default: 512 * MiB,
        min: 1 * MiB,
        max: 2 * GiB,
        unit: 'bytes',
        description:
          'What all of them may keep together, streamed results included; past it whoever keeps the most is ended, with SESSION_TOO_LARGE (53200).',
      }),
      plan_cache_entries: integer({
        default: 2_000,
        min: 16,
        max: 100_000,
        unit: 'statements',
        description: 'Prepared statements kept in the engine, about 4 KiB each.',
      }),
      stack_mb: integer({
        default: 256,
        min: 256,
        max: 4_096,
        unit: 'MiB',
        description:
          "Stack of the engine's thread. " +
          'Below 256, deep recursion would end the engine instead of the statement.',
      }),
      busy_poll_us: integer({
        default: 200,
        min: 0,
        max: 1_000,
        unit: 'µs',
        description:
          'Longest a thread of the engine looks for what comes next before it sleeps, while one client waits for each answer. ' +
          'It halves what a small statement takes, for processor time; 0 turns it off, and a machine with one core never does it.',
      }),
      start_timeout_ms: integer({
        default: 2 * minuteMs,
        min: 1_000,
        max: hourMs,
        unit: 'ms',
        description:
          'Longest the engine may take to open the data folder, crash recovery included.',
      }),
      cancel_grace_ms: integer({
        default: 2_000,
        min: 10,
        max: minuteMs,
        unit: 'ms',
        description: 'Longest a cancelled statement may go on; then the engine is restarted.',
      }),
      restarts_max: integer({
        default: 5,
        min: 0,
        max: 1_000,
        unit: 'restarts',
        description:
          'Most restarts of a failed engine within `restart_window_ms`; then the server stops.',
      }),
      restart_window_ms: integer({
        default: minuteMs,
        min: 1_000,
        max: dayMs,
        unit: 'ms',
        description: 'Time within which restarts are counted.',
      }),
      checkpoint_wal_bytes: integer({
        default: 64 * MiB,
        min: 16 * MiB,
        max: 16 * GiB,
        unit: 'bytes',
        description:
          'Write-ahead log after which a checkpoint is made, once the statement or transaction that wrote it has ended. ' +
          'More means fewer checkpoints, more disk and a longer recovery.',
      }),
      temporary_bytes_max: integer({
        default: 4 * GiB,
        min: 1 * MiB,
        max: 1024 * GiB,
        unit: 'bytes',
        description: 'Most disk that sorts, hashes and streamed results may take together.',
      }),
      upkeep_interval_ms: integer({
        default: 10_000,
        min: 100,
        max: hourMs,
        unit: 'ms',
        description: 'How often the server looks whether a table needs VACUUM or ANALYZE.',
      }),
      vacuum_changes_min: integer({
        default: 10_000,
        min: 1,
        max: 1_000_000_000,
        unit: 'rows',
        description:
          'Changed rows of a table after which it is vacuumed and analysed, at the least.',
      }),
      freeze_age_max: integer({
        default: 200_000_000,
        min: 100_000,
        max: 1_000_000_000,
        unit: 'transactions',
        description: 'Age at which a table is frozen, well before transaction numbers come round.',
      }),
    },
  },
  sql: {
    description: 'How SQL text is read.',
    settings: {
      parse_cache_entries: integer({
        default: 5_000,
        min: 1,
        max: 1_000_000,
        unit: 'texts',
        description: 'Parsed SQL texts that are remembered.',
      }),
      parse_cache_bytes: integer({
        default: 32 * MiB,
        min: 64 * KiB,
        max: 1 * GiB,
        unit: 'bytes',
        description: 'Most text that the remembered SQL may amount to.',
      }),
    },
  },
  tables: {
    description: 'Tables whose deletes can be undone.',
    settings: {
      deleted_retention_hours: integer({
        default: 0,
        min: 0,
        max: 24 * 365 * 100,
        unit: 'hours',
        description: 'How long deleted rows are kept; 0 for ever.',
      }),
    },
  },
  changes: {
    description: 'The log of changes that live queries follow, and resume from.',
    settings: {
      retention_hours: integer({
        default: 24 * 7,
        min: 1,
        max: 24 * 365 * 100,
        unit: 'hours',
        description:
          'How long changes are kept. Who was away longer starts from the rows of the day.',
      }),
      retention_bytes: integer({
        default: 1 * GiB,
        min: 64 * KiB,
        max: 1024 * GiB,
        unit: 'bytes',
        description: 'What the log may take, about; older changes go before their time.',
      }),
    },
  },
  http: {
    description: 'The SQL API over HTTP.',
    settings: {
      connections_max: integer({
        default: 10_000,
        min: 1,
        max: 1_000_000,
        unit: 'connections',
        description:
          'Most connections at once; a request on one more is answered with 503 and ends it. ' +
          'Fewer, with a warning at start, where the process may not open that many files.',
      }),
      body_bytes_max: integer({
        default: 16 * MiB,
        min: 1 * KiB,
        max: 512 * MiB,
        unit: 'bytes',
        description: 'Largest request body; a larger one is answered with 413.',
      }),
      copy_body_bytes_max: integer({
        default: 1 * GiB,
        min: 1 * KiB,
        max: 1024 * GiB,
        unit: 'bytes',
        description: 'Most data of one COPY … FROM STDIN; more is answered with 413.',
      }),
      copy_spool_bytes_max: integer({
        default: 4 * GiB,
        min: 0,
        max: 1024 * GiB,
        unit: 'bytes',
        description:
          'Most disk that data of all COPY, and results on the Postgres wire, may take together while ' +
          'they wait for slow clients; the one that passes it ends with 503 (53400). Small ones take none.',
      }),
      result_bytes_max: integer({
        default: 64 * MiB,
        min: 1 * KiB,
        max: 1 * GiB,
        unit: 'bytes',
        description: 'Largest result held in memory for one request; stream larger ones.',
      }),
      parameters_max: integer({
        default: 32_767,
        min: 0,
        max: 65_535,
        unit: 'parameters',
        description: 'Most parameters of one statement.',
      }),
      statements_max: integer({
        default: 10_000,
        min: 1,
        max: 1_000_000,
        unit: 'statements',
        description: 'Most statements in one request.',
      }),
      stream_piece_rows: integer({
        default: 1_000,
        min: 1,
        max: 1_000_000,
        unit: 'rows',
        description: 'Rows that a streamed result reads from the engine at a time.',
      }),
      stream_piece_bytes: integer({
        default: 4 * MiB,
        min: 1 * KiB,
        max: 256 * MiB,
        unit: 'bytes',
        description: 'Most bytes of a streamed result that wait for a slow reader.',
      }),
      stream_idle_timeout_ms: integer({
        default: minuteMs,
        min: 100,
        max: dayMs,
        unit: 'ms',
        description:
          'Longest a reader of a streamed result, or of a portal on the Postgres wire, may take nothing; ' +
          'then the stream ends, and the portal has no more rows.',
      }),
      idempotency_retention_hours: integer({
        default: 24,
        min: 1,
        max: 24 * 365,
        unit: 'hours',
        description: 'How long the outcome under an Idempotency-Key is kept.',
      }),
      idempotency_bytes_max: integer({
        default: 1 * MiB,
        min: 1 * KiB,
        max: 64 * MiB,
        unit: 'bytes',
        description: 'Largest outcome that can be kept under an Idempotency-Key.',
      }),
    },
  },
  live: {
    description: 'Live queries.',
    settings: {
      queries_max: integer({
        default: 100_000,
        min: 1,
        max: 10_000_000,
        unit: 'queries',
        description: 'Live queries that may be open; one more ends with LIVE_LIMIT.',
      }),
      queries_per_user_max: integer({
        default: 10_000,
        min: 1,
        max: 10_000_000,
        unit: 'queries',
        description: 'Live queries that one user may have open.',
      }),
      result_bytes_max: integer({
        default: 16 * MiB,
        min: 1 * KiB,
        max: 256 * MiB,
        unit: 'bytes',
        description:
          'Largest result of a re-evaluated query, which is kept to compare the next one with.',
      }),
      piece_bytes: integer({
        default: 1 * MiB,
        min: 1 * KiB,
        max: 64 * MiB,
        unit: 'bytes',
        description: 'Bytes of the first rows that are sent at a time.',
      }),
      evaluations_at_once: integer({
        default: 64,
        min: 1,
        max: 1_000,
        unit: 'queries',
        description: 'Queries that are re-evaluated in one go.',
      }),
      evaluation_share_percent: integer({
        default: 50,
        min: 1,
        max: 100,
        unit: 'percent',
        description: 'Most of the time that re-evaluating one query may take.',
      }),
      held_changes_max: integer({
        default: 10_000,
        min: 1,
        max: 1_000_000,
        unit: 'changes',
        description: 'Changes that wait for PostgreSQL to judge them; past it the log waits.',
      }),
      read_changes_max: integer({
        default: 1_000,
        min: 1,
        max: 100_000,
        unit: 'changes',
        description: 'Changes that are read from the log at a time.',
      }),
      read_bytes: integer({
        default: 4 * MiB,
        min: 1 * KiB,
        max: 64 * MiB,
        unit: 'bytes',
        description: 'Bytes of changes that are read from the log at a time, about.',
      }),
    },
  },
  socket: {
    description: 'The WebSocket: SQL and live queries.',
    settings: {
      message_bytes_max: integer({
        default: 1 * MiB,
        min: 1 * KiB,
        max: 64 * MiB,
        unit: 'bytes',
        description: 'Largest message that a client may send.',
      }),
      subscriptions_max: integer({
        default: 1_000,
        min: 1,
        max: 1_000_000,
        unit: 'subscriptions',
        description: 'Most subscriptions on one socket.',
      }),
      queries_max: integer({
        default: 100,
        min: 1,
        max: 10_000,
        unit: 'queries',
        description: 'Most queries of one socket that run or wait at a time.',
      }),
      buffered_bytes_max: integer({
        default: 16 * MiB,
        min: 256 * KiB,
        max: 1 * GiB,
        unit: 'bytes',
        description:
          'Most bytes that may wait for the reader of a socket when another message comes; ' +
          'then the socket is ended and can resume. One result of a query may be half as large.',
      }),
      sockets_max: integer({
        default: 10_000,
        min: 1,
        max: 1_000_000,
        unit: 'sockets',
        description: 'Most sockets that are open at a time.',
      }),
      authenticate_timeout_ms: integer({
        default: 10_000,
        min: 10,
        max: 10 * minuteMs,
        unit: 'ms',
        description: 'Longest a new socket may take to send its key.',
      }),
      heartbeat_ms: integer({
        default: 20_000,
        min: 50,
        max: hourMs,
        unit: 'ms',
        description: 'A socket that has sent nothing for so long is pinged.',
      }),
      idle_timeout_ms: integer({
        default: minuteMs,
        min: 100,
        max: hourMs,
        unit: 'ms',
        description:
          'A socket that has sent nothing for so long, not even a pong, is ended. ' +
          'It is pinged halfway at the latest.',
      }),
    },
  },
  postgres_wire: {
    description: 'The Postgres wire: psql, drivers and ORMs, with a user and an API key.',
    settings: {
      enabled: boolean({ default: false, description: 'Whether PostgreSQL clients may connect.' }),
      host: text({
        default: '',
        pattern: /^[^\s/]+$/u,
        expects: 'an address or a host name',
        description: 'Address to listen on; empty for that of `server.host`.',
      }),
      port: integer({
        default: 5433,
        min: 0,
        max: 65_535,
        description: 'TCP port to listen on; 0 takes a free one.',
      }),
      tls_cert: text({
        default: '',
        description: 'File with the certificate chain (PEM); empty for that of `server.tls_cert`.',
      }),
      tls_key: text({
        default: '',
        description: 'File with the private key (PEM) of `tls_cert`.',
      }),
      tls_required: boolean({
        default: true,
        description: 'Whether clients must use TLS where there is a certificate.',
      }),
      connections_max: integer({
        default: 1_000,
        min: 1,
        max: 100_000,
        unit: 'connections',
        description: 'Most clients that are logged in at a time; one more is refused with 53300.',
      }),
      startups_max: integer({
        default: 500,
        min: 1,
        max: 100_000,
        unit: 'connections',
        description:
          'Most connections that are not logged in yet; one more ends the one that has been at it ' +
          'for longest.',
      }),
      startup_timeout_ms: integer({
        default: 20_000,
        min: 10,
        max: 10 * minuteMs,
        unit: 'ms',
        description: 'Longest a client may take to log in.',
      }),
      message_bytes_max: integer({
        default: 64 * MiB,
        min: 1 * KiB,
        max: 1 * GiB,
        unit: 'bytes',
        description: 'Largest message that a client may send: a statement, or its parameters.',
      }),
      unit_bytes_max: integer({
        default: 64 * MiB,
        min: 1 * KiB,
        max: 1 * GiB,
        unit: 'bytes',
        description: 'Most that a client may send from one Sync to the next.',
      }),
      ahead_bytes_max: integer({
        default: 1 * MiB,
        min: 1 * KiB,
        max: 1 * GiB,
        unit: 'bytes',
        description:
          'Most that is taken of a client ahead of what runs; the rest waits on its side.',
      }),
      buffered_bytes_max: integer({
        default: 1 * MiB,
        min: 64 * KiB,
        max: 1 * GiB,
        unit: 'bytes',
        description:
          'Bytes that wait in memory for a client to read them; what is more waits on the disk.',
      }),
      notified_bytes_max: integer({
        default: 16 * MiB,
        min: 64 * KiB,
        max: 1 * GiB,
        unit: 'bytes',
        description:
          'Most notifications that wait for a client which is busy or does not read; one more ends it.',
      }),
      statements_bytes_max: integer({
        default: 16 * MiB,
        min: 64 * KiB,
        max: 1 * GiB,
        unit: 'bytes',
        description:
          'Most that the statements which a session prepares may take: their texts, and 1 KiB for each. ' +
          'One more fails with OUT_OF_RESOURCES (53400). In the engine `engine.session_bytes_max` counts.',
      }),
      channels_max: integer({
        default: 1_000,
        min: 1,
        max: 100_000,
        unit: 'channels',
        description:
          'Most channels that a session listens to; LISTEN to one more fails with OUT_OF_RESOURCES (53400).',
      }),
      send_timeout_ms: integer({
        default: minuteMs,
        min: 100,
        max: dayMs,
        unit: 'ms',
        description: 'Longest a client may read nothing of what waits for it; then it is ended.',
      }),
      keepalive_ms: integer({
        default: minuteMs,
        min: 1_000,
        max: hourMs,
        unit: 'ms',
        description: 'A client that was quiet for so long is asked by TCP whether it is there.',
      }),
    },
  },
  auth: {
    description: 'Users and keys.',
    settings: {
      allow_localhost: boolean({
        default: true,
        description:
          'Write a token at start that lets the CLI act as `root` on this machine without a key.',
      }),
      bootstrap_user: text({
        default: 'root',
        pattern: /^[^\p{Cc}]{1,63}$/u,
        expects: 'a user name of 1 to 63 characters',
        description: 'Admin that `bootstrap_apikey` belongs to; made at start if there is none.',
      }),
      bootstrap_apikey: text({
        default: '',
        pattern: /^kal_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/u,
        expects: '`kal_` and 43 characters of base64url',
        secret: true,
        description:
          'Key to accept from the first start on: `kal_` and 32 random bytes in base64url. ' +
          'Taking it away revokes it at the next start.',
      }),
      key_cache_entries: integer({
        default: 10_000,
        min: 1,
        max: 1_000_000,
        unit: 'keys',
        description: 'Keys that are remembered between requests, and as many that are none.',
      }),
    },
  },
  limits: {
    description: 'What one key may use.',
    settings: {
      requests_per_second_per_key: integer({
        default: 0,
        min: 0,
        max: 1_000_000,
        unit: 'requests/s',
        description: 'Requests per second that a key may make in the long run; 0 for any number.',
      }),
      burst_requests_per_key: integer({
        default: 100,
        min: 1,
        max: 1_000_000,
        unit: 'requests',
        description: 'Requests that a key may make at once before the rate counts.',
      }),
    },
  },
  cors: {
    description: 'Which web pages may call the server.',
    settings: {
      allowed_origins: list({
        default: [
          'http://localhost:*',
          'http://127.0.0.1:*',
          'https://localhost:*',
          'https://127.0.0.1:*',
        ],
        pattern:
          /^(?:\*|[a-z][a-z0-9+.-]*:\/\/(?:\[[0-9a-f:.]+\]|[^\s/:*,[\]]+)(?::(?:\*|\d{1,5}))?)$/iu,
        expects: 'a list of origins such as https://app.example.com or http://localhost:*',
        max: 1_000,
        description:
          'Origins that browsers may call from; `:*` is any port, a lone `*` any origin.',
      }),
    },
  },
  neon: {
    description:
      'The query protocol of `@neondatabase/serverless` at `POST /sql` of the HTTP port.',
    settings: {
      enabled: boolean({ default: false, description: 'Whether `POST /sql` answers.' }),
    },
  },
  metrics: {
    description: 'Figures for Prometheus at `GET /metrics`.',
    settings: {
      enabled: boolean({ default: true, description: 'Whether `GET /metrics` answers.' }),
      require_key: boolean({
        default: false,
        description: 'Whether `GET /metrics` needs a key.',
      }),
    },
  },
  log: {
    description: 'What the server writes to standard output.',
    settings: {
      level: choice({
        default: 'info',
        choices: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
        description: 'Least important messages that are written.',
      }),
      format: choice({
        default: 'auto',
        choices: ['auto', 'json', 'text'],
        description: '`json`: one object a line; `text`: for people; `auto`: `text` on a terminal.',
      }),
      slow_statement_ms: integer({
        default: 1_000,
        min: 0,
        max: dayMs,
        unit: 'ms',
        description:
          'Statements that take longer are logged, without their parameters; 0 for none.',
      }),
    },
  },
} as const satisfies Record<string, Section>

export interface Section {
  readonly description: string
  readonly settings: Readonly<Record<string, Setting<unknown>>>
}

type Sections = typeof sections
type ValueOf<S> = S extends Setting<infer T> ? T : never

/** All settings of a running server; deeply frozen. */
export type Config = {
  readonly [S in keyof Sections]: {
    readonly [K in keyof Sections[S]['settings']]: ValueOf<Sections[S]['settings'][K]>
  }
}

/** A setting with its place in the table. */
export interface NamedSetting {
  readonly section: string
  readonly name: string
  /** `server.port`. */
  readonly key: string
  /** `KALAMDB_SERVER_PORT`. */
  readonly variable: string
  readonly setting: Setting<unknown>
}

/** Every setting, in the order of the table. */
export function allSettings(): readonly NamedSetting[] {
  return Object.entries<Section>(sections).flatMap(([section, { settings }]) =>
    Object.entries(settings).map(([name, setting]) => ({
      section,
      name,
      key: `${section}.${name}`,
      variable: `KALAMDB_${section}_${name}`.toUpperCase(),
      setting,
    })),
  )
}
