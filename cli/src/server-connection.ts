/**
 * Talks to one server over HTTP, as one caller. The only file of the command line that knows the
 * shape of the SQL API's answers.
 */
import { Readable } from 'node:stream'
import { CliError } from './exit-code.js'
import { elements, members, readString } from './json-source.js'
import type { Key, Target } from './target.js'

export interface Column {
  readonly name: string
  /** PostgreSQL's name of the type: `int4`, `text[]`. */
  readonly type: string
}

export interface StatementResult {
  readonly command: string
  readonly columns: readonly Column[]
  /** Each row's JSON, exactly as the server wrote it. */
  readonly rows: readonly string[]
  readonly rowCount: number
  /** This result's JSON, exactly as the server wrote it. */
  readonly source: string
}

/** An error as the SQL API tells it. */
export interface ServerError {
  readonly code: string
  readonly message: string
  readonly sqlstate?: string
  readonly detail?: string
  readonly hint?: string
  readonly where?: string
  /** Characters from 1, in the SQL of the request. */
  readonly position?: number
  readonly line?: number
  readonly column?: number
  /** Which statement of the request failed, from 0. */
  readonly statement?: number
}

export type Reply =
  | { readonly kind: 'results'; readonly results: readonly StatementResult[] }
  | { readonly kind: 'error'; readonly status: number; readonly error: ServerError }

export type CopyReply =
  | { readonly kind: 'data'; readonly data: AsyncIterable<Uint8Array> }
  | (Reply & { readonly kind: 'error' })

export interface SqlRequest {
  readonly sql: string
  /** How the server writes rows. */
  readonly rows: 'object' | 'array'
  readonly namespace?: string | undefined
}

export interface ServerState {
  readonly ready: boolean
  readonly version: string
  /** What the server says of itself: `ready`, `starting`, … */
  readonly state: string
}

export class ServerConnection {
  readonly target: Target

  constructor(target: Target) {
    this.target = target
  }

  /** Runs SQL. Aborting the signal cancels it on the server too. Throws CliError. */
  async run(request: SqlRequest, signal?: AbortSignal): Promise<Reply> {
    const key = await this.key()
    const response = await this.#fetch('/v1/api/sql', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${key.value}`,
      },
      body: JSON.stringify(request),
      signal: signal ?? null,
    })
    return readReply(response.status, await this.#text(response), this.target)
  }

  /** Runs COPY … FROM STDIN with its data. Aborting the signal cancels it on the server too. Throws CliError. */
  async copyIn(sql: string, data: Readable, signal?: AbortSignal): Promise<Reply> {
    // TypeScript's declaration lacks `duplex`, which a body that is a stream must have.
    const init: RequestInit & { readonly duplex: 'half' } = {
      method: 'POST',
      headers: { authorization: `Bearer ${(await this.key()).value}` },
      body: Readable.toWeb(data) as ReadableStream<Uint8Array>,
      duplex: 'half',
      signal: signal ?? null,
    }
    const response = await this.#fetch(this.#copyPath(sql), init)
    return readReply(response.status, await this.#text(response), this.target)
  }

  /** Runs COPY … TO STDOUT; its data is to be read. Throws CliError, and so does reading. */
  async copyOut(sql: string, signal?: AbortSignal): Promise<CopyReply> {
    const { namespace } = this.target
    const response = await this.#fetch('/v1/api/copy', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${(await this.key()).value}`,
      },
      body: JSON.stringify({ sql, namespace }),
      signal: signal ?? null,
    })
    if (response.ok) return { kind: 'data', data: this.#dataOf(response) }
    const reply = readReply(response.status, await this.#text(response), this.target)
    if (reply.kind === 'error') return reply
    throw new CliError('notConnected', `${this.target.url} answered without data`)
  }

  async *#dataOf(response: Response): AsyncGenerator<Uint8Array> {
    try {
      for await (const piece of response.body ?? []) yield piece
    } catch (cause) {
      if (isAbort(cause)) throw unreachable(this.target, cause)
      const message = 'the data broke off: what came is not all of it, and must not be used'
      throw new CliError('notConnected', `${message}\nThe server's log may say why.`, { cause })
    }
  }

  #copyPath(sql: string): string {
    const { namespace } = this.target
    const query = new URLSearchParams({ sql, ...(namespace === undefined ? {} : { namespace }) })
    return `/v1/api/copy?${query}`
  }

  /** The key that there must be. Throws CliError `notAuthorised` or `notConnected` if there is none. */
  async key(): Promise<Key> {
    if (this.target.key === undefined) throw await this.#withoutKey()
    return this.target.key
  }

  /** How the server is; needs no key. Throws CliError if nothing answers. */
  async state(): Promise<ServerState> {
    const ready = await this.#fetch('/ready', {})
    const readiness = objectFrom(await this.#text(ready))
    const check = await this.#fetch('/v1/api/healthcheck', {})
    const health = objectFrom(await this.#text(check))
    return {
      ready: ready.ok,
      version: textOf(health['version']) ?? 'unknown',
      state: textOf(readiness['status']) ?? textOf(readiness['state']) ?? `HTTP ${ready.status}`,
    }
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(`${this.target.url}${path}`, { redirect: 'error', ...init })
    } catch (cause) {
      throw unreachable(this.target, cause)
    }
  }

  async #text(response: Response): Promise<string> {
    try {
      return await response.text()
    } catch (cause) {
      throw unreachable(this.target, cause)
    }
  }

  /** Why there is no key: perhaps there is no server either. */
  async #withoutKey(): Promise<CliError> {
    const { url, isLocal, missingToken } = this.target
    if (!isLocal) return new CliError('notAuthorised', noKeyAdvice(url))
    await this.state()
    return new CliError('notAuthorised', noTokenAdvice(url, missingToken))
  }
}

