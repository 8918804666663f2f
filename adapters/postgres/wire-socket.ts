/**
 * One client's socket: TCP, and TLS over it once that was agreed on. Reading stops when nobody wants
 * more, writing tells when to wait, and a client that reads nothing for too long is ended.
 */
import type { Socket } from 'node:net'
import { TLSSocket, type SecureContext } from 'node:tls'
import { DbError } from '../../src/errors.js'
import { FrameReader } from './frame-reader.js'

export interface WireSocketOptions {
  /** What may wait for the client before `send` asks to be waited for. */
  readonly bufferedBytesMax: number
  /** Longest that it may take none of it. */
  readonly sendTimeoutMs: number
  /** Quiet after which TCP asks whether the client is there. */
  readonly keepAliveMs: number
  readonly onBytes: (direction: 'in' | 'out', bytes: number) => void
}

/** Time for what was said last to get out. */
const farewellMs = 500

/** The protocol's name in TLS (ALPN), which clients need that begin with TLS at once. */
const alpnProtocols = ['postgresql']

export class WireSocket {
  readonly reader = new FrameReader()
  /** Told of bytes that came. */
  onData: () => void = () => undefined
  /** Told once, when the client is gone or was ended. */
  onGone: (cause: DbError) => void = () => undefined
  readonly #options: WireSocketOptions
  #stream: Socket
  #isWanted = false
  #isStalled = false
  #isCorked = false
  #gone: DbError | undefined
  #aborted: DbError | undefined
  #isEnding = false
  #unlisten: () => void
  #onDrain: (() => void)[] = []

  constructor(socket: Socket, options: WireSocketOptions) {
    this.#options = options
    this.#stream = socket
    socket.setNoDelay(true)
    socket.setKeepAlive(true, options.keepAliveMs)
    this.#unlisten = this.#listen(socket)
  }

  /** Why nothing more is to be said to the client but that. */
  get gone(): DbError | undefined {
    return this.#aborted ?? this.#gone
  }

  /** Fails what reads or sends, now and from now on, with this error; `end` is still to come. */
  abort(error: DbError): void {
    this.#aborted ??= error
    this.onData()
  }

  get isSecure(): boolean {
    return this.#stream instanceof TLSSocket
  }

  /** `127.0.0.1:41234`, for the log. */
  get remote(): string {
    return `${this.#stream.remoteAddress ?? '?'}:${this.#stream.remotePort ?? '?'}`
  }

  /** What was sent and waits for the client. */
  get bufferedBytes(): number {
    return this.#stream.writableLength
  }

  /** Whether bytes are to be taken from the client. */
  want(isWanted: boolean): void {
    this.#isWanted = isWanted
    this.#flow()
  }

  /** What `read` makes of the bytes, as soon as it makes something. Errors: CANCELLED (gone), its own. */
  async next<T>(read: (reader: FrameReader) => T | undefined): Promise<T> {
    for (;;) {
      if (this.gone !== undefined) throw this.gone
      const value = read(this.reader)
      if (value !== undefined) return value
      await this.#more()
    }
  }

