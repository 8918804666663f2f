/**
 * Triggers and policies that make a table a managed one, as a dump writes them after the table: it
 * has them by then, so that there is nothing to do.
 */
import type { CreatePolicyStmt, CreateTrigStmt, RangeVar } from 'libpg-query'
import { isManaged, isPerUser } from '../table-shape.js'
import type { Draft } from './draft.js'
import type { FindTable } from './find-table.js'

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
