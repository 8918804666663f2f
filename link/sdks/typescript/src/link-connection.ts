/** A connection that holds: a LinkCore with a WebSocket, a timer and a clock. */
import {
  LinkCore,
  type LinkAction,
  type LinkCoreOptions,
  type LinkStatus,
  type SubscribeRequest,
  type SubscriptionEvent,
} from './link-core.js'
import { subProtocols } from './generated/socket-messages.js'

/** What is used of a WebSocket; that of browsers and that of `ws` will do. */
export interface LinkSocket {
  onopen: ((event: never) => void) | null
  onmessage: ((event: never) => void) | null
  onerror: ((event: never) => void) | null
  onclose: ((event: never) => void) | null
  send(text: string): void
  close(code?: number): void
}

export type LinkSocketConstructor = new (url: string, protocols: string[]) => LinkSocket

export interface LinkConnectionOptions extends LinkCoreOptions {
  /** `http://…` or `https://…`, with a path if the server is behind one. */
  readonly url: string
  readonly WebSocket: LinkSocketConstructor
  /** Milliseconds that only grow. */
  readonly clock: () => number
  readonly onStatus: (status: LinkStatus) => void
}

export interface LinkSubscription {
  /** Nothing is told after it. Safe twice. */
  close(): void
}

/** Connects at once, and again whenever the connection is lost. Close it to end. */
export class LinkConnection {
  readonly #options: LinkConnectionOptions
  readonly #core: LinkCore
  readonly #listeners = new Map<number, (event: SubscriptionEvent) => void>()
  #socket: LinkSocket | undefined
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(options: LinkConnectionOptions) {
    this.#options = options
    this.#core = new LinkCore(options)
    this.#do(this.#core.connect(options.clock()))
  }

  subscribe(
    request: SubscribeRequest,
    onEvent: (event: SubscriptionEvent) => void,
  ): LinkSubscription {
    const { id, actions } = this.#core.subscribe(request)
    this.#listeners.set(id, onEvent)
    this.#do(actions)
    return {
      close: () => {
        this.#listeners.delete(id)
        this.#do(this.#core.unsubscribe(id))
      },
    }
  }

  /** Safe twice. */
  close(): void {
    this.#do(this.#core.close())
  }

  #do(actions: readonly LinkAction[]): void {
    for (const action of actions) this.#doOne(action)
  }

  #doOne(action: LinkAction): void {
    switch (action.kind) {
      case 'open':
        this.#open()
        break
      case 'send':
        this.#socket?.send(action.text)
        break
      case 'drop':
        this.#drop()
        break
      case 'wake':
        this.#wake(action.atMs)
        break
      case 'status':
        this.#options.onStatus(action.status)
        break
      case 'event':
        this.#listeners.get(action.id)?.(action.event)
        if (action.event.kind === 'failed') this.#listeners.delete(action.id)
    }
  }

  #open(): void {
    const { WebSocket, clock } = this.#options
    const socket = new WebSocket(this.#socketUrl(), [subProtocols.json])
    let reason = ''
    this.#socket = socket
    socket.onopen = () => this.#do(this.#core.opened(clock()))
    socket.onmessage = ({ data }: { readonly data: unknown }) => {
      if (typeof data === 'string') this.#do(this.#core.received(data, clock()))
    }
    socket.onerror = ({ message }: { readonly message?: unknown }) => {
      // Browsers tell nothing; `ws` does.
      if (typeof message === 'string') reason = message
    }
    socket.onclose = (event: { readonly code: number; readonly reason: string }) => {
      this.#socket = undefined
      const told = event.reason === '' ? reason : event.reason
      this.#do(this.#core.closed(event.code, told, clock()))
    }
  }

  /** `http` becomes `ws`, `https` becomes `wss`. */
  #socketUrl(): string {
    return `${this.#options.url.replace(/^http/, 'ws').replace(/\/+$/, '')}/v1/ws`
  }

  #drop(): void {
    const socket = this.#socket
    if (socket === undefined) return
    this.#socket = undefined
    for (const name of ['onopen', 'onmessage', 'onclose'] as const) socket[name] = null
    // A socket that is closed while it connects tells of an error, which `ws` would throw.
    socket.onerror = () => undefined
    socket.close()
  }

  #wake(atMs: number | undefined): void {
    clearTimeout(this.#timer)
    if (atMs === undefined) return
    const { clock } = this.#options
    const tick = () => this.#do(this.#core.tick(clock()))
    this.#timer = setTimeout(tick, Math.max(0, atMs - clock()))
  }
}
