/**
 * The door to uWebSockets.js, native or its JavaScript fallback (UWS_USE_FALLBACK=1, and Node
 * versions without a binary), which makes both behave alike; native-sockets.ts and
 * fallback-sockets.ts do so for WebSockets. What uWS asks of us:
 *   - a request is gone when the handler returns: `RequestHead` must be read before any wait;
 *   - a response is gone after its end or abort, touching it then crashes: `Exchange` guards;
 *   - a body chunk is gone when its callback returns: it is decoded or copied there;
 *   - an exception in a callback ends the process: handlers are guarded.
 */
import { createRequire } from 'node:module'
import { STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type * as uws from 'uWebSockets.js'
import type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket } from 'uWebSockets.js'
import { DbError, assert } from '../errors.js'
import { BodyCollector } from './body-collector.js'
import { BodyStream } from './body-stream.js'
import { connectionsBeyond } from './connection-count.js'
import { fallbackSockets, type FallbackSockets } from './fallback-sockets.js'
import { nativeSockets } from './native-sockets.js'
import { cutUrl, type RequestHead } from './request-head.js'
import type { SocketAcceptor } from './socket-connection.js'

export type RequestHandler = (head: RequestHead, exchange: Exchange) => void

export interface ListenOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** Files in PEM format; without them no TLS. */
  readonly tls: { readonly certificateFile: string; readonly keyFile: string } | undefined
  /** Connections at once; beyond it a connection is answered with 503 and closed. */
  readonly connectionsMax: number
  /** Called for every request that is not refused for its connection. */
  readonly handler: RequestHandler
  /** Called for a request whose connection is one too many. */
  readonly onCrowded: RequestHandler
  /** JSON for a connection that is refused before its request is read. */
  readonly crowdedBody: string
  /** Opens WebSockets on one path. */
  readonly sockets: SocketAcceptor
  /** Told what a handler or a listener throws, which is a bug; that connection ends. */
  readonly onBug: (thrown: unknown) => void
}

export interface Listener {
  readonly port: number
  /** Takes no more connections; those that are open go on. */
  stopAccepting(): void
  /** Ends all connections at once. */
  closeConnections(): void
}

/**
 * Largest head of a request that comes in pieces. Newer natives take it from the environment when
 * they are loaded; the one on npm (20.30) has 4 KiB built in. Heads that come in one piece, as
 * nearly all do, may be larger.
 */
const headBytesMax = 16 * 1024

/** Errors: CONFIG_INVALID if the address cannot be had, or TLS is not possible. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const library = loadLibrary()
  // Else each response carries a header that tells the library's version.
  library._cfg('silent')
  const app = createApp(library, options)
  const crowd = { beyond: 0 }
  if (!isFallback(library)) app.ws(options.sockets.path, socketsOf(options))
  app.any('/*', (response, request) => {
    const handler = crowd.beyond > 0 ? options.onCrowded : options.handler
    crowd.beyond = Math.max(0, crowd.beyond - 1)
    dispatch({ handler, onBug: options.onBug }, response, request)
  })
  const socket = await openSocket(app, options)
  const port = library.us_socket_local_port(socket)
  const sockets = mendFallback(socket, options)
  const watch =
    sockets === undefined ? watchConnections(options.connectionsMax, port, crowd) : undefined
  let isAccepting = true
  const stopAccepting = () => {
    if (isAccepting) library.us_listen_socket_close(socket)
    isAccepting = false
  }
  const closeConnections = () => {
    clearInterval(watch)
    sockets?.terminate()
    closeApp(app, socket)
  }
  return { port, stopAccepting, closeConnections }
}

function socketsOf(options: ListenOptions) {
  return nativeSockets({
    acceptor: options.sockets,
    dispatch: (response, request) => dispatch(options, response, request),
    headOf: (request) => headOf(request, false),
    onBug: options.onBug,
  })
}

type Library = typeof uws
/** Methods that the declarations lack. */
interface ClosableApp {
  close?: () => void
}
/** The fallback's listen socket knows its server, and routes its requests. */
interface FallbackSocket {
  readonly http?: Server | null
  handleRequest?(request: IncomingMessage, response: ServerResponse): void
}

function loadLibrary(): Library {
  process.env['UWS_HTTP_MAX_HEADERS_SIZE'] ??= String(headBytesMax)
  const require = createRequire(import.meta.url)
  // The package's entry would announce the choice on standard output.
  const isFallbackWanted = /^(1|true)$/i.test(process.env['UWS_USE_FALLBACK'] ?? '')
  const name = isFallbackWanted ? 'uWebSockets.js/dist/index.js' : 'uWebSockets.js'
  return require(name) as Library
}