  /**
   * Takes bytes, which must not be changed afterwards. A promise if what waits for the client is too
   * much: it resolves when all was taken, and rejects when the client is gone (CANCELLED, SOCKET_TIMEOUT).
   */
  send(bytes: Uint8Array): void | Promise<void> {
    const { gone } = this
    if (gone !== undefined) return quiet(Promise.reject(gone))
    if (this.#isEnding) return quiet(Promise.reject(goneAway()))
    return this.#write(bytes)
  }

  #write(bytes: Uint8Array): void | Promise<void> {
    this.#options.onBytes('out', bytes.length)
    this.#cork()
    if (this.#stream.write(bytes)) return
    this.#stream.setTimeout(this.#options.sendTimeoutMs)
    if (this.#stream.writableLength >= this.#options.bufferedBytesMax) return quiet(this.#drained())
  }

  /** From here on all is TLS; whoever sent more before it began is in between. Errors: CANCELLED, BAD_REQUEST. */
  async secure(context: SecureContext): Promise<void> {
    if (this.reader.bufferedBytes > 0)
      throw new DbError('BAD_REQUEST', 'received unencrypted data after SSL request')
    this.want(false)
    const plain = this.#stream
    this.#unlisten()
    // What goes wrong below TLS ends the socket above it, which is listened to.
    plain.on('error', () => undefined)
    const secured = new TLSSocket(plain, {
      isServer: true,
      secureContext: context,
      ALPNProtocols: alpnProtocols,
    })
    this.#stream = secured
    this.#unlisten = this.#listen(secured)
    await new Promise<void>((resolve) => {
      secured.once('secure', resolve)
      secured.once('close', resolve)
      // Of `abort`.
      this.onData = resolve
    })
    if (this.gone !== undefined) throw this.gone
  }

  /** The same for a client that began with TLS at once: what it sent is part of it. */
  async secureAtOnce(context: SecureContext): Promise<void> {
    const begun = Buffer.from(this.reader.rest())
    this.want(false)
    this.#stream.unshift(begun)
    await this.secure(context)
  }

  /** Says what is left to be said, and ends. Safe twice. */
  end(farewell?: Uint8Array): void {
    if (this.#gone !== undefined || this.#isEnding) return
    if (farewell !== undefined) void this.#write(farewell)
    this.#isEnding = true
    this.#uncork()
    const stream = this.#stream
    stream.end()
    // To close while there is something to read would take the farewell back.
    stream.resume()
    setTimeout(() => stream.destroy(), farewellMs).unref()
  }

  destroy(): void {
    this.#stream.destroy()
  }

  #listen(stream: Socket): () => void {
    const listeners = {
      data: (chunk: Buffer) => this.#took(chunk),
      drain: () => this.#drain(),
      timeout: () => this.#lose(slowReader(this.#options.sendTimeoutMs)),
      end: () => this.#lose(goneAway()),
      error: (cause: Error) => this.#lose(goneAway(cause)),
      close: () => this.#lose(goneAway()),
    }
    const all = Object.entries(listeners)
    for (const [event, listener] of all) stream.on(event, listener)
    return () => {
      for (const [event, listener] of all) stream.off(event, listener)
    }
  }

  #took(chunk: Buffer): void {
    if (this.#gone !== undefined || this.#isEnding) return
    this.#options.onBytes('in', chunk.length)
    this.reader.push(chunk)
    this.onData()
  }

  #drain(): void {
    this.#stream.setTimeout(0)
    this.#isStalled = false
    this.#flow()
    for (const resume of this.#onDrain.splice(0)) resume()
  }

  #lose(cause: DbError): void {
    if (this.#gone !== undefined) return
    this.#gone = cause
    if (!this.#isEnding) this.#stream.destroy()
    for (const resume of this.#onDrain.splice(0)) resume()
    this.onGone(cause)
    this.onData()
  }

  /** Nothing more is taken from a client that takes nothing itself. */
  async #drained(): Promise<void> {
    this.#isStalled = true
    this.#uncork()
    this.#flow()
    await new Promise<void>((resolve) => this.#onDrain.push(resolve))
    if (this.gone !== undefined) throw this.gone
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.onData = () => {
        this.onData = () => undefined
        this.want(false)
        resolve()
      }
      this.want(true)
    })
  }

  #flow(): void {
    if (this.#isWanted && !this.#isStalled) this.#stream.resume()
    else this.#stream.pause()
  }

  /** What is said in one go is one packet. */
  #cork(): void {
    if (this.#isCorked) return
    this.#isCorked = true
    this.#stream.cork()
    queueMicrotask(() => this.#uncork())
  }

  #uncork(): void {
    if (!this.#isCorked) return
    this.#isCorked = false
    this.#stream.uncork()
  }
}

/** Whoever does not wait for it need not look whether it fails. */
function quiet(promise: Promise<void>): Promise<void> {
  promise.catch(() => undefined)
  return promise
}

function goneAway(cause?: unknown): DbError {
  return new DbError('CANCELLED', 'the client has gone', {}, { cause })
}

function slowReader(timeoutMs: number): DbError {
  return new DbError('SOCKET_TIMEOUT', `the client read nothing for ${timeoutMs} ms`)
}