function readReply(status: number, text: string, target: Target): Reply {
  const reply = replyMembers(status, text, target)
  const kind = reply.get('status')
  if (kind === '"success"') {
    return { kind: 'results', results: elements(reply.get('results') ?? '[]').map(readResult) }
  }
  const error = readError(reply.get('error') ?? '{}')
  if (status === 401) throw new CliError('notAuthorised', wrongKeyAdvice(target, error.message))
  return { kind: 'error', status, error }
}

/** The answer's parts; anything that is not the SQL API's is said to be so. */
function replyMembers(status: number, text: string, target: Target): Map<string, string> {
  try {
    const reply = members(text)
    if (reply.has('status')) return reply
  } catch {
    // Not JSON: told below, with what came instead.
  }
  throw new CliError(
    'notConnected',
    `${target.url} answered HTTP ${status}, and not as a KalamDB server: ${text.slice(0, 120)}\n` +
      'Check the URL (--url, KALAM_URL or the profile).',
  )
}

function readResult(source: string): StatementResult {
  const result = members(source)
  return {
    command: readString(result.get('command') ?? '""'),
    columns: elements(result.get('columns') ?? '[]').map(readColumn),
    rows: elements(result.get('rows') ?? '[]'),
    rowCount: Number(result.get('row_count') ?? 0),
    source,
  }
}

function readColumn(source: string): Column {
  const column = members(source)
  return {
    name: readString(column.get('name') ?? '""'),
    type: readString(column.get('type') ?? '""'),
  }
}

function readError(source: string): ServerError {
  const error = objectFrom(source)
  return {
    code: textOf(error['code']) ?? 'INTERNAL',
    message: textOf(error['message']) ?? 'the server gave no reason',
    ...optionalTexts(error),
    ...optionalNumbers(error),
  }
}

function optionalTexts(error: Record<string, unknown>): Partial<ServerError> {
  const names = ['sqlstate', 'detail', 'hint', 'where'] as const
  return Object.fromEntries(
    names.flatMap((name) => (typeof error[name] === 'string' ? [[name, error[name]]] : [])),
  )
}

function optionalNumbers(error: Record<string, unknown>): Partial<ServerError> {
  const names = ['position', 'line', 'column', 'statement'] as const
  return Object.fromEntries(
    names.flatMap((name) => (typeof error[name] === 'number' ? [[name, error[name]]] : [])),
  )
}

function objectFrom(source: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(source)
    // An object has string keys and values of any kind; each is checked where it is used.
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function unreachable(target: Target, cause: unknown): CliError {
  if (isAbort(cause)) return new CliError('interrupted', 'cancelled', { cause })
  const reason = reasonOf(cause)
  const advice = target.isLocal
    ? 'Start a server on this machine with: kalam serve'
    : 'Check the URL (--url, KALAM_URL or the profile), and that the server is running.'
  return new CliError('notConnected', `cannot reach ${target.url}: ${reason}\n${advice}`, { cause })
}

function isAbort(cause: unknown): boolean {
  return cause instanceof Error && cause.name === 'AbortError'
}

/** The reason under fetch's own "fetch failed". */
function reasonOf(cause: unknown): string {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  if (!(inner instanceof Error)) return String(inner)
  const code = 'code' in inner && typeof inner.code === 'string' ? inner.code : undefined
  if (code === 'ECONNREFUSED') return 'nothing listens there'
  if (code === 'ENOTFOUND') return 'there is no such host'
  if (code === 'ECONNRESET' || code === 'UND_ERR_SOCKET') {
    return 'the connection broke; whether the last statement was carried out is not known'
  }
  return inner.message === '' ? (code ?? 'no connection') : inner.message
}

function noKeyAdvice(url: string): string {
  return [
    `no API key for ${url}`,
    'Give one with --api-key, KALAM_API_KEY or a profile in ~/.kalam/config.toml.',
    "Make one on the server's machine with: kalam user create NAME",
  ].join('\n')
}

function noTokenAdvice(url: string, missingToken: string | undefined): string {
  return [
    `no API key for ${url}, and the server's local token cannot be read: ${missingToken ?? 'none'}`,
    'Run this as the operating system user that runs the server, or give a key with --api-key or',
    'KALAM_API_KEY. (auth.allow_localhost = false turns local tokens off.)',
  ].join('\n')
}

/** What to do about a key that the server does not accept. */
export function wrongKeyAdvice(target: Target, message: string): string {
  const origin = target.key?.origin ?? 'nowhere'
  return [
    `${target.url} does not accept the key from ${origin}: ${message}`,
    "A new key is made on the server's machine with: kalam key create NAME",
  ].join('\n')
}
