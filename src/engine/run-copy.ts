/** COPY through an engine: its data streams by, and what it did comes back. */
import {
  backendTag,
  changedSchemaState,
  commandTag,
  eachMessage,
  errorResponse,
} from './backend-messages.js'
import type { CopyStream, Reply, Unit } from './engine.js'
import { MessageWriter } from './frontend-messages.js'
import type { Scope } from './statement.js'

export interface CopyRequest {
  /** Statements in order, undivided and in one transaction; one of them is COPY. */
  readonly texts: readonly string[]
  /** Which of them has the caller's text: an error's position is in that one. */
  readonly callersText: number
  readonly stream: CopyStream
  readonly scope: Scope
  /** Runs the unit: the engine's `run` or a session's. */
  readonly send: (unit: Unit) => Promise<Reply>
}

export interface CopyResult {
  /** What the last statement counts. */
  readonly rowCount: number
  /** DDL was done, by a function perhaps; what statements before the caller's do is no news. */
  readonly changedSchema: boolean
}

/** Errors: PostgreSQL's; those of the engine's `run`; what the stream's ends throw. */
export async function runCopy({
  texts,
  callersText,
  stream,
  scope,
  send,
}: CopyRequest): Promise<CopyResult> {
  const writer = new MessageWriter()
  for (const text of texts) writer.parse('', text).bind('', []).execute()
  const reply = await send({ bytes: writer.sync().finish(), ...scope, copy: stream })
  let step = 0
  let rowCount = 0
  let changedSchema = false
  eachMessage(reply, (tag, start, end) => {
    if (tag === backendTag.commandComplete) {
      step += 1
      rowCount = commandTag(reply, start, end).rowCount
    } else if (tag === backendTag.error) {
      const error = errorResponse(reply, start, end)
      throw step === callersText ? error : error.with({ position: undefined })
    } else if (tag === backendTag.notice)
      changedSchema ||=
        step >= callersText && errorResponse(reply, start, end).sqlState === changedSchemaState
  })
  return { rowCount, changedSchema }
}
