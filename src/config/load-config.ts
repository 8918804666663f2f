/**
 * Puts the configuration together: defaults < config.toml < environment < flags. Whatever is wrong
 * is reported at once, each with its key and the place where it was set.
 */
import { accessSync, constants, existsSync } from 'node:fs'
import { DbError, assert } from '../errors.js'
import { readConfigFile } from './config-file.js'
import { allSettings, sections, type Config, type NamedSetting, type Section } from './settings.js'

/** A setting given on the command line. */
export interface Flag {
  /** As typed: `--port`, `--set`. */
  readonly flag: string
  /** `server.port`. */
  readonly key: string
  readonly value: string
}

export interface ConfigSources {
  /** Configuration file; else `KALAMDB_CONFIG`; else `./config.toml`, if there is one. */
  readonly file?: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  readonly flags?: readonly Flag[]
}

/** Where a value comes from: `default`, `config.toml:12`, `KALAMDB_SERVER_PORT`, `--port`. */
export type Origins = ReadonlyMap<string, string>

export interface LoadedConfig {
  readonly config: Config
  /** By key, for every setting. */
  readonly origins: Origins
}

/** The setting that each short flag of `kalam serve` stands for. */
export const shortFlags = {
  '--host': 'server.host',
  '--port': 'server.port',
  '--data-dir': 'server.data_dir',
  '--log-level': 'log.level',
} as const satisfies Record<string, string>

/** Reads the text of `--set section.key=value`. Errors: CONFIG_INVALID. */
export function parseSetFlag(argument: string): Flag {
  const equals = argument.indexOf('=')
  if (equals > 0) {
    return {
      flag: '--set',
      key: argument.slice(0, equals).trim(),
      value: argument.slice(equals + 1),
    }
  }
  throw new DbError('CONFIG_INVALID', `--set ${argument}: expected section.key=value`)
}

/** Loads and checks everything. Errors: CONFIG_INVALID, with all problems, one a line. */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const given = [...fromFile(sources), ...fromEnvironment(sources.env), ...fromFlags(sources)]
  const checked = given.map(check)
  const config = assemble(checked)
  const problems = [
    ...checked.flatMap((entry) => entry.problem ?? []),
    ...crossChecks(config).map(({ keys, reason }) => `${reason}${placesOf(keys, checked)}`),
  ]
  if (problems.length > 0) throw invalid(problems)
  return { config, origins: originsOf(checked) }
}

/** What a source says, before anything is known about it. */
interface Given {
  readonly key: string
  readonly place: string
  readonly value: unknown
  /** Text that still has to be read as the setting's type. */
  readonly isText: boolean
}

interface Checked extends Given {
  readonly checked: unknown
  readonly problem: string | undefined
}

const settingsByKey: ReadonlyMap<string, NamedSetting> = new Map(
  allSettings().map((named) => [named.key, named]),
)
const keysByVariable: ReadonlyMap<string, string> = new Map(
  allSettings().map((named) => [named.variable, named.key]),
)

function fromFile(sources: ConfigSources): readonly Given[] {
  const path = sources.file ?? sources.env[configVariable] ?? defaultFile()
  if (path === undefined) return []
  return readConfigFile(path).map(({ section, name, value, place }) => ({
    key: name === undefined ? section : `${section}.${name}`,
    value,
    place,
    isText: false,
  }))
}

/** The one KALAMDB_ variable that is not a setting: it says where they are. */
const configVariable = 'KALAMDB_CONFIG'

function defaultFile(): string | undefined {
  return existsSync('config.toml') ? 'config.toml' : undefined
}

function fromEnvironment(env: ConfigSources['env']): readonly Given[] {
  return Object.entries(env)
    .filter(([variable]) => variable.startsWith('KALAMDB_') && variable !== configVariable)
    .flatMap(([variable, value]) =>
      value === undefined
        ? []
        : [{ key: keysByVariable.get(variable) ?? variable, place: variable, value, isText: true }],
    )
}

function fromFlags(sources: ConfigSources): readonly Given[] {
  return (sources.flags ?? []).map(({ flag, key, value }) => ({
    key,
    place: flag,
    value,
    isText: true,
  }))
}

function check(given: Given): Checked {
  const named = settingsByKey.get(given.key)
  if (named === undefined) return { ...given, checked: undefined, problem: unknownKey(given) }
  const loose = given.isText ? named.setting.parse(String(given.value)) : given.value
  const checked = named.setting.check(loose)
  const problem = checked === undefined ? wrongValue(given, named) : undefined
  return { ...given, checked, problem }
}

