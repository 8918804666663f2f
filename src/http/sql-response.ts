/**
 * The answer of POST /v1/api/sql as one run of bytes. What depends on the columns alone is made
 * once per result description and kept as long as that lives: prepared statements share it.
 */
import type { SqlOutcome, StatementOutcome } from '../database/database.js'
import type { ByteSink } from '../protocol/byte-sink.js'
import { encodeRows, rowEncoder, type RowEncoder, type RowShape } from '../protocol/row-json.js'
import type { ResultColumn } from '../protocol/type-info.js'

export interface ResponseOptions {
  readonly outcome: SqlOutcome
  readonly rows: RowShape
  /** A `performance.now()`. */
  readonly startedMs: number
  readonly out: ByteSink
}

/** Writes the whole answer. */
export function writeSqlResponse({ outcome, rows, startedMs, out }: ResponseOptions): void {
  out.append(opening)
  writeResults(outcome.results, rows, out)
  const replayed = outcome.replayed ? ',"replayed":true' : ''
  out.appendText(`,"took_ms":${tookMs(startedMs)}${replayed}}`)
}

/** Writes the list of results. */
export function writeResults(
  results: readonly StatementOutcome[],
  rows: RowShape,
  out: ByteSink,
): void {
  out.appendText('[')
  let isFirst = true
  for (const result of results) {
    if (!isFirst) out.append(comma)
    isFirst = false
    writeResult(result, rows, out)
  }
  out.appendText(']')
}

/** `[{"name":"id","type":"int4"}]` */
export function columnsJson(columns: readonly ResultColumn[]): string {
  return JSON.stringify(columns.map(({ name, type }) => ({ name, type: type.name })))
}

/** Time since `startedMs`, in ms with three decimals. */
export function tookMs(startedMs: number): number {
  return Math.round((performance.now() - startedMs) * 1_000) / 1_000
}

function writeResult(result: StatementOutcome, rows: RowShape, out: ByteSink): void {
  const description = describe(result.columns, rows)
  out.appendText(`{"command":${JSON.stringify(result.command)}`)
  out.append(description.columns)
  encodeRows({ frames: result.frames, encoder: description.encoder, separator: 'comma', out })
  out.appendText(`],"row_count":${result.rowCount}}`)
}

/** What is the same in all results of one statement. */
interface Description {
  /** `,"columns":[…],"rows":[` */
  readonly columns: Uint8Array
  readonly encoder: RowEncoder
}

/** Remembers what is computed from the columns alone; forgets it when they go. */
const descriptions = {
  object: new WeakMap<readonly ResultColumn[], Description>(),
  array: new WeakMap<readonly ResultColumn[], Description>(),
} as const satisfies Record<RowShape, WeakMap<readonly ResultColumn[], Description>>

function describe(columns: readonly ResultColumn[], rows: RowShape): Description {
  const known = descriptions[rows].get(columns)
  if (known !== undefined) return known
  const description = {
    columns: utf8.encode(`,"columns":${columnsJson(columns)},"rows":[`),
    encoder: rowEncoder(columns, rows),
  }
  descriptions[rows].set(columns, description)
  return description
}

const utf8 = new TextEncoder()
const opening = utf8.encode('{"status":"success","results":')
const comma = utf8.encode(',')
