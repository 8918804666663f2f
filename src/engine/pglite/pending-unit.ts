import type { DbError } from '../../errors.js'
import type { Unit } from '../engine.js'
import type { CopyChannel } from './copy-channel.js'
import type { Action, LastingHead, UnitHead } from './messages.js'

/** No place in the worker's table yet. */
export const noSlot = -1

/** The main thread's side of a session that lasts. */
export interface LastingSession {
  /** What the worker is to know of it; undefined since it knows. */
  readonly head: LastingHead | undefined
  readonly processId: number
  settingsChanged(settings: ReadonlyMap<string, string>): void
}

/** A unit that has not been answered. */
export interface PendingUnit {
  readonly serial: number
  readonly session: number
  /** The first of its session: the worker knows nothing of it yet. */
  readonly begins: boolean
  /** Of one that lasts: what becomes of it, and who is told. */
  readonly lasting: LastingSession | undefined
  readonly action: Action
  readonly unit: Unit
  readonly leaseMs: number
  readonly idleMs: number
  /** When it was asked for, and how long it may wait; in ms of `performance.now()`. */
  readonly askedAt: number
  readonly waitUntil: number
  readonly resolve: (reply: Uint8Array) => void
  readonly reject: (cause: unknown) => void
  slot: number
  /** Of the same bucket of `PendingUnits`. */
  next: PendingUnit | undefined
  /** The way of its COPY's data, since it was sent to a worker, or of its answer's parts. */
  copy?: CopyChannel | undefined
  /** Why it was asked to stop, and when; the answer will carry 57014. */
  cancelled?: { readonly error: DbError; readonly at: number }
}

export function headOf(pending: PendingUnit): UnitHead {
  const { serial, slot, session, leaseMs, idleMs, unit } = pending
  const { searchPath, replyBytesMax, identity } = unit
  const { roleOid, userId, readOnly } = identity
  return {
    ...{ serial, slot, session, action: pending.action },
    ...{ roleOid, userId, readOnly, searchPath, replyBytesMax, leaseMs, idleMs },
    inParts: unit.takePart !== undefined,
  }
}
