/** What a session knows of a statement that its client sent, and of how PostgreSQL got it. */
import type { ComposedText } from '../../dialect/compose-text.js'
import type { Plan, SessionEffect, SqlPlan } from '../../dialect/plan.js'
import type { Rewriting } from '../../dialect/rewrite/rewrite-statement.js'
import type { Identity } from '../../engine/engine.js'
import type { DbError } from '../../errors.js'
import { clientMessage, clientTag } from './client-messages.js'

/** A statement as it is to run now: for these tables, as this identity. */
export interface Runnable {
  readonly plan: SqlPlan
  readonly identity: Identity
  readonly composed: ComposedText
  /** The command that is answered, where the engine's own would be another. */
  readonly command: string | undefined
  /** The way of COPY … FROM while row security holds, where that is another. */
  readonly stage: Rewriting['stage']
  /** What it does to its session. */
  readonly effect: SessionEffect | undefined
  /** It is refused unless PostgreSQL has an error of its own for what is composed. */
  readonly refusal: DbError | undefined
}

/** A statement that the client prepared. */
export interface Prepared {
  /** The client's name for it; empty for the unnamed one. */
  readonly name: string
  readonly backendName: string
  readonly text: string
  /** Undefined for an empty text. */
  readonly plan: Plan | undefined
  /** How many parameters it has types for, and those types, as Parse had them. */
  readonly types: Uint8Array
  /** As PostgreSQL has it at present; undefined for an empty text. */
  runnable: Runnable | undefined
  /** Of a named one: false if preparing it anew has failed. */
  isThere: boolean
}

/** The Parse by which PostgreSQL gets it. */
export function parseMessage(statement: Prepared): Uint8Array {
  const { backendName, text, types, runnable } = statement
  const sent = runnable === undefined ? text : runnable.composed.text
  return clientMessage(clientTag.parse, backendName, sent, types)
}
