/**
 * A reply that comes in parts, cut anywhere (`Unit.takePart`), read as it comes. The client gets
 * whole messages at a time, so that an error or a farewell of ours may follow any of them; only rows
 * that are long go on in pieces.
 */
import { backendTag } from '../../engine/backend-messages.js'
import { readReply, type ReadOptions, type Step } from './read-reply.js'

const headerBytes = 5

export interface PartedReplyOptions extends ReadOptions {
  /** A message up to this is passed on whole. */
  readonly wholeBytesMax: number
  /** Takes what is for the client; so many bytes of its last message are still to come. */
  readonly say: (bytes: Uint8Array, following: number) => undefined | Promise<void>
}

export class PartedReply {
  readonly #options: PartedReplyOptions
  #steps: readonly Step[]
  /** The beginning of a message. */
  #held: Uint8Array[] = []
  /** So much of a long row is still to come. */
  #bodyLeft = 0
  #isHidden = false
  #withheld: Uint8Array | undefined

  constructor(steps: readonly Step[], options: PartedReplyOptions) {
    this.#steps = steps
    this.#options = options
  }

  /** Those whose answers are not all here. */
  get stepsLeft(): readonly Step[] {
    return this.#steps
  }

  /** What the end of the reply decides about: see ReplyRead. */
  get withheld(): Uint8Array | undefined {
    return this.#withheld
  }

  /** Errors: those of `say`. */
  async take(part: Uint8Array): Promise<void> {
    const at = this.#goOn(part)
    if (at > 0 && !this.#isHidden) await this.#say([part.subarray(0, at)])
    const pieces: Uint8Array[] = []
    const rest = this.#complete(part.subarray(at), pieces)
    if (rest.length > 0) this.#read(rest, pieces)
    await this.#say(pieces)
  }

  /** Where the long row ends that this part goes on with. */
  #goOn(part: Uint8Array): number {
    const end = Math.min(part.length, this.#bodyLeft)
    this.#bodyLeft -= end
    return end
  }

  /** Reads the message that began before; what follows it. */
  #complete(part: Uint8Array, pieces: Uint8Array[]): Uint8Array {
    const [begun] = this.#held
    if (begun === undefined || part.length === 0) return part
    if (begun.length < headerBytes) {
      return Buffer.concat([...this.#held.splice(0), part])
    }
    const heldBytes = this.#held.reduce((sum, { length }) => sum + length, 0)
    const missing = messageBytes(begun) - heldBytes
    this.#held.push(part.subarray(0, missing))
    if (missing > part.length) return noBytes
    this.#read(Buffer.concat(this.#held.splice(0)), pieces)
    return part.subarray(missing)
  }

  #read(bytes: Uint8Array, pieces: Uint8Array[]): void {
    const read = readReply(bytes, this.#steps, {
      ...this.#options,
      withheld: this.#withheld,
      isPart: true,
    })
    this.#withheld = read.withheld
    pieces.push(...read.pieces)
    this.#steps = this.#steps.slice(read.steps)
    if (read.bytes < bytes.length) this.#begin(bytes.subarray(read.bytes), pieces)
  }

  /** A message that is not all here. */
  #begin(bytes: Uint8Array, pieces: Uint8Array[]): void {
    const isLong = bytes.length >= headerBytes && messageBytes(bytes) > this.#options.wholeBytesMax
    if (!isLong || !hasRow(bytes)) {
      this.#held.push(bytes)
      return
    }
    this.#bodyLeft = messageBytes(bytes) - bytes.length
    this.#isHidden = this.#steps[0]?.hides === 'everything'
    if (!this.#isHidden) pieces.push(bytes)
  }

  async #say(pieces: readonly Uint8Array[]): Promise<void> {
    const [first] = pieces
    if (first === undefined) return
    const following = this.#isHidden ? 0 : this.#bodyLeft
    await this.#options.say(pieces.length === 1 ? first : Buffer.concat(pieces), following)
  }
}

const noBytes = new Uint8Array(0)

function hasRow([tag]: Uint8Array): boolean {
  return tag === backendTag.dataRow || tag === backendTag.copyData
}

function messageBytes(message: Uint8Array): number {
  return 1 + Buffer.from(message.buffer, message.byteOffset, message.length).readInt32BE(1)
}
