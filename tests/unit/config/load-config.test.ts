import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { describeConfig, tomlText } from '#src/config/describe-config.js'
import {
  loadConfig,
  parseSetFlag,
  shortFlags,
  type ConfigSources,
} from '#src/config/load-config.js'
import { allSettings, type NamedSetting } from '#src/config/settings.js'
import { DbError } from '#src/errors.js'

const folder = mkdtempSync(join(tmpdir(), 'kalamdb-config-'))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
function tomlFile(content: string): string {
  files += 1
  const path = join(folder, `${files}.toml`)
  writeFileSync(path, content)
  return path
}

/** Loads without the working folder's own config.toml. */
function load(sources: Partial<ConfigSources> = {}) {
  return loadConfig({ file: tomlFile(''), env: {}, ...sources })
}

function problemOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    if (error instanceof DbError && error.code === 'CONFIG_INVALID') return error.message
    throw error
  }
  throw new Error('the configuration was accepted')
}

const valueOf = (named: NamedSetting, sources: Partial<ConfigSources>) =>
  describeConfig(load(sources)).find(({ key }) => key === named.key)?.value

describe.each(allSettings())('G3: $key', (named) => {
  const { key, name, section, variable, setting } = named
  const inFile = (toml: string) => ({ file: tomlFile(`[${section}]\n${name} = ${toml}`) })

  test('has a default that is allowed, in every place', () => {
    const plain = Array.isArray(setting.default)
      ? setting.default.join(',')
      : String(setting.default)
    const shown = setting.secret && plain !== '' ? '••••' : tomlText(setting.default)
    expect(valueOf(named, {})).toBe(shown)
    expect(valueOf(named, inFile(tomlText(setting.default)))).toBe(shown)
    expect(valueOf(named, { env: { [variable]: plain } })).toBe(shown)
    expect(valueOf(named, { flags: [{ flag: '--set', key, value: plain }] })).toBe(shown)
  })

  test('names the key and the place of a wrong type', () => {
    const wrong = setting.expects.includes('list') ? '3' : '[[1]]'
    const file = inFile(wrong)
    expect(problemOf(() => load(file))).toContain(`${key}: expected ${setting.expects}, got `)
    expect(problemOf(() => load(file))).toContain(`(set in ${file.file}:2)`)
  })

  test('has a description that ends, and no line break', () => {
    expect(setting.description).toMatch(/^[^\n|]{10,}\.$/)
  })
})

const integers = allSettings().filter(({ setting }) => boundsOf(setting.expects) !== undefined)

test.each(integers)('G3: $key is bounded', (named) => {
  const { key, variable, setting } = named
  const { min, max } = boundsOf(setting.expects) ?? { min: NaN, max: NaN }
  // So that the largest idle time may be tried too.
  const longest = '86400000'
  const env = { KALAMDB_ENGINE_TRANSACTION_TIMEOUT_MS: longest, ...(min === 1 ? shortIdle : {}) }
  for (const allowed of [min, max]) {
    expect(valueOf(named, { env: { ...env, [variable]: String(allowed) } })).toBe(String(allowed))
  }
  for (const refused of [String(min - 1), String(max + 1), '1.5', '', 'ten', '1e3', '0x10']) {
    const problem = problemOf(() => load({ env: { ...env, [variable]: refused } }))
    expect(problem).toContain(`${key}: expected a whole number from ${min} to ${max}`)
    expect(problem).toContain(`(set in ${variable})`)
  }
})

const shortIdle = { KALAMDB_ENGINE_IDLE_TRANSACTION_TIMEOUT_MS: '1' }

function boundsOf(expects: string) {
  const match = /^a whole number from (\d+) to (\d+)$/.exec(expects)
  return match === null ? undefined : { min: Number(match[1]), max: Number(match[2]) }
}

