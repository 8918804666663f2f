/**
 * Results that are too large to pass whole between the engine's thread and the socket. Outside of a
 * transaction the query is run again, into a cursor that outlives it: PostgreSQL keeps the rows (past
 * work_mem in a file), and the engine is free between pieces, however slow the client is.
 */
import type { ComposedText } from '../../dialect/compose-text.js'
import { quoteIdentifier } from '../../dialect/compose-text.js'
import { firstError } from '../../engine/backend-messages.js'
import { DbError } from '../../errors.js'
import type { WireClient } from '../wire-session.js'
import { aside, asideMessages } from './aside.js'
import { clientMessage, clientTag, target } from './client-messages.js'
import { firstPieceRows, nextPieceRows, type PieceBounds } from './piece-rows.js'
import type { Pipeline } from './pipeline.js'
import { readReply, type Step } from './read-reply.js'
import { commandComplete } from './server-messages.js'
import type { Runnable } from './session-statement.js'

export interface LargeResultsOptions {
  readonly pipeline: Pipeline
  readonly client: WireClient
  readonly namePrefix: string
  readonly bounds: PieceBounds
}

/** A query as it was bound. */
export interface BoundQuery {
  readonly runnable: Runnable
  /** Types, values and formats of the result, as Parse and Bind have them. */
  readonly types: Uint8Array
  readonly values: Uint8Array
  readonly formats: Uint8Array
}

const hidden: Step = { hides: 'everything' }
const onlyRows: Step = { hides: 'all-but-rows' }

export class LargeResults {
  readonly #options: LargeResultsOptions
  readonly #cursor: string

  constructor(options: LargeResultsOptions) {
    this.#options = options
    // No client's cursor: theirs have a name after the prefix.
    this.#cursor = quoteIdentifier(`${options.namePrefix} large`)
  }

  /** Says all of its rows and its end. Errors: PostgreSQL's, in the client's words; CANCELLED. */
  async run(query: BoundQuery): Promise<void> {
    await this.#declare(query)
    try {
      const rows = await this.#sendRows(query)
      await this.#options.client.send(commandComplete(`SELECT ${rows}`))
    } finally {
      const { prepare, execute } = asideMessages(`CLOSE ${this.#cursor}`)
      await this.#runAside(query.runnable, [...prepare, execute])
    }
  }

  async #declare({ runnable, types, values }: BoundQuery): Promise<void> {
    const prefix = `DECLARE ${this.#cursor} NO SCROLL CURSOR WITH HOLD FOR `
    const text = prefix + runnable.composed.text
    const reply = await this.#runAside(runnable, [
      clientMessage(clientTag.close, target.statement, aside),
      clientMessage(clientTag.parse, aside, text, types),
      clientMessage(clientTag.bind, aside, aside, values, noFormats),
      clientMessage(clientTag.execute, aside, allRows),
    ])
    const error = firstError(reply)
    if (error !== undefined) throw shifted(error, runnable.composed, prefix.length)
  }

  /** How many there were. */
  async #sendRows({ runnable, formats }: BoundQuery): Promise<number> {
    const { pipeline, client, bounds } = this.#options
    let rows = firstPieceRows
    for (let total = 0; ;) {
      if (pipeline.isCancelled)
        throw new DbError('CANCELLED', 'canceling statement due to user request')
      const text = `FETCH FORWARD ${rows} FROM ${this.#cursor}`
      const { prepare, execute } = asideMessages(text, [], formats)
      const reply = await this.#runAside(runnable, [...prepare, execute])
      const error = firstError(reply)
      if (error !== undefined) throw error
      const read = readReply(reply, [...prepare.map(() => hidden), onlyRows], silent)
      if (read.pieces.length > 0) await client.send(Buffer.concat(read.pieces))
      total += read.rows
      if (read.rows < rows) return total
      rows = nextPieceRows(rows, reply.length, bounds)
    }
  }

  #runAside({ identity }: Runnable, messages: readonly Uint8Array[]): Promise<Uint8Array> {
    return this.#options.pipeline.runAside(identity, messages)
  }
}

const noFormats = Uint8Array.of(0, 0)
const allRows = Uint8Array.of(0, 0, 0, 0)

const silent = {
  hidesReady: true,
  schemaChanged: () => undefined,
  beforeReady: () => [],
}

/** The query stands behind a prefix of ours. */
function shifted(error: DbError, composed: ComposedText, prefix: number): DbError {
  const { position } = error.fields
  return position === undefined ? error : error.with(composed.toCallerPosition(position - prefix))
}
