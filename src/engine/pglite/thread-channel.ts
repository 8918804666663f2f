/**
 * One direction between the engine's two threads. What is small goes through a ring in shared
 * memory; what is large, or rare, as a message. Both are numbered, so that all is taken in the order
 * in which it was sent. A message costs 10 to 20 µs on both sides together and a record under one,
 * and only a thread that sleeps is woken.
 */
import { receiveMessageOnPort, type MessagePort, type Transferable } from 'node:worker_threads'
import { Ring } from './ring.js'

/** Null only wakes. */
type Posted<M> = { readonly number: number; readonly message: M } | null

/** What the other thread needs of one that is made here. */
export interface RemoteEnd {
  readonly port: MessagePort
  readonly ring: SharedArrayBuffer
}

export class ThreadSender<M> {
  readonly #port: MessagePort
  readonly #ring: Ring
  #next = 0

  constructor({ port, ring }: RemoteEnd) {
    this.#port = port
    this.#ring = new Ring(ring)
  }

  /**
   * Writes a record: `write` gets the ring and the place of its payload. False if it is too large or
   * there is no room; nothing was sent then. The receiver looks for it once it was woken.
   */
  put(payloadBytes: number, write: (ring: Ring, place: number) => void): boolean {
    const place = this.#ring.claim(this.#next, payloadBytes)
    if (place === undefined) return false
    write(this.#ring, place)
    this.#ring.commit()
    this.#next = (this.#next + 1) | 0
    return true
  }

  post(message: M, transfer: readonly Transferable[] = []): void {
    const posted: Posted<M> = { number: this.#next, message }
    this.#next = (this.#next + 1) | 0
    this.#port.postMessage(posted, transfer)
    this.#ring.countPosted()
  }

  /** Records that the other has not read yet: many if it is busy. */
  get unread(): number {
    return this.#ring.unread
  }

  /** After records were put. */
  wake(): void {
    if (this.#ring.mustWake()) this.#port.postMessage(null)
  }
}

export interface ReceiverEvents<M> {
  /** The payload is read before it returns. */
  record(ring: Ring, place: number): void
  message(message: M): void
}

export class ThreadReceiver<M> {
  readonly #port: MessagePort
  readonly #ring: Ring
  readonly #events: ReceiverEvents<M>
  #next = 0
  #taken = 0

  constructor({ port, ring }: RemoteEnd, events: ReceiverEvents<M>) {
    this.#port = port
    this.#ring = new Ring(ring)
    this.#events = events
  }

  /** `woken` is called when there is something to take, until which the thread counts as asleep. */
  listen(woken: () => void): void {
    this.#port.on('message', (posted: Posted<M>) => {
      this.#ring.wakeUp()
      if (posted !== null) this.#takeMessage(posted)
      woken()
    })
    if (!this.#ring.fallAsleep()) woken()
  }

  get hasCome(): boolean {
    return this.#ring.peek() !== undefined || this.#mustReceive
  }

  /** Takes all that has come. */
  takeAll(): void {
    for (;;) {
      const place = this.#ring.peek()
      if (place !== undefined && this.#ring.numberAt(place) === this.#next) this.#takeRecord()
      else if (this.#mustReceive) this.#receive()
      else return
    }
  }

  /** From now on it looks by itself. */
  wakeUp(): void {
    this.#ring.wakeUp()
  }

  /** True if nothing is there: what comes from now on wakes it. */
  fallAsleep(): boolean {
    return this.#ring.fallAsleep()
  }

  close(): void {
    this.#port.close()
  }

  /** A message is there. One that has just come may not be counted yet. */
  get #mustReceive(): boolean {
    return ((this.#ring.posted - this.#taken) | 0) > 0
  }

  #takeRecord(): void {
    const place = this.#ring.peek()
    if (place === undefined) throw new Error('a record between the engine and the server is lost')
    this.#next = (this.#next + 1) | 0
    try {
      this.#events.record(this.#ring, place)
    } finally {
      // One that was met twice would never be passed.
      this.#ring.shift()
    }
  }

  #receive(): void {
    const received = receiveMessageOnPort(this.#port) as { message: Posted<M> } | undefined
    if (received === undefined)
      throw new Error('a message between the engine and the server is lost')
    if (received.message !== null) this.#takeMessage(received.message)
  }

  #takeMessage({ number, message }: NonNullable<Posted<M>>): void {
    // What was sent before it is in the ring, since a moment perhaps.
    while (this.#next !== number) this.#takeRecord()
    this.#next = (this.#next + 1) | 0
    this.#taken = (this.#taken + 1) | 0
    this.#events.message(message)
  }
}
