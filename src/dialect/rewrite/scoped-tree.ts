/** Walking a tree with the names of its CTEs in view: inside their scope they hide tables. */
import type { WithClause } from 'libpg-query'
import { fieldsOf } from '../syntax-tree.js'

/** The CTEs that a place of the statement sees. */
export interface Scope {
  readonly names: ReadonlySet<string>
}

type Fields = Readonly<Record<string, unknown>>

/** Gets the key under which an object stands, the object, and what its parts see. */
export type ScopedVisitor = (key: string, fields: Fields, scope: Scope) => void

interface Pending {
  readonly key: string
  readonly value: unknown
  readonly scope: Scope
}

/** Calls `visit` for every named part. Not recursive: see `visitTree`. */
export function visitScoped(root: object, visit: ScopedVisitor): void {
  const pending: Pending[] = [{ key: '', value: root, scope: { names: new Set() } }]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { key, value, scope } = next
    if (Array.isArray(value)) {
      for (const element of value) pending.push({ key: '', value: element, scope })
    } else if (isObject(value)) {
      const inner = enter(value, scope, pending)
      if (key !== '') visit(key, value, inner)
      for (const part of Object.keys(value))
        if (part !== 'withClause') pending.push({ key: part, value: value[part], scope: inner })
    }
  }
}

/**
 * What the parts of a statement see: its own CTEs too. A CTE sees those before it, with RECURSIVE
 * all of them.
 */
function enter(fields: Fields, outer: Scope, pending: Pending[]): Scope {
  const clause = fields['withClause']
  if (!isObject(clause)) return outer
  // The field's name is that of its type.
  const { ctes = [], recursive = false } = clause as WithClause
  const names = new Set(outer.names)
  const scope = { names }
  for (const node of ctes) {
    const cte = fieldsOf(node, 'CommonTableExpr')
    const seen = recursive ? scope : { names: new Set(names) }
    pending.push({ key: '', value: cte?.ctequery, scope: seen })
    if (cte?.ctename !== undefined) names.add(cte.ctename)
  }
  return scope
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}
