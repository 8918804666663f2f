import type { DbError } from '../../errors.js'
import type { ComposedText } from '../compose-text.js'
import { Draft } from './draft.js'
import { afterName } from './token-walk.js'

/**
 * Thrown for a statement about deleted rows of what is no table that the catalog knows. Whether there
 * is anything of that name, and the caller may see it, is PostgreSQL's to say.
 */
export class UnknownTable extends Error {
  readonly #nameStart: number
  readonly #refusal: DbError

  constructor(nameStart: number, refusal: DbError) {
    super(refusal.message)
    this.#nameStart = nameStart
    this.#refusal = refusal
  }

  /** The name alone is left of the statement, so that PostgreSQL's error points to it. */
  ask(base: ComposedText): { readonly composed: ComposedText; readonly refusal: DbError } {
    const draft = new Draft(base)
    draft.replace(0, this.#nameStart, 'select from ')
    draft.replace(afterName(draft.text, this.#nameStart), draft.text.length, ' limit 0')
    return { composed: draft.compose(), refusal: this.#refusal }
  }
}
