/**
 * The client's own idle_in_transaction_session_timeout and transaction_timeout. The server's bounds
 * are the engine's; whichever comes first ends the session.
 */
import { DbError } from '../../errors.js'
import { inPostgresWords } from './pipeline.js'
import type { SessionSettings } from './session-settings.js'

export class TransactionDeadlines {
  readonly #settings: SessionSettings
  readonly #onExpired: (error: DbError) => void
  #idle: NodeJS.Timeout | undefined
  #open: NodeJS.Timeout | undefined

  constructor(settings: SessionSettings, onExpired: (error: DbError) => void) {
    this.#settings = settings
    this.#onExpired = onExpired
  }

  /** The session works. */
  work(): void {
    clearTimeout(this.#idle)
  }

  /** The session waits for its client, in a transaction or outside of one. */
  rest(isInTransaction: boolean): void {
    if (!isInTransaction) {
      this.stop()
      return
    }
    const { idleTimeoutMs, transactionTimeoutMs } = this.#settings
    if (idleTimeoutMs > 0) this.#idle = this.#expireAfter(idleTimeoutMs, '25P03')
    if (transactionTimeoutMs > 0) this.#open ??= this.#expireAfter(transactionTimeoutMs, '25P04')
  }

  stop(): void {
    clearTimeout(this.#idle)
    clearTimeout(this.#open)
    this.#open = undefined
  }

  #expireAfter(ms: number, sqlState: string): NodeJS.Timeout {
    const error = new DbError('TRANSACTION_TIMEOUT', 'the transaction took too long', { sqlState })
    return setTimeout(() => this.#onExpired(inPostgresWords(error)), ms)
  }
}
