/**
 * The settings that PostgreSQL reports to its clients, at start and after each change (PG docs
 * 55.2.7). The one backend does not know what which client was told, so it is kept here.
 */
import type { QueryRunner } from '../../engine/queries.js'
import { serverMessage, serverTag } from './server-messages.js'

const names = [
  ...['application_name', 'client_encoding', 'DateStyle', 'default_transaction_read_only'],
  ...['in_hot_standby', 'integer_datetimes', 'IntervalStyle', 'scram_iterations'],
  ...[
    'search_path',
    'server_encoding',
    'server_version',
    'standard_conforming_strings',
    'TimeZone',
  ],
] as const

/** What they are in a session that has set none. */
export async function readReportedDefaults(
  queries: QueryRunner,
): Promise<ReadonlyMap<string, string>> {
  const values = names.map((name) => `pg_catalog.current_setting('${name}')`)
  const { rows } = await queries.query(`select ${values.join(', ')}`)
  const [row = []] = rows
  const defaults = new Map<string, string>(names.map((name, index) => [name, row[index] ?? '']))
  // The system's own path is not a session's.
  return defaults.set('search_path', 'public')
}

export interface ReportedSettingsOptions {
  /** Those of the session that are not the server's, by lower-case name; another map after a change. */
  readonly settings: () => ReadonlyMap<string, string>
  readonly defaults: () => Promise<ReadonlyMap<string, string>>
  readonly userName: string
}

export class ReportedSettings {
  readonly #options: ReportedSettingsOptions
  readonly #told = new Map<string, string>()
  #defaults: ReadonlyMap<string, string> = new Map()
  #seen: ReadonlyMap<string, string> | undefined

  constructor(options: ReportedSettingsOptions) {
    this.#options = options
  }

  async open(): Promise<void> {
    this.#defaults = await this.#options.defaults()
    this.news()
    this.#told.set('session_authorization', this.#options.userName)
    this.#told.set('is_superuser', 'off')
  }

  /** As the client was last told. */
  get told(): ReadonlyMap<string, string> {
    return this.#told
  }

  /** ParameterStatus of what has changed since. */
  news(): readonly Uint8Array[] {
    const settings = this.#options.settings()
    if (settings === this.#seen) return none
    this.#seen = settings
    const news: Uint8Array[] = []
    for (const [name, usual] of this.#defaults) {
      const value = settings.get(name.toLowerCase()) ?? usual
      if (this.#told.get(name) === value) continue
      this.#told.set(name, value)
      news.push(serverMessage(serverTag.parameterStatus, `${name}\0${value}\0`))
    }
    return news
  }
}

const none: readonly Uint8Array[] = []
