/** For every setting a value that is not its default, and one that is wrong; as a variable holds them. */
import { tomlText } from '#src/config/describe-config.js'
import { allSettings, type NamedSetting } from '#src/config/settings.js'

/** Texts and lists that something is done with at the start. */
const texts: Readonly<Record<string, string>> = {
  'server.host': '0.0.0.0',
  'server.data_dir': '/data/elsewhere',
  'server.tls_cert': '/tmp/cert.pem',
  'server.tls_key': '/tmp/key.pem',
  'postgres_wire.tls_cert': '/tmp/cert.pem',
  'postgres_wire.tls_key': '/tmp/key.pem',
  'engine.extensions': 'pg_trgm,vector',
  'auth.bootstrap_user': 'boss',
  'auth.bootstrap_apikey': `kal_${'B'.repeat(42)}A`,
  'cors.allowed_origins': 'https://app.example.com',
  'log.level': 'WARN',
}

export const adminKey = texts['auth.bootstrap_apikey'] ?? ''

export interface OtherValue {
  readonly key: string
  readonly variable: string
  readonly text: string
  /** As SHOW CONFIG has it. */
  readonly value: string
}

/** Throws for a setting of which it does not know another value. */
export function otherValues(): readonly OtherValue[] {
  return allSettings().map((named) => {
    const text = candidates(named).find((each) => isOther(named, each))
    if (text === undefined)
      throw new Error(`say in ${import.meta.filename} what ${named.key} may be`)
    const { key, variable, setting } = named
    return { key, variable, text, value: setting.secret ? '••••' : tomlText(valueOf(named, text)) }
  })
}

/** By variable. */
export function wrongValues(): Readonly<Record<string, string>> {
  return Object.fromEntries(
    allSettings().map((named) => {
      const text = ['', '-1', 'nonsense', 'two\nlines'].find(
        (each) => valueOf(named, each) === undefined,
      )
      if (text === undefined) throw new Error(`every text is right for ${named.key}`)
      return [named.variable, text]
    }),
  )
}

function candidates({ key, setting }: NamedSetting): readonly string[] {
  const chosen = texts[key]
  if (chosen !== undefined) return [chosen]
  if (typeof setting.default === 'number')
    return [String(setting.default + 1), String(setting.default - 1)]
  if (typeof setting.default === 'boolean') return [String(!setting.default)]
  if (key.endsWith('.host')) return ['0.0.0.0']
  // A setting with one choice has no other value; that the variable was read shows in its origin.
  const choices = setting.expects.replace('one of ', '').split(', ')
  return choices.length > 1 ? choices : choices.map((only) => only.toUpperCase())
}

function isOther(named: NamedSetting, text: string): boolean {
  const value = valueOf(named, text)
  const isOnly = named.setting.expects === `one of ${text.toLowerCase()}`
  return value !== undefined && (isOnly || value !== named.setting.default)
}

function valueOf({ setting }: NamedSetting, text: string): unknown {
  return setting.check(setting.parse(text))
}
