import type { AlterTableCmd, AlterTableStmt } from 'libpg-query'
import { fieldsOf } from '../syntax-tree.js'
import { isManaged, isPerUser, kindName, reservedColumns, type TableShape } from '../table-shape.js'
import { rewriteTableConstraint, type ConstraintContext } from './constraint-text.js'
import { liftFrom } from './create-table.js'
import type { Draft } from './draft.js'
import { skipDroppedKey } from './dumped-parts.js'
import { ConstraintNames } from './postgres-names.js'
import type { FindTable } from './find-table.js'
import { rewriteRetention } from './retention.js'
import { walkTokens } from './token-walk.js'

/**
 * ALTER TABLE of a managed table: keys get their `_user_id`, and what would take away what makes
 * it managed is refused. The catalog's event triggers check the outcome once more.
 */
export function rewriteAlterTable(alter: AlterTableStmt, draft: Draft, find: FindTable): void {
  const { relation: table, cmds } = alter
  if (table === undefined) return
  const shape = find(table)
  if (rewriteRetention(alter, shape, draft) || skipDroppedKey(alter, shape, draft)) return
  const commands = (cmds ?? []).flatMap((node) => fieldsOf(node, 'AlterTableCmd') ?? [])
  const context = constraintContext(alter, commands, { draft, find, shape })
  for (const [number, command] of commands.entries()) {
    refuseManagedTarget(command, draft, find)
    if (isManaged(shape)) refuseCommand(command, shape, draft.indexOf(table.location), draft)
    addKeys(command, { ...context, shape, end: () => endOfCommand(draft, alter, number) })
  }
}

function constraintContext(
  { relation }: AlterTableStmt,
  commands: readonly AlterTableCmd[],
  {
    draft,
    find,
    shape,
  }: {
    readonly draft: Draft
    readonly find: FindTable
    readonly shape: TableShape | undefined
  },
): ConstraintContext {
  const given = commands.flatMap(({ def }) => fieldsOf(def, 'Constraint')?.conname ?? [])
  const taken = [...given, ...(shape?.takenNames ?? [])]
  const names = new ConstraintNames(relation?.relname ?? '', taken)
  return { draft, names, kind: shape?.kind ?? 'plain', findTarget: find }
}

function addKeys(
  command: AlterTableCmd,
  context: ConstraintContext & {
    readonly shape: TableShape | undefined
    readonly end: () => number
  },
): void {
  const { draft, shape, end } = context
  const constraint = fieldsOf(command.def, 'Constraint')
  if (command.subtype === 'AT_AddConstraint' && constraint !== undefined)
    rewriteTableConstraint(constraint, context)
  const column = fieldsOf(command.def, 'ColumnDef')
  if (command.subtype !== 'AT_AddColumn' || column === undefined) return
  const lifted = liftFrom(column, context)
  if (lifted.length === 0) return
  if (command.missing_ok === true && isPerUser(shape)) {
    const message = 'ADD COLUMN IF NOT EXISTS with a key is refused on a USER table'
    const hint = 'Add the column and its key in two commands.'
    throw draft.refusal(draft.indexOf(column.location), message, hint)
  }
  draft.insert(end(), lifted.map((text) => `, add ${text}`).join(''))
}

/** The index after the last token of a command: each ends at a comma outside of parentheses. */
function endOfCommand(draft: Draft, { relation }: AlterTableStmt, number: number): number {
  let commas = 0
  let end = draft.text.length
  for (const token of walkTokens(draft.text, draft.indexOf(relation?.location))) {
    if (token.depth === 0 && token.word === ',' && commas++ === number) break
    end = token.end
  }
  return end
}

/** INHERIT and ATTACH PARTITION name another table. */
function refuseManagedTarget({ def }: AlterTableCmd, draft: Draft, find: FindTable): void {
  const other = fieldsOf(def, 'RangeVar') ?? fieldsOf(def, 'PartitionCmd')?.name
  if (other === undefined || !isManaged(find(other))) return
  const message = `inheritance and partitions are refused: ${draft.nameAt(other.location)} is a managed table`
  throw draft.refusal(draft.indexOf(other.location), message)
}

function refuseCommand(command: AlterTableCmd, shape: TableShape, at: number, draft: Draft): void {
  const { subtype = '', name = '', def } = command
  // As a dump has it, of a table that has it by then.
  if (isPerUser(shape) && /^AT_(Enable|Force)RowSecurity$/.test(subtype)) return
  const what = refusedCommands.get(subtype) ?? refusedTrigger(subtype, name)
  if (what !== undefined) {
    throw draft.refusal(at, `${what} is refused on a ${kindName(shape.kind)}`)
  }
  const isOfSystem = shape.columns.some((column) => column.system && column.name === name)
  if (isOfSystem && /Column|NotNull|Expression|Identity/.test(subtype)) {
    throw draft.refusal(at, `the column ${name} belongs to the system`)
  }
  const column = fieldsOf(def, 'ColumnDef')
  if (subtype !== 'AT_AddColumn' || !reservedColumns.has(column?.colname ?? '')) return
  const message = `the column name ${column?.colname ?? ''} is reserved in a ${kindName(shape.kind)}`
  throw draft.refusal(draft.indexOf(column?.location), message)
}

/** What row security, the record of deletes and the change log rest on. */
const refusedCommands = new Map<string, string>([
  ['AT_EnableRowSecurity', 'ENABLE ROW LEVEL SECURITY'],
  ['AT_DisableRowSecurity', 'DISABLE ROW LEVEL SECURITY'],
  ['AT_ForceRowSecurity', 'FORCE ROW LEVEL SECURITY'],
  ['AT_NoForceRowSecurity', 'NO FORCE ROW LEVEL SECURITY'],
  ['AT_DisableTrigAll', 'DISABLE TRIGGER ALL'],
  ['AT_DisableTrigUser', 'DISABLE TRIGGER USER'],
  ['AT_EnableTrigAll', 'ENABLE TRIGGER ALL'],
  ['AT_EnableTrigUser', 'ENABLE TRIGGER USER'],
  ['AT_AddInherit', 'INHERIT'],
  ['AT_DropInherit', 'NO INHERIT'],
  ['AT_AttachPartition', 'ATTACH PARTITION'],
  ['AT_AddOf', 'OF'],
  ['AT_SetUnLogged', 'SET UNLOGGED'],
])

function refusedTrigger(subtype: string, name: string): string | undefined {
  return /Trig/.test(subtype) && name.startsWith('kalam_') ? `switching ${name}` : undefined
}
