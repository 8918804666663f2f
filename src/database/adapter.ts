/** A door beside HTTP that the server opens and closes: adapters/postgres, adapters/neon. */
import type { Config } from '../config/settings.js'
import type { Log } from '../telemetry/log.js'
import type { Metrics } from '../telemetry/metrics.js'
import type { Database } from './database.js'
import type { PostRoute } from './post-route.js'

export interface AdapterParts {
  readonly config: Config
  readonly database: Database
  readonly log: Log
  readonly metrics: Metrics
  /** Of the server. */
  readonly version: string
  /** Serves a path on the HTTP port, for as long as the server runs. */
  readonly servePost: (route: PostRoute) => void
}

export interface OpenAdapter {
  /** Where it listens, for people: `postgres://127.0.0.1:5433/kalamdb`, `POST /sql`. */
  readonly address: string
  /** Takes no more, lets what runs end within server.shutdown_timeout_ms. Safe twice. */
  close(): Promise<void>
}

/**
 * Opens the door; undefined if the settings keep it shut. HTTP opens after the adapters, and all
 * close at once. Errors: CONFIG_INVALID.
 */
export type Adapter = (parts: AdapterParts) => Promise<OpenAdapter | undefined>
