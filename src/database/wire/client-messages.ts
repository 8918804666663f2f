/**
 * What a client of the Postgres protocol sends, read in place and only as far as a session needs:
 * names and SQL texts. The rest of a message reaches PostgreSQL as it came. Layouts: PostgreSQL
 * docs, "Message Formats".
 */
import { DbError } from '../../errors.js'

export const clientTag = {
  query: 0x51,
  parse: 0x50,
  bind: 0x42,
  describe: 0x44,
  execute: 0x45,
  close: 0x43,
  sync: 0x53,
  flush: 0x48,
  functionCall: 0x46,
} as const

/** Whether Describe and Close mean a prepared statement or a portal. */
export const target = { statement: 0x53, portal: 0x50 } as const

const bodyStart = 5

export interface ParseMessage {
  readonly name: string
  readonly text: string
  /** Where the types of the parameters begin. */
  readonly typesAt: number
}

export interface BindMessage {
  readonly portal: string
  readonly statement: string
  /** Where the values begin. */
  readonly valuesAt: number
}

export interface NamedMessage {
  readonly target: number
  readonly name: string
}

export interface ExecuteMessage {
  readonly portal: string
  /** Most rows that are asked for; 0 for all. */
  readonly rowsMax: number
}

/** Errors of all readers: BAD_REQUEST with 08P01, QUERY_REJECTED with 22021 for what is no UTF-8. */
export function readQuery(message: Uint8Array): string {
  return readString(message, bodyStart).text
}

export function readParse(message: Uint8Array): ParseMessage {
  const name = readString(message, bodyStart)
  const { text, end } = readString(message, name.end)
  return { name: name.text, text, typesAt: end }
}

export function readBind(message: Uint8Array): BindMessage {
  const portal = readString(message, bodyStart)
  const { text, end } = readString(message, portal.end)
  return { portal: portal.text, statement: text, valuesAt: end }
}

export function readNamed(message: Uint8Array): NamedMessage {
  return { target: message[bodyStart] ?? 0, name: readString(message, bodyStart + 1).text }
}

export function readExecute(message: Uint8Array): ExecuteMessage {
  const { text, end } = readString(message, bodyStart)
  if (end + 4 > message.length) throw malformed('insufficient data left in message')
  return { portal: text, rowsMax: asBuffer(message).readInt32BE(end) }
}

/** Where the part of a Bind begins that says which formats its result is to have. */
export function formatsStart(message: Uint8Array, valuesAt: number): number {
  const bytes = asBuffer(message)
  try {
    let at = valuesAt + 2 + 2 * bytes.readUInt16BE(valuesAt)
    const count = bytes.readUInt16BE(at)
    at += 2
    for (let index = 0; index < count; index++) at += 4 + Math.max(0, bytes.readInt32BE(at))
    return at
  } catch (cause) {
    // It ends before that; PostgreSQL will say so.
    if (cause instanceof RangeError) return message.length
    throw cause
  }
}

/** A message of our own; strings end as the protocol's do. */
export function clientMessage(
  tag: number,
  ...parts: readonly (string | Uint8Array | number)[]
): Uint8Array {
  const bodies = parts.map((part) => {
    if (typeof part === 'number') return Uint8Array.of(part)
    return typeof part === 'string' ? Buffer.from(`${part}\0`) : part
  })
  const length = bodies.reduce((sum, body) => sum + body.length, 4)
  const message = Buffer.allocUnsafe(length + 1)
  message[0] = tag
  message.writeInt32BE(length, 1)
  let at = bodyStart
  for (const body of bodies) {
    message.set(body, at)
    at += body.length
  }
  return message
}

interface FoundString {
  readonly text: string
  /** Index after its NUL. */
  readonly end: number
}

function readString(message: Uint8Array, start: number): FoundString {
  // Names are mostly empty.
  if (message[start] === 0) return { text: '', end: start + 1 }
  const end = message.indexOf(0, start)
  if (end < 0) throw malformed('invalid string in message')
  const text = asBuffer(message).toString('utf8', start, end)
  if (text.includes(replacement)) refuseInvalid(message, start, end)
  return { text, end: end + 1 }
}

/** What Node decodes bytes to that are no UTF-8; it may also be there of right. */
const replacement = '\ufffd'

function refuseInvalid(message: Uint8Array, start: number, end: number): void {
  try {
    new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(message.subarray(start, end))
  } catch (cause) {
    const text = 'invalid byte sequence for encoding "UTF8"'
    throw new DbError('QUERY_REJECTED', text, { sqlState: '22021' }, { cause })
  }
}

function malformed(message: string): DbError {
  return new DbError('BAD_REQUEST', message, { sqlState: '08P01' })
}

function asBuffer(bytes: Uint8Array): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
