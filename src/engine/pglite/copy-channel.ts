/**
 * The main thread's end of the data of one COPY. Data goes over a port of its own, so that nothing
 * of one COPY can reach another; the worker, which waits inside of PostgreSQL and sees no events,
 * is woken through a word of shared memory and takes its messages by itself (copy-port.ts).
 *
 *   input → next piece when the worker wants one        output ← as fast as it is taken
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import type { CopyStream } from '../engine.js'

/** What each of the two threads has of it. */
export interface CopyEnd {
  readonly port: MessagePort
  /** Its first word changes with each message to the worker. */
  readonly wake: Int32Array
}

/** What the worker gets with the unit. */
export interface RemoteCopy extends CopyEnd {
  readonly hasInput: boolean
  readonly hasOutput: boolean
}

export type ToCopyPort =
  | { readonly kind: 'piece'; readonly bytes: Uint8Array }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'taken'; readonly bytes: number }
  /** Output is not taken any more. */
  | { readonly kind: 'refused' }

export type FromCopyPort =
  | { readonly kind: 'wanted' }
  | { readonly kind: 'output'; readonly bytes: Uint8Array }
  /** The unit has run; no output comes any more. */
  | { readonly kind: 'ended' }

/** The ends of a new one: here and there. */
export function createCopyEnds(): readonly [CopyEnd, CopyEnd] {
  const { port1, port2 } = new MessageChannel()
  const wake = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  return [
    { port: port1, wake },
    { port: port2, wake },
  ]
}

interface ChannelOptions {
  readonly stream: CopyStream
  /** Told when the output is not taken any more: the unit is to end. */
  readonly onFailure: (cause: unknown) => void
  readonly remote?: RemoteCopy
}

export class CopyChannel {
  /** To be sent to the worker with the unit; undefined for a channel that the worker has opened. */
  readonly remote: RemoteCopy | undefined
  readonly #stream: CopyStream
  readonly #port: MessagePort
  readonly #wake: Int32Array
  readonly #onFailure: (cause: unknown) => void
  readonly #ended: Promise<void>
  #end: () => void = () => undefined
  #input: AsyncIterator<Uint8Array> | undefined
  #reading: Promise<void> = Promise.resolve()
  #writing: Promise<void> = Promise.resolve()
  #isClosed = false
  #hasEnded = false
  #starvedSince: number | undefined
  #failure: { readonly cause: unknown } | undefined

  constructor(end: CopyEnd, { stream, onFailure, remote }: ChannelOptions) {
    this.#stream = stream
    this.#port = end.port
    this.#wake = end.wake
    this.#onFailure = onFailure
    this.remote = remote
    this.#ended = new Promise((resolve) => {
      this.#end = resolve
    })
    end.port.on('message', (message: FromCopyPort) => this.#receive(message))
  }

  /** One that goes to the worker with the unit. */
  static toWorker(stream: CopyStream, onFailure: ChannelOptions['onFailure']): CopyChannel {
    const [here, there] = createCopyEnds()
    const hasInput = stream.input !== undefined
    const hasOutput = stream.output !== undefined
    const remote = { ...there, hasInput, hasOutput }
    return new CopyChannel(here, { stream, onFailure, remote })
  }

  /** Resolves when all output has been taken, or at `close`. Rejects with why it was not. */
  async finished(): Promise<void> {
    await this.#ended
    await this.#writing
    if (this.#failure !== undefined) throw this.#failure.cause
  }

  /** For how long data was wanted and none came, in ms. */
  get starvedMs(): number {
    return this.#starvedSince === undefined ? 0 : performance.now() - this.#starvedSince
  }

  /** Ends both directions; what has not been read stays unread. Safe twice. */
  close(): void {
    if (this.#isClosed) return
    if (!this.#hasEnded) this.#tell({ kind: 'refused' })
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
        this.#hasEnded = true
        this.#end()
        break
    }
  }

  async #sendNext(): Promise<void> {
    if (this.#isClosed) return
    this.#input ??= this.#stream.input?.[Symbol.asyncIterator]()
    this.#starvedSince = performance.now()
    try {
      const next = await this.#input?.next()
      this.#starvedSince = undefined
      if (next === undefined || next.done === true) this.#tell({ kind: 'done' })
      else this.#tell({ kind: 'piece', bytes: next.value })
    } catch (cause) {
      this.#starvedSince = undefined
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
      this.#tell({ kind: 'refused' })
      this.#onFailure(cause)
    }
  }

  #tell(message: ToCopyPort): void {
    if (this.#isClosed) return
    this.#port.postMessage(message)
    Atomics.add(this.#wake, 0, 1)
    Atomics.notify(this.#wake, 0)
  }
}
