/** Differences as the JSON text that receivers get; see WatchEvent. */
import { ByteSink } from '../protocol/byte-sink.js'
import { encodeRows, rowEncoder, type RowEncoder } from '../protocol/row-json.js'
import type { ResultColumn } from '../protocol/type-info.js'
import { encodeValue } from '../protocol/value-json.js'
import { fieldAt, rowAt } from './data-rows.js'

/** How the rows and keys of one result are written. */
export interface ResultShape {
  readonly columns: readonly ResultColumn[]
  /** Columns of the key; none: all of them. */
  readonly key: readonly number[]
  readonly encoder: RowEncoder
}

export function resultShape(columns: readonly ResultColumn[], key: readonly number[]): ResultShape {
  return { columns, key, encoder: rowEncoder(columns, 'array') }
}

/** One change of a row; `frames` holds DataRow messages, `row` is where one starts. */
export interface EncodedChange {
  readonly kind: 'i' | 'u' | 'd'
  /** The row that the key is taken from: for an update the row as it was. */
  readonly key: RowPlace
  /** Undefined for a delete. */
  readonly row: RowPlace | undefined
  readonly at: number | undefined
}

export interface RowPlace {
  readonly frames: Uint8Array
  readonly start: number
}

/** A list of changes as JSON text, in memory of its own. */
export function encodeChanges(shape: ResultShape, changes: readonly EncodedChange[]): Uint8Array {
  const out = new ByteSink(512)
  out.appendByte(leftBracket)
  for (const [index, change] of changes.entries()) {
    if (index > 0) out.appendByte(comma)
    out.appendText(`["${change.kind}",`)
    encodeKey(shape, change.key, out)
    if (change.row !== undefined) {
      out.appendByte(comma)
      encodeRow(shape, change.row, out)
    }
    if (change.at !== undefined) out.appendText(`,${change.at}`)
    out.appendByte(rightBracket)
  }
  out.appendByte(rightBracket)
  return out.bytes.slice(0, out.length)
}

/** Rows as a JSON list. */
export function encodeSnapshot(
  shape: ResultShape,
  frames: Uint8Array,
): { rows: Uint8Array; count: number } {
  const out = new ByteSink(frames.length * 2 + 64)
  out.appendByte(leftBracket)
  const count = encodeRows({ frames, encoder: shape.encoder, separator: 'comma', out })
  out.appendByte(rightBracket)
  return { rows: out.bytes.slice(0, out.length), count }
}

function encodeRow({ encoder }: ResultShape, { frames, start }: RowPlace, out: ByteSink): void {
  encodeRows({ frames: rowAt(frames, start), encoder, separator: 'comma', out })
}

function encodeKey(shape: ResultShape, place: RowPlace, out: ByteSink): void {
  if (shape.key.length === 0) {
    encodeRow(shape, place, out)
    return
  }
  const { frames, start: row } = place
  for (const [index, column] of shape.key.entries()) {
    out.appendByte(index === 0 ? leftBracket : comma)
    const { start, end } = fieldAt(frames, row, column)
    const type = shape.columns[column]?.type
    if (end < start || type === undefined) out.appendText('null')
    else encodeValue(type, frames, start, end, out)
  }
  out.appendByte(rightBracket)
}

const comma = 0x2c
const leftBracket = 0x5b
const rightBracket = 0x5d
