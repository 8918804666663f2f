/** A unit on its way to the worker, in the ring. */
import { action, type Action, type UnitHead } from './messages.js'
import type { PendingUnit } from './pending-unit.js'
import type { Ring } from './ring.js'

/** In units of 8 bytes from the payload's place, then of 4. */
const doublesAt = { replyBytesMax: 0, leaseMs: 1, idleMs: 2, count: 3 } as const
const intsAt = {
  serial: 6,
  slot: 7,
  session: 8,
  action: 9,
  roleOid: 10,
  readOnly: 11,
  userIdBytes: 12,
  searchPathBytes: 13,
  bytes: 14,
  inParts: 15,
  count: 16,
} as const
const headBytes = intsAt.count * Int32Array.BYTES_PER_ELEMENT
/** A UTF-16 code unit is no more in UTF-8. */
const bytesPerCodeUnit = 3

/** What it takes at most. */
export function unitRecordBytes({ unit }: PendingUnit): number {
  const words = unit.identity.userId.length + unit.searchPath.length
  return headBytes + words * bytesPerCodeUnit + unit.bytes.length
}

export function writeUnit(
  pending: PendingUnit,
  { bytes, ints, doubles }: Ring,
  place: number,
): void {
  const { unit } = pending
  const { identity } = unit
  const double = place / Float64Array.BYTES_PER_ELEMENT
  doubles[double + doublesAt.replyBytesMax] = unit.replyBytesMax
  doubles[double + doublesAt.leaseMs] = pending.leaseMs
  doubles[double + doublesAt.idleMs] = pending.idleMs
  const textAt = place + headBytes
  const userIdBytes = bytes.write(identity.userId, textAt)
  const searchPathBytes = bytes.write(unit.searchPath, textAt + userIdBytes)
  const int = place / Int32Array.BYTES_PER_ELEMENT
  ints[int + intsAt.serial] = pending.serial
  ints[int + intsAt.slot] = pending.slot
  ints[int + intsAt.session] = pending.session
  ints[int + intsAt.action] = pending.action
  ints[int + intsAt.roleOid] = identity.roleOid
  ints[int + intsAt.readOnly] = identity.readOnly ? 1 : 0
  ints[int + intsAt.userIdBytes] = userIdBytes
  ints[int + intsAt.searchPathBytes] = searchPathBytes
  ints[int + intsAt.bytes] = unit.bytes.length
  ints[int + intsAt.inParts] = unit.takePart === undefined ? 0 : 1
  bytes.set(unit.bytes, textAt + userIdBytes + searchPathBytes)
}

/** A copy: the record may be written over afterwards. */
export function readUnit({ bytes, ints, doubles }: Ring, place: number) {
  const double = place / Float64Array.BYTES_PER_ELEMENT
  const int = place / Int32Array.BYTES_PER_ELEMENT
  const userIdAt = place + headBytes
  const searchPathAt = userIdAt + (ints[int + intsAt.userIdBytes] ?? 0)
  const bytesAt = searchPathAt + (ints[int + intsAt.searchPathBytes] ?? 0)
  const head: UnitHead = {
    serial: ints[int + intsAt.serial] ?? 0,
    slot: ints[int + intsAt.slot] ?? 0,
    session: ints[int + intsAt.session] ?? 0,
    // `writeUnit` wrote one.
    action: (ints[int + intsAt.action] ?? action.run) as Action,
    roleOid: (ints[int + intsAt.roleOid] ?? 0) >>> 0,
    userId: bytes.toString('utf8', userIdAt, searchPathAt),
    readOnly: ints[int + intsAt.readOnly] === 1,
    searchPath: bytes.toString('utf8', searchPathAt, bytesAt),
    replyBytesMax: doubles[double + doublesAt.replyBytesMax] ?? 0,
    leaseMs: doubles[double + doublesAt.leaseMs] ?? 0,
    idleMs: doubles[double + doublesAt.idleMs] ?? 0,
    inParts: ints[int + intsAt.inParts] === 1,
  }
  const unit = Buffer.from(bytes.subarray(bytesAt, bytesAt + (ints[int + intsAt.bytes] ?? 0)))
  return { head, bytes: unit }
}
