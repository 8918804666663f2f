/**
 * The backend's settings: set and read below SQL, and exchanged when another session's turn comes.
 *
 *   the server's ──► a session's own defaults ──► what it changed
 *                    (PGC_S_CLIENT: RESET's)      (PGC_S_SESSION)
 */
import { SettingRecords } from './setting-records.js'
import { noSettings, type SessionSettings } from './session-settings.js'
import type { StaticMemory } from './static-memory.js'

/** What is used of PGlite; see `backend.ts`. */
export interface SettingFunctions {
  _SetConfigOption(name: number, value: number, context: number, source: number): void
  _GetConfigOption(name: number, missingOk: number, restrictPrivileged: number): number
  UTF8ToString(pointer: number): string
}

/** guc.h: contexts and sources that say who sets a setting, and for how long. */
export const guc = {
  postmaster: 1,
  superuserSet: 5,
  userSet: 6,
  sourceClient: 9,
  sourceSession: 13,
} as const

/** A postmaster-level setting that SQL can read but not set; see ADR 0003. */
export const identitySetting = 'bonjour_name'
/** Another of them: the number of the session whose turn it is; 0 for whoever has none that lasts. */
export const sessionSetting = 'event_source'
export const readOnlySetting = 'default_transaction_read_only'

/** One that nobody has changed when the backend starts. */
const probeSetting = 'work_mem'

export interface BackendSettingsOptions {
  readonly module: SettingFunctions
  readonly memory: StaticMemory
  /** Text in PGlite's memory: for good, or until the next name, or other text. */
  readonly keepText: (text: string) => number
  readonly passName: (text: string) => number
  readonly passText: (text: string) => number
  /** Runs what may raise PostgreSQL's error, outside transactions. False if it did. */
  readonly attempt: (work: () => void) => boolean
}

export class BackendSettings {
  readonly #options: BackendSettingsOptions
  readonly #records: SettingRecords
  readonly #names = new Map<string, number>()
  /** The values of the server for all that were ever a session's default; undefined if it knows none. */
  readonly #ofServer = new Map<string, string | undefined>()
  #defaults: ReadonlyMap<string, string> = noSettings

  constructor(options: BackendSettingsOptions) {
    this.#options = options
    this.#records = new SettingRecords({
      memory: options.memory,
      probe: probeSetting,
      change: () => this.set(probeSetting, '1234', guc.superuserSet),
      valueOf: (name) => this.get(name) ?? '',
      ignored: [identitySetting, sessionSetting],
    })
    this.#reset(probeSetting)
  }

  /** As PostgreSQL has it, without a unit; undefined if there is no such setting. */
  get(name: string): string | undefined {
    const { module } = this.#options
    const value = module._GetConfigOption(this.#nameOf(name), 1, 0)
    return value === 0 ? undefined : module.UTF8ToString(value)
  }

  /** Throws what PGlite throws where PostgreSQL raises an error. */
  set(name: string, value: string, context: number, source: number = guc.sourceSession): void {
    const { module, passText } = this.#options
    module._SetConfigOption(this.#nameOf(name), passText(value), context, source)
  }

  /** Makes the backend's settings those of a session. Outside transactions only. */
  exchange({ defaults, changed }: Pick<SessionSettings, 'defaults' | 'changed'>): void {
    const now = this.changed()
    for (const name of now.keys()) if (!changed.has(name)) this.#reset(name)
    this.#exchangeDefaults(defaults)
    for (const [name, value] of changed)
      if (now.get(name) !== value)
        this.#options.attempt(() => this.set(name, value, guc.superuserSet))
  }

  /** As `exchange` does, of one setting. */
  exchangeOne(name: string, { changed }: Pick<SessionSettings, 'changed'>): void {
    const value = changed.get(name)
    if (value === undefined) this.#reset(name)
    else this.#options.attempt(() => this.set(name, value, guc.superuserSet))
  }

  /** What was changed since the defaults were set, in a transaction too, by whatever. */
  changed(): Map<string, string> {
    const found = new Map<string, string>()
    const isReadOnly = this.#defaults.get(readOnlySetting) === 'on'
    for (const { name, value } of this.#records.changed()) {
      // What callers who may write are given.
      const isOurs = name === readOnlySetting && value === 'off' && !isReadOnly
      if (!isOurs) found.set(name.toLowerCase(), value)
    }
    return found
  }

  /** Sets what RESET goes back to, with the current role's rights. Throws as `set` does. */
  setDefaults(wanted: ReadonlyMap<string, string>): void {
    for (const [name, value] of wanted) {
      const key = name.toLowerCase()
      if (!this.#ofServer.has(key)) this.#ofServer.set(key, this.get(key))
      this.set(key, value, guc.userSet, guc.sourceClient)
      this.#defaults = new Map(this.#defaults).set(key, value)
    }
  }

  /** As PostgreSQL has them: `iso` has become `ISO, MDY`. */
  readDefaults(): ReadonlyMap<string, string> {
    this.#defaults = new Map([...this.#defaults].map(([name]) => [name, this.get(name) ?? '']))
    return this.#defaults
  }

  #exchangeDefaults(wanted: ReadonlyMap<string, string>): void {
    const now = this.#defaults
    if (now === wanted) return
    this.#defaults = wanted
    for (const name of now.keys())
      if (!wanted.has(name)) this.#setDefault(name, this.#ofServer.get(name) ?? '')
    for (const [name, value] of wanted) if (now.get(name) !== value) this.#setDefault(name, value)
  }

  #setDefault(name: string, value: string): void {
    this.#options.attempt(() => this.set(name, value, guc.superuserSet, guc.sourceClient))
  }

  #reset(name: string): void {
    const { module, attempt } = this.#options
    attempt(() =>
      module._SetConfigOption(this.#nameOf(name), 0, guc.superuserSet, guc.sourceSession),
    )
  }

  /** Records of settings are gone, and others may be in their places. */
  forgetRecords(): void {
    this.#records.forget()
  }

  /** PostgreSQL's own have no dot; of the others there are as many as callers make up. */
  #nameOf(name: string): number {
    if (name.includes('.')) return this.#options.passName(name)
    const known = this.#names.get(name)
    if (known !== undefined) return known
    const pointer = this.#options.keepText(name)
    this.#names.set(name, pointer)
    return pointer
  }
}
