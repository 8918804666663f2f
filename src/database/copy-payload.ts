import { backendTag } from '../engine/backend-messages.js'

const headerBytes = 5

/** Takes the data out of CopyData messages that come in pieces cut anywhere; drops all others. */
export class CopyPayload {
  readonly #header = new Uint8Array(headerBytes)
  #headerLength = 0
  /** Bytes of the present message's body that are still to come. */
  #bodyLeft = 0

  /** The data in a piece, which is written over: what is given back is a part of it. */
  take(piece: Uint8Array): Uint8Array {
    let length = 0
    for (let at = 0; at < piece.length;) {
      if (this.#headerLength < headerBytes) {
        this.#takeHeaderByte(piece[at++] ?? 0)
        continue
      }
      const end = Math.min(piece.length, at + this.#bodyLeft)
      this.#bodyLeft -= end - at
      if (this.#header[0] === backendTag.copyData) {
        piece.copyWithin(length, at, end)
        length += end - at
      }
      at = end
      if (this.#bodyLeft === 0) this.#headerLength = 0
    }
    return piece.subarray(0, length)
  }

  #takeHeaderByte(byte: number): void {
    this.#header[this.#headerLength++] = byte
    if (this.#headerLength < headerBytes) return
    const [, a = 0, b = 0, c = 0, d = 0] = this.#header
    // The length counts itself.
    this.#bodyLeft = ((a << 24) | (b << 16) | (c << 8) | d) - 4
    if (this.#bodyLeft === 0) this.#headerLength = 0
  }
}
