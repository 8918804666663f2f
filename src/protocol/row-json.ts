/**
 * PostgreSQL's DataRow messages (text format) to JSON rows, byte to byte: no string and no object
 * is made per row. A result's columns are prepared once (`rowEncoder`); the same code serves whole
 * results, NDJSON lines and socket frames. Layout of the messages: PostgreSQL docs 54.7.
 */
import type { ByteSink } from './byte-sink.js'
import { int32 } from './int32.js'
import type { ResultColumn, TypeInfo } from './type-info.js'
import { encodeValue } from './value-json.js'

export type RowShape = 'object' | 'array'

/** How the rows of one result are written. Stays valid as long as the columns do. */
export interface RowEncoder {
  readonly open: number
  readonly close: number
  readonly fields: readonly FieldEncoder[]
}

interface FieldEncoder {
  readonly type: TypeInfo
  /** What stands before the value: `{"id":`, `,"title":`, `,`. Undefined: the field is left out. */
  readonly prefix: Uint8Array | undefined
}

const messageHeaderBytes = 5
const nullLength = -1

/** In objects the last of several columns of one name wins; arrays keep all. */
export function rowEncoder(columns: readonly ResultColumn[], shape: RowShape): RowEncoder {
  return shape === 'object' ? objectEncoder(columns) : arrayEncoder(columns)
}

export interface EncodeRowsOptions {
  /** Whole backend messages; those that are not DataRow are passed over. */
  readonly frames: Uint8Array
  readonly encoder: RowEncoder
  /** `comma` stands between rows, `newline` after each. */
  readonly separator: 'comma' | 'newline'
  readonly out: ByteSink
}

/** Appends the rows and returns how many there were. Never throws: what is cut off is left out. */
export function encodeRows({ frames, encoder, separator, out }: EncodeRowsOptions): number {
  let rowCount = 0
  let at = 0
  while (at + messageHeaderBytes <= frames.length) {
    const end = at + 1 + int32(frames, at + 1)
    if (end < at + messageHeaderBytes || end > frames.length) break
    if (frames[at] === dataRow) {
      if (separator === 'comma' && rowCount > 0) out.appendByte(comma)
      encodeRow(encoder, frames, at + messageHeaderBytes, end, out)
      if (separator === 'newline') out.appendByte(newline)
      rowCount += 1
    }
    at = end
  }
  return rowCount
}

function objectEncoder(columns: readonly ResultColumn[]): RowEncoder {
  const lastOfName = new Map(columns.map(({ name }, index) => [name, index]))
  const isKept = (name: string, index: number) => lastOfName.get(name) === index
  const firstKept = columns.findIndex(({ name }, index) => isKept(name, index))
  const fields = columns.map(({ name, type }, index) => {
    const key = `${index === firstKept ? '{' : ','}${JSON.stringify(name)}:`
    return { type, prefix: isKept(name, index) ? utf8.encode(key) : undefined }
  })
  return { open: leftBrace, close: rightBrace, fields }
}

function arrayEncoder(columns: readonly ResultColumn[]): RowEncoder {
  const fields = columns.map(({ type }, index) => ({
    type,
    prefix: utf8.encode(index === 0 ? '[' : ','),
  }))
  return { open: leftBracket, close: rightBracket, fields }
}

// Positional arguments here: this runs per row, and an options object would be made for each.
function encodeRow(
  encoder: RowEncoder,
  frames: Uint8Array,
  start: number,
  end: number,
  out: ByteSink,
): void {
  const { fields } = encoder
  let at = start + 2 // The number of fields, which is that of the columns.
  for (const { type, prefix } of fields) {
    const length = at + 4 <= end ? int32(frames, at) : nullLength
    const valueStart = at + 4
    const valueEnd = valueStart + (length > 0 ? length : 0)
    if (prefix !== undefined) {
      out.append(prefix)
      if (length < 0 || valueEnd > end) out.append(nullText)
      else encodeValue(type, frames, valueStart, valueEnd, out)
    }
    at = Math.min(valueEnd, end)
  }
  // A row without columns (`select from t`) has no prefix that opens it.
  if (fields.length === 0) out.appendByte(encoder.open)
  out.appendByte(encoder.close)
}

const utf8 = new TextEncoder()
const nullText = utf8.encode('null')
const dataRow = 0x44 // D
const comma = 0x2c
const newline = 0x0a
const leftBrace = 0x7b
const rightBrace = 0x7d
const leftBracket = 0x5b
const rightBracket = 0x5d
