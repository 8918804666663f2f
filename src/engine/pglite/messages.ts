/**
 * What the engine's two threads tell each other. Units travel many at a time: their heads as one
 * flat list of values, their bytes as one buffer that changes hands without a copy.
 */
import type { CancelFlags } from './cancel-flags.js'
import type { Checkpoint } from './checkpointer.js'
import type { CopyEnd, RemoteCopy } from './copy-channel.js'
import type { BackendNotification } from './reply-contents.js'

/** What to do with a unit's session and bytes. */
export const action = {
  /** Run `bytes`. */
  run: 0,
  /** Take the engine for the session alone. */
  hold: 1,
  /** Roll back and release. */
  close: 2,
  /** Roll back, take back what the session left behind, release. */
  closeAndClean: 3,
} as const
export type Action = (typeof action)[keyof typeof action]

/** A unit on its way to the worker. */
export interface UnitHead {
  readonly serial: number
  readonly slot: number
  /** 0 for units without a session; a session begins with its first unit. */
  readonly session: number
  readonly action: Action
  /** Where its bytes are in the buffer that came along. */
  readonly offset: number
  readonly length: number
  readonly roleOid: number
  readonly userId: string
  readonly readOnly: boolean
  readonly searchPath: string
  readonly replyBytesMax: number
  /** Deadlines of the session's lease and of being idle in it. */
  readonly leaseMs: number
  readonly idleMs: number
  /** An answer past `replyBytesMax` comes in parts. */
  readonly inParts: boolean
}

export const unitHeadFields = 14
export type FlatUnitHeads = (number | string | boolean)[]

/** `heads` was made by `flattenUnit`: the types are those of its pushes. */
export function unitHeadAt(heads: FlatUnitHeads, at: number): UnitHead {
  return {
    serial: heads[at] as number,
    slot: heads[at + 1] as number,
    session: heads[at + 2] as number,
    action: heads[at + 3] as Action,
    offset: heads[at + 4] as number,
    length: heads[at + 5] as number,
    roleOid: heads[at + 6] as number,
    userId: heads[at + 7] as string,
    readOnly: heads[at + 8] as boolean,
    searchPath: heads[at + 9] as string,
    replyBytesMax: heads[at + 10] as number,
    leaseMs: heads[at + 11] as number,
    idleMs: heads[at + 12] as number,
    inParts: heads[at + 13] as boolean,
  }
}

/** What the worker is to know of a session that lasts; comes with its first unit. */
export interface LastingHead {
  readonly session: number
  readonly settings: ReadonlyMap<string, string>
  readonly namePrefix: string | undefined
  /** What the system schema knows it by: `SessionOptions.processId`. */
  readonly processId: number
}

/** How a unit ended. */
export const outcome = {
  answered: 0,
  /** The answer passed `replyBytesMax`. */
  tooLarge: 1,
  /** The lease reached its deadline before the unit ran; the transaction was rolled back. */
  leaseExpired: 2,
  /** The session was idle in its transaction for too long, likewise. */
  idleExpired: 3,
  /** A unit without a session left a transaction open; it was rolled back. */
  leftOpen: 4,
  /** It had been given back and did not run; its slot is free again. */
  skipped: 5,
  /** It was cancelled because its temporary files grew too large. */
  tooMuchDisk: 6,
  /** It did what it says, but its temporary objects had no place to stay and were dropped. */
  objectsLost: 7,
  /** Parts of its answer were left out, so it was made to fail. */
  cutOff: 8,
} as const
export type Outcome = (typeof outcome)[keyof typeof outcome]

/** Per answer: serial, outcome, offset, length. */
export const replyHeadFields = 4

export type ToWorker =
  | {
      readonly kind: 'units'
      readonly heads: FlatUnitHeads
      readonly bytes: Uint8Array
      /** Of those units that have one; mostly none. */
      readonly copies: readonly RemoteCopy[]
      /** Sessions that last and begin with one of those units. */
      readonly lasting: readonly LastingHead[]
    }
  | { readonly kind: 'close' }

/** What goes out beside the answers: in their order, and with the one that is named. */
export type Aside =
  /** A unit changed what its session has set: all that is not the server's. */
  | {
      readonly kind: 'settings'
      readonly serial: number
      readonly settings: ReadonlyMap<string, string>
    }
  /** A commit notified those who listen. */
  | {
      readonly kind: 'notifications'
      readonly serial: number
      readonly notifications: readonly BackendNotification[]
    }

export type FromWorker =
  | {
      readonly kind: 'ready'
      readonly cancelFlags: CancelFlags | undefined
      /** PGlite's code; keeps what of it was compiled for the worker after this one. */
      readonly wasmModule: WebAssembly.Module
    }
  | {
      readonly kind: 'replies'
      readonly heads: readonly number[]
      readonly bytes: Uint8Array
      /** Mostly none; before the answers. */
      readonly asides: readonly Aside[]
      /** How long the sync took that let these answers go, in µs; undefined if they waited for none. */
      readonly syncMicros: number | undefined
    }
  /** The answer of a unit comes in parts, over a port of its own; before the rest of it. */
  | { readonly kind: 'parts'; readonly serial: number; readonly end: CopyEnd }
  /** The transaction of a session was ended for being too long or idle. */
  | {
      readonly kind: 'expired'
      readonly session: number
      readonly outcome: typeof outcome.leaseExpired | typeof outcome.idleExpired
    }
  | { readonly kind: 'checkpoint'; readonly checkpoint: Checkpoint }
  /** The engine cannot go on; it must be started again. */
  | { readonly kind: 'dead'; readonly cause: string }
  | { readonly kind: 'closed' }
  | { readonly kind: 'stderr'; readonly line: string }

export interface WorkerOptions {
  readonly folder: string
  /** The lock of the folder, and whose it is. */
  readonly lock: { readonly file: string; readonly ownerId: string }
  readonly control: SharedArrayBuffer
  readonly durable: boolean
  readonly sharedBuffersBytes: number
  readonly walBytesMax: number
  /** WAL after which a checkpoint is made. */
  readonly checkpointWalBytes: number
  readonly temporaryBytesMax: number
  readonly extensions: readonly string[]
  /** A module that exports `disk`, in place of the real one. Tests only. */
  readonly diskModule: string | undefined
  /** Of the worker before this one, if there was one. */
  readonly wasmModule: WebAssembly.Module | undefined
}
