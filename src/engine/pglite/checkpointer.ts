/**
 * Checkpoints by WAL written. PGlite has no checkpointer process, and a task from the main thread
 * would come too late: it waits in line with all that writes. Here the worker looks between two
 * units, so the WAL since the last checkpoint is at most the bound and what one unit, or one open
 * transaction, writes.
 */
import { firstError } from '../backend-messages.js'
import { systemIdentity } from '../engine.js'
import { simpleQuery } from '../frontend-messages.js'
import type { Backend } from './backend.js'
import type { Control } from './control.js'

export interface Checkpoint {
  readonly seconds: number
  /** WAL since the one before. */
  readonly walBytes: number
  /** Why PostgreSQL refused it; it is tried again after as much WAL. */
  readonly failure: string | undefined
}

export interface CheckpointerOptions {
  readonly backend: Pick<Backend, 'run'>
  readonly control: Pick<Control, 'walBytes' | 'resetWalBytes'>
  /** WAL after which a checkpoint is due. */
  readonly walBytesMax: number
  readonly onCheckpoint: (checkpoint: Checkpoint) => void
}

export class Checkpointer {
  readonly #options: CheckpointerOptions

  constructor(options: CheckpointerOptions) {
    this.#options = options
  }

  get isDue(): boolean {
    return this.#options.control.walBytes() >= this.#options.walBytesMax
  }

  /** Outside transactions only. Throws BackendDead. */
  run(): void {
    const { backend, control, onCheckpoint } = this.#options
    const walBytes = control.walBytes()
    const startedAt = performance.now()
    const { bytes } = backend.run({
      bytes: checkpointMessage,
      identity: systemIdentity,
      searchPath: undefined,
      replyBytesMax: Infinity,
      end: 'query',
      ownSettings: false,
    })
    control.resetWalBytes()
    const seconds = (performance.now() - startedAt) / 1_000
    onCheckpoint({ seconds, walBytes, failure: firstError(bytes)?.message })
  }
}

const checkpointMessage = simpleQuery('CHECKPOINT')
