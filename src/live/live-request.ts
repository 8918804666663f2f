import type { Sequence } from '../changes/sequence.js'
import type { Identity } from '../engine/engine.js'
import type { TextValue } from '../engine/frontend-messages.js'
import type { QueryTree } from '../engine/query-tree.js'
import type { RawResult } from '../engine/statement.js'
import type { TextPosition } from '../protocol/text-position.js'
import type { ResultColumn } from '../protocol/type-info.js'
import type { Column } from '../engine/statement.js'

/** A query that is to be live: checked, and ready to run as its caller. */
export interface LiveRequest {
  /** As it runs. */
  readonly text: string
  /** As the caller wrote it. */
  readonly sql: string
  readonly parameterCount: number
  /** Tells requests with other parameters apart. */
  readonly parameterKey: string
  /** The parameters in the text that PostgreSQL reads for their types. */
  readonly encode: (typeOids: readonly number[]) => readonly TextValue[]
  readonly identity: Identity
  readonly userName: string
  /** As SQL. */
  readonly searchPath: string
  /** The caller's position of a byte in `text`. */
  readonly placeOf: (byte: number | undefined) => TextPosition | undefined
  /** PostgreSQL's error, its position that in the caller's SQL. */
  readonly placed: (error: unknown) => unknown
  readonly from: string | undefined
  readonly fromId: string | undefined
}

/** Runs statements as callers; the door to the engine for all of this room. */
export interface LiveRunner {
  /** Sends the statement before it returns, if it was run before. Errors: any of the engine. */
  run(statement: LiveStatement): Promise<RawResult>
  /** The statement as PostgreSQL understands it; it is not run. Errors: any of the engine. */
  treeOf(statement: LiveStatement): Promise<QueryTree>
  /** Several statements with the engine held: nothing happens between them. */
  runTogether<T>(work: (runner: HeldRunner) => Promise<T>): Promise<T>
  columnsOf(columns: readonly Column[]): Promise<readonly ResultColumn[]>
}

export interface HeldRunner {
  run(statement: LiveStatement): Promise<RawResult>
  /** The log's position, in the same hold. */
  position(): Promise<Sequence>
}

export interface LiveStatement {
  readonly text: string
  readonly parameterCount: number
  readonly encode: LiveRequest['encode']
  readonly identity: Identity
  readonly searchPath: string
  readonly replyBytesMax: number
  /** It comes once: it takes the place of no prepared statement. */
  readonly once?: boolean
}
