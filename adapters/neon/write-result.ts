/**
 * A result as the driver reads it, from PostgreSQL's row messages to JSON without an object per row.
 * What depends on the columns alone is made once for each prepared statement.
 */
import type { Column, StatementOutcome } from '../../src/database/database.js'
import type { ByteSink } from '../../src/protocol/byte-sink.js'
import { encodeRows, rowEncoder, type RowEncoder } from '../../src/protocol/row-json.js'
import type { ResultColumn } from '../../src/protocol/type-info.js'

export interface RowForm {
  /** Values as PostgreSQL's text; else as the SQL API has them. */
  readonly isText: boolean
  /** Rows as lists; else as objects, in which the last of several columns of one name wins. */
  readonly isArray: boolean
}

/** `{"fields":[…],"rows":[…],"command":"SELECT","rowCount":1,"rowAsArray":true}` */
export function writeResult(result: StatementOutcome, form: RowForm, out: ByteSink): void {
  const { start, encoder } = headOf(result, form)
  out.append(start)
  encodeRows({ frames: result.frames, encoder, separator: 'comma', out })
  const { command, rowCount } = result
  // As node-postgres has it: the first word, and no number where PostgreSQL gives none.
  const [verb = ''] = command.split(' ', 1)
  const count = rowCount > 0 || countingCommands.has(verb) ? rowCount : null
  out.appendText(
    `],"command":${JSON.stringify(verb)},"rowCount":${count},"rowAsArray":${form.isArray}}`,
  )
}

/** PostgreSQL's tags with a number; KalamDB's UNDELETE has one too. PostgreSQL docs, "Message Formats". */
const countingCommands: ReadonlySet<string> = new Set([
  ...['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MERGE', 'MOVE', 'FETCH', 'COPY', 'UNDELETE'],
])

interface ResultHead {
  /** Up to the first row. */
  readonly start: Uint8Array
  readonly encoder: RowEncoder
}

type Heads = WeakMap<readonly Column[], ResultHead>

/** By form: text or not, list or not. */
const knownHeads: readonly [Heads, Heads, Heads, Heads] = [
  ...([new WeakMap(), new WeakMap(), new WeakMap(), new WeakMap()] as const),
]

function headOf({ columns, described }: StatementOutcome, form: RowForm): ResultHead {
  const heads = knownHeads[form.isText ? (form.isArray ? 0 : 1) : form.isArray ? 2 : 3]
  const known = heads.get(described)
  if (known !== undefined) return known
  const head = {
    start: utf8.encode(`{"fields":${JSON.stringify(described.map(fieldOf))},"rows":[`),
    encoder: rowEncoder(
      form.isText ? columns.map(asText) : columns,
      form.isArray ? 'array' : 'object',
    ),
  }
  heads.set(described, head)
  return head
}

const utf8 = new TextEncoder()

function asText({ name }: ResultColumn): ResultColumn {
  return { name, type: { name: 'text', encoding: 'text' } }
}

/** A field of node-postgres's results. */
function fieldOf({ name, typeOid, origin }: Column) {
  return {
    name,
    dataTypeID: typeOid,
    tableID: origin?.tableOid ?? 0,
    columnID: origin?.columnNumber ?? 0,
    dataTypeSize: origin?.typeSize ?? -1,
    dataTypeModifier: origin?.typeModifier ?? -1,
    format: 'text',
  }
}
