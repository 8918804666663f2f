/**
 * The worker's end of the data of one COPY: PostgreSQL reads and writes through it and waits here,
 * in the middle of the statement, until there is data or room. See copy-channel.ts.
 */
import { receiveMessageOnPort } from 'node:worker_threads'
import type { CopyEnd, FromCopyPort, ToCopyPort } from './copy-channel.js'

/** Pieces of input that are asked for before they are needed. */
const piecesAhead = 2
/** Output travels in messages of about this size. */
const outputBytes = 64 * 1024
/** Output on its way; past it PostgreSQL waits. */
const outputBytesAhead = 1024 * 1024
/** How often a cancel is looked for while PostgreSQL waits; nothing else tells of it. */
const cancelCheckMs = 5

export type CopyInput =
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly reason: string }

export interface CopyPortOptions {
  readonly end: CopyEnd
  readonly hasInput: boolean
  readonly hasOutput: boolean
  /** Nothing is waited for any more. */
  readonly isCancelled: () => boolean
  /** Called before output leaves: all that it can tell of is to be durable. */
  readonly beforeOutput: () => void
}

export class CopyPort {
  readonly #options: CopyPortOptions
  readonly #pieces: Uint8Array[] = []
  #pieceAt = 0
  #wanted = 0
  #ending: CopyInput | undefined
  #output = new Uint8Array(outputBytes)
  #outputLength = 0
  #untaken = 0
  #isRefused = false

  constructor(options: CopyPortOptions) {
    this.#options = options
  }

  get hasInput(): boolean {
    return this.#options.hasInput
  }

  get hasOutput(): boolean {
    return this.#options.hasOutput
  }

  /** Output was left out: it is not taken any more, or was not in time for a cancel. */
  get isRefused(): boolean {
    return this.#isRefused
  }

  /** The next bytes, at most so many; waits for them. */
  read(bytesMax: number): CopyInput {
    // Who sends the data may wait for what was said until now.
    this.#sendOutput()
    this.#wait(() => this.#pieces.length > 0 || this.#ending !== undefined)
    const [piece] = this.#pieces
    if (piece === undefined) return this.#ending ?? { kind: 'failed', reason: 'cancelled' }
    const bytes = piece.subarray(this.#pieceAt, this.#pieceAt + bytesMax)
    this.#pieceAt += bytes.length
    if (this.#pieceAt === piece.length) {
      this.#pieces.shift()
      this.#pieceAt = 0
    }
    return { kind: 'data', bytes }
  }

  /** Takes a copy of the bytes; waits while too much is on its way. */
  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + outputBytes - this.#outputLength)
      this.#output.set(part, this.#outputLength)
      this.#outputLength += part.length
      at += part.length
      if (this.#outputLength < outputBytes) continue
      this.#sendOutput()
      this.#waitForRoom(outputBytesAhead)
    }
  }

  /** Sends the rest of the output and waits until all was taken, or refused. */
  settle(): void {
    this.#sendOutput()
    this.#waitForRoom(0)
  }

  /** The unit has run: sends the rest of the output. */
  end(): void {
    this.#sendOutput()
    this.#tell({ kind: 'ended' })
  }

  #waitForRoom(untakenMax: number): void {
    if (!this.#wait(() => this.#untaken <= untakenMax)) this.#isRefused = true
  }

  #sendOutput(): void {
    if (this.#isRefused) this.#outputLength = 0
    if (this.#outputLength === 0) return
    const bytes = this.#output.slice(0, this.#outputLength)
    this.#outputLength = 0
    this.#untaken += bytes.length
    this.#options.beforeOutput()
    this.#tell({ kind: 'output', bytes }, [bytes.buffer])
  }

  /** Until it is so; false if the unit was cancelled before, or the output refused. */
  #wait(isSo: () => boolean): boolean {
    const { wake } = this.#options.end
    for (;;) {
      // Before the messages are looked at: one that comes then ends the sleep at once.
      const seen = Atomics.load(wake, 0)
      this.#receive()
      this.#want()
      if (this.#isRefused) return false
      if (isSo()) return true
      if (this.#options.isCancelled()) return false
      Atomics.wait(wake, 0, seen, cancelCheckMs)
    }
  }

  #want(): void {
    if (!this.hasInput || this.#ending !== undefined) return
    while (this.#pieces.length + this.#wanted < piecesAhead) {
      this.#wanted += 1
      this.#tell({ kind: 'wanted' })
    }
  }

  #receive(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#options.end.port)
      if (received === undefined) return
      // What comes over this port, copy-channel.ts has sent.
      this.#accept(received.message as ToCopyPort)
    }
  }

  #accept(message: ToCopyPort): void {
    switch (message.kind) {
      case 'piece':
        this.#wanted -= 1
        if (message.bytes.length > 0) this.#pieces.push(message.bytes)
        break
      case 'done':
      case 'failed':
        this.#ending ??= message
        break
      case 'taken':
        this.#untaken -= message.bytes
        break
      case 'refused':
        this.#isRefused = true
        break
    }
  }

  #tell(message: FromCopyPort, transfer: ArrayBuffer[] = []): void {
    this.#options.end.port.postMessage(message, transfer)
  }
}
