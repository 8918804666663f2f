import type { ColumnRef, RangeVar } from 'libpg-query'
import { stringsOf, visitTree } from '../syntax-tree.js'
import type { Draft } from './draft.js'
import { findToken } from './token-walk.js'

/**
 * `app.todos.id` becomes `todos.id`, where the table, which is in that schema, is known by an alias
 * from now on.
 */
export function stripSchema(
  root: object,
  { table, schema }: { readonly table: RangeVar; readonly schema: string },
  draft: Draft,
): void {
  if (table.alias !== undefined) return
  visitTree(root, (key, fields) => {
    if (key !== 'ColumnRef') return
    // The key names the type.
    const { fields: parts, location } = fields as ColumnRef
    const [named, name] = stringsOf(parts)
    if ((parts?.length ?? 0) < 3 || named !== schema || name !== table.relname) return
    const start = draft.indexOf(location)
    const dot = findToken(draft.text, start, '.')
    if (dot !== undefined) draft.replace(start, dot.end, '')
  })
}
