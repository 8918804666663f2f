/** Rules that look at a statement's own parts, one function per kind of statement that needs one. */
import type { Node, RangeVar, RoleSpec } from 'libpg-query'
import type { PlanContext } from './plan.js'
import { forAdmins, onlyReads, refused, type Refusal } from './refusal.js'
import { refuseSetting } from './setting-rules.js'
import { ruleOf, type StatementRule } from './statement-rules.js'
import {
  fieldsOf,
  statementOf,
  stringsOf,
  type Fields,
  type Statement,
  type StatementKind,
} from './syntax-tree.js'

/** Why this caller may not run a statement of this kind, at this door. */
export function refuseByRule(rule: StatementRule, context: PlanContext): Refusal | undefined {
  const { name, who, reason, httpReason, hint } = rule
  if (who === 'nobody') return refused(`${name} is refused: ${reason ?? ''}`, hint)
  if (httpReason !== undefined && context.door === 'http') {
    return refused(`${name} is not available over HTTP: ${httpReason}`, hint)
  }
  if (who === 'admin' && context.role !== 'admin') return forAdmins(name, hint)
  return context.readOnly && rule.reads !== true ? onlyReads(name) : undefined
}

/** Why this caller may not run a statement with these parts. */
export function refuseByParts(statement: Statement, context: PlanContext): Refusal | undefined {
  return applyRule(statement.kind, statement.node, context)
}

/** Names of cursors, statements and channels that the system keeps for itself. */
export function refuseName(name: string | undefined): Refusal | undefined {
  if (name?.toLowerCase().startsWith('kalam') !== true) return undefined
  return refused(`the name ${name} is refused: names that start with kalam are the system's`)
}

type PartRule<Kind extends StatementKind> = (
  fields: Fields<Kind>,
  context: PlanContext,
) => Refusal | undefined

type PartRules = { readonly [Kind in StatementKind]?: PartRule<Kind> }

/** lockdefs.h: the lock that every SELECT takes, and pg_dump before all of them. */
const accessShareLock = 1

const partRules: PartRules = {
  CreateStmt: (create, context) => refuseLasting('CREATE TABLE', create.relation, context),
  CreateTableAsStmt: refuseCreateAs,
  AlterTableStmt: refuseAlterTable,
  DropStmt: refuseDrop,
  RenameStmt: refuseRename,
  CommentStmt: (comment, context) => refuseObject('COMMENT', comment.objtype, context),
  ExplainStmt: refuseExplain,
  LockStmt: (lock, { readOnly }) =>
    readOnly && lock.mode !== accessShareLock ? onlyReads('LOCK in this mode') : undefined,
  TransactionStmt: refuseTransaction,
  VariableSetStmt: refuseSet,
  CreateFunctionStmt: (create, context) => refuseFunctionSettings(create.options, context),
  AlterFunctionStmt: (alter, context) => refuseFunctionSettings(alter.actions, context),
  CreateSchemaStmt: refuseCreateSchema,
  CreateTrigStmt: (create) => (isDumpedTrigger(create) ? undefined : refusePart(create.trigname)),
  CreatePolicyStmt: (create) =>
    dumpedPolicies.has(create.policy_name ?? '') ? undefined : refusePart(create.policy_name),
  AlterOwnerStmt: refuseOwner,
  AlterPolicyStmt: (alter) => refusePart(alter.policy_name),
  AlterDefaultPrivilegesStmt: refuseDefaultPrivileges,
  CopyStmt: refuseCopy,
  ClosePortalStmt: (close, context) =>
    refuseAll('CLOSE ALL', close.portalname === undefined, context),
  DeallocateStmt: (deallocate, context) =>
    refuseAll('DEALLOCATE ALL', deallocate.isall === true, context) ?? refuseName(deallocate.name),
  NotifyStmt: (notify) => refuseName(notify.conditionname),
  ListenStmt: (listen) => refuseName(listen.conditionname),
  UnlistenStmt: (unlisten) => refuseName(unlisten.conditionname),
  PrepareStmt: (prepare) => refuseName(prepare.name),
  ExecuteStmt: (execute) => refuseName(execute.name),
}

// The type parameter ties the rule to the fields it takes, for the one kind that this is.
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters
function applyRule<Kind extends StatementKind>(
  kind: Kind,
  node: Node,
  context: PlanContext,
): Refusal | undefined {
  const rule: PartRule<Kind> | undefined = partRules[kind]
  const fields = fieldsOf(node, kind)
  return fields === undefined ? undefined : rule?.(fields, context)
}

/** A table that lasts is an admin's to make. */
export function refuseLasting(
  name: string,
  table: RangeVar | undefined,
  context: PlanContext,
): Refusal | undefined {
  if (context.role === 'admin' || table === undefined) return undefined
  if (table.relpersistence === 't' || table.schemaname === 'pg_temp') return undefined
  return forAdmins(name, 'Temporary tables are for everyone: CREATE TEMP TABLE.')
}

