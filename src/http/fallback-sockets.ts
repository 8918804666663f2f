/**
 * WebSockets where the native uWebSockets.js does not load. Its stand-in has no upgrade handler, no
 * user data and no drain, so `ws`, on which it is built, is used directly.
 */
import { ServerResponse, type IncomingMessage, type Server } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer, type WebSocket } from 'ws'
import { assert } from '../errors.js'
import {
  closeGraceMs,
  type SocketAcceptor,
  type SocketConnection,
  type SocketListener,
} from './socket-connection.js'
import { cutUrl, type RequestHead } from './request-head.js'

export interface FallbackSocketsOptions {
  readonly server: Server
  readonly acceptor: SocketAcceptor
  /** Routes a request that asks for an upgrade and does not get it. */
  readonly dispatch: (request: IncomingMessage, response: ServerResponse) => void
  readonly onBug: (thrown: unknown) => void
}

export interface FallbackSockets {
  /** Ends all sockets at once. */
  terminate(): void
}

export function fallbackSockets(options: FallbackSocketsOptions): FallbackSockets {
  const { server, acceptor } = options
  const open = new Set<FallbackSocket>()
  const opener = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: acceptor.messageBytesMax,
    perMessageDeflate: false,
    handleProtocols: (_offered, request) => acceptor.choose(headOf(request)) ?? false,
  })
  // The stand-in's own listener answers every upgrade with 400.
  server.removeAllListeners('upgrade')
  server.on('upgrade', (request, duplex, head) => {
    if (!isSocketRequest(request, acceptor)) {
      refuse(options, request, duplex)
      return
    }
    opener.handleUpgrade(request, duplex, head, (socket) => {
      const connection = new FallbackSocket(socket, options.onBug, () => open.delete(connection))
      open.add(connection)
      connection.listen(acceptor, duplex)
    })
  })
  return {
    terminate: () => {
      for (const connection of open) connection.terminate()
    },
  }
}

/** As the native library has it: the length of the key tells a WebSocket. */
function isSocketRequest(request: IncomingMessage, acceptor: SocketAcceptor): boolean {
  const head = headOf(request)
  return (
    head.method === 'GET' &&
    head.path === acceptor.path &&
    head.header('sec-websocket-key').length === 24 &&
    acceptor.choose(head) !== undefined
  )
}

/** The request is answered like any other; then node:http, which has let go of it, closes. */
function refuse(
  { dispatch }: FallbackSocketsOptions,
  request: IncomingMessage,
  duplex: Duplex,
): void {
  // node:http has no others.
  assert(duplex instanceof Socket, 'a request comes on a socket')
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(duplex)
  response.once('finish', () => duplex.end())
  duplex.on('error', () => duplex.destroy())
  dispatch(request, response)
}

function headOf({ method = '', url = '', headers }: IncomingMessage): RequestHead {
  return {
    method,
    ...cutUrl(url),
    header: (name) => String(headers[name] ?? ''),
    // node:http has refused what would be.
    isAmbiguous: false,
  }
}

class FallbackSocket implements SocketConnection {
  readonly #socket: WebSocket
  readonly #onBug: (thrown: unknown) => void
  readonly #onGone: () => void
  #listener: SocketListener | undefined
  #isEnded = false

  constructor(socket: WebSocket, onBug: (thrown: unknown) => void, onGone: () => void) {
    this.#socket = socket
    this.#onBug = onBug
    this.#onGone = onGone
  }

  listen(acceptor: SocketAcceptor, duplex: Duplex): void {
    const socket = this.#socket
    // What is no WebSocket, or too large: `ws` sends a close frame and waits for the other side's.
    socket.on('error', () => this.#terminateSoon())
    socket.on('message', (bytes: Buffer, isBinary) =>
      this.#guarded((listener) => listener.message(bytes, isBinary)),
    )
    socket.on('ping', () => this.#guarded((listener) => listener.sign()))
    socket.on('pong', () => this.#guarded((listener) => listener.sign()))
    duplex.on('drain', () => this.#guarded((listener) => listener.writable()))
    socket.on('close', (code) => {
      this.#onGone()
      this.#tellClosed(code)
    })
    try {
      this.#listener = acceptor.open(this)
    } catch (thrown) {
      this.#onBug(thrown)
      this.terminate()
    }
  }

  get protocol(): string {
    return this.#socket.protocol
  }

  get bufferedBytes(): number {
    return this.#isEnded ? 0 : this.#socket.bufferedAmount
  }

  send(message: Uint8Array, isBinary: boolean): void {
    // `ws` keeps what it is given until it is sent.
    if (!this.#isEnded) this.#socket.send(Buffer.from(message), { binary: isBinary })
  }

  ping(): void {
    if (!this.#isEnded) this.#socket.ping()
  }

  end(code: number, reason: string): void {
    if (this.#isEnded) return
    this.#socket.close(code, reason)
    this.#terminateSoon()
    this.#tellClosed(code)
  }

  terminate(): void {
    this.#socket.terminate()
    this.#tellClosed(1006)
  }

  #terminateSoon(): void {
    const timer = setTimeout(() => this.#socket.terminate(), closeGraceMs)
    this.#socket.once('close', () => clearTimeout(timer))
  }

  #tellClosed(code: number): void {
    if (this.#isEnded) return
    this.#guarded((listener) => {
      this.#isEnded = true
      listener.closed(code)
    })
    this.#isEnded = true
  }

  #guarded(use: (listener: SocketListener) => void): void {
    if (this.#isEnded || this.#listener === undefined) return
    try {
      use(this.#listener)
    } catch (thrown) {
      this.#onBug(thrown)
      this.terminate()
    }
  }
}