function unknownKey({ key, place }: Given): string {
  if (key === place)
    return `${key}: there is no such setting (environment variable); see docs/settings.md`
  const [sectionName = ''] = key.split('.')
  const section = Object.entries<Section>(sections).find(([name]) => name === sectionName)?.[1]
  const known =
    section === undefined
      ? `sections are ${Object.keys(sections).join(', ')}`
      : `[${sectionName}] has ${Object.keys(section.settings).join(', ')}`
  return `${key}: there is no such setting (set in ${place}); ${known}`
}

function wrongValue(given: Given, { key, setting }: NamedSetting): string {
  const shown = setting.secret ? '' : ` ${JSON.stringify(given.value)}`
  const got = `${typeName(given.value)}${shown}`
  return `${key}: expected ${setting.expects}, got ${got} (set in ${given.place})`
}

function typeName(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (value instanceof Date) return 'a date'
  switch (typeof value) {
    case 'string':
      return 'text'
    case 'number':
      return Number.isInteger(value) ? 'a whole number' : 'a number'
    case 'bigint':
      return 'a whole number'
    case 'boolean':
      return 'a boolean'
    case 'object':
      return 'a table'
    case 'undefined':
    case 'symbol':
    case 'function':
      return typeof value
  }
}

/** Later entries win, so that flags beat variables and variables beat the file. */
function assemble(entries: readonly Checked[]): Config {
  const values = new Map(allSettings().map(({ key, setting }) => [key, setting.default]))
  for (const { key, checked } of entries) {
    if (checked !== undefined) values.set(key, checked)
  }
  const config = Object.entries<Section>(sections).map(([section, { settings }]) => {
    const names = Object.keys(settings)
    const entriesOf = names.map((name) => [name, frozen(values.get(`${section}.${name}`))])
    return [section, Object.freeze(Object.fromEntries(entriesOf))] as const
  })
  // The table gave each key, its default, and the check that every other value passed.
  return Object.freeze(Object.fromEntries(config)) as Config
}

function frozen(value: unknown): unknown {
  return Array.isArray(value) ? Object.freeze([...(value as readonly unknown[])]) : value
}

interface CrossCheck {
  readonly keys: readonly string[]
  readonly reason: string
}

/** What settings must be to one another and to the machine. */
function crossChecks(config: Config): readonly CrossCheck[] {
  const { engine } = config
  const problems = [...tlsChecks(config, 'server'), ...tlsChecks(config, 'postgres_wire')]
  if (engine.idle_transaction_timeout_ms > engine.transaction_timeout_ms) {
    problems.push({
      keys: ['engine.idle_transaction_timeout_ms', 'engine.transaction_timeout_ms'],
      reason: 'engine.idle_transaction_timeout_ms must not be above engine.transaction_timeout_ms',
    })
  }
  return problems
}

function tlsChecks(config: Config, section: 'server' | 'postgres_wire'): CrossCheck[] {
  const { tls_cert: cert, tls_key: key } = config[section]
  const problems: CrossCheck[] = []
  if ((cert === '') !== (key === '')) {
    problems.push({
      keys: [`${section}.tls_cert`, `${section}.tls_key`],
      reason: `${section}.tls_cert and ${section}.tls_key must be set together`,
    })
  }
  for (const [name, path] of Object.entries({ tls_cert: cert, tls_key: key })) {
    const reason = path === '' ? undefined : unreadable(path)
    if (reason !== undefined)
      problems.push({ keys: [`${section}.${name}`], reason: `${section}.${name}: ${reason}` })
  }
  return problems
}

function unreadable(path: string): string | undefined {
  try {
    accessSync(path, constants.R_OK)
    return undefined
  } catch (cause) {
    return `cannot read the file: ${cause instanceof Error ? cause.message : String(cause)}`
  }
}

function placesOf(keys: readonly string[], entries: readonly Checked[]): string {
  const origins = originsOf(entries)
  const places = keys.map((key) => `${key}: ${origins.get(key) ?? 'default'}`)
  return ` (set in ${places.join('; ')})`
}

function originsOf(entries: readonly Checked[]): Origins {
  const origins = new Map(allSettings().map(({ key }) => [key, 'default']))
  for (const { key, place } of entries) origins.set(key, place)
  return origins
}

function invalid(problems: readonly string[]): DbError {
  assert(problems.length > 0, 'an invalid configuration has a problem')
  const head =
    problems.length === 1
      ? 'the configuration is not valid'
      : `the configuration has ${problems.length} problems`
  return new DbError('CONFIG_INVALID', [`${head}:`, ...problems].join('\n  '))
}
