/**
 * Decides from a statement's syntax tree whether this caller may run it, and what it does to its
 * surroundings. Rights on tables and functions are PostgreSQL's own business; here is what
 * PostgreSQL cannot know: that its one session serves everyone.
 */
import { refuseByParts, refuseByRule, refuseLasting, refuseName } from './part-rules.js'
import type { CopyTraits, PlanContext, SqlPlan } from './plan.js'
import { forAdmins, onlyReads, refused, type Refusal } from './refusal.js'
import { sessionEffect } from './session-effect.js'
import { ruleOf } from './statement-rules.js'
import { surveyTree, type Survey } from './survey-tree.js'
import { fieldsOf, type Fields, type Statement } from './syntax-tree.js'
import {
  isReservedSchema,
  schemaOfRangeVar,
  targetSchemas,
  type TargetSchema,
} from './target-schemas.js'

/** What a statement does, as far as its text tells. */
export type Traits = Pick<
  SqlPlan,
  | 'transaction'
  | 'stateful'
  | 'query'
  | 'ddl'
  | 'parameterCount'
  | 'relations'
  | 'touchesRows'
  | 'redoable'
  | 'checksAllRows'
  | 'setsRowSecurity'
  | 'isSetting'
  | 'copy'
  | 'session'
>

/** What is found out about a statement. */
export type Verdict =
  | { readonly kind: 'allowed'; readonly traits: Traits }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

export function checkStatement(statement: Statement, context: PlanContext): Verdict {
  const survey = surveyTree(statement.node)
  const refusal =
    refuseByRule(ruleOf(statement.kind), context) ??
    refuseByParts(statement, context) ??
    refuseLasting('SELECT INTO', survey.into, context) ??
    refuseInside(survey, context) ??
    refuseTargets(survey) ??
    refuseReading(survey, context) ??
    (context.readOnly ? refuseWrites(survey) : undefined)
  if (refusal !== undefined) return { kind: 'refused', refusal }
  return { kind: 'allowed', traits: traitsOf(statement, survey) }
}

/** Cursors anywhere, and prepared statements inside others: CREATE TABLE … AS EXECUTE. */
function refuseInside(survey: Survey, context: PlanContext): Refusal | undefined {
  for (const name of survey.cursors) {
    const refusal = refuseName(name)
    if (refusal !== undefined) return refusal
  }
  const executes = survey.statements.some(({ kind }) => kind === 'ExecuteStmt')
  return executes ? refuseByRule(ruleOf('ExecuteStmt'), context) : undefined
}

function refuseTargets(survey: Survey): Refusal | undefined {
  for (const { schema, byte } of allTargets(survey)) {
    if (!isReservedSchema(schema)) continue
    const hint = 'Use a namespace of your own: CREATE NAMESPACE app.'
    return { ...refused(`schema ${schema} belongs to the system`, hint), byte }
  }
  return undefined
}

/** What is to be read through KalamDB's statements, and what counts the transactions of all users. */
function refuseReading(
  { hidden, ownCalls, rowVersions }: Survey,
  context: PlanContext,
): Refusal | undefined {
  const [table] = hidden
  if (table !== undefined) {
    const hint = 'Deleted rows are read with INCLUDE DELETED.'
    return { ...refused('the schemas kalam_… belong to the system', hint), byte: table }
  }
  const [call] = ownCalls
  if (call !== undefined) {
    const hint = "Call PostgreSQL's function of that name."
    return { ...refused('the functions kalam.pg_… belong to the system', hint), byte: call }
  }
  const [column] = rowVersions
  if (column === undefined || context.role === 'admin') return undefined
  const hint = "They tell of other users' transactions."
  return { ...forAdmins('reading xmin and xmax', hint), byte: column }
}

function allTargets(survey: Survey): TargetSchema[] {
  const into = survey.into === undefined ? [] : schemaOfRangeVar(survey.into)
  return [...into, ...survey.statements.flatMap(targetSchemas)]
}

function refuseWrites(survey: Survey): Refusal | undefined {
  if (survey.writes) return onlyReads('changing rows')
  if (survey.into !== undefined) return onlyReads('SELECT INTO')
  return survey.locks ? onlyReads('FOR UPDATE and FOR SHARE') : undefined
}

function traitsOf(statement: Statement, survey: Survey): Traits {
  const rule = ruleOf(statement.kind)
  const makesTable = survey.into !== undefined
  const changes = survey.writes || makesTable || survey.locks || callsAny(survey, changingCalls)
  return {
    transaction: transactionOf(statement),
    stateful: rule.stateful === true || survey.temporary || callsAny(survey, sessionCalls),
    query: statement.kind === 'SelectStmt' && !changes,
    ddl: rule.ddl === true || makesTable,
    parameterCount: rule.parameters === true ? survey.parameterCount : 0,
    relations: Object.freeze([...survey.relations]),
    touchesRows: !makesTable && rowStatements.has(statement.kind),
    redoable: redoableOf(statement),
    checksAllRows: checksForeignKey(statement),
    setsRowSecurity: fieldsOf(statement.node, 'VariableSetStmt')?.name === 'row_security',
    isSetting: statement.kind === 'VariableSetStmt',
    copy: copyTraits(fieldsOf(statement.node, 'CopyStmt')),
    session: sessionEffect(statement),
  }
}

