import { DbError } from '../../errors.js'
import { indexOfByte } from '../../protocol/text-position.js'
import { composeOver, type ComposedText } from '../compose-text.js'
import type { Splice } from '../plan.js'
import { afterName } from './token-walk.js'

/**
 * A statement while it is rewritten: its text, and the splices so far. Indices are UTF-16; the
 * tree's own places are bytes.
 */
export class Draft {
  readonly text: string
  readonly #base: ComposedText
  readonly #isAscii: boolean
  readonly #splices: Splice[] = []
  /** What PostgreSQL would have answered, where another statement takes its place. */
  command: string | undefined

  constructor(base: ComposedText) {
    this.#base = base
    this.text = base.text
    this.#isAscii = Buffer.byteLength(base.text) === base.text.length
  }

  indexOf(byte: number | undefined): number {
    const offset = byte ?? 0
    return this.#isAscii ? offset : indexOfByte(this.text, offset)
  }

  /** The text of a name that stands at this byte, as it was written. */
  nameAt(byte: number | undefined): string {
    const start = this.indexOf(byte)
    return this.text.slice(start, afterName(this.text, start))
  }

  insert(index: number, text: string, pointsTo = index): void {
    this.#splices.push({ start: index, end: index, text, pointsTo })
  }

  replace(start: number, end: number, text: string, pointsTo = start): void {
    this.#splices.push({ start, end, text, pointsTo })
  }

  /** The error of a statement that cannot run, at an index of the text. */
  refusal(index: number, message: string, hint?: string): DbError {
    return new DbError('STATEMENT_REFUSED', message, { ...this.#base.positionOf(index), hint })
  }

  /** In the order of the text; insertions at one place stay in the order in which they came. */
  get splices(): readonly Splice[] {
    return this.#splices.toSorted((one, other) => one.start - other.start)
  }

  compose(): ComposedText {
    return composeOver(this.#base, this.splices)
  }
}
