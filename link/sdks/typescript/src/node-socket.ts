/** A WebSocket for Node 20, which has none: as much of one as the client uses. */
import { createHash, randomBytes } from 'node:crypto'
import { request as requestPlain, type IncomingMessage } from 'node:http'
import { request as requestSecure } from 'node:https'
import type { Duplex } from 'node:stream'
import type { SocketLike } from './connection.js'
import {
  FrameReader,
  frameOf,
  opcodes,
  type FrameFault,
  type SocketMessage,
} from './websocket-frames.js'

/** Of RFC 6455: a server that knows it knows the protocol. */
const acceptGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
/** The server's answer to a close may take so long. */
const closeMsMax = 3_000
const noStatus = 1005
const abnormal = 1006

export class NodeSocket implements SocketLike {
  binaryType = 'arraybuffer'
  onopen: SocketLike['onopen'] = null
  onmessage: SocketLike['onmessage'] = null
  onerror: SocketLike['onerror'] = null
  onclose: SocketLike['onclose'] = null
  readonly #frames = new FrameReader()
  readonly #abort: () => void
  #stream: Duplex | undefined
  #isClosing = false
  #isClosed = false
  #code = abnormal
  #reason = ''

  constructor(url: string, protocols: readonly string[]) {
    const key = randomBytes(16).toString('base64')
    // ws is http, wss is https.
    const target = url.replace(/^ws/u, 'http')
    const send = target.startsWith('https') ? requestSecure : requestPlain
    const request = send(target, {
      agent: false,
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': key,
        'sec-websocket-protocol': protocols.join(', '),
      },
    })
    this.#abort = () => request.destroy()
    request.on('upgrade', (response, stream, head) => {
      if (!isAccepted(response, key, protocols)) {
        stream.destroy()
        this.#fail('the server answered, and not as a WebSocket')
      } else this.#open(stream, head)
    })
    request.on('response', (response) => {
      response.destroy()
      this.#fail(`the server answered HTTP ${response.statusCode ?? 0}`)
    })
    request.on('error', ({ message }) => this.#fail(message))
    request.end()
  }

  send(frame: Uint8Array): void {
    this.#write(opcodes.binary, frame)
  }

  close(code = 1000): void {
    if (this.#isClosing) return
    this.#isClosing = true
    if (this.#stream === undefined) {
      this.#abort()
      return
    }
    this.#write(opcodes.close, Uint8Array.of(code >> 8, code & 0xff))
    this.#hangUp()
  }

  #open(stream: Duplex, head: Uint8Array): void {
    this.#stream = stream
    if (this.#isClosing) {
      stream.destroy()
      return
    }
    stream.on('data', (bytes: Uint8Array) => this.#read(bytes))
    stream.on('error', ({ message }) => this.#tellError(message))
    stream.on('close', () => this.#end())
    call(this.onopen, {})
    if (head.length > 0) this.#read(head)
  }

  #read(bytes: Uint8Array): void {
    for (const message of this.#frames.read(bytes)) this.#take(message)
  }

  #take(message: SocketMessage | FrameFault): void {
    if (this.#isClosed) return
    switch (message.kind) {
      case 'binary':
        call(this.onmessage, { data: message.bytes })
        break
      case 'ping':
        this.#write(opcodes.pong, message.bytes)
        break
      case 'close':
        this.#closed(message.bytes)
        break
      case 'fault':
        this.#tellError('the server sent what is no WebSocket frame')
        this.close(message.code)
        this.#stream?.destroy()
        break
      case 'text':
      case 'pong':
    }
  }

  /** The server's last word; ours is the same code. */
  #closed(bytes: Uint8Array): void {
    this.#code = bytes.length < 2 ? noStatus : ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0)
    this.#reason = new TextDecoder().decode(bytes.subarray(2))
    if (!this.#isClosing) this.#write(opcodes.close, bytes.subarray(0, 2))
    this.#isClosing = true
    this.#hangUp()
    this.#end()
  }

  #hangUp(): void {
    this.#stream?.end()
    setTimeout(() => this.#stream?.destroy(), closeMsMax).unref()
  }

  #write(opcode: number, bytes: Uint8Array): void {
    const stream = this.#stream
    if (stream?.writable === true) stream.write(frameOf(opcode, bytes, randomBytes(4)))
  }

  #fail(message: string): void {
    this.#tellError(message)
    this.#end()
  }

  #tellError(message: string): void {
    if (!this.#isClosed) call(this.onerror, { message })
  }

  #end(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    call(this.onclose, { code: this.#code, reason: this.#reason })
  }
}

function isAccepted(
  { headers }: IncomingMessage,
  key: string,
  protocols: readonly string[],
): boolean {
  const accept = createHash('sha1').update(`${key}${acceptGuid}`).digest('base64')
  const protocol = headers['sec-websocket-protocol']
  return (
    headers['sec-websocket-accept'] === accept &&
    protocol !== undefined &&
    protocols.includes(protocol)
  )
}

/** Handlers are typed for the events of any WebSocket; these are what the client reads of them. */
function call(listener: ((event: never) => void) | null, event: object): void {
  listener?.(event as never)
}
