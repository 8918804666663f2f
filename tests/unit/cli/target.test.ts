import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { resolveTarget, type GlobalOptions, type Target } from '#cli/target.js'

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'kalam-target-'))
  mkdirSync(join(home, '.kalam', 'servers'), { recursive: true })
})
afterEach(() => rmSync(home, { recursive: true }))

function resolve(options: GlobalOptions = {}, env: Record<string, string> = {}): Target {
  const stream = new PassThrough()
  const streams = { stdin: stream, stdout: stream, stderr: stream }
  return resolveTarget(options, { ...streams, env, home, clock: () => 0 })
}

function writeProfiles(text: string, mode = 0o600): void {
  const path = join(home, '.kalam', 'config.toml')
  writeFileSync(path, text)
  chmodSync(path, mode)
}

function writeToken(port: number, token: string): void {
  writeFileSync(join(home, '.kalam', 'servers', `${port}.token`), `${token}\n`)
}

describe('the server', () => {
  test('is the local one unless something says otherwise', () => {
    expect(resolve().url).toBe('http://127.0.0.1:2900')
    expect(resolve({}, { KALAMDB_SERVER_PORT: '3000' }).url).toBe('http://127.0.0.1:3000')
    expect(resolve({}, { KALAM_URL: 'https://db.example.com/' }).url).toBe('https://db.example.com')
  })

  test('the more explicit wins', () => {
    writeProfiles('[profiles.default]\nurl = "http://d"\n[profiles.other]\nurl = "http://o"')
    const env = { KALAM_URL: 'http://e' }
    expect(resolve().url).toBe('http://d')
    expect(resolve({}, env).url).toBe('http://e')
    expect(resolve({}, { KALAM_PROFILE: 'other' }).url).toBe('http://o')
    expect(resolve({ profile: 'other' }, env).url).toBe('http://o')
    expect(resolve({ profile: 'other', url: 'http://c' }, env).url).toBe('http://c')
  })

  test('may be under a path', () => {
    expect(resolve({ url: 'https://example.com/db/' }).url).toBe('https://example.com/db')
  })

  test.each(['nonsense', 'ftp://x', 'http://user@x', 'http://x?key=1', ''])(
    '%j is no URL',
    (url) => {
      expect(() => resolve({ url })).toThrow('not a server URL')
    },
  )
})

describe('the key', () => {
  test('the more explicit wins', () => {
    writeProfiles('[profiles.default]\napi_key = "p"')
    expect(resolve().key?.value).toBe('p')
    expect(resolve({}, { KALAM_API_KEY: 'e' }).key?.value).toBe('e')
    expect(resolve({ apiKey: 'c' }, { KALAM_API_KEY: 'e' }).key?.value).toBe('c')
  })

  test("a profile's key goes to the profile's server only", () => {
    writeProfiles('[profiles.default]\nurl = "https://db.example.com"\napi_key = "p"')
    expect(resolve().key?.value).toBe('p')
    expect(resolve({ url: 'https://db.example.com/' }).key?.value).toBe('p')
    expect(resolve({ url: 'https://evil.example.com' }).key).toBeUndefined()
  })

  test.each([
    'http://127.0.0.1:2950',
    'http://localhost:2950',
    'http://[::1]:2950',
    'http://127.8.9.1:2950',
  ])('the local token serves %s', (url) => {
    writeToken(2950, 'token')
    expect(resolve({ url }).key?.value).toBe('token')
  })

  test.each(['http://192.168.1.1:2950', 'http://localhost.evil.com:2950', 'http://128.0.0.1:2950'])(
    'the local token never goes to %s',
    (url) => {
      writeToken(2950, 'token')
      expect(resolve({ url }).key).toBeUndefined()
    },
  )

  test('G1: of a server whose home is read-only the token is found by its data folder', () => {
    writeFileSync(join(home, 'admin.token'), 'in-the-data-folder')
    const env = { KALAMDB_SERVER_DATA_DIR: home, KALAMDB_SERVER_PORT: '2950' }
    expect(resolve({}, env).key?.value).toBe('in-the-data-folder')
    expect(resolve({ url: 'http://localhost:2950' }, env).currentKey()).toBe('in-the-data-folder')
    writeToken(2950, 'in-the-home')
    expect(resolve({}, env).key?.value).toBe('in-the-home')
  })

  test.each(['http://127.0.0.1:2951', 'http://192.168.1.1:2950'])(
    'the token of a data folder never goes to %s',
    (url) => {
      writeFileSync(join(home, 'admin.token'), 'token')
      const env = { KALAMDB_SERVER_DATA_DIR: home, KALAMDB_SERVER_PORT: '2950' }
      expect(resolve({ url }, env).key).toBeUndefined()
    },
  )

  test('says which token is missing', () => {
    expect(resolve().missingToken).toContain('2900.token')
  })

  test('with characters that no header takes is refused without being shown', () => {
    expect(() => resolve({ apiKey: 'a\nb' })).toThrow(/^the API key from the command line has/)
  })
})

describe('profiles', () => {
  test.each([
    ['[profiles.default]\nurl = 1', 'profiles.default.url: expected text'],
    ['[profiles.default]\nkey = "x"', 'profiles.default.key: there is no such setting'],
    ['profiles = 1', 'expected a table'],
    ['[profiles.default]\napi_key = kal_secret', ':2:'],
  ])('%j is refused', (text, message) => {
    writeProfiles(text)
    expect(() => resolve()).toThrow(message)
  })

  test('a parser message never shows a key', () => {
    writeProfiles('[profiles.default]\napi_key = kal_secret')
    expect(() => resolve()).not.toThrow(/kal_secret/)
  })

  test('that hold keys must be closed to others', () => {
    writeProfiles('[profiles.default]\napi_key = "x"', 0o644)
    expect(() => resolve()).toThrow('chmod 600')
    writeProfiles('[profiles.default]\nurl = "http://x"', 0o644)
    expect(resolve().url).toBe('http://x')
  })

  test('an unknown one is named, with those there are', () => {
    writeProfiles('[profiles.one]\n[profiles.two]')
    expect(() => resolve({ profile: 'three' })).toThrow(/no profile three .* one, two/)
  })
})

describe('the format', () => {
  test('comes from option, environment or profile', () => {
    writeProfiles('[profiles.default]\nformat = "csv"')
    expect(resolve().format).toBe('csv')
    expect(resolve({}, { KALAM_FORMAT: 'json' }).format).toBe('json')
    expect(resolve({ format: 'table' }, { KALAM_FORMAT: 'json' }).format).toBe('table')
    expect(() => resolve({ format: 'xml' })).toThrow('table, json, csv')
  })
})
