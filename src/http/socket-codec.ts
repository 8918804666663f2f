/** How a socket's messages become bytes, by the sub-protocol that was agreed on. */
import type { ByteSink } from '../protocol/byte-sink.js'
import { appendBinary, decodeClientBinary } from '../protocol/socket-binary.js'
import { appendServerJson, decodeClientJson } from '../protocol/socket-json.js'
import {
  fault,
  subProtocols,
  type ClientMessage,
  type Fault,
  type ServerMessage,
} from '../protocol/socket-messages.js'

export interface SocketCodec {
  /** Whether messages are binary frames, both ways. */
  readonly isBinary: boolean
  decode(bytes: Buffer, isBinary: boolean): ClientMessage | Fault
  append(message: ServerMessage, out: ByteSink): void
}

export function socketCodec(protocol: string): SocketCodec {
  return protocol === subProtocols.binary ? binaryCodec : jsonCodec
}

const jsonCodec: SocketCodec = {
  isBinary: false,
  decode(bytes, isBinary) {
    if (isBinary) return fault(`${subProtocols.json} has text frames only`)
    // The libraries have checked that a text frame is UTF-8.
    return decodeClientJson(bytes.toString('utf8'))
  },
  append: appendServerJson,
}

const binaryCodec: SocketCodec = {
  isBinary: true,
  decode(bytes, isBinary) {
    if (!isBinary) return fault(`${subProtocols.binary} has binary frames only`)
    return decodeClientBinary(bytes)
  },
  append: appendBinary,
}
