import type { LoadedConfig } from './load-config.js'
import { allSettings, type Config, type NamedSetting } from './settings.js'

/** A row of SHOW CONFIG. */
export interface ConfigRow {
  readonly key: string
  /** As in config.toml; a secret that is set is `••••`. */
  readonly value: string
  readonly default: string
  readonly unit: string
  /** `default`, `config.toml:12`, the variable or the flag. */
  readonly origin: string
  readonly variable: string
  readonly description: string
}

/** Every setting with its value and where that was set; secrets are masked. */
export function describeConfig({ config, origins }: LoadedConfig): readonly ConfigRow[] {
  return allSettings().map((named) => ({
    key: named.key,
    value: shownValue(named, valueOf(config, named)),
    default: tomlText(named.setting.default),
    unit: named.setting.unit,
    origin: origins.get(named.key) ?? 'default',
    variable: named.variable,
    description: named.setting.description,
  }))
}

function valueOf(config: Config, { section, name }: NamedSetting): unknown {
  const sections: Readonly<Record<string, Readonly<Record<string, unknown>>>> = config
  return sections[section]?.[name]
}

function shownValue({ setting }: NamedSetting, value: unknown): string {
  return setting.secret && value !== '' ? '••••' : tomlText(value)
}

/** A value as config.toml writes it. JSON's texts, numbers, booleans and lists are TOML's too. */
export function tomlText(value: unknown): string {
  return Array.isArray(value) ? `[${value.map(tomlText).join(', ')}]` : JSON.stringify(value)
}
