/**
 * What the engine's two threads tell each other. Nearly all units and answers travel as records
 * (`unit-record.ts`, `reply-record.ts`); what is said here goes as a message, in order with them.
 */
import type { CancelFlags } from './cancel-flags.js'
import type { Checkpoint } from './checkpointer.js'
import type { CopyEnd, RemoteCopy } from './copy-channel.js'
import type { BackendNotification } from './reply-contents.js'
import type { RemoteEnd } from './thread-channel.js'

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
  /** Its session kept more of the engine's memory than one may, and was ended. */
  keptTooMuch: 9,
  /** The engine's memory was needed, and its session kept the most of it, and was ended. */
  keptMost: 10,
} as const
export type Outcome = (typeof outcome)[keyof typeof outcome]

/** Why a session is over, though it did not ask for that. */
export type Expiry =
  | typeof outcome.leaseExpired
  | typeof outcome.idleExpired
  | typeof outcome.keptTooMuch
  | typeof outcome.keptMost

/** A unit that a record does not take: too large, or with more than bytes. */
export interface UnitMessage {
  readonly kind: 'unit'
  readonly head: UnitHead
  readonly bytes: Uint8Array
  readonly copy: RemoteCopy | undefined
  /** Of a session that lasts and begins with this unit. */
  readonly lasting: LastingHead | undefined
}

export type ToWorker = UnitMessage | { readonly kind: 'close' }

/** What goes out beside an answer, and before it. */
export type Aside =
  /** The unit changed what its session has set: all that is not the server's. */
  | { readonly kind: 'settings'; readonly settings: ReadonlyMap<string, string> }
  /** A commit notified those who listen. */
  | { readonly kind: 'notifications'; readonly notifications: readonly BackendNotification[] }

export type FromWorker =
  | {
      readonly kind: 'ready'
      readonly cancelFlags: CancelFlags | undefined
      /** PGlite's code; keeps what of it was compiled for the worker after this one. */
      readonly wasmModule: WebAssembly.Module
    }
  /** An answer that a record does not take. */
  | {
      readonly kind: 'reply'
      readonly serial: number
      readonly outcome: Outcome
      readonly bytes: Uint8Array
      readonly asides: readonly Aside[]
    }
  /** A sync of the WAL let so many answers go; after them. */
  | { readonly kind: 'synced'; readonly micros: number; readonly units: number }
  /** The answer of a unit comes in parts, over a port of its own; before the rest of it. */
  | { readonly kind: 'parts'; readonly serial: number; readonly end: CopyEnd }
  /** A session was ended, or the transaction of one, for what it took of others. */
  | { readonly kind: 'expired'; readonly session: number; readonly outcome: Expiry }
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
  /** Where it hears the server, and where it tells. */
  readonly hears: RemoteEnd
  readonly tells: RemoteEnd
  /** Longest that it looks for the next unit before it sleeps; 0 for never. */
  readonly busyPollMs: number
  readonly durable: boolean
  readonly sharedBuffersBytes: number
  readonly walBytesMax: number
  /** WAL after which a checkpoint is made. */
  readonly checkpointWalBytes: number
  readonly temporaryBytesMax: number
  /** PostgreSQL's memory; what one session may keep of it between units, and all together. */
  readonly memoryBytesMax: number
  readonly sessionBytesMax: number
  readonly sessionsBytesMax: number
  readonly extensions: readonly string[]
  /** A module that exports `disk`, in place of the real one. Tests only. */
  readonly diskModule: string | undefined
  /** Of the worker before this one, if there was one. */
  readonly wasmModule: WebAssembly.Module | undefined
}
