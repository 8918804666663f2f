/** The statements that a client has prepared by Parse, under its own names, within a bound. */
import { DbError } from '../../errors.js'
import type { Prepared } from './session-statement.js'

/** What each takes besides its text, about, in this thread (bench 2026-11-26). */
const statementBytes = 1024

export class PreparedStatements {
  readonly #byName = new Map<string, Prepared>()
  readonly #bytesMax: number
  #bytes = 0

  /** `bytesMax`: of the texts of all, and 1 KiB for each; the unnamed one is not counted. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Errors: OUT_OF_RESOURCES (53400), if there is no room for one of that name and text. */
  makeSureOfRoom(name: string, text: string): void {
    if (this.#bytes + costOf(name, text) <= this.#bytesMax) return
    throw new DbError(
      'OUT_OF_RESOURCES',
      `the prepared statements of a session take ${this.#bytesMax} bytes at most`,
      {
        sqlState: '53400',
        hint: 'postgres_wire.statements_bytes_max is the bound, of texts and 1 KiB for each; close those that are not needed',
      },
    )
  }

  get(name: string): Prepared | undefined {
    return this.#byName.get(name)
  }

  has(name: string): boolean {
    return this.#byName.has(name)
  }

  keys(): Iterable<string> {
    return this.#byName.keys()
  }

  set(name: string, statement: Prepared): void {
    this.delete(name)
    this.#byName.set(name, statement)
    this.#bytes += costOf(name, statement.text)
  }

  delete(name: string): void {
    const statement = this.#byName.get(name)
    if (statement === undefined) return
    this.#byName.delete(name)
    this.#bytes -= costOf(name, statement.text)
  }
}

function costOf(name: string, text: string): number {
  return name === '' ? 0 : statementBytes + text.length
}
