/**
 * Backend messages of the PostgreSQL protocol: walked in place, decoded only where asked.
 * Layouts: PostgreSQL docs, "Message Formats".
 */
import { DbError } from '../errors.js'
import type { ErrorCode } from '../protocol/error-code.js'
import { int32 } from '../protocol/int32.js'
import type { Column } from './statement.js'

export const backendTag = {
  dataRow: 0x44,
  rowDescription: 0x54,
  parameterDescription: 0x74,
  noData: 0x6e,
  commandComplete: 0x43,
  emptyQuery: 0x49,
  error: 0x45,
  notice: 0x4e,
  copyIn: 0x47,
  copyOut: 0x48,
  copyData: 0x64,
  copyDone: 0x63,
  readyForQuery: 0x5a,
  notification: 0x41,
} as const

/** Calls `visit` with each message's tag and body. The bytes must be whole messages. */
export function eachMessage(
  bytes: Uint8Array,
  visit: (tag: number, bodyStart: number, bodyEnd: number) => void,
): void {
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + int32(bytes, at + 1)
    visit(bytes[at] ?? 0, at + 5, end)
    at = end
  }
}

/** `I` idle, `T` in a transaction, `E` in a failed one; undefined if ReadyForQuery is not at the end. */
export function transactionStatus(bytes: Uint8Array): 'I' | 'T' | 'E' | undefined {
  const at = bytes.length - 6
  if (at < 0 || bytes[at] !== backendTag.readyForQuery || int32(bytes, at + 1) !== 5)
    return undefined
  const status = String.fromCharCode(bytes[at + 5] ?? 0)
  return status === 'I' || status === 'T' || status === 'E' ? status : undefined
}

/** The tag of the last message, of either direction. */
export function lastTag(bytes: Uint8Array): number {
  let last = 0
  for (let at = 0; at < bytes.length; at += 1 + int32(bytes, at + 1)) last = bytes[at] ?? 0
  return last
}

/** The DataRow messages' values as text, for results that are small and ours. */
export function dataRows(bytes: Uint8Array): (string | null)[][] {
  const rows: (string | null)[][] = []
  eachMessage(bytes, (tag, start) => {
    if (tag === backendTag.dataRow) rows.push(rowValues(bytes, start))
  })
  return rows
}

function rowValues(bytes: Uint8Array, start: number): (string | null)[] {
  const count = int16(bytes, start)
  const values: (string | null)[] = []
  let at = start + 2
  for (let index = 0; index < count; index++) {
    const length = int32(bytes, at)
    at += 4
    values.push(length < 0 ? null : utf8(bytes, at, at + length))
    if (length > 0) at += length
  }
  return values
}

export function rowDescription(bytes: Uint8Array, start: number): Column[] {
  const count = int16(bytes, start)
  const columns: Column[] = []
  let at = start + 2
  for (let index = 0; index < count; index++) {
    const nameEnd = bytes.indexOf(0, at)
    columns.push({
      name: utf8(bytes, at, nameEnd),
      typeOid: int32(bytes, nameEnd + 7) >>> 0,
      origin: {
        tableOid: int32(bytes, nameEnd + 1) >>> 0,
        columnNumber: signed16(bytes, nameEnd + 5),
        typeSize: signed16(bytes, nameEnd + 11),
        typeModifier: int32(bytes, nameEnd + 13),
      },
    })
    // The format too, which is text.
    at = nameEnd + 19
  }
  return columns
}

export function parameterTypes(bytes: Uint8Array, start: number): number[] {
  const count = int16(bytes, start)
  return Array.from({ length: count }, (_, index) => int32(bytes, start + 2 + index * 4) >>> 0)
}

/** `INSERT 0 3` → INSERT and 3; `CREATE TABLE` → itself and 0. */
export function commandTag(
  bytes: Uint8Array,
  start: number,
  end: number,
): { readonly command: string; readonly rowCount: number } {
  const text = utf8(bytes, start, end - 1)
  const match = /^(.*?)(?: \d+)?(?: (\d+))$/.exec(text)
  if (match === null) return { command: text, rowCount: 0 }
  return { command: match[1] ?? text, rowCount: Number(match[2]) }
}

/** PostgreSQL's ErrorResponse as our error; its position is in the text that was sent. */
export function errorResponse(bytes: Uint8Array, start: number, end: number): DbError {
  const fields = new Map<string, string>()
  for (let at = start; at < end && bytes[at] !== 0;) {
    const valueEnd = bytes.indexOf(0, at + 1)
    fields.set(String.fromCharCode(bytes[at] ?? 0), utf8(bytes, at + 1, valueEnd))
    at = valueEnd + 1
  }
  const sqlState = fields.get('C') ?? 'XX000'
  const position = fields.get('P')
  return new DbError(codeOf(sqlState), fields.get('M') ?? 'unknown error', {
    sqlState,
    detail: fields.get('D'),
    hint: fields.get('H'),
    where: fields.get('W'),
    routine: fields.get('R'),
    schemaName: fields.get('s'),
    tableName: fields.get('t'),
    columnName: fields.get('c'),
    dataTypeName: fields.get('d'),
    constraintName: fields.get('n'),
    position: position === undefined ? undefined : Number(position),
  })
}

/** SQLSTATE of the notice by which the system schema tells of what outlives its transaction. */
export const temporaryObjectState = 'KT001'

/** SQLSTATE of the notice by which the system schema tells of DDL. */
export const changedSchemaState = 'KT002'

/** SQLSTATE of the notice by which the system schema tells of an advisory lock taken or given back. */
export const advisoryLockState = 'KT003'

/** The first ErrorResponse among whole messages. */
export function firstError(bytes: Uint8Array): DbError | undefined {
  let error: DbError | undefined
  eachMessage(bytes, (tag, start, end) => {
    if (tag === backendTag.error) error ??= errorResponse(bytes, start, end)
  })
  return error
}

/** What each SQLSTATE, or else its class, means to a caller. PostgreSQL docs, appendix A. */
const codeBySqlState: Readonly<Record<string, ErrorCode>> = {
  '42601': 'SYNTAX_ERROR',
  '25006': 'FORBIDDEN',
  '42501': 'FORBIDDEN',
  '40001': 'TRANSACTION_CONFLICT',
  '40P01': 'TRANSACTION_CONFLICT',
  '53100': 'DISK_FULL',
  '57014': 'CANCELLED',
  '42P04': 'ALREADY_EXISTS',
  '42P06': 'ALREADY_EXISTS',
  '42P07': 'ALREADY_EXISTS',
  '42710': 'ALREADY_EXISTS',
  '42723': 'ALREADY_EXISTS',
  '42701': 'ALREADY_EXISTS',
  // PostgreSQL's own `cannot happen`, which odd arguments do reach: `nextval(0::regclass)`.
  XX000: 'QUERY_REJECTED',
}
const codeByClass: Readonly<Record<string, ErrorCode>> = {
  '23': 'CONSTRAINT_VIOLATION',
  '53': 'OUT_OF_RESOURCES',
  '54': 'OUT_OF_RESOURCES',
  '58': 'INTERNAL',
  XX: 'INTERNAL',
}

function codeOf(sqlState: string): ErrorCode {
  return codeBySqlState[sqlState] ?? codeByClass[sqlState.slice(0, 2)] ?? 'QUERY_REJECTED'
}

function int16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
}

function signed16(bytes: Uint8Array, at: number): number {
  return (int16(bytes, at) << 16) >> 16
}

export function utf8(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8')
}
