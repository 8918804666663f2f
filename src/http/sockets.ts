/** All WebSockets of the door: opens them, keeps them awake, ends them when the server stops. */
import { Emptiness } from '../database/emptiness.js'
import type { Door } from './reply.js'
import type { RequestHead } from './request-head.js'
import type { SocketAcceptor, SocketConnection, SocketListener } from './socket-connection.js'
import { SocketSession } from './socket-session.js'
import { chooseProtocol, socketPath } from './upgrade.js'

/** Messages up to here are refused in words; beyond, by the library. */
const refusedInWords = 1024 * 1024

export class Sockets implements SocketAcceptor {
  readonly path = socketPath
  readonly messageBytesMax: number
  readonly #door: Door
  readonly #sessions = new Set<SocketSession>()
  readonly #heart: NodeJS.Timeout
  readonly #beatMs: number
  #lastBeatMs = performance.now()
  readonly #emptiness = new Emptiness(() => this.#sessions.size === 0)

  constructor(door: Door) {
    this.#door = door
    const { message_bytes_max, heartbeat_ms, idle_timeout_ms } = door.config.socket
    this.messageBytesMax = message_bytes_max + refusedInWords
    this.#beatMs = Math.max(beatMsMin, Math.min(heartbeat_ms, idle_timeout_ms / 2) / 4)
    this.#heart = setInterval(() => this.#beat(), this.#beatMs)
    this.#heart.unref()
    door.metrics.watchSockets(() => this.#figures())
  }

  get openCount(): number {
    return this.#sessions.size
  }

  choose(head: RequestHead): string | undefined {
    return this.#door.upgradeRefusal(head) === undefined ? chooseProtocol(head) : undefined
  }

  open(connection: SocketConnection): SocketListener {
    const session = new SocketSession({
      door: this.#door,
      connection,
      onEnd: () => {
        this.#sessions.delete(session)
        this.#emptiness.check()
      },
    })
    this.#sessions.add(session)
    return session
  }

  /** Ends all sockets, each when nothing runs on it. */
  stop(): void {
    clearInterval(this.#heart)
    for (const session of [...this.#sessions]) session.stop()
  }

  /** Cancels what runs. */
  cancel(): void {
    for (const session of [...this.#sessions]) session.cancel()
  }

  /** Resolves when all have ended, or after `timeoutMs`. */
  emptied(timeoutMs: number): Promise<void> {
    return this.#emptiness.reached(timeoutMs)
  }

  #beat(): void {
    const nowMs = performance.now()
    const isLate = nowMs - this.#lastBeatMs > 2 * this.#beatMs
    this.#lastBeatMs = nowMs
    // What clients sent while we were held up is still to be read.
    if (isLate) return
    for (const session of [...this.#sessions]) session.beat(nowMs)
  }

  #figures() {
    const figures = { open: this.#sessions.size, subscriptions: 0, bufferedBytes: 0 }
    for (const session of this.#sessions) {
      figures.subscriptions += session.subscriptionCount
      figures.bufferedBytes += session.bufferedBytes
    }
    return figures
  }
}

/** Looking more often than this finds nothing new. */
const beatMsMin = 20
