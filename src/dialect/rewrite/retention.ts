/** `ALTER TABLE t SET (deleted_retention_hours = 24)` and `RESET`: how long deleted rows are kept. */
import type { AlterTableCmd, AlterTableStmt, DefElem } from 'libpg-query'
import { fieldsOf } from '../syntax-tree.js'
import { isManaged, kindName, type TableShape } from '../table-shape.js'
import type { Draft } from './draft.js'
import { quoteTable } from './quote-table.js'

const option = 'deleted_retention_hours'
/** As of the server's setting `tables.deleted_retention_hours`. */
const hoursMax = 876_000

/** Whether it is that. PostgreSQL knows no such parameter: the catalog notes it. */
export function rewriteRetention(
  { relation: table, cmds }: AlterTableStmt,
  shape: TableShape | undefined,
  draft: Draft,
): boolean {
  const commands = (cmds ?? []).flatMap((node) => fieldsOf(node, 'AlterTableCmd') ?? [])
  const options = commands.flatMap(optionsOf)
  const given = options.find(({ defname }) => defname === option)
  if (given === undefined || !isManaged(shape)) return false
  const at = draft.indexOf(given.location)
  if (shape.twin === undefined)
    throw draft.refusal(at, `a ${kindName(shape.kind)} keeps no deleted rows`)
  if (commands.length > 1 || options.length > 1)
    throw draft.refusal(at, `${option} is set by an ALTER TABLE of its own`)
  const isReset = commands[0]?.subtype === 'AT_ResetRelOptions'
  const hours = isReset ? 'null' : String(hoursOf(given, draft))
  const text = `call kalam.keep_deleted(${quoteTable(shape)}, ${hours})`
  draft.replace(0, draft.text.length, text, draft.indexOf(table?.location))
  draft.command = 'ALTER TABLE'
  return true
}

function optionsOf({ subtype, def }: AlterTableCmd): readonly DefElem[] {
  if (subtype !== 'AT_SetRelOptions' && subtype !== 'AT_ResetRelOptions') return []
  return (fieldsOf(def, 'List')?.items ?? []).flatMap((node) => fieldsOf(node, 'DefElem') ?? [])
}

function hoursOf({ arg, location }: DefElem, draft: Draft): number {
  const integer = fieldsOf(arg, 'Integer')
  // The tree leaves 0 out.
  const hours = integer === undefined ? NaN : (integer.ival ?? 0)
  if (hours >= 0 && hours <= hoursMax) return hours
  const message = `${option} takes a whole number from 0 to ${hoursMax}`
  throw draft.refusal(draft.indexOf(location), message, '0 keeps deleted rows for ever.')
}
