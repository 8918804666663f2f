import type { DeleteStmt } from 'libpg-query'
import { quoteIdentifier } from '../compose-text.js'
import { fieldsOf } from '../syntax-tree.js'
import { isManaged, kindName, type TableShape } from '../table-shape.js'
import type { Draft } from './draft.js'
import type { FindTable } from './find-table.js'
import { stripSchema } from './strip-schema.js'
import { UnknownTable } from './unknown-table.js'
import { afterAliasName, afterName, findToken, significantAt, wordOf } from './token-walk.js'

/**
 * `UNDELETE FROM t [AS a] [WHERE …] [RETURNING …]` takes rows out of the twin and inserts them: of
 * several under one key the newest, so that a conflict is only ever with a live row. It is an
 * error then, and nothing has changed.
 */
export function rewriteUndelete(undelete: DeleteStmt, draft: Draft, find: FindTable): void {
  const { relation: table, usingClause, whereClause } = undelete
  if (table === undefined) return
  const start = draft.indexOf(table.location)
  const name = draft.nameAt(table.location)
  const shape = find(table)
  if (!isManaged(shape) || shape.twin === undefined) {
    const what = isManaged(shape) ? `a ${kindName(shape.kind)}` : 'no USER or SHARED table'
    const refusal = draft.refusal(start, `UNDELETE is refused: ${name} is ${what}`)
    throw shape === undefined ? new UnknownTable(start, refusal) : refusal
  }
  if (usingClause !== undefined) {
    throw draft.refusal(start, 'UNDELETE takes no USING', 'Use WHERE … IN (SELECT …).')
  }
  if (table.inh !== true) throw draft.refusal(start, 'UNDELETE takes no ONLY')
  if (fieldsOf(whereClause, 'CurrentOfExpr') !== undefined) {
    throw draft.refusal(start, 'UNDELETE takes no WHERE CURRENT OF')
  }
  const end = afterName(draft.text, start)
  if (wordOf(draft.text, significantAt(draft.text, end)) === '*') {
    throw draft.refusal(end, 'UNDELETE takes no * after the table')
  }
  const headEnd = table.alias === undefined ? end : afterAliasName(draft.text, end)
  const tailStart = findToken(draft.text, headEnd, 'returning')?.start ?? draft.text.length
  const alias = quoteIdentifier(table.alias?.aliasname ?? table.relname ?? '')
  const target = table.alias === undefined ? name : `${name} as ${alias}`
  const { head, tail } = piecesOf(shape, { alias, target })
  draft.replace(0, headEnd, head)
  if (whereClause !== undefined) stripSchema(whereClause, { table, schema: shape.schema }, draft)
  draft.insert(tailStart, tail, start)
  draft.command = 'UNDELETE'
}

function piecesOf(
  shape: TableShape,
  { alias, target }: { readonly alias: string; readonly target: string },
): { readonly head: string; readonly tail: string } {
  const owner = shape.columns.some(({ name }) => name === '_user_id') ? ['_user_id'] : []
  const key = [...owner, ...shape.key].map((name) => `${alias}.${quoteIdentifier(name)}`).join(', ')
  const columns = shape.columns
    .filter(({ generated }) => !generated)
    .map(({ name }) => quoteIdentifier(name))
    .join(', ')
  return {
    head:
      `with _undeleted as (delete from ${shape.twin ?? ''} where ctid in ` +
      `(select distinct on (${key}) ${alias}.ctid from ${shape.twin ?? ''} as ${alias}`,
    tail:
      ` order by ${key}, ${alias}._deleted_seq desc) returning ${columns}) ` +
      `insert into ${target} (${columns}) overriding system value ` +
      `select ${columns} from _undeleted `,
  }
}