describe('G3: the configuration', () => {
  test('has one variable for each setting', () => {
    const variables = new Set(allSettings().map(({ variable }) => variable))
    expect(variables.size).toBe(allSettings().length)
  })

  test('takes a flag before a variable before the file before the default', () => {
    const file = tomlFile('[server]\nport = 1001\n[log]\nlevel = "debug"')
    const env = { KALAMDB_SERVER_PORT: '1002', KALAMDB_LOG_LEVEL: 'warn' }
    const flags = [{ flag: '--port', key: shortFlags['--port'], value: '1003' }]
    const loaded = loadConfig({ file, env, flags })
    expect(loaded.config.server.port).toBe(1003)
    expect(loaded.config.log.level).toBe('warn')
    expect(loaded.config.server.host).toBe('127.0.0.1')
    expect(loaded.origins.get('server.port')).toBe('--port')
    expect(loaded.origins.get('log.level')).toBe('KALAMDB_LOG_LEVEL')
    expect(loaded.origins.get('server.host')).toBe('default')
    expect(loadConfig({ file, env: {} }).origins.get('server.port')).toBe(`${file}:2`)
  })

  test('every short flag stands for a setting', () => {
    const keys = new Set(allSettings().map(({ key }) => key))
    for (const key of Object.values(shortFlags)) expect(keys).toContain(key)
  })

  test('is frozen to the bottom', () => {
    const { config } = load()
    expect(Object.isFrozen(config)).toBe(true)
    expect(Object.isFrozen(config.server)).toBe(true)
    expect(Object.isFrozen(config.cors.allowed_origins)).toBe(true)
  })

  test.each(['info', 'INFO', 'Info', 'iNfO'])('accepts the log level %s', (level) => {
    expect(load({ env: { KALAMDB_LOG_LEVEL: level } }).config.log.level).toBe('info')
  })

  test.each([
    ['true', true],
    ['TRUE', true],
    ['1', true],
    ['yes', true],
    ['on', true],
    ['false', false],
    ['0', false],
    ['No', false],
    ['off', false],
  ])('reads %s as %s', (text, value) => {
    const env = { KALAMDB_METRICS_REQUIRE_KEY: text }
    expect(load({ env }).config.metrics.require_key).toBe(value)
  })

  test('refuses words that are no boolean', () => {
    const problem = problemOf(() => load({ env: { KALAMDB_METRICS_ENABLED: 'ja' } }))
    expect(problem).toContain('metrics.enabled: expected true or false, got text "ja"')
  })

  test('reads a list in a variable, separated by commas', () => {
    const env = { KALAMDB_ENGINE_EXTENSIONS: 'vector, pg_trgm,' }
    expect(load({ env }).config.engine.extensions).toEqual(['vector', 'pg_trgm'])
  })

  test.each([
    'https://app.example.com',
    'http://localhost:*',
    'http://[::1]:5173',
    '*',
    'capacitor://localhost',
  ])('allows the origin %s', (origin) => {
    const env = { KALAMDB_CORS_ALLOWED_ORIGINS: origin }
    expect(load({ env }).config.cors.allowed_origins).toEqual([origin])
  })

  test.each(['example.com', 'https://*.example.com', 'https://a.com/', 'https://a.com:x', 'null'])(
    'refuses the origin %s',
    (origin) => {
      const env = { KALAMDB_CORS_ALLOWED_ORIGINS: origin }
      expect(problemOf(() => load({ env }))).toContain('cors.allowed_origins: expected')
    },
  )

  test('refuses unknown sections, keys and variables, all at once', () => {
    const file = tomlFile('top = 1\n[server]\nprot = 1\n[servr]\nport = 2\n')
    const env = { KALAMDB_SERVER_PROT: '1', KALAMDB_HTTP_BODY_BYTES_MAX: 'much' }
    const flags = [parseSetFlag('http.x=1')]
    const problem = problemOf(() => loadConfig({ file, env, flags }))
    expect(problem).toContain('the configuration has 6 problems')
    expect(problem).toContain(`top: there is no such setting (set in ${file}:1)`)
    expect(problem).toContain(`server.prot: there is no such setting (set in ${file}:3)`)
    expect(problem).toContain('[server] has host, port')
    expect(problem).toContain(`servr.port: there is no such setting (set in ${file}:5)`)
    expect(problem).toContain('KALAMDB_SERVER_PROT: there is no such setting')
    expect(problem).toContain('http.body_bytes_max: expected')
    expect(problem).toContain('http.x: there is no such setting (set in --set)')
  })

  test('leaves other variables alone', () => {
    expect(load({ env: { PATH: '/bin', KALAM_URL: 'x', KALAMDB: 'y' } }).config).toBeDefined()
  })

  test.each([
    ['[server\nport = 1', ':1:'],
    ['[server]\nport = ', ':2:'],
    ['[server]\nport = 1\nport = 2', ':3:'],
  ])('names line and column of what is not TOML', (content, place) => {
    const file = tomlFile(content)
    expect(problemOf(() => loadConfig({ file, env: {} }))).toContain(`${file}${place}`)
  })

  test('reads dotted keys and quoted keys with their lines', () => {
    const file = tomlFile('server.port = 7\n[log]\n"level" = "warn"')
    const { config, origins } = loadConfig({ file, env: {} })
    expect(config.server.port).toBe(7)
    expect(origins.get('server.port')).toBe(`${file}:1`)
    expect(origins.get('log.level')).toBe(`${file}:3`)
  })

  test('a file that was named must be there', () => {
    const file = join(folder, 'missing.toml')
    expect(problemOf(() => loadConfig({ file, env: {} }))).toContain(`cannot read ${file}`)
    expect(problemOf(() => loadConfig({ env: { KALAMDB_CONFIG: file } }))).toContain(file)
  })

  test('KALAMDB_CONFIG names the file, and --config beats it', () => {
    const variable = tomlFile('[server]\nport = 1')
    const flag = tomlFile('[server]\nport = 2')
    const env = { KALAMDB_CONFIG: variable }
    expect(loadConfig({ env }).config.server.port).toBe(1)
    expect(loadConfig({ env, file: flag }).config.server.port).toBe(2)
  })

  test.each(['port', '=3', ''])('refuses --set %s', (argument) => {
    expect(problemOf(() => parseSetFlag(argument))).toContain('expected section.key=value')
  })

  test('keeps what follows the first = of --set', () => {
    expect(parseSetFlag('server.data_dir=/a=b')).toEqual({
      flag: '--set',
      key: 'server.data_dir',
      value: '/a=b',
    })
  })

  test('shows no secret, neither in SHOW CONFIG nor in a problem', () => {
    const secret = `kal_${'s'.repeat(43)}`
    const shown = JSON.stringify(
      describeConfig(load({ env: { KALAMDB_AUTH_BOOTSTRAP_APIKEY: secret } })),
    )
    expect(shown).toContain('••••')
    expect(shown).not.toContain(secret)
    const wrong = { KALAMDB_AUTH_BOOTSTRAP_APIKEY: 'hunter2' }
    expect(problemOf(() => load({ env: wrong }))).not.toContain('hunter2')
  })
})

