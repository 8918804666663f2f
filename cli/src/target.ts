/**
 * Decides which server to talk to, as whom and how to show results. What is more explicit wins:
 * options, a profile named by --profile, environment variables, the profile of KALAM_PROFILE or
 * `default`. A key never goes to another server than the one its profile names.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CliError } from './exit-code.js'
import { outputFormats, type OutputFormat } from './output-format.js'
import { readProfiles, type Profile } from './profiles.js'
import type { Surroundings } from './surroundings.js'

/** The options that stand before or after any command. */
export interface GlobalOptions {
  readonly url?: string
  readonly apiKey?: string
  readonly profile?: string
  readonly format?: string
  readonly namespace?: string
  readonly quiet?: boolean
}

export interface Key {
  readonly value: string
  /** Where it was found, for messages. */
  readonly origin: string
}

export interface Target {
  readonly url: string
  readonly key: Key | undefined
  /** The key as it is now: a server on this machine renews its token when it starts. */
  readonly currentKey: () => string | undefined
  /** The key is such a token. */
  readonly isToken: boolean
  /** The URL names this machine's loopback address. */
  readonly isLocal: boolean
  /** The token file that was looked for in vain. */
  readonly missingToken: string | undefined
  readonly namespace: string | undefined
  readonly format: OutputFormat
}

/** Throws CliError: `usage` for a value that makes no sense, `fileFailed` for a bad profile. */
export function resolveTarget(options: GlobalOptions, surroundings: Surroundings): Target {
  const layers = layersOf(options, surroundings)
  const url = findUrl(layers, surroundings.env)
  const isLocal = isLoopback(new URL(url).hostname)
  const token = isLocal ? readToken(url, surroundings) : undefined
  const key = findKey(layers, url, surroundings.env)
  return {
    url,
    key: key ?? token?.key,
    currentKey: () => (key ?? (isLocal ? readToken(url, surroundings).key : undefined))?.value,
    isToken: key === undefined && token?.key !== undefined,
    isLocal,
    missingToken: token?.key === undefined ? token?.path : undefined,
    namespace: layers.find((layer) => layer.namespace !== undefined)?.namespace,
    format: findFormat(layers),
  }
}

/** One place that settings come from. */
interface Layer {
  readonly name: string
  readonly isProfile: boolean
  readonly url?: string | undefined
  readonly apiKey?: string | undefined
  readonly format?: string | undefined
  readonly namespace?: string | undefined
}

function layersOf(options: GlobalOptions, { env, home }: Surroundings): readonly Layer[] {
  const given: Layer = { name: 'the command line', isProfile: false, ...options }
  const variables: Layer = {
    name: 'the environment (KALAM_API_KEY)',
    isProfile: false,
    url: filled(env['KALAM_URL']),
    apiKey: filled(env['KALAM_API_KEY']),
    format: filled(env['KALAM_FORMAT']),
    namespace: filled(env['KALAM_NAMESPACE']),
  }
  const profile = findProfile(options.profile ?? filled(env['KALAM_PROFILE']), home)
  if (profile === undefined) return [given, variables]
  return options.profile === undefined ? [given, variables, profile] : [given, profile, variables]
}

/** A variable set to nothing counts as not set. */
function filled(value: string | undefined): string | undefined {
  return value === '' ? undefined : value
}

/** The named profile, which must exist, or `default`, which may. */
function findProfile(name: string | undefined, home: string): Layer | undefined {
  const path = join(home, '.kalam', 'config.toml')
  const profiles = readProfiles(path)
  const profile: Profile | undefined = profiles.get(name ?? 'default')
  if (profile !== undefined) {
    return { ...profile, name: `profile ${name ?? 'default'} of ${path}`, isProfile: true }
  }
  if (name === undefined) return undefined
  const known = [...profiles.keys()].join(', ')
  throw new CliError(
    'usage',
    `there is no profile ${name} in ${path}` + (known === '' ? '' : `; it has ${known}`),
  )
}

function findUrl(layers: readonly Layer[], env: Surroundings['env']): string {
  return checkedUrl(layers.find((layer) => layer.url !== undefined)?.url ?? localUrl(env))
}

/** Where `kalam serve` listens when it is told nothing else. */
function localUrl(env: Surroundings['env']): string {
  return `http://127.0.0.1:${localPort(env)}`
}

function localPort(env: Surroundings['env']): string {
  return filled(env['KALAMDB_SERVER_PORT']) ?? defaultPort
}

const defaultPort = '2900'

/** A key has no business in a URL: URLs end up in logs and histories. */
function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:'
  if (url === undefined || !isHttp || url.username !== '' || url.search + url.hash !== '') {
    throw new CliError('usage', `not a server URL: ${text}\nWrite it like http://127.0.0.1:2900`)
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

/** The first key, but a profile's own only for the server that the profile names. */
function findKey(layers: readonly Layer[], url: string, env: Surroundings['env']) {
  for (const layer of layers) {
    if (layer.apiKey === undefined) continue
    if (!layer.isProfile || checkedUrl(layer.url ?? localUrl(env)) === url) {
      return checkedKey(layer.apiKey, layer.name)
    }
  }
  return undefined
}

/** What cannot stand in a header would fail deep inside HTTP, and show the key in the message. */
function checkedKey(value: string, origin: string): Key {
  if (/^[\x21-\x7e]+$/.test(value)) return { value, origin }
  throw new CliError('usage', `the API key from ${origin} has characters that no key has`)
}

function findFormat(layers: readonly Layer[]): OutputFormat {
  const layer = layers.find(({ format }) => format !== undefined)
  const format = outputFormats.find((known) => known === (layer?.format ?? 'table'))
  if (format !== undefined) return format
  throw new CliError(
    'usage',
    `unknown format ${layer?.format ?? ''}; there are ${outputFormats.join(', ')}`,
  )
}

/** Loopback names only: the local token must never leave the machine. */
function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
}

interface FoundToken {
  readonly path: string
  readonly key: Key | undefined
}

/** The token that a server on this machine leaves for its own user (mode 0600). */
function readToken(url: string, { env, home }: Surroundings): FoundToken {
  const { port, protocol } = new URL(url)
  const number = port === '' ? (protocol === 'https:' ? '443' : '80') : port
  const inHome = readTokenFile(join(home, '.kalam', 'servers', `${number}.token`))
  const dataDir = filled(env['KALAMDB_SERVER_DATA_DIR'])
  // In a container the home may be read-only; the variables there are those of the server.
  if (inHome.key !== undefined || dataDir === undefined || number !== localPort(env)) return inHome
  return readTokenFile(join(dataDir, 'admin.token'))
}

function readTokenFile(path: string): FoundToken {
  try {
    return { path, key: checkedKey(readFileSync(path, 'utf8').trim(), path) }
  } catch {
    return { path, key: undefined }
  }
}
