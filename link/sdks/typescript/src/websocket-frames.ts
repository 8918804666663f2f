/** Frames of the WebSocket protocol as a client reads and writes them (RFC 6455, section 5). */

export interface SocketMessage {
  readonly kind: 'binary' | 'text' | 'close' | 'ping' | 'pong'
  readonly bytes: Uint8Array
}

/** Why bytes are no WebSocket's; with the code that closes it. */
export interface FrameFault {
  readonly kind: 'fault'
  readonly code: 1002 | 1009
}

export const opcodes = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const
const kinds: ReadonlyMap<number, SocketMessage['kind']> = new Map([
  [opcodes.text, 'text'],
  [opcodes.binary, 'binary'],
  [opcodes.close, 'close'],
  [opcodes.ping, 'ping'],
  [opcodes.pong, 'pong'],
])
const finalBit = 0x80
const reservedBits = 0x70
const maskBit = 0x80
const firstControl = 8
const controlBytesMax = 125
/** Larger than any message of a server: its own bound is 16 MiB of what waits. */
export const messageBytesMax = 256 * 1024 * 1024

/** Takes bytes as they come, and gives the messages in them. */
export class FrameReader {
  #chunks: Uint8Array[] = []
  #length = 0
  /** Fewer are no whole frame. */
  #needed = 2
  #parts: Uint8Array[] = []
  #partsLength = 0
  #opcode = 0

  /** After a fault nothing more is to be given. */
  read(chunk: Uint8Array): readonly (SocketMessage | FrameFault)[] {
    this.#chunks.push(chunk)
    this.#length += chunk.length
    // Only then put together: a large message comes in hundreds of pieces.
    if (this.#length < this.#needed) return []
    let bytes = joined(this.#chunks, this.#length)
    const messages: (SocketMessage | FrameFault)[] = []
    for (;;) {
      const frame = headOf(bytes)
      this.#needed = frame.end
      if (frame.fault !== undefined) return [...messages, frame.fault]
      if (bytes.length < frame.end) break
      const told = this.#take(frame, bytes.subarray(frame.start, frame.end))
      if (told !== undefined) messages.push(told)
      if (told?.kind === 'fault') return messages
      bytes = bytes.subarray(frame.end)
    }
    this.#chunks = [bytes]
    this.#length = bytes.length
    return messages
  }

  #take({ opcode, isFinal }: FrameHead, bytes: Uint8Array): SocketMessage | FrameFault | undefined {
    if (opcode >= firstControl) return messageOf(opcode, bytes)
    // The first frame of a message has its opcode, those after it have none.
    if ((opcode === 0) !== this.#opcode > 0) return fault(1002)
    if (opcode !== 0) this.#opcode = opcode
    this.#parts.push(bytes)
    this.#partsLength += bytes.length
    if (this.#partsLength > messageBytesMax) return fault(1009)
    if (!isFinal) return undefined
    const message = messageOf(this.#opcode, joined(this.#parts, this.#partsLength))
    this.#parts = []
    this.#partsLength = 0
    this.#opcode = 0
    return message
  }
}

interface FrameHead {
  readonly opcode: number
  readonly isFinal: boolean
  readonly start: number
  /** Where the frame ends, or the least that must be there to know. */
  readonly end: number
  readonly fault?: FrameFault
}

function headOf(bytes: Uint8Array): FrameHead {
  const [first = 0, second = 0] = bytes
  const opcode = first & 0x0f
  const isFinal = (first & finalBit) !== 0
  const short = second & ~maskBit
  const start = short === 126 ? 4 : short === 127 ? 10 : 2
  const head = { opcode, isFinal, start }
  if (bytes.length < 2) return { ...head, end: 2 }
  const isControl = opcode >= firstControl
  const isKnown = opcode === 0 || kinds.has(opcode)
  const isWrong = (first & reservedBits) !== 0 || (second & maskBit) !== 0 || !isKnown
  if (isWrong || (isControl && (!isFinal || short > controlBytesMax)))
    return { ...head, end: 2, fault: fault(1002) }
  if (bytes.length < start) return { ...head, end: start }
  const length = start === 2 ? short : lengthOf(bytes.subarray(2, start))
  if (length > messageBytesMax) return { ...head, end: 2, fault: fault(1009) }
  return { ...head, end: start + length }
}

/** Big-endian; what is too large is so in any precision. */
function lengthOf(bytes: Uint8Array): number {
  return bytes.reduce((length, byte) => length * 256 + byte, 0)
}

function messageOf(opcode: number, bytes: Uint8Array): SocketMessage | FrameFault {
  const kind = kinds.get(opcode)
  return kind === undefined ? fault(1002) : { kind, bytes }
}

function fault(code: FrameFault['code']): FrameFault {
  return { kind: 'fault', code }
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const [only] = chunks
  if (only !== undefined && chunks.length === 1) return only
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

/** One frame, masked as those of clients are. `mask`: four random bytes. */
export function frameOf(opcode: number, bytes: Uint8Array, mask: Uint8Array): Uint8Array {
  const { length } = bytes
  const lengthBytes = length < 126 ? 0 : length < 65_536 ? 2 : 8
  const start = 2 + lengthBytes + 4
  const frame = new Uint8Array(start + length)
  frame[0] = finalBit | opcode
  frame[1] = maskBit | (lengthBytes === 0 ? length : lengthBytes === 2 ? 126 : 127)
  let rest = length
  for (let at = 1 + lengthBytes; at >= 2; at--) {
    frame[at] = rest % 256
    rest = Math.floor(rest / 256)
  }
  frame.set(mask, start - 4)
  for (let at = 0; at < length; at++) frame[start + at] = (bytes[at] ?? 0) ^ (mask[at % 4] ?? 0)
  return frame
}
