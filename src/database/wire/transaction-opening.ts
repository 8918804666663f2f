/**
 * The transaction of a session as long as it has done nothing yet but be opened: BEGIN, SET. Until
 * then it can be given up and begun again without anybody noticing, and the engine used by others.
 *
 *   BEGIN, SET LOCAL … ──► a statement that must wait ──► ROLLBACK … BEGIN, SET LOCAL … ──► it again
 */
import type { Identity } from '../../engine/engine.js'
import { target, clientTag, clientMessage, readParse } from './client-messages.js'
import type { Step } from './read-reply.js'

export interface OpeningUnit {
  readonly identity: Identity
  readonly messages: readonly Uint8Array[]
  readonly steps: readonly Step[]
  readonly end: Uint8Array
}

export class TransactionOpening {
  #units: OpeningUnit[] = []
  #isBegun = false
  #isOver = false

  /** A statement has run in it. */
  get isBegun(): boolean {
    return this.#isBegun
  }

  /** The transaction has done more than that. */
  get isOver(): boolean {
    return this.#isOver
  }

  ended(): void {
    this.#isOver = false
    this.#isBegun = false
    if (this.#units.length > 0) this.#units = []
  }

  /** A unit has run in it, which is not over yet. */
  ran(unit: OpeningUnit): void {
    const executes = unit.steps.filter(({ does }) => does !== undefined)
    this.#isBegun ||= executes.length > 0
    if (executes.some(({ does }) => does !== 'opens')) {
      this.#isOver = true
      this.#units = []
    } else if (executes.length > 0 || unit.messages.some(preparesUnnamed)) this.#units.push(unit)
  }

  /** What begins it anew: statements with a name have outlived it. */
  again(): readonly OpeningUnit[] {
    return this.#units.map((unit) => {
      return {
        ...unit,
        messages: unit.messages.filter((message) => preparedBy(message) === undefined),
      }
    })
  }
}

/** Drops the statements that a unit prepared before it failed, for it to prepare them again. */
export function unprepare(messages: readonly Uint8Array[]): readonly Uint8Array[] {
  return messages.flatMap((message) => {
    const name = preparedBy(message)
    return name === undefined ? [] : [clientMessage(clientTag.close, target.statement, name)]
  })
}

function preparesUnnamed(message: Uint8Array): boolean {
  return message[0] === clientTag.parse && message[5] === 0
}

/** The name of the statement that a message prepares, if it has one. */
function preparedBy(message: Uint8Array): string | undefined {
  if (message[0] !== clientTag.parse || message[5] === 0) return undefined
  return readParse(message).name
}