describe('G3: settings that must agree', () => {
  describe.each(['server', 'postgres_wire'])('TLS of %s', (section) => {
    const variable = (name: string) => `KALAMDB_${section.toUpperCase()}_${name}`

    test('a certificate needs its key', () => {
      const env = { [variable('TLS_CERT')]: tomlFile('') }
      const problem = problemOf(() => load({ env }))
      expect(problem).toContain(`${section}.tls_cert and ${section}.tls_key must be set together`)
      expect(problem).toContain(`${section}.tls_cert: ${variable('TLS_CERT')}`)
    })

    test('the files must be readable', () => {
      const env = { [variable('TLS_CERT')]: tomlFile(''), [variable('TLS_KEY')]: '/nowhere/key' }
      const problem = problemOf(() => load({ env }))
      expect(problem).toContain(`${section}.tls_key: cannot read the file`)
      expect(problem).toContain('/nowhere/key')
    })
  })

  test('an idle transaction may not last longer than a transaction', () => {
    const env = { KALAMDB_ENGINE_TRANSACTION_TIMEOUT_MS: '999' }
    expect(problemOf(() => load({ env }))).toContain('engine.idle_transaction_timeout_ms must not')
    const equal = { ...env, KALAMDB_ENGINE_IDLE_TRANSACTION_TIMEOUT_MS: '999' }
    expect(load({ env: equal }).config.engine.transaction_timeout_ms).toBe(999)
  })
})
