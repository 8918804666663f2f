/** What the door sees of a WebSocket, whichever library holds it. */
import type { RequestHead } from './request-head.js'

/** One open socket. Every method may be called after its end: nothing happens. */
export interface SocketConnection {
  /** The sub-protocol that was agreed on. */
  readonly protocol: string
  /** What was sent and waits for the reader. */
  readonly bufferedBytes: number
  /** Sends a message; its bytes may be reused as soon as this returns. */
  send(message: Uint8Array, isBinary: boolean): void
  ping(): void
  /** Sends what waits and a close frame. The listener is told at once. */
  end(code: number, reason: string): void
  /** Ends without a close frame. */
  terminate(): void
}

/** Told what happens on a socket; nothing after `closed`. */
export interface SocketListener {
  /** `bytes` are gone when this returns. */
  message(bytes: Buffer, isBinary: boolean): void
  /** A ping or a pong: the other side is there. */
  sign(): void
  /** Some of what waited was taken. */
  writable(): void
  /** Once. 1005 and 1006 as in RFC 6455: no code, no close frame. */
  closed(code: number): void
}

/** What a library must know to open sockets. */
export interface SocketAcceptor {
  readonly path: string
  /**
   * A larger message ends the socket inside the library, as its header says so; how it looks to the
   * sender differs (1006 or 1009). What we refuse in words must be smaller.
   */
  readonly messageBytesMax: number
  /** The sub-protocol to open with; undefined: no socket, the request is routed like any other. */
  choose(head: RequestHead): string | undefined
  open(connection: SocketConnection): SocketListener
}

/** A close frame that nobody answers is waited for this long; uWebSockets.js has the same 4 s. */
export const closeGraceMs = 4_000
