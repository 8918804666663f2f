import { int32 } from '../../protocol/int32.js'

const headerBytes = 5

/** Finds where messages begin and end in pieces that are cut anywhere, inside of a header too. */
export class MessageWalker {
  readonly #header = new Uint8Array(headerBytes)
  /** Of a header that is cut. */
  #headerLength = 0
  /** Bytes of the present message's body that are still to come. */
  #bodyLeft = 0

  /** The next byte begins a message. */
  get isBetween(): boolean {
    return this.#headerLength === 0 && this.#bodyLeft === 0
  }

  /** Where the message ends that is under way at this place or begins there; the piece's end if it goes on. */
  skip(piece: Uint8Array, at: number): number {
    const bodyAt = this.#bodyLeft > 0 ? at : this.#takeHeader(piece, at)
    const end = Math.min(piece.length, bodyAt + this.#bodyLeft)
    this.#bodyLeft -= end - bodyAt
    return end
  }

  /** Where the body begins; the piece's end if the header goes on. */
  #takeHeader(piece: Uint8Array, from: number): number {
    // Rows, of which there are many.
    if (this.#headerLength === 0 && from + headerBytes <= piece.length)
      return this.#beginBody(piece, from)
    let at = from
    while (this.#headerLength < headerBytes && at < piece.length)
      this.#header[this.#headerLength++] = piece[at++] ?? 0
    if (this.#headerLength < headerBytes) return at
    this.#headerLength = 0
    this.#beginBody(this.#header, 0)
    return at
  }

  #beginBody(bytes: Uint8Array, start: number): number {
    // The length counts itself.
    this.#bodyLeft = int32(bytes, start + 1) - 4
    return start + headerBytes
  }
}
