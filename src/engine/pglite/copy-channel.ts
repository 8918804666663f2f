/**
 * The main thread's end of the data of one COPY. Data goes over a port of its own, so that nothing
 * of one COPY can reach another; the worker, which waits inside of PostgreSQL and sees no events,
 * is woken through a word of shared memory and takes its messages by itself (copy-port.ts).
 *
 *   input → next piece when the worker wants one        output ← as fast as it is taken
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import type { CopyStream } from '../engine.js'

/** What the worker gets with the unit. */
export interface RemoteCopy {
  readonly serial: number
  readonly port: MessagePort
  /** Its first word changes with each message to the worker. */
  readonly wake: Int32Array
  readonly hasInput: boolean
  readonly hasOutput: boolean
}

export type ToCopyPort =
  | { readonly kind: 'piece'; readonly bytes: Uint8Array }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'taken'; readonly bytes: number }

export type FromCopyPort =
  | { readonly kind: 'wanted' }
  | { readonly kind: 'output'; readonly bytes: Uint8Array }
  /** The unit has run; no output comes any more. */
  | { readonly kind: 'ended' }

export class CopyChannel {
  readonly remote: RemoteCopy
  readonly #stream: CopyStream
  readonly #port: MessagePort
  readonly #onFailure: (cause: unknown) => void
  readonly #ended: Promise<void>
  #end: () => void = () => undefined
  #input: AsyncIterator<Uint8Array> | undefined
  #reading: Promise<void> = Promise.resolve()
  #writing: Promise<void> = Promise.resolve()
  #isClosed = false
  #failure: { readonly cause: unknown } | undefined

  /** `onFailure` is told when the output is not taken any more: the unit is to end. */
  constructor(serial: number, stream: CopyStream, onFailure: (cause: unknown) => void) {
    const { port1, port2 } = new MessageChannel()
    this.#stream = stream
    this.#port = port1
    this.#onFailure = onFailure
    this.remote = {
      serial,
      port: port2,
      wake: new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)),
      hasInput: stream.input !== undefined,
      hasOutput: stream.output !== undefined,
    }
    this.#ended = new Promise((resolve) => {
      this.#end = resolve
    })
    port1.on('message', (message: FromCopyPort) => this.#receive(message))
  }

  /** Resolves when all output has been taken, or at `close`. Rejects with why it was not. */
  async finished(): Promise<void> {
    await this.#ended
    await this.#writing
    if (this.#failure !== undefined) throw this.#failure.cause
  }

  /** Ends both directions; what has not been read stays unread. Safe twice. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#end()
    this.#port.close()
    // An iterator that never began has nothing to give back.
    void this.#reading.then(() => this.#input?.return?.()).catch(() => undefined)
  }

  #receive(message: FromCopyPort): void {
    switch (message.kind) {
      case 'wanted':
        this.#reading = this.#reading.then(() => this.#sendNext())
        break
      case 'output':
        this.#writing = this.#writing.then(() => this.#take(message.bytes))
        break
      case 'ended':
        this.#end()
        break
    }
  }

  async #sendNext(): Promise<void> {
    if (this.#isClosed) return
    this.#input ??= this.#stream.input?.[Symbol.asyncIterator]()
    try {
      const next = await this.#input?.next()
      if (next === undefined || next.done === true) this.#tell({ kind: 'done' })
      else this.#tell({ kind: 'piece', bytes: next.value })
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      this.#tell({ kind: 'failed', reason })
    }
  }

  async #take(bytes: Uint8Array): Promise<void> {
    if (this.#isClosed || this.#failure !== undefined) return
    try {
      await this.#stream.output?.(bytes)
      this.#tell({ kind: 'taken', bytes: bytes.length })
    } catch (cause) {
      this.#failure = { cause }
      this.#onFailure(cause)
    }
  }

  #tell(message: ToCopyPort): void {
    if (this.#isClosed) return
    this.#port.postMessage(message)
    const { wake } = this.remote
    Atomics.add(wake, 0, 1)
    Atomics.notify(wake, 0)
  }
}
