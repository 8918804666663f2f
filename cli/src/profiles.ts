import { readFileSync, statSync } from 'node:fs'
import { parse } from 'smol-toml'
import { CliError } from './exit-code.js'

/** `[profiles.NAME]` of ~/.kalam/config.toml. */
export interface Profile {
  readonly url?: string
  readonly apiKey?: string
  readonly format?: string
  readonly namespace?: string
}

/** Reads all profiles; none if there is no file. Throws CliError `fileFailed` or `usage`. */
export function readProfiles(path: string): ReadonlyMap<string, Profile> {
  const text = readIfThere(path)
  if (text === undefined) return new Map()
  const profiles = new Map(
    Object.entries(tableOf(parseToml(text, path)['profiles'], `${path}: profiles`)).map(
      ([name, value]) => [name, readProfile(value, `${path}: profiles.${name}`)] as const,
    ),
  )
  const holdsKeys = [...profiles.values()].some(({ apiKey }) => apiKey !== undefined)
  if (holdsKeys) refuseIfOpen(path)
  return profiles
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new CliError('fileFailed', `cannot read ${path}: ${reason}`, { cause })
  }
}

function parseToml(text: string, path: string): Record<string, unknown> {
  try {
    return parse(text)
  } catch (cause) {
    // Only the place: the excerpt in the parser's message could show a key.
    const [line, column] = placeOf(cause)
    throw new CliError('usage', `${path}:${line}:${column}: this is not TOML`, { cause })
  }
}

function placeOf(cause: unknown): readonly [number, number] {
  if (!(cause instanceof Error) || !('line' in cause) || !('column' in cause)) return [1, 1]
  return [Number(cause.line), Number(cause.column)]
}

const names = { url: 'url', api_key: 'apiKey', format: 'format', namespace: 'namespace' } as const

function readProfile(value: unknown, place: string): Profile {
  const entries = Object.entries(tableOf(value, place)).map(([name, setting]): [string, string] => {
    const known = Object.entries(names).find(([written]) => written === name)?.[1]
    if (known === undefined) {
      const all = Object.keys(names).join(', ')
      throw new CliError('usage', `${place}.${name}: there is no such setting; there are ${all}`)
    }
    if (typeof setting !== 'string') {
      throw new CliError('usage', `${place}.${name}: expected text in quotes`)
    }
    return [known, setting]
  })
  return Object.fromEntries(entries)
}

function tableOf(value: unknown, place: string): Record<string, unknown> {
  if (value === undefined) return {}
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new CliError('usage', `${place}: expected a table, like [profiles.default]`)
  }
  // A TOML table is an object with string keys; each value is checked where it is used.
  return value as Record<string, unknown>
}

/** Keys are like passwords: nobody else on the machine may read them. */
function refuseIfOpen(path: string): void {
  if (process.platform === 'win32') return
  const othersMay = statSync(path).mode & 0o077
  if (othersMay === 0) return
  throw new CliError(
    'usage',
    `${path} holds API keys and others may read it; close it with: chmod 600 ${path}`,
  )
}
