/** POST /v1/api/copy for tests. */
import type { TestServer } from './server.js'

export interface CopyOptions {
  /** Without one: none, as for TO STDOUT. */
  readonly data?: string | Uint8Array
  readonly key?: string
  readonly namespace?: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface CopyAnswer {
  readonly status: number
  readonly type: string
  readonly headers: Headers
  readonly bytes: Buffer
  readonly text: string
}

export function copyUrl(server: TestServer, sql: string, namespace?: string): string {
  const query = new URLSearchParams({ sql, ...(namespace === undefined ? {} : { namespace }) })
  return `${server.url}/v1/api/copy?${query}`
}

/** Whatever the server answers; rejects if the answer breaks off. */
export async function copy(
  server: TestServer,
  sql: string,
  options: CopyOptions = {},
): Promise<CopyAnswer> {
  const { data, key = server.adminKey, namespace, headers } = options
  const response = await fetch(copyUrl(server, sql, namespace), {
    method: 'POST',
    headers: { 'x-api-key': key, ...headers },
    // TypeScript's declaration leaves out bytes that others may write to.
    ...(data === undefined ? {} : { body: data as BodyInit }),
  })
  const bytes = Buffer.from(await response.arrayBuffer())
  return {
    status: response.status,
    type: response.headers.get('content-type') ?? '',
    headers: response.headers,
    bytes,
    text: bytes.toString('utf8'),
  }
}

/** Rows copied in; fails on any error. */
export async function copyIn(
  server: TestServer,
  sql: string,
  data: string | Uint8Array,
  key?: string,
): Promise<number> {
  const { text } = await copy(server, sql, { data, ...(key === undefined ? {} : { key }) })
  const body = JSON.parse(text) as { results?: readonly { command: string; row_count: number }[] }
  const [result] = body.results ?? []
  if (result?.command !== 'COPY') throw new Error(`${text} for ${sql}`)
  return result.row_count
}

/** Data copied out; fails on any error. */
export async function copyOut(server: TestServer, sql: string, key?: string): Promise<CopyAnswer> {
  const answer = await copy(server, sql, key === undefined ? {} : { key })
  if (answer.status !== 200) throw new Error(`${answer.text} for ${sql}`)
  return answer
}
