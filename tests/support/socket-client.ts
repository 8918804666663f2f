/** A WebSocket for tests: what comes is queued, and every wait has a deadline. */
import { WebSocket } from 'ws'
import { ByteSink } from '#src/protocol/byte-sink.js'
import { appendBinary, decodeServerBinary } from '#src/protocol/socket-binary.js'
import { jsonText } from '#src/protocol/socket-json.js'
import type { ClientMessage } from '#src/protocol/socket-messages.js'

export type Received = Readonly<Record<string, unknown>>

export interface SocketOptions {
  readonly protocol?: string | readonly string[]
  readonly headers?: Readonly<Record<string, string>>
}

export interface Closing {
  readonly code: number
  readonly reason: string
}

export interface TestSocket extends AsyncDisposable {
  /** An object goes as JSON. */
  send(message: string | Uint8Array | object): void
  /** A message of `kalam.v1.bin`. */
  sendBinary(message: ClientMessage): void
  /** The next message, parsed; those of `kalam.v1.bin` in the shape of JSON ones. */
  next(): Promise<Received>
  /** The next message of that type; those before it are dropped. */
  nextOf(type: string): Promise<Received>
  readonly closed: Promise<Closing>
  /** Takes nothing more from the network, until `resume`. */
  pause(): void
  resume(): void
  close(): void
  /** Ends without a word. */
  cut(): void
}

const msMax = 20_000

export async function openSocket(
  server: { readonly url: string },
  { protocol = 'kalam.v1.json', headers }: SocketOptions = {},
): Promise<TestSocket> {
  const url = `${server.url.replace(/^http/u, 'ws')}/v1/ws`
  const socket = new WebSocket(url, [...(typeof protocol === 'string' ? [protocol] : protocol)], {
    headers: { ...headers },
    perMessageDeflate: false,
  })
  const test = testSocket(socket)
  await within(
    'open',
    new Promise((resolve, reject) => {
      socket.once('open', resolve)
      socket.once('error', reject)
    }),
  )
  return test
}

/** Opens and authenticates. */
export async function enterSocket(
  server: { readonly url: string; readonly adminKey: string },
  { key = server.adminKey, ...options }: SocketOptions & { readonly key?: string } = {},
): Promise<TestSocket> {
  const socket = await openSocket(server, options)
  socket.send({ type: 'authenticate', key })
  const answer = await socket.next()
  if (answer['type'] !== 'authenticated') throw new Error(JSON.stringify(answer))
  return socket
}

function testSocket(socket: WebSocket): TestSocket {
  const received: Received[] = []
  let waiting: (() => void) | undefined
  let closing: Closing | undefined
  socket.on('error', () => undefined)
  socket.on('message', (bytes: Buffer, isBinary) => {
    received.push(isBinary ? fromBinary(bytes) : (JSON.parse(String(bytes)) as Received))
    waiting?.()
  })
  const closed = new Promise<Closing>((resolve) => {
    socket.once('close', (code, reason) => {
      closing = { code, reason: String(reason) }
      resolve(closing)
      waiting?.()
    })
  })
  const next = async (): Promise<Received> => {
    const message = received.shift()
    if (message !== undefined) return message
    if (closing !== undefined) throw new Error(`closed: ${JSON.stringify(closing)}`)
    await within(
      'a message',
      new Promise<void>((resolve) => {
        waiting = resolve
      }),
    )
    return next()
  }
  const nextOf = async (type: string): Promise<Received> => {
    for (;;) {
      const message = await next()
      if (message['type'] === type) return message
    }
  }
  const end = async (): Promise<void> => {
    socket.resume()
    socket.terminate()
    await closed
  }
  return {
    send: (message) =>
      socket.send(
        typeof message === 'string' || message instanceof Uint8Array
          ? message
          : JSON.stringify(message),
      ),
    sendBinary: (message) => {
      const sink = new ByteSink()
      appendBinary(message, sink)
      socket.send(sink.view().slice())
    },
    next,
    nextOf,
    get closed() {
      return within('a close', closed)
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    close: () => socket.close(1000),
    cut: () => socket.terminate(),
    [Symbol.asyncDispose]: end,
  }
}

function fromBinary(bytes: Buffer): Received {
  const { kind, ...fields } = decodeServerBinary(bytes)
  const parsed = Object.entries(fields).map(([name, value]: [string, unknown]) => [
    name,
    value instanceof Uint8Array ? (JSON.parse(jsonText(value)) as unknown) : value,
  ])
  return { type: kind, ...(Object.fromEntries(parsed) as Received) }
}

/** The promise, but no longer than the deadline; one that is never awaited may also fail. */
export function within<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${msMax} ms`)), msMax)
    timer.unref()
  })
  const settled = Promise.race([promise, deadline]).finally(() => clearTimeout(timer))
  settled.catch(() => undefined)
  return settled
}
