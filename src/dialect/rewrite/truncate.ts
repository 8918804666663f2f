import type { RangeVar, TruncateStmt } from 'libpg-query'
import { fieldsOf } from '../syntax-tree.js'
import { isPerUser, type TableShape } from '../table-shape.js'
import type { Draft } from './draft.js'
import type { FindTable } from './find-table.js'

/**
 * TRUNCATE knows no row security. Of USER tables it becomes a DELETE of the rows that the caller
 * has; of all others it stays PostgreSQL's.
 */
export function rewriteTruncate(truncate: TruncateStmt, draft: Draft, find: FindTable): void {
  const tables = (truncate.relations ?? []).flatMap((node) => {
    const table = fieldsOf(node, 'RangeVar')
    return table === undefined ? [] : [{ table, shape: find(table) }]
  })
  if (!tables.some(({ shape }) => isPerUser(shape))) return
  refuseMixture(tables, draft)
  const [{ table: first } = { table: undefined }] = tables
  const at = draft.indexOf(first?.location)
  if (truncate.restart_seqs === true)
    throw draft.refusal(at, 'RESTART IDENTITY is refused on a USER table: all users share it')
  if (truncate.behavior === 'DROP_CASCADE')
    throw draft.refusal(at, 'TRUNCATE … CASCADE is refused on a USER table', 'Name all tables.')
  const deletes = tables.map(({ table }) => deleteOf(table, draft))
  const inside = deletes.slice(0, -1).map((text, number) => `_t${number} as (${text})`)
  const head = inside.length === 0 ? '' : `with ${inside.join(', ')} `
  draft.replace(0, draft.text.length, head + (deletes.at(-1) ?? ''), at)
  draft.command = 'TRUNCATE TABLE'
}

function deleteOf(table: RangeVar, draft: Draft): string {
  return `delete from ${table.inh === true ? '' : 'only '}${draft.nameAt(table.location)}`
}

function refuseMixture(
  tables: readonly { readonly table: RangeVar; readonly shape: TableShape | undefined }[],
  draft: Draft,
): void {
  for (const { table, shape } of tables) {
    const at = draft.indexOf(table.location)
    if (shape?.kind === 'stream')
      throw draft.refusal(at, 'TRUNCATE is refused on a STREAM table: its rows go when they expire')
    if (shape?.kind !== 'user')
      throw draft.refusal(at, 'TRUNCATE of USER tables together with others is refused', twoHint)
  }
}

const twoHint = 'Use one TRUNCATE for each kind of table.'
