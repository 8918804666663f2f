/** HTTP for tests, as close to the bytes as each needs. */
import { connect, type Socket } from 'node:net'
import type { TestServer } from './server.js'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

export interface PostOptions {
  /** The body; an object becomes JSON. */
  readonly body: string | Uint8Array | object
  /** Null: no key. */
  readonly key?: string | null
  readonly headers?: Readonly<Record<string, string>>
}

/** POST /v1/api/sql. */
export async function postSql(server: TestServer, options: PostOptions): Promise<Answer> {
  const { body, key = server.adminKey, headers } = options
  const isRaw = typeof body === 'string' || body instanceof Uint8Array
  const response = await fetch(`${server.url}/v1/api/sql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(key === null ? {} : { 'x-api-key': key }),
      ...headers,
    },
    body: isRaw ? (body as BodyInit) : JSON.stringify(body),
  })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

export interface ErrorBody {
  readonly status: 'error'
  readonly error: {
    readonly code: string
    readonly message: string
    readonly sqlstate?: string
    readonly position?: number
    readonly line?: number
    readonly column?: number
    readonly hint?: string
    readonly detail?: string
    readonly statement?: number
  }
}

/** The error of an answer; fails if it is a success. */
export function errorOf(answer: Answer): ErrorBody['error'] {
  const body = JSON.parse(answer.text) as ErrorBody | { readonly status: 'success' }
  if (body.status !== 'error') throw new Error(`no error: ${answer.text.slice(0, 500)}`)
  return body.error
}

/** The lines of a stream, parsed. */
export function linesOf(answer: Answer): Record<string, unknown>[] {
  if (!answer.text.endsWith('\n')) throw new Error('the last line has no end')
  return answer.text
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

const answerMsMax = 15_000

/** Sends bytes and gives what comes back until `isEnough`, or the other side closes. */
export function sendRaw(
  port: number,
  parts: readonly (string | Uint8Array)[],
  isEnough: (received: string) => boolean = isWholeAnswer,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = ''
    const socket = connect(port, '127.0.0.1')
    const done = () => {
      clearTimeout(deadline)
      socket.destroy()
      resolve(received)
    }
    const deadline = setTimeout(() => {
      socket.destroy()
      reject(new Error(`no answer within ${answerMsMax} ms; so far: ${received.slice(0, 500)}`))
    }, answerMsMax)
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      if (isEnough(received)) done()
    })
    socket.on('error', done)
    socket.on('close', done)
    for (const part of parts) socket.write(part)
  })
}

/** The head of POST /v1/api/sql up to the blank line, which the caller adds after more headers. */
export function rawSqlHead(server: TestServer): string {
  return (
    'POST /v1/api/sql HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n' +
    `X-API-KEY: ${server.adminKey}\r\n`
  )
}

/** Asks until the answer is right: what is waited for is an event elsewhere. */
export async function eventually(check: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 20_000
  while (!(await check())) {
    if (performance.now() > deadlineMs) throw new Error('it did not happen within 20 s')
  }
}

/** The figure of /metrics; 0 if it is not there. */
export async function metric(server: TestServer, name: string): Promise<number> {
  const page = await (await fetch(`${server.url}/metrics`)).text()
  const value = new RegExp(`^${name} (\\S+)$`, 'mu').exec(page)?.[1]
  return Number(value ?? 0)
}

/** Sends SQL and reads nothing of its answer. */
export function sendOnly(server: TestServer, body: string, headers = ''): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.port, '127.0.0.1', () => {
      socket.pause()
      const length = `Content-Length: ${Buffer.byteLength(body)}\r\n`
      socket.write(`${rawSqlHead(server)}${headers}${length}\r\n${body}`, () => resolve(socket))
    })
    socket.once('error', reject)
  })
}

function isWholeAnswer(received: string): boolean {
  const headEnd = received.indexOf('\r\n\r\n')
  if (headEnd === -1) return false
  const length = /\r\ncontent-length: (\d+)/i.exec(received.slice(0, headEnd))?.[1]
  return length === undefined
    ? received.endsWith('0\r\n\r\n')
    : received.length >= headEnd + 4 + Number(length)
}