function refuseCreateAs(
  create: Fields<'CreateTableAsStmt'>,
  context: PlanContext,
): Refusal | undefined {
  const isView = create.objtype === 'OBJECT_MATVIEW'
  if (isView && context.role !== 'admin') return forAdmins('CREATE MATERIALIZED VIEW')
  return refuseLasting('CREATE TABLE AS', create.into?.rel, context)
}

const ownersReason = 'everything that admins make belongs to all of them'

function refuseAlterTable(
  alter: Fields<'AlterTableStmt'>,
  context: PlanContext,
): Refusal | undefined {
  const owner = alter.cmds
    ?.map((command) => fieldsOf(command, 'AlterTableCmd'))
    .find((command) => command?.subtype === 'AT_ChangeOwner')?.newowner
  if (owner === undefined || isAdmins(owner)) return refuseObject('ALTER', alter.objtype, context)
  return { ...refused(`OWNER TO is refused: ${ownersReason}`), byte: owner.location }
}

function refuseOwner(alter: Fields<'AlterOwnerStmt'>, context: PlanContext): Refusal | undefined {
  if (isAdmins(alter.newowner)) return refuseObject('ALTER', alter.objectType, context)
  return { ...refused(`OWNER TO is refused: ${ownersReason}`), byte: alter.newowner?.location }
}

/** The owner that dumps name, and that everything has. */
function isAdmins(owner: RoleSpec | undefined): boolean {
  return owner?.rolename === 'kalam_admin'
}

/** What ordinary callers may alter, drop and rename: parts of their temporary tables. */
const userObjects = new Set([
  'OBJECT_TABLE',
  'OBJECT_INDEX',
  'OBJECT_COLUMN',
  'OBJECT_TABCONSTRAINT',
])

const refusedObjects = new Set([
  'OBJECT_DATABASE',
  'OBJECT_EVENT_TRIGGER',
  'OBJECT_FDW',
  'OBJECT_FOREIGN_SERVER',
  'OBJECT_LANGUAGE',
  'OBJECT_PUBLICATION',
  'OBJECT_ROLE',
  'OBJECT_SUBSCRIPTION',
  'OBJECT_TABLESPACE',
])

function refuseObject(
  verb: string,
  object: string | undefined,
  context: PlanContext,
): Refusal | undefined {
  const kind = object ?? 'OBJECT_TABLE'
  const name = `${verb} of a ${kind.replace('OBJECT_', '').toLowerCase().replaceAll('_', ' ')}`
  if (refusedObjects.has(kind)) {
    return refused(`${name} is refused: it belongs to the server, or there is none`)
  }
  return context.role === 'admin' || userObjects.has(kind) ? undefined : forAdmins(name)
}

/** Triggers and policies that make a table a managed one. */
function refusePart(name: string | undefined): Refusal | undefined {
  if (name?.startsWith('kalam_') !== true) return undefined
  return refused(`the name ${name} is refused: names that start with kalam_ are the system's`)
}

/** As a dump has them, for tables that have them by then: see rewrite/dumped-parts.ts. */
const dumpedPolicies = new Set(['kalam_rows', 'kalam_own', 'kalam_live'])

function isDumpedTrigger({ trigname, funcname, replace }: Fields<'CreateTrigStmt'>): boolean {
  const [schema, name] = stringsOf(funcname)
  const isOwn = schema === 'kalam' && /^t\d+_(ins|upd|del|tru)$/.test(name ?? '')
  return isOwn && replace !== true && trigname === `kalam_${(name ?? '').slice(-3)}`
}

const tableParts = new Set(['OBJECT_TRIGGER', 'OBJECT_POLICY'])

function refuseDrop(drop: Fields<'DropStmt'>, context: PlanContext): Refusal | undefined {
  const names = tableParts.has(drop.removeType ?? '')
    ? (drop.objects ?? []).map((node) => stringsOf(fieldsOf(node, 'List')?.items).at(-1))
    : []
  const refusal = names.map(refusePart).find((each) => each !== undefined)
  return refusal ?? refuseObject('DROP', drop.removeType, context)
}

function refuseRename(rename: Fields<'RenameStmt'>, context: PlanContext): Refusal | undefined {
  const refusal = tableParts.has(rename.renameType ?? '')
    ? (refusePart(rename.subname) ?? refusePart(rename.newname))
    : undefined
  return refusal ?? refuseObject('RENAME', rename.renameType, context)
}

function refuseExplain(explain: Fields<'ExplainStmt'>, context: PlanContext): Refusal | undefined {
  const inner = explain.query === undefined ? undefined : statementOf(explain.query)
  if (inner === undefined) return undefined
  return refuseByRule(ruleOf(inner.kind), context) ?? refuseByParts(inner, context)
}

