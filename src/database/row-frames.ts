import type { TextValue } from '../engine/frontend-messages.js'

const tagDataRow = 0x44

/** Rows as PostgreSQL would send them: DataRow messages in text format. */
export function rowFrames(rows: readonly (readonly TextValue[])[]): Uint8Array {
  return Buffer.concat(rows.map(rowFrame))
}

function rowFrame(values: readonly TextValue[]): Buffer {
  const cells = values.map(cell)
  const head = Buffer.alloc(7)
  const bodyBytes = cells.reduce((sum, { length }) => sum + length, 0)
  head[0] = tagDataRow
  head.writeInt32BE(6 + bodyBytes, 1)
  head.writeInt16BE(values.length, 5)
  return Buffer.concat([head, ...cells])
}

function cell(value: TextValue): Buffer {
  const length = Buffer.alloc(4)
  if (value === null) {
    length.writeInt32BE(-1)
    return length
  }
  const text = Buffer.from(value)
  length.writeInt32BE(text.length)
  return Buffer.concat([length, text])
}
