/**
 * What makes a table a managed one, in a dump. Triggers and policies after the table: it has them by
 * then, so that there is nothing to do. Before it is dropped, with --clean, its primary key, which goes
 * with the table.
 */
import type { AlterTableStmt, CreatePolicyStmt, CreateTrigStmt, RangeVar } from 'libpg-query'
import { fieldsOf } from '../syntax-tree.js'
import { isManaged, isPerUser, type TableShape } from '../table-shape.js'
import type { Draft } from './draft.js'
import type { FindTable } from './find-table.js'
import { quoteTable } from './quote-table.js'

export function skipDumpedTrigger(create: CreateTrigStmt, draft: Draft, find: FindTable): void {
  const { trigname = '', relation } = create
  if (!trigname.startsWith('kalam_')) return
  skip('CREATE TRIGGER', {
    name: trigname,
    relation,
    draft,
    has: isManaged(relation && find(relation)),
  })
}

export function skipDumpedPolicy(create: CreatePolicyStmt, draft: Draft, find: FindTable): void {
  const { policy_name: name = '', table } = create
  if (!name.startsWith('kalam_')) return
  skip('CREATE POLICY', { name, relation: table, draft, has: isPerUser(table && find(table)) })
}

/**
 * `ALTER TABLE ONLY t DROP CONSTRAINT t_pkey`, as nobody but pg_dump writes it: a managed table has no
 * children. Whether it is that; then PostgreSQL only gets a notice to tell.
 */
export function skipDroppedKey(
  { relation: table, cmds = [] }: AlterTableStmt,
  shape: TableShape | undefined,
  draft: Draft,
): boolean {
  const [command] = cmds.map((node) => fieldsOf(node, 'AlterTableCmd'))
  const isKey = command?.subtype === 'AT_DropConstraint' && command.name === shape?.keyName
  if (!isKey || cmds.length > 1 || table?.inh === true || !isManaged(shape)) return false
  const text = `call kalam.keep_primary_key(${quoteTable(shape)})`
  draft.replace(0, draft.text.length, text, draft.indexOf(table?.location))
  draft.command = 'ALTER TABLE'
  return true
}

function skip(
  command: string,
  {
    name,
    relation,
    draft,
    has,
  }: {
    readonly name: string
    readonly relation: RangeVar | undefined
    readonly draft: Draft
    readonly has: boolean
  },
): void {
  if (!has) {
    const message = `the name ${name} is refused: names that start with kalam_ are the system's`
    throw draft.refusal(draft.indexOf(relation?.location), message)
  }
  draft.replace(0, draft.text.length, 'select limit 0')
  draft.command = command
}
