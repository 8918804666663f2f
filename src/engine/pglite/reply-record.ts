/** An answer on its way to the main thread, in the ring. */
import type { Outcome } from './messages.js'
import type { Ring } from './ring.js'

/** In units of 4 bytes from the payload's place. */
const intsAt = { serial: 0, outcome: 1, bytes: 2, count: 4 } as const
const headBytes = intsAt.count * Int32Array.BYTES_PER_ELEMENT

export function replyRecordBytes(bytes: Uint8Array): number {
  return headBytes + bytes.length
}

export interface RecordedReply {
  readonly serial: number
  readonly outcome: Outcome
  readonly bytes: Uint8Array
}

export function writeReply(reply: RecordedReply, { bytes, ints }: Ring, place: number): void {
  const int = place / Int32Array.BYTES_PER_ELEMENT
  ints[int + intsAt.serial] = reply.serial
  ints[int + intsAt.outcome] = reply.outcome
  ints[int + intsAt.bytes] = reply.bytes.length
  bytes.set(reply.bytes, place + headBytes)
}

/** A copy: the record may be written over afterwards. The outcome is one: `writeReply` wrote it. */
export function readReplyRecord({ bytes, ints }: Ring, place: number): RecordedReply {
  const int = place / Int32Array.BYTES_PER_ELEMENT
  const at = place + headBytes
  return {
    serial: ints[int + intsAt.serial] ?? 0,
    outcome: ints[int + intsAt.outcome] as Outcome,
    bytes: Buffer.from(bytes.subarray(at, at + (ints[int + intsAt.bytes] ?? 0))),
  }
}
