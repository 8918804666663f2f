/**
 * What a statement becomes when the tables it names are known. PostgreSQL's own tree says where the
 * edits go; the rest of the text reaches the engine as it was written. Most statements on managed
 * tables need none: row security, triggers and system columns at the end do the work.
 */
import type { Node, RangeVar } from 'libpg-query'
import { DbError } from '../../errors.js'
import { composeText, type ComposedText } from '../compose-text.js'
import type { SqlPlan } from '../plan.js'
import type { PostgresParser } from '../postgres-parser.js'
import { fieldsOf, onlyStatement, type Fields, type NodeKind } from '../syntax-tree.js'
import type { TableShapes } from '../table-shape.js'
import { rewriteAlterTable } from './alter-table.js'
import { rewriteCopy, stageCopy, type StagedCopy } from './copy.js'
import { rewriteCreateTable } from './create-table.js'
import { Draft } from './draft.js'
import { skipDumpedPolicy, skipDumpedTrigger } from './dumped-parts.js'
import type { FindTable } from './find-table.js'
import { groupByKeys } from './group-by.js'
import { IncludedTables } from './include-deleted.js'
import { rewriteIndex, rewriteInsert, rewriteMerge } from './insert.js'
import {
  refuseMaterializedView,
  refuseRename,
  refuseRule,
  refuseSample,
} from './refused-statements.js'
import { visitScoped, type Scope } from './scoped-tree.js'
import { SystemColumns } from './system-columns.js'
import { rewriteTruncate } from './truncate.js'
import { rewriteUndelete } from './undelete.js'
import { UnknownTable } from './unknown-table.js'

export interface RewriteContext {
  readonly parser: PostgresParser
  readonly tables: TableShapes
  /** Schemas in which unqualified names are looked up, in order. */
  readonly searchPath: readonly string[]
}

export interface Rewriting {
  readonly composed: ComposedText
  /** The command that is answered, where the engine's own would be another. */
  readonly command: string | undefined
  /**
   * The statement names no table that keeps deleted rows. What is composed then only asks PostgreSQL
   * whether there is such a relation, and if there is, this is why the statement is refused.
   */
  readonly refusal?: DbError
  /** The way of COPY … FROM while row security holds, where that is another. */
  readonly stage?: (() => StagedCopy) | undefined
}

/** Whether the tables of the moment can make a difference to this statement. */
export function dependsOnTables(plan: SqlPlan, tables: TableShapes): boolean {
  const { creates, undeletes, includesDeleted } = plan.words
  if (creates !== undefined || undeletes || includesDeleted.length > 0) return true
  return plan.relations.some((name) => tables.isKnownName(name))
}

/**
 * The statement for these tables. `base` is the plan's text with its own splices. Errors:
 * STATEMENT_REFUSED, SYNTAX_ERROR.
 */
export function rewriteStatement(
  plan: SqlPlan,
  context: RewriteContext,
  base: ComposedText = composeText(plan, String),
): Rewriting {
  if (!dependsOnTables(plan, context.tables)) return { composed: base, command: undefined }
  const draft = new Draft(base)
  try {
    const stage = applyRules(plan, draft, { context, base })
    return { composed: draft.compose(), command: draft.command, stage }
  } catch (error) {
    if (error instanceof UnknownTable) return { ...error.ask(base), command: undefined }
    throw error
  }
}

function applyRules(
  plan: SqlPlan,
  draft: Draft,
  { context, base }: { readonly context: RewriteContext; readonly base: ComposedText },
): Rewriting['stage'] {
  const statement = onlyStatement(parseAgain(draft.text, context.parser))
  if (statement === undefined) return undefined
  const find: FindTable = ({ schemaname, relname = '' }, scope) => {
    if (schemaname === undefined && scope?.names.has(relname) === true) return undefined
    return context.tables.find(schemaname, relname, context.searchPath)
  }
  if (plan.words.undeletes) {
    rewriteUndelete(ruled(statement.node, 'DeleteStmt'), draft, find)
  } else if (statement.kind === 'TruncateStmt') {
    rewriteTruncate(ruled(statement.node, 'TruncateStmt'), draft, find)
  }
  rewriteParts(plan, statement.node, { draft, find, context })
  const copy = fieldsOf(statement.node, 'CopyStmt')
  return copy === undefined ? undefined : stageCopy(copy, base, find)
}

function rewriteParts(
  plan: SqlPlan,
  root: Node,
  { draft, find, context }: { draft: Draft; find: FindTable; context: RewriteContext },
): void {
  const included = new IncludedTables(plan.words.includesDeleted, draft, find)
  const systemColumns = new SystemColumns(plan.role, draft, find)
  const rules: PartRules = {
    CreateStmt: (create) => {
      rewriteCreateTable(create, { draft, find, created: plan.words.creates, ...context })
    },
    AlterTableStmt: (alter) => {
      rewriteAlterTable(alter, draft, find)
    },
    CreateTableAsStmt: (create) => {
      refuseMaterializedView(create, { draft, find, created: plan.words.creates })
    },
    RenameStmt: (rename) => {
      refuseRename(rename, draft, find)
    },
    RuleStmt: (rule) => {
      refuseRule(rule, draft, find)
    },
    CopyStmt: (copy) => {
      rewriteCopy(copy, draft, find)
    },
    CreateTrigStmt: (create) => {
      skipDumpedTrigger(create, draft, find)
    },
    CreatePolicyStmt: (create) => {
      skipDumpedPolicy(create, draft, find)
    },
    IndexStmt: (index) => {
      rewriteIndex(index, draft, find)
    },
    InsertStmt: (insert, scope) => {
      rewriteInsert(insert, { draft, find, scope })
    },
    MergeStmt: (merge) => {
      rewriteMerge(merge, draft, find)
    },
    RangeTableSample: (sample) => {
      included.refuseSample(sample)
      if (plan.role !== 'admin') refuseSample(sample, draft, find)
    },
  }
  visitScoped(root, (key, fields, scope) => {
    if (typeof fields['relname'] === 'string') {
      // Whatever has this field is a reference to a relation.
      const table = fields as RangeVar
      systemColumns.seeTable(table, scope)
      if (key === 'RangeVar') included.seeTable(table, scope)
    }
    systemColumns.see(key, fields)
    if ('groupClause' in fields) groupByKeys(fields, { draft, find, scope })
    applyRule(rules, key, fields, scope)
  })
  systemColumns.refuse()
  included.finish(root)
}

type PartRules = { readonly [Kind in NodeKind]?: (fields: Fields<Kind>, scope: Scope) => void }

function applyRule(rules: PartRules, key: string, fields: object, scope: Scope): void {
  // A node's key names its kind, and so the type that its rule takes.
  const rule = rules[key as NodeKind] as ((fields: object, scope: Scope) => void) | undefined
  rule?.(fields, scope)
}

function ruled<Kind extends NodeKind>(node: Node, kind: Kind): Fields<Kind> {
  const fields = fieldsOf(node, kind)
  if (fields === undefined) throw new Error(`the statement is no ${kind}`)
  return fields
}

/** The text was parsed before, when it was planned. */
function parseAgain(text: string, parser: PostgresParser) {
  const outcome = parser.parse(text)
  if (outcome.kind === 'parsed') return outcome.result.stmts
  throw new DbError('UNAVAILABLE', 'the statement could not be parsed a second time')
}
