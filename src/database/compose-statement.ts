/**
 * The text that the engine gets of each statement: composed at its turn, for the tables of that
 * moment, and kept with its plan until they change. A statement that comes again costs a look-up.
 */
import { composeText, type OfSession } from '../dialect/compose-text.js'
import type { Dialect } from '../dialect/open-dialect.js'
import type { SqlPlan } from '../dialect/plan.js'
import { dependsOnTables, type Rewriting } from '../dialect/rewrite/rewrite-statement.js'
import type { TableShapes } from '../dialect/table-shape.js'
import { assert } from '../errors.js'

interface Kept {
  /** Of the tables; undefined if no table makes a difference. */
  readonly version: number | undefined
  readonly searchPath: readonly string[]
  readonly rewriting: Rewriting
}

/** What a statement's names mean. */
export interface NamesNow {
  readonly tables: TableShapes
  readonly searchPath: readonly string[]
}

export class StatementComposer {
  readonly #dialect: Pick<Dialect, 'rewrite'>
  readonly #kept = new WeakMap<SqlPlan, Kept>()

  constructor(dialect: Pick<Dialect, 'rewrite'>) {
    this.#dialect = dialect
  }

  /** Of a plan that `mentionsNone`. */
  composePlain(plan: SqlPlan): Rewriting {
    if (plan.splices.length === 0) return asWritten(plan)
    const kept = this.#kept.get(plan)
    if (kept !== undefined) return kept.rewriting
    const rewriting = { composed: composeText(plan, noRoles), command: undefined }
    this.#kept.set(plan, { version: undefined, searchPath: [], rewriting })
    return rewriting
  }

  /** Errors: STATEMENT_REFUSED, in the caller's text. */
  compose(plan: SqlPlan, names: NamesNow): Rewriting {
    const { tables, searchPath } = names
    if (plan.splices.length === 0 && !dependsOnTables(plan, tables)) return asWritten(plan)
    const kept = this.#kept.get(plan)
    if (kept?.version === tables.version && isSame(kept.searchPath, searchPath))
      return kept.rewriting
    const rewriting = this.#dialect.rewrite(plan, names, composeText(plan, noRoles))
    this.#kept.set(plan, { version: tables.version, searchPath, rewriting })
    return rewriting
  }

  /** Of a GRANT or policy that names users: their roles are of this moment too. */
  composeWithRoles(plan: SqlPlan, names: NamesNow, roles: ReadonlyMap<string, string>): Rewriting {
    const roleOfUser = (name: string): string => {
      const role = roles.get(name)
      assert(role !== undefined, `the role of '${name}' was resolved`)
      return role
    }
    return this.#dialect.rewrite(plan, names, composeText(plan, roleOfUser))
  }

  /** Of a plan that `isOfSession`. */
  composeForSession(plan: SqlPlan, names: NamesNow, session: OfSession): Rewriting {
    return this.#dialect.rewrite(plan, names, composeText(plan, noRoles, session))
  }
}

/** Nothing to keep: to compose it costs less, and most texts of the simple protocol come once. */
function asWritten(plan: SqlPlan): Rewriting {
  return { composed: composeText(plan, noRoles), command: undefined }
}

/** Users whose own PostgreSQL roles the statement names. */
export function namedUsers(plan: SqlPlan): readonly string[] {
  return plan.splices.flatMap(({ text }) =>
    typeof text === 'object' && 'roleOfUser' in text ? [text.roleOfUser] : [],
  )
}

/** Whether its text is another in each session. */
export function isOfSession(plan: SqlPlan): boolean {
  return plan.splices.some(({ text }) => typeof text === 'object' && !('roleOfUser' in text))
}

/** Whether tables can make no difference to it, whatever they are. */
export function mentionsNone({ relations, words }: SqlPlan): boolean {
  return relations.length === 0 && words.creates === undefined && !words.undeletes
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  if (one === other) return true
  return one.length === other.length && one.every((name, index) => name === other[index])
}

function noRoles(name: string): string {
  throw new Error(`assertion failed: the role of '${name}' was resolved`)
}
