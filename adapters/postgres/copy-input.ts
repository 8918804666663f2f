/** The data of a COPY … FROM STDIN, taken from the client as the session asks for it. */
import { DbError } from '../../src/errors.js'
import { frontendTag } from './frontend-tag.js'

/** Where messages come from; `undefined` as long as there is no whole one. Throws when the client is gone. */
export type NextMessage = () => Buffer | undefined

const headBytes = 5

export class CopyInput implements AsyncIterableIterator<Uint8Array> {
  readonly #next: NextMessage
  #hasEnded = false
  #wake: (() => void) | undefined

  constructor(next: NextMessage) {
    this.#next = next
  }

  /** Errors: CANCELLED (CopyFail's text, or the client is gone), BAD_REQUEST (another message). */
  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    while (!this.#hasEnded) {
      const message = this.#next()
      if (message === undefined) {
        await new Promise<void>((resolve) => (this.#wake = resolve))
        continue
      }
      const data = this.#read(message)
      if (data !== undefined) return { done: false, value: data }
    }
    return { done: true, value: undefined }
  }

  /** Nothing more is wanted; one who waits is let go. */
  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#hasEnded = true
    this.wake()
    return Promise.resolve({ done: true, value: undefined })
  }

  /** There may be another message. */
  wake(): void {
    this.#wake?.()
    this.#wake = undefined
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Undefined for what carries nothing. Sync and Flush are read over, as PostgreSQL does. */
  #read(message: Buffer): Uint8Array | undefined {
    const tag = message[0] ?? 0
    if (tag === frontendTag.copyData) return message.subarray(headBytes)
    if (tag === frontendTag.sync || tag === frontendTag.flush) return undefined
    this.#hasEnded = true
    if (tag === frontendTag.copyDone) return undefined
    if (tag === frontendTag.copyFail) throw new DbError('CANCELLED', textOf(message))
    throw new DbError('BAD_REQUEST', `unexpected message type ${tag} during COPY from stdin`)
  }
}

function textOf(message: Buffer): string {
  const end = message.indexOf(0, headBytes)
  return message.toString('utf8', headBytes, end === -1 ? message.length : end)
}