function copyTraits(copy: Fields<'CopyStmt'> | undefined): CopyTraits | undefined {
  if (copy === undefined) return undefined
  const options = new Map(
    (copy.options ?? []).flatMap((node) => {
      const option = fieldsOf(node, 'DefElem')
      return [[option?.defname, fieldsOf(option?.arg, 'String')?.sval?.toLowerCase()] as const]
    }),
  )
  const format = options.get('format')
  const encoding = options.get('encoding')
  return Object.freeze({
    direction: copy.is_from === true ? 'from' : 'to',
    // Another is PostgreSQL's to refuse.
    format: format === 'csv' || format === 'binary' ? format : 'text',
    isUtf8: encoding === undefined || /^utf-?8$/.test(encoding),
  })
}

const rowStatements: ReadonlySet<string> = new Set([
  ...['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt', 'TruncateStmt'],
  ...['ExplainStmt', 'DeclareCursorStmt', 'FetchStmt', 'ClosePortalStmt', 'CopyStmt'],
  ...['TransactionStmt', 'PrepareStmt', 'ExecuteStmt'],
])

/** A cursor is where it was moved to. */
const redoableStatements: ReadonlySet<string> = new Set([
  ...['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'],
  ...['ExplainStmt', 'ExecuteStmt', 'VariableSetStmt', 'VariableShowStmt'],
])

function redoableOf(statement: Statement): SqlPlan['redoable'] {
  if (statement.kind === 'CallStmt') return 'in-block'
  if (statement.kind === 'DoStmt') return mayCommit(statement) ? 'in-block' : 'always'
  const isBegin = transactionOf(statement) === 'begin'
  return isBegin || redoableStatements.has(statement.kind) ? 'always' : 'never'
}

/**
 * Whether a DO block may commit something: PL/pgSQL does by COMMIT, in what is not called by a query or
 * EXECUTE but by CALL and DO alone. No spelling hides these words; that of `DO NOTHING` is another.
 */
function mayCommit({ node }: Statement): boolean {
  const options = fieldsOf(node, 'DoStmt')?.args ?? []
  const body = options.map((option) => {
    const { defname, arg } = fieldsOf(option, 'DefElem') ?? {}
    const text = fieldsOf(arg, 'String')?.sval ?? ''
    return defname === 'as' ? text : text === 'plpgsql' ? '' : 'commit'
  })
  return /\b(?:commit|call|do(?!\s+(?:nothing|update)\b))\b/i.test(body.join(' '))
}

const transactionKinds = new Map<string, SqlPlan['transaction']>([
  ['TRANS_STMT_BEGIN', 'begin'],
  ['TRANS_STMT_START', 'begin'],
  ['TRANS_STMT_COMMIT', 'commit'],
  ['TRANS_STMT_ROLLBACK', 'rollback'],
])

function transactionOf(statement: Statement): SqlPlan['transaction'] {
  const kind = fieldsOf(statement.node, 'TransactionStmt')?.kind
  return transactionKinds.get(kind ?? '') ?? 'none'
}

/** Functions whose answer or effect is the session's. */
const sessionCalls =
  /^(?:lastval|currval|set_config|setseed|pg_my_temp_schema|pg_(?:try_)?advisory_.*|lo_.*|lowrite|loread)$/

/** Functions that change something; all others are taken at their word. */
const changingCalls =
  /^(?:nextval|setval|set_config|setseed|pg_notify|pg_(?:try_)?advisory_.*|lo_.*|lowrite)$/

function callsAny(survey: Survey, names: RegExp): boolean {
  for (const name of survey.calls) if (names.test(name)) return true
  return false
}

/** PostgreSQL compares the rows of two tables by a query, which row security would hold. */
function checksForeignKey({ node }: Statement): boolean {
  const commands = fieldsOf(node, 'AlterTableStmt')?.cmds ?? []
  return commands.some((command) => {
    const { subtype, def } = fieldsOf(command, 'AlterTableCmd') ?? {}
    const constraints = [def, ...(fieldsOf(def, 'ColumnDef')?.constraints ?? [])]
    return (
      subtype === 'AT_ValidateConstraint' ||
      constraints.some((each) => fieldsOf(each, 'Constraint')?.contype === 'CONSTR_FOREIGN')
    )
  })
}
