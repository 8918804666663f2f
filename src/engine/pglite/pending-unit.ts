import type { DbError } from '../../errors.js'
import type { Unit } from '../engine.js'
import type { CopyChannel } from './copy-channel.js'
import type { Action, FlatUnitHeads } from './messages.js'

/** No place in the worker's table yet. */
export const noSlot = -1

/** A unit that has not been answered. */
export interface PendingUnit {
  readonly serial: number
  readonly session: number
  /** The first of its session: the worker knows nothing of it yet. */
  readonly begins: boolean
  readonly action: Action
  readonly unit: Unit
  readonly leaseMs: number
  readonly idleMs: number
  /** In ms of `Date.now()`. */
  readonly waitUntil: number
  readonly resolve: (reply: Uint8Array) => void
  readonly reject: (cause: unknown) => void
  slot: number
  /** The way of its COPY's data, since it was sent to a worker. */
  copy?: CopyChannel | undefined
  /** Why it was asked to stop, and when; the answer will carry 57014. */
  cancelled?: { readonly error: DbError; readonly at: number }
}

/** In the order that `unitHeadAt` reads. */
export function flattenUnit(pending: PendingUnit, offset: number, into: FlatUnitHeads): void {
  const { unit } = pending
  const { identity } = unit
  into.push(
    pending.serial,
    pending.slot,
    pending.session,
    pending.action,
    offset,
    unit.bytes.length,
    identity.roleOid,
    identity.userId,
    identity.readOnly,
    unit.searchPath,
    unit.replyBytesMax,
    pending.leaseMs,
    pending.idleMs,
  )
}