/** The fallback has no SSLApp, whatever the declarations say. */
function isFallback(library: Library): boolean {
  return (library.SSLApp as unknown) === undefined
}

function createApp(library: Library, { tls }: ListenOptions): TemplatedApp {
  if (tls === undefined) return library.App()
  if (isFallback(library)) {
    throw new DbError(
      'CONFIG_INVALID',
      'server.tls_cert: this Node.js runs the JavaScript fallback of uWebSockets.js, ' +
        'which has no TLS; use a Node.js with a native binary, or a reverse proxy for TLS',
    )
  }
  try {
    return library.SSLApp({ cert_file_name: tls.certificateFile, key_file_name: tls.keyFile })
  } catch (cause) {
    throw new DbError(
      'CONFIG_INVALID',
      `server.tls_cert, server.tls_key: ${tls.certificateFile} and ${tls.keyFile} ` +
        'are not a certificate chain and its private key in PEM format',
      {},
      { cause },
    )
  }
}

function openSocket(app: TemplatedApp, { host, port }: ListenOptions): Promise<us_listen_socket> {
  // With options but not in the declarations. Without the option two servers share a port.
  const exclusivePort = 1
  const listenExclusively = app.listen.bind(app) as unknown as (
    host: string,
    port: number,
    options: number,
    callback: (socket: us_listen_socket | false) => void,
  ) => void
  return new Promise((resolve, reject) => {
    listenExclusively(host, port, exclusivePort, (socket) => {
      if (socket !== false) resolve(socket)
      else reject(cannotListen(host, port))
    })
  })
}

function cannotListen(host: string, port: number): DbError {
  return new DbError(
    'CONFIG_INVALID',
    `server.host, server.port: cannot listen on ${host}:${port}; ` +
      'another program has the port, or the address is not one of this machine',
  )
}

interface Crowd {
  /** Connections beyond the bound that have not been told so yet. */
  beyond: number
}

/** How often the connections of the native library are counted. */
const countEveryMs = 100

/**
 * The native library tells of no connections: they are counted, and of the requests that come next
 * as many end theirs as there are too many. It ends those that say nothing for 10 s by itself.
 */
function watchConnections(max: number, port: number, crowd: Crowd): NodeJS.Timeout {
  let isCounting = false
  const count = async () => {
    isCounting = true
    crowd.beyond = await connectionsBeyond(max, port)
    isCounting = false
  }
  return setInterval(() => {
    if (!isCounting) void count()
  }, countEveryMs).unref()
}

/**
 * The fallback watches each connection and never forgets one: a leak, for nothing it needs. In its
 * place connections are counted, and one too many is refused before it can ask for anything.
 */
function mendFallback(
  socket: us_listen_socket,
  options: ListenOptions,
): FallbackSockets | undefined {
  const context = socket as FallbackSocket
  const server = context.http
  if (server == null) return undefined
  boundConnections(server, options)
  const dispatch = (request: IncomingMessage, response: ServerResponse) =>
    context.handleRequest?.(request, response)
  return fallbackSockets({ server, acceptor: options.sockets, dispatch, onBug: options.onBug })
}

function boundConnections(server: Server, { connectionsMax, crowdedBody }: ListenOptions): void {
  // The first listener is node:http's own.
  const [serve] = server.listeners('connection') as ((this: Server, socket: Socket) => void)[]
  assert(serve !== undefined, 'node:http listens for connections')
  server.removeAllListeners('connection')
  let count = 0
  server.on('connection', (socket: Socket) => {
    if (count >= connectionsMax) {
      refuseConnection(socket, crowdedBody)
      return
    }
    count += 1
    socket.once('close', () => {
      count -= 1
    })
    serve.call(server, socket)
  })
}

/** Time for a refused caller to read why. */
const refusalMs = 1_000

