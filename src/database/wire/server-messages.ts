/** Messages that a session says by itself, as PostgreSQL would. */
import type { DbError } from '../../errors.js'

export const serverTag = {
  parseComplete: 0x31,
  bindComplete: 0x32,
  closeComplete: 0x33,
  commandComplete: 0x43,
  dataRow: 0x44,
  emptyQuery: 0x49,
  error: 0x45,
  notice: 0x4e,
  noData: 0x6e,
  notification: 0x41,
  parameterStatus: 0x53,
  parameterDescription: 0x74,
  portalSuspended: 0x73,
  readyForQuery: 0x5a,
  rowDescription: 0x54,
} as const

/** Of ReadyForQuery: idle, in a transaction, in a failed one. */
export type TransactionStatus = 'I' | 'T' | 'E'

export function serverMessage(tag: number, body: string | Uint8Array = ''): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  const message = Buffer.allocUnsafe(5 + bytes.length)
  message[0] = tag
  message.writeInt32BE(4 + bytes.length, 1)
  message.set(bytes, 5)
  return message
}

export const parseComplete = serverMessage(serverTag.parseComplete)

export const portalSuspended = serverMessage(serverTag.portalSuspended)

export const emptyQuery = serverMessage(serverTag.emptyQuery)

const ready = {
  I: serverMessage(serverTag.readyForQuery, 'I'),
  T: serverMessage(serverTag.readyForQuery, 'T'),
  E: serverMessage(serverTag.readyForQuery, 'E'),
} as const satisfies Record<TransactionStatus, Buffer>

export function readyForQuery(status: TransactionStatus): Buffer {
  return ready[status]
}

export function commandComplete(tag: string): Buffer {
  return serverMessage(serverTag.commandComplete, `${tag}\0`)
}

/** ErrorResponse; what the error does not say is left out. */
export function errorMessage(error: DbError, severity: 'ERROR' | 'FATAL' = 'ERROR'): Buffer {
  const { detail, hint, position, where, routine } = error.fields
  const fields = [
    ['S', severity],
    ['V', severity],
    ['C', error.sqlState],
    ['M', error.message],
    ['D', detail],
    ['H', hint],
    ['P', position],
    ['W', where],
    ['R', routine],
  ] as const
  return fieldsMessage(serverTag.error, fields)
}

/** ErrorResponse or NoticeResponse with these fields, in order. */
export function fieldsMessage(
  tag: number,
  fields: Iterable<readonly [string, string | number | undefined]>,
): Buffer {
  let body = ''
  for (const [field, value] of fields) if (value !== undefined) body += `${field}${value}\0`
  return serverMessage(tag, `${body}\0`)
}

export function readFields(bytes: Uint8Array, start: number, end: number): Map<string, string> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const fields = new Map<string, string>()
  for (let at = start; at < end && bytes[at] !== 0;) {
    const valueEnd = bytes.indexOf(0, at + 1)
    fields.set(String.fromCharCode(bytes[at] ?? 0), buffer.toString('utf8', at + 1, valueEnd))
    at = valueEnd + 1
  }
  return fields
}
