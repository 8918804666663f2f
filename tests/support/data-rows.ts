/** A DataRow message in text format, as PostgreSQL sends it. Null is NULL. */
export function dataRow(values: readonly (string | Uint8Array | null)[]): Buffer {
  const fields = values.map((value) => {
    if (value === null) return int32(-1)
    const bytes = Buffer.from(value as string)
    return Buffer.concat([int32(bytes.length), bytes])
  })
  const body = Buffer.concat([int16(values.length), ...fields])
  return Buffer.concat([Buffer.from('D'), int32(body.length + 4), body])
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}
