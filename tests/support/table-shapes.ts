/** Tables as the catalog would tell of them, for tests of rewriting. */
import { composeText } from '#src/dialect/compose-text.js'
import type { PlanContext } from '#src/dialect/plan.js'
import type { Rewriting } from '#src/dialect/rewrite/rewrite-statement.js'
import type { TableKind, TableShape, TableShapes } from '#src/dialect/table-shape.js'
import { DbError } from '#src/errors.js'
import { dialect, planSql } from './dialect.js'

const systemColumns: Readonly<Record<TableKind, readonly string[]>> = {
  user: ['_user_id', '_deleted'],
  shared: ['_deleted'],
  stream: ['_user_id', '_expires_at'],
  plain: [],
}

/** `columns`: the user's own; those after `+` were added later. The first is the key. */
function table(id: number, name: string, kind: TableKind, columns: string): TableShape {
  const [before = '', after] = columns.split(' + ')
  const own = (names: string) => names.split(' ').map((each) => column(each, false))
  const system = systemColumns[kind].map((each) => column(each, true))
  return {
    ...{ id, name, kind, schema: 'app', version: 1, key: [before.split(' ')[0] ?? ''] },
    keyName: `${name}_pkey`,
    takenNames: [`${name}_pkey`, `${name}_taken_key`],
    columns: [...own(before), ...system, ...(after === undefined ? [] : own(after))],
    twin: kind === 'user' || kind === 'shared' ? `kalam_deleted.t${id}` : undefined,
  }
}

function column(name: string, system: boolean) {
  return { name, typeOid: 25, generated: name === '_deleted', system }
}

const all = [
  table(1, 'todos', 'user', 'id title list_id'),
  table(2, 'lists', 'user', 'id name'),
  table(3, 'grown', 'user', 'id title + note'),
  table(4, 'prices', 'shared', 'id price'),
  table(5, 'pings', 'stream', 'id x'),
  table(6, 'watched', 'plain', 'id x'),
  table(7, 'Tödo"s', 'user', 'id title'),
]

export const tables: TableShapes = {
  version: 1,
  find: (schema, name, searchPath) =>
    (schema ?? (searchPath.includes('app') ? 'app' : undefined)) === 'app'
      ? all.find((each) => each.name === name)
      : undefined,
  isKnownName: (name) => all.some((each) => each.name === name),
}

/** What the engine gets of a statement of an admin, unless told otherwise, in namespace app. */
export function rewritten(sql: string, context: Partial<PlanContext> = {}): Rewriting {
  const plan = planSql(sql, context)
  return dialect.rewrite(plan, { tables, searchPath: ['app', 'public'] }, composeText(plan, String))
}

/** The error that planning or rewriting ends with. */
export function rewriteErrorOf(sql: string, context: Partial<PlanContext> = {}): DbError {
  try {
    rewritten(sql, context)
  } catch (error) {
    if (error instanceof DbError) return error
    throw error
  }
  throw new Error(`no error for: ${sql}`)
}
