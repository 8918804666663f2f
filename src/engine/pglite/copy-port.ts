/**
 * The worker's end of the data of one COPY: PostgreSQL reads and writes through it and waits here,
 * in the middle of the statement, until there is data or room. See copy-channel.ts.
 */
import { receiveMessageOnPort } from 'node:worker_threads'
import type { FromCopyPort, RemoteCopy, ToCopyPort } from './copy-channel.js'

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

export class CopyPort {
  readonly #remote: RemoteCopy
  readonly #isCancelled: () => boolean
  readonly #pieces: Uint8Array[] = []
  #pieceAt = 0
  #wanted = 0
  #ending: CopyInput | undefined
  #output = new Uint8Array(outputBytes)
  #outputLength = 0
  #untaken = 0

  constructor(remote: RemoteCopy, isCancelled: () => boolean) {
    this.#remote = remote
    this.#isCancelled = isCancelled
  }

  get hasInput(): boolean {
    return this.#remote.hasInput
  }

  get hasOutput(): boolean {
    return this.#remote.hasOutput
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
      this.#wait(() => this.#untaken <= outputBytesAhead)
    }
  }

  /** The unit has run: sends the rest of the output. */
  end(): void {
    this.#sendOutput()
    this.#tell({ kind: 'ended' })
  }

  #sendOutput(): void {
    if (this.#outputLength === 0) return
    const bytes = this.#output.slice(0, this.#outputLength)
    this.#outputLength = 0
    this.#untaken += bytes.length
    this.#tell({ kind: 'output', bytes })
  }

  /** Until it is so, or the unit was cancelled. */
  #wait(isSo: () => boolean): void {
    for (;;) {
      // Before the messages are looked at: one that comes then ends the sleep at once.
      const seen = Atomics.load(this.#remote.wake, 0)
      this.#receive()
      this.#want()
      if (isSo() || this.#isCancelled()) return
      Atomics.wait(this.#remote.wake, 0, seen, cancelCheckMs)
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
      const received = receiveMessageOnPort(this.#remote.port)
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
    }
  }

  #tell(message: FromCopyPort): void {
    this.#remote.port.postMessage(message)
  }
}
