/**
 * JSON that PostgreSQL reads back as it was meant: a bigint keeps its digits, NaN and the infinities
 * stay what they are, bytes are a bytea, and a Date is a timestamp.
 */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) => {
    if (typeof part === 'bigint' || (typeof part === 'number' && !isFinite(part)))
      return String(part)
    if (part instanceof Uint8Array) return `\\x${hex(part)}`
    return part
  })
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
