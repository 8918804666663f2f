/**
 * Groups statements into requests. One request is one session on the server, so a transaction, and
 * whatever follows the making of a temporary table, must travel together; everything else is cut
 * into pieces that are large enough to be fast and small enough to be accepted.
 */
import type { FoundStatement } from '../../src/protocol/sql-text.js'
import { statementKind, type StatementKind } from './statement-kind.js'

export interface BatchStatement extends FoundStatement {
  readonly kind: StatementKind
}

export interface Batch {
  readonly statements: readonly BatchStatement[]
  /** May be sent in parts: no statement in it leans on another's session. */
  readonly isDivisible: boolean
}

export const batchLimits = {
  /** UTF-16 units of SQL in one request; far below the server's own limit on bodies. */
  textLengthMax: 256 * 1024,
  /** Statements in one request; below the server's default limit. */
  statementsMax: 500,
} as const

export class StatementBatches {
  #held: BatchStatement[] = []
  #heldLength = 0
  #isInTransaction = false
  #isSessionBound = false

  /** Whether a transaction was begun and not ended. */
  get isInTransaction(): boolean {
    return this.#isInTransaction
  }

  /** Takes one more statement; answers the batches that are complete now. */
  add(found: FoundStatement): Batch[] {
    const statement = { ...found, kind: statementKind(found.text) }
    const startsAlone = !this.#isBound && !statement.kind.isQuiet
    const before = startsAlone ? this.take() : []
    this.#hold(statement)
    const isComplete = !this.#isBound && (!statement.kind.isQuiet || this.#isFull)
    return isComplete ? [...before, ...this.take()] : before
  }

  /** What is held, complete or not; afterwards nothing is. */
  take(): Batch[] {
    const statements = this.#held
    const isDivisible = statements.every(
      ({ kind }) => kind.transaction === 'none' && !kind.isSessionBound,
    )
    this.#held = []
    this.#heldLength = 0
    this.#isInTransaction = false
    this.#isSessionBound = false
    return statements.length === 0 ? [] : [{ statements, isDivisible }]
  }

  #hold(statement: BatchStatement): void {
    this.#held.push(statement)
    this.#heldLength += statement.text.length
    this.#isSessionBound ||= statement.kind.isSessionBound
    if (statement.kind.transaction === 'begin') this.#isInTransaction = true
    else if (statement.kind.transaction !== 'none') this.#isInTransaction = false
  }

  get #isBound(): boolean {
    return this.#isInTransaction || this.#isSessionBound
  }

  get #isFull(): boolean {
    return (
      this.#heldLength >= batchLimits.textLengthMax ||
      this.#held.length >= batchLimits.statementsMax
    )
  }
}