function refuseConnection(socket: Socket, body: string): void {
  socket.on('error', () => socket.destroy())
  // What comes is read and thrown away: unread, it would make the kernel drop our answer.
  socket.resume()
  socket.end(
    'HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n' +
      `Connection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
  setTimeout(() => socket.destroy(), refusalMs).unref()
}

function closeApp(app: TemplatedApp, socket: us_listen_socket): void {
  const fallback = (socket as FallbackSocket).http
  if (fallback != null) fallback.closeAllConnections()
  else (app as ClosableApp).close?.()
}

function dispatch(
  options: Pick<ListenOptions, 'handler' | 'onBug'>,
  response: HttpResponse,
  request: HttpRequest,
): void {
  const head = headOf(request, isOfFallback(response))
  const exchange = new Exchange(response, head.method === 'HEAD', options.onBug)
  try {
    options.handler(head, exchange)
  } catch (thrown) {
    options.onBug(thrown)
    exchange.disconnect()
  }
}

/** Where there is no query, the native library gives nothing, whatever the declarations say. */
function queryOf(request: { getQuery(): string | undefined }): string {
  return request.getQuery() ?? ''
}

/** Of the fallback: it wraps node:http's. */
function isOfFallback(response: HttpResponse): boolean {
  return response['response'] !== undefined
}

function headOf(request: HttpRequest, isFallbacks: boolean): RequestHead {
  // The native library cuts the URL itself; the fallback's own way to the query fails.
  const { path, query } = cutUrl(request.getUrl())
  return {
    method: request.getMethod().toUpperCase(),
    path,
    query: isFallbacks ? query : queryOf(request),
    ...readHeaders(request, isFallbacks),
  }
}

/** One walk over the headers costs no more than asking for the few that are looked at. */
function readHeaders(
  request: HttpRequest,
  isFallbacks: boolean,
): Pick<RequestHead, 'header' | 'isAmbiguous'> {
  // node:http, under the fallback, refuses by itself what would be ambiguous.
  if (isFallbacks)
    return {
      header: (name) => request.getHeader(name),
      isAmbiguous: isOddEncoding(request.getHeader('transfer-encoding')),
    }
  const headers = new Map<string, string>()
  const framing = { repeated: 0 }
  request.forEach((name, value) => {
    if (!headers.has(name)) headers.set(name, value)
    else if (name === 'content-length' || name === 'transfer-encoding') framing.repeated += 1
  })
  return {
    header: (name) => headers.get(name) ?? '',
    isAmbiguous: framing.repeated > 0 || isOddEncoding(headers.get('transfer-encoding')),
  }
}

/** The library takes any encoding for `chunked`, which is all that it can read. */
function isOddEncoding(encoding = ''): boolean {
  return encoding !== '' && encoding.toLowerCase() !== 'chunked'
}

export type Header = readonly [name: string, value: string]

/** One request's answer, and its body. Every method may be called after the end: nothing happens. */
export class Exchange {
  readonly #response: HttpResponse
  /** Of the fallback: what it wraps. */
  readonly #node: ServerResponse | undefined
  readonly #isHead: boolean
  /** Whether the connection ends with this answer. */
  isLast = false
  #isOver = false
  #isGone = false
  #onOver: (() => void) | undefined
  #onGone: (() => void) | undefined
  #onWritable: (() => void) | undefined

  constructor(response: HttpResponse, isHead: boolean, onBug: ListenOptions['onBug']) {
    this.#response = response
    this.#node = response['response'] as ServerResponse | undefined
    this.#isHead = isHead
    // The fallback also calls it after a proper end.
    response.onAborted(() => {
      try {
        this.#end(true)
      } catch (thrown) {
        onBug(thrown)
      }
    })
  }

  /** Answered, or the caller has gone. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** The caller went away before the end of the answer. */
  get isGone(): boolean {
    return this.#isGone
  }

  /** Called once, when the exchange is over either way. */
  set onOver(listener: () => void) {
    this.#onOver = listener
  }

  /** Called once, if the caller goes away before the end. */
  set onGone(listener: (() => void) | undefined) {
    this.#onGone = listener
  }

  /**
   * Collects the body and decodes it while its bytes are there. Resolves to what `decode` gives;
   * to REQUEST_TOO_LARGE past `bytesMax`; to CANCELLED if the caller goes away. Rejects with what
   * `decode` throws. To be called before the handler returns.
   */
  readBody<T>(bytesMax: number, decode: (body: Buffer) => T): Promise<T | DbError> {
    return new Promise((resolve, reject) => {
      const collector = new BodyCollector(bytesMax)
      this.#onGone = () => resolve(new DbError('CANCELLED', 'the caller went away'))
      this.#response.onData((chunk, isLast) => {
        const body = collector.take(bytesOf(chunk), isLast)
        if (body === undefined || this.#isOver) return
        this.#onGone = undefined
        try {
          resolve(body instanceof DbError ? body : decode(body))
        } catch (thrown) {
          reject(thrown instanceof Error ? thrown : new Error(String(thrown)))
        }
      })
    })
  }

  /**
   * The body as it comes. It waits for its reader: read it, or drain it, before the answer. To be
   * called before the handler returns; who calls it says in `onGone` that the sender has left.
   */
  openBody(): BodyStream {
    const request = this.#node?.req
    const stream = new BodyStream(
      request === undefined
        ? { pause: () => this.#whileThere('pause'), resume: () => this.#whileThere('resume') }
        : { pause: () => request.pause(), resume: () => request.resume() },
    )
    this.#response.onData((chunk, isLast) => {
      if (!this.#isOver) stream.push(Buffer.from(bytesOf(chunk)), isLast)
    })
    return stream
  }

  /** Answers in one piece. `body` may be reused as soon as this returns. */
  respond(status: number, headers: readonly Header[], body: Uint8Array | string): void {
    if (this.#isOver) return
    this.#response.cork(() => {
      this.#writeHead(status, headers)
      if (status === 204) this.#endWithoutBody(undefined)
      else if (this.#isHead) this.#endWithoutBody(sizeOf(body))
      else this.#endWith(body)
    })
    this.#end(false)
  }

  /** Begins an answer that is written piece by piece. */
  begin(status: number, headers: readonly Header[]): void {
    if (this.#isOver) return
    this.#response.cork(() => this.#writeHead(status, headers))
    const writable = () => this.#onWritable?.()
    if (this.#node !== undefined) this.#node.on('drain', writable)
    else {
      this.#response.onWritable(() => {
        writable()
        return true
      })
    }
  }

  /** Writes a piece. False: it waits for the reader; write on after `writable()`. */
  write(piece: Uint8Array): boolean {
    if (this.#isOver || piece.length === 0) return true
    const bytes = this.#kept(piece)
    // Corked, node:http always says that a large piece waits; from Node 22 on no drain follows.
    if (this.#node !== undefined) return this.#response.write(bytes)
    let isSent = true
    this.#response.cork(() => {
      isSent = this.#response.write(bytes)
    })
    return isSent
  }

  /** Resolves when what was written has left, the caller has gone, or after `timeoutMs`: false. */
  writable(timeoutMs: number): Promise<boolean> {
    if (this.#isOver) return Promise.resolve(true)
    return new Promise((resolve) => {
      const done = (isWritable: boolean) => {
        clearTimeout(timer)
        this.#onWritable = undefined
        resolve(isWritable)
      }
      const timer = setTimeout(() => done(false), timeoutMs)
      this.#onWritable = () => done(true)
    })
  }

  /** Ends what `begin` began. */
  finish(): void {
    if (this.#isOver) return
    this.#response.cork(() => this.#endWith(''))
    this.#end(false)
  }

  /** Ends the connection without an answer, or in the middle of one. */
  disconnect(): void {
    if (this.#isOver) return
    // Calls onAborted, at once or (fallback) later.
    this.#response.close()
    this.#end(true)
  }

  #whileThere(step: 'pause' | 'resume'): void {
    if (!this.#isOver) this.#response[step]()
  }

  #writeHead(status: number, headers: readonly Header[]): void {
    // Without a status line both libraries write this one.
    if (status !== 200) this.#response.writeStatus(statusLine(status))
    // The native library writes the header by itself.
    if (this.isLast && this.#node !== undefined) this.#response.writeHeader('connection', 'close')
    for (const [name, value] of headers) this.#response.writeHeader(name, value)
  }

  #endWith(body: Uint8Array | string): void {
    // Asked to close, the fallback would not wait until the answer is sent.
    const isLast = this.isLast && this.#node === undefined
    this.#response.end(this.#kept(body), isLast)
  }

  /** `bytes`: what a body would have; undefined where there can be none. */
  #endWithoutBody(bytes: number | undefined): void {
    if (this.#node !== undefined) {
      if (bytes !== undefined) this.#node.setHeader('content-length', bytes)
      this.#node.end()
    } else if (bytes === undefined) {
      // Even an `undefined` for the length would be written as one.
      this.#response.endWithoutBody()
    } else {
      this.#response.endWithoutBody(bytes, this.isLast)
    }
  }

  /** The native library copies what it is given; node:http keeps it. */
  #kept(bytes: Uint8Array | string): Uint8Array | string {
    return this.#node === undefined || typeof bytes === 'string' ? bytes : Buffer.from(bytes)
  }

  #end(isGone: boolean): void {
    // The fallback may tell of the abort after `disconnect` has.
    if (this.#isOver) return
    this.#isOver = true
    this.#isGone = isGone
    if (isGone) this.#onGone?.()
    this.#onWritable?.()
    this.#onOver?.()
  }
}

/** The fallback gives its chunks as Buffers. */
function bytesOf(chunk: ArrayBuffer | Buffer): Buffer {
  return Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk)
}

function sizeOf(body: Uint8Array | string): number {
  return typeof body === 'string' ? Buffer.byteLength(body) : body.length
}

const statusLines = new Map<number, string>([[499, '499 Client Closed Request']])

function statusLine(status: number): string {
  const known = statusLines.get(status)
  if (known !== undefined) return known
  const reason = STATUS_CODES[status]
  assert(reason !== undefined, `status ${status} has a reason`)
  statusLines.set(status, `${status} ${reason}`)
  return `${status} ${reason}`
}
