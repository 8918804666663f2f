import type { ChangeLog } from '../changes/change-log.js'
import type { Sequence } from '../changes/sequence.js'
import type { HeldChanges } from './held-changes.js'
import type { LiveRunner } from './live-request.js'

export interface LiveSettings {
  /** Open live queries of the server, and of one user. */
  readonly queriesMax: number
  readonly queriesPerUserMax: number
  /** Re-evaluations that are under way together. */
  readonly evaluationsAtOnce: number
  /** Rows of a re-evaluated query, which are kept to compare the next with, in bytes. */
  readonly resultBytesMax: number
  /** A snapshot comes in pieces of so many bytes. */
  readonly pieceBytes: number
  /** Changes that wait to be judged; past it the log is read no further. */
  readonly heldChangesMax: number
  /** Most of the time that re-evaluating one query may take, in percent. */
  readonly evaluationSharePercent: number
}

/** What is counted; see `Metrics`. */
export interface LiveMetrics {
  liveEvaluated(figures: { readonly queries: number; readonly seconds: number }): void
  liveDelivered(changes: number): void
  /** A change was told twice, or one that should have been told was not: never, one hopes. */
  liveFault(kind: 'gap' | 'duplicate'): void
}

/** What groups of receivers work with. */
export interface LiveRooms {
  readonly log: ChangeLog
  readonly runner: LiveRunner
  readonly settings: LiveSettings
  readonly metrics: LiveMetrics
  /** Changes of all groups that wait to be judged. */
  readonly held: HeldChanges
  /** A place in the log as receivers name it. */
  readonly cursor: (sequence: Sequence) => string
  /** Resolves after so many ms. */
  readonly pause: (ms: number) => Promise<void>
  /** In ms, for spans. */
  readonly clock: () => number
}
