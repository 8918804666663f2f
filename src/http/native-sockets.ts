/** WebSockets of the native uWebSockets.js. A socket that has ended must not be touched: it crashes. */
import type {
  HttpRequest,
  HttpResponse,
  us_socket_context_t,
  WebSocket,
  WebSocketBehavior,
} from 'uWebSockets.js'
import { assert } from '../errors.js'
import type { SocketAcceptor, SocketConnection, SocketListener } from './socket-connection.js'
import type { RequestHead } from './request-head.js'

export interface NativeSocketsOptions {
  readonly acceptor: SocketAcceptor
  /** Routes a request that asks for an upgrade and does not get it. */
  readonly dispatch: (response: HttpResponse, request: HttpRequest) => void
  readonly headOf: (request: HttpRequest) => RequestHead
  readonly onBug: (thrown: unknown) => void
}

/** Of an open socket; uWebSockets.js keeps it. */
interface SocketData {
  readonly protocol: string
  socket?: NativeSocket
}

/** Bounds are ours: in the library they drop messages (backpressure) or are too coarse (idling). */
const noBackpressureBound = 2 ** 31
const noIdleTimeout = 0

export function nativeSockets(options: NativeSocketsOptions): WebSocketBehavior<SocketData> {
  const { acceptor, onBug } = options
  const guarded = (socket: WebSocket<SocketData>, use: (known: NativeSocket) => void) => {
    const known = socket.getUserData().socket
    assert(known !== undefined, 'a socket is opened before it is used')
    try {
      use(known)
    } catch (thrown) {
      onBug(thrown)
      known.terminate()
    }
  }
  return {
    maxPayloadLength: acceptor.messageBytesMax,
    maxBackpressure: noBackpressureBound,
    idleTimeout: noIdleTimeout,
    sendPingsAutomatically: false,
    upgrade: (response, request, context) => upgrade(options, { response, request, context }),
    open: (socket) => {
      const data = socket.getUserData()
      data.socket = new NativeSocket(socket, data.protocol)
      guarded(socket, (known) => known.listen(acceptor))
    },
    message: (socket, bytes, isBinary) =>
      guarded(socket, ({ listener }) => listener?.message(Buffer.from(bytes), isBinary)),
    ping: (socket) => guarded(socket, ({ listener }) => listener?.sign()),
    pong: (socket) => guarded(socket, ({ listener }) => listener?.sign()),
    drain: (socket) => guarded(socket, ({ listener }) => listener?.writable()),
    close: (socket, code) => guarded(socket, (known) => known.ended(code)),
  }
}

interface Upgrade {
  readonly response: HttpResponse
  readonly request: HttpRequest
  readonly context: us_socket_context_t
}

function upgrade(options: NativeSocketsOptions, { response, request, context }: Upgrade): void {
  const protocol = chosen(options, request)
  if (protocol === undefined) {
    options.dispatch(response, request)
    return
  }
  const data: SocketData = { protocol }
  const key = request.getHeader('sec-websocket-key')
  response.upgrade(data, key, protocol, '', context)
}

function chosen({ acceptor, headOf, onBug }: NativeSocketsOptions, request: HttpRequest) {
  try {
    return acceptor.choose(headOf(request))
  } catch (thrown) {
    onBug(thrown)
    return undefined
  }
}

class NativeSocket implements SocketConnection {
  readonly protocol: string
  listener: SocketListener | undefined
  /** Undefined once it has ended. */
  #socket: WebSocket<SocketData> | undefined

  constructor(socket: WebSocket<SocketData>, protocol: string) {
    this.#socket = socket
    this.protocol = protocol
  }

  listen(acceptor: SocketAcceptor): void {
    this.listener = acceptor.open(this)
  }

  get bufferedBytes(): number {
    return this.#socket?.getBufferedAmount() ?? 0
  }

  send(message: Uint8Array, isBinary: boolean): void {
    this.#socket?.send(message, isBinary, false)
  }

  ping(): void {
    this.#socket?.ping()
  }

  end(code: number, reason: string): void {
    // Calls `ended` before it returns.
    this.#socket?.end(code, reason)
  }

  terminate(): void {
    this.#socket?.close()
  }

  ended(code: number): void {
    this.#socket = undefined
    this.listener?.closed(code)
  }
}