function refuseTransaction(
  transaction: Fields<'TransactionStmt'>,
  context: PlanContext,
): Refusal | undefined {
  if (
    transaction.kind?.includes('PREPARED') === true ||
    transaction.kind === 'TRANS_STMT_PREPARE'
  ) {
    return refused('PREPARE TRANSACTION is refused: the engine has no prepared transactions')
  }
  return refuseTransactionModes(transaction.options, context)
}

/** A key that may only read cannot ask for READ WRITE. */
function refuseTransactionModes(
  modes: readonly Node[] | undefined,
  context: PlanContext,
): Refusal | undefined {
  if (!context.readOnly) return undefined
  const mode = modes
    ?.map((node) => fieldsOf(node, 'DefElem'))
    .find((each) => each?.defname === 'transaction_read_only' && !isTrue(each.arg))
  return mode && { ...onlyReads('READ WRITE'), byte: mode.location }
}

function refuseSet(set: Fields<'VariableSetStmt'>, context: PlanContext): Refusal | undefined {
  if (set.kind === 'VAR_RESET_ALL') return context.readOnly ? onlyReads('RESET ALL') : undefined
  if (set.kind !== 'VAR_SET_MULTI') return refuseOneSetting(set, false, context)
  if (set.name === 'TRANSACTION SNAPSHOT') {
    return refused('SET TRANSACTION SNAPSHOT is refused: transactions run one at a time')
  }
  return refuseTransactionModes(set.args, context)
}

function refuseOneSetting(
  set: Fields<'VariableSetStmt'>,
  inFunction: boolean,
  context: PlanContext,
): Refusal | undefined {
  if (set.name === undefined) return undefined
  const values = (set.args ?? []).map(valueText)
  const refusal = refuseSetting({ name: set.name, values, inFunction }, context)
  return refusal && { ...refusal, byte: set.location }
}

function refuseFunctionSettings(
  options: readonly Node[] | undefined,
  context: PlanContext,
): Refusal | undefined {
  for (const option of options ?? []) {
    const set = fieldsOf(fieldsOf(option, 'DefElem')?.arg, 'VariableSetStmt')
    const refusal = set && refuseOneSetting(set, true, context)
    if (refusal !== undefined) return refusal
  }
  return undefined
}

function refuseCreateSchema(create: Fields<'CreateSchemaStmt'>): Refusal | undefined {
  if (create.authrole !== undefined) {
    const byte = create.authrole.location
    return { ...refused(`AUTHORIZATION is refused: ${ownersReason}`), byte }
  }
  if (create.schemaElts === undefined) return undefined
  return refused(
    'objects inside CREATE NAMESPACE are refused: each is checked as a statement of its own',
    'Write CREATE NAMESPACE app; CREATE TABLE app.t (…);',
  )
}

function refuseDefaultPrivileges(alter: Fields<'AlterDefaultPrivilegesStmt'>): Refusal | undefined {
  const option = alter.options
    ?.map((node) => fieldsOf(node, 'DefElem'))
    .find((each) => each?.defname === 'roles')
  // As dumps have it: the one role that all of them are.
  const names = fieldsOf(option?.arg, 'List')?.items?.map((item) => fieldsOf(item, 'RoleSpec'))
  if (option === undefined || names?.every(isAdmins) === true) return undefined
  return { ...refused(`FOR ROLE is refused: ${ownersReason}`), byte: option.location }
}

function refuseCopy(copy: Fields<'CopyStmt'>, context: PlanContext): Refusal | undefined {
  if (copy.filename !== undefined || copy.is_program === true) {
    return refused(
      'COPY with a file or program is refused: it would run on the server',
      'COPY … FROM STDIN and TO STDOUT have their data in a request: POST /v1/api/copy.',
    )
  }
  if (context.door === 'http' && context.copies !== true) {
    return refused(
      'COPY is refused here: this request has no stream for its data',
      'POST /v1/api/copy?sql=COPY… has one; the command line and its \\copy use it.',
    )
  }
  return context.readOnly && copy.is_from === true ? onlyReads('COPY FROM') : undefined
}

function refuseAll(name: string, isAll: boolean, { door }: PlanContext): Refusal | undefined {
  if (!isAll || door === 'postgres') return undefined
  return refused(`${name} is refused: it would also end what others use`, 'Name them one by one.')
}

/** An option's value, as PostgreSQL's defGetBoolean reads it. */
function isTrue(value: Node | undefined): boolean {
  return value === undefined || !['off', 'false', '0'].includes(valueText(value).toLowerCase())
}

/** The text of a constant, as SET and options take it. */
function valueText(node: Node): string {
  const constant = fieldsOf(node, 'A_Const')
  const integer = constant?.ival ?? fieldsOf(node, 'Integer')
  if (integer !== undefined) return String(integer.ival ?? 0)
  const boolean = constant?.boolval ?? fieldsOf(node, 'Boolean')
  if (boolean !== undefined) return String(boolean.boolval ?? false)
  const text = constant?.sval ?? fieldsOf(node, 'String')
  return text?.sval ?? constant?.fval?.fval ?? fieldsOf(node, 'Float')?.fval ?? ''
}
