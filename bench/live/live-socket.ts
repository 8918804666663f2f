import { once } from 'node:events'
import WebSocket from 'ws'

/** A row of the bench's queries: id, owner, n, title. */
export type Row = readonly [id: number, owner: string, n: number, title: string]

export type Change =
  readonly ['i' | 'u', key: Key, row: Row, at?: number] | readonly ['d', key: Key]

/** The key's columns, here one: the id. */
export type Key = readonly [id: number]

/** What this bench reads of docs/protocol.md, sub-protocol `kalam.v1.json`. */
export type ServerMessage =
  | { readonly type: 'authenticated' }
  | {
      readonly type: 'subscribed'
      readonly id: number
      readonly mode: 'follow' | 'evaluated'
      readonly resumed?: boolean
    }
  | { readonly type: 'rows'; readonly id: number; readonly rows: readonly Row[] }
  | { readonly type: 'ready'; readonly id: number; readonly cursor: string }
  | {
      readonly type: 'changes'
      readonly id: number
      readonly cursor: string
      readonly changes: readonly Change[]
    }
  | { readonly type: 'reset'; readonly id: number; readonly reason: string }
  | { readonly type: 'error'; readonly error: unknown }
  | { readonly type: 'pong' }

export interface Subscription {
  /** Chosen by the client, one at a time on a socket. */
  readonly id: number
  readonly sql: string
  readonly params: readonly unknown[]
  readonly from?: string
}

/** An authenticated WebSocket, over the `ws` package as an app on Node would use it. */
export class LiveSocket {
  readonly #socket: WebSocket
  /** Gets every message, unparsed: who watches a thousand sockets need not read each. */
  receive: (message: Buffer) => void = () => undefined

  private constructor(socket: WebSocket) {
    this.#socket = socket
    socket.on('message', (data: Buffer) => this.receive(data))
    socket.on('close', (code, reason) => {
      throw new Error(`the server ended a socket: ${code} ${reason.toString()}`)
    })
  }

  static async open(port: number, key: string): Promise<LiveSocket> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/ws`, 'kalam.v1.json', {
      perMessageDeflate: false,
    })
    await once(socket, 'open')
    socket.send(JSON.stringify({ type: 'authenticate', key }))
    const [first] = (await once(socket, 'message')) as [Buffer]
    const answer = parseMessage(first)
    if (answer.type !== 'authenticated') throw new Error(`not authenticated: ${first.toString()}`)
    return new LiveSocket(socket)
  }

  subscribe(subscription: Subscription): void {
    this.#socket.send(JSON.stringify({ type: 'subscribe', ...subscription }))
  }

  close(): void {
    this.#socket.removeAllListeners('close')
    this.#socket.close()
  }
}

/** What the server sends is what docs/protocol.md says; the server's tests hold it to that. */
export function parseMessage(message: Buffer): ServerMessage {
  const parsed = JSON.parse(message.toString()) as ServerMessage
  if (parsed.type === 'error') throw new Error(`the server says ${message.toString()}`)
  return parsed
}
