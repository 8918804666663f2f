/**
 * Rows as PostgreSQL sent them: DataRow messages one after the other (PG docs 54.7), compared and
 * cut without making objects of them. A row is named by the index at which its message starts.
 */
import { int32 } from '../protocol/int32.js'

const tagDataRow = 0x44
const headerBytes = 5
const fieldsAt = headerBytes + 2
const isNull = -1

/** The rows alone, in memory of their own: the answer they came in can go. */
export function copyRows(frames: Uint8Array): Uint8Array {
  const rows = rowStarts(frames)
  const last = rows.at(-1)
  const first = rows[0]
  if (first === undefined || last === undefined) return noRows
  // All rows of one answer stand together.
  return Uint8Array.from(frames.subarray(first, rowEnd(frames, last)))
}

export const noRows = new Uint8Array(0)

/** Where each row starts. */
export function rowStarts(frames: Uint8Array): number[] {
  const starts: number[] = []
  for (let at = 0; at + headerBytes <= frames.length; at = rowEnd(frames, at))
    if (frames[at] === tagDataRow) starts.push(at)
  return starts
}

export function rowEnd(frames: Uint8Array, start: number): number {
  return start + 1 + int32(frames, start + 1)
}

/** The row by itself. */
export function rowAt(frames: Uint8Array, start: number): Uint8Array {
  return frames.subarray(start, rowEnd(frames, start))
}

export function isSameRow(
  left: Uint8Array,
  leftStart: number,
  right: Uint8Array,
  rightStart: number,
): boolean {
  return view(left, leftStart).equals(view(right, rightStart))
}

/** Equal for rows with the same values in these columns, and only for them; all columns if none are named. */
export function rowKey(frames: Uint8Array, start: number, columns: readonly number[]): string {
  if (columns.length === 0) return view(frames, start).toString('latin1', headerBytes)
  let key = ''
  for (const column of columns) {
    const { start: from, end } = fieldAt(frames, start, column)
    // The length first, so that values do not run together.
    key += end < from ? 'n' : `${end - from}:${latin1(frames, from, end)}`
  }
  return key
}

export interface FieldPlace {
  readonly start: number
  /** Before `start` for null. */
  readonly end: number
}

export function fieldAt(frames: Uint8Array, start: number, column: number): FieldPlace {
  let at = start + fieldsAt
  for (let index = 0; index < column; index++) at += 4 + Math.max(0, int32(frames, at))
  const length = int32(frames, at)
  return { start: at + 4, end: at + 4 + (length === isNull ? isNull : length) }
}

/** The value as text; null for NULL. */
export function fieldText(frames: Uint8Array, start: number, column: number): string | null {
  const { start: from, end } = fieldAt(frames, start, column)
  if (end < from) return null
  return Buffer.from(frames.buffer, frames.byteOffset + from, end - from).toString()
}

function view(frames: Uint8Array, start: number): Buffer {
  return Buffer.from(frames.buffer, frames.byteOffset + start, rowEnd(frames, start) - start)
}

function latin1(frames: Uint8Array, start: number, end: number): string {
  return Buffer.from(frames.buffer, frames.byteOffset + start, end - start).toString('latin1')
}
