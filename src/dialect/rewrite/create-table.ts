/**
 * CREATE USER|SHARED|STREAM TABLE. The system columns stand last, so that `INSERT INTO t VALUES …`
 * means the user's own columns by PostgreSQL's own rule; the catalog recognises a managed table by
 * them.
 */
import type { Constraint, CreateStmt, RangeVar } from 'libpg-query'
import type { CreatedTable } from '../plan.js'
import { fieldsOf, type Fields } from '../syntax-tree.js'
import { isManaged, reservedColumns, type TableKind } from '../table-shape.js'
import {
  liftColumnConstraints,
  rewriteTableConstraint,
  type ConstraintContext,
} from './constraint-text.js'
import type { Draft } from './draft.js'
import { ConstraintNames } from './postgres-names.js'
import type { FindTable } from './find-table.js'
import { afterName, closingAt, significantAt, walkTokens, wordOf } from './token-walk.js'

export interface CreateContext {
  readonly draft: Draft
  readonly find: FindTable
  readonly created: CreatedTable | undefined
  readonly searchPath: readonly string[]
}

/** Any CREATE TABLE: a plain one may not refer to rows that are one user's. */
export function rewriteCreateTable(create: CreateStmt, context: CreateContext): void {
  const { draft, created } = context
  refuseManagedParents(create, context)
  if (created !== undefined) refuseShape(create, created, context)
  const constraints = constraintContext(create, context)
  const ends = elementEnds(create, draft)
  for (const [number, node] of (create.tableElts ?? []).entries()) {
    const column = fieldsOf(node, 'ColumnDef')
    const constraint = fieldsOf(node, 'Constraint')
    if (constraint !== undefined) rewriteTableConstraint(constraint, constraints)
    if (column === undefined) continue
    // Right behind the column: PostgreSQL checks keys in the order in which they are written.
    const lifted = liftFrom(column, constraints).map((text) => `, ${text}`)
    if (lifted.length > 0) draft.insert(ends[number] ?? 0, lifted.join(''))
  }
  if (created !== undefined) addColumns(create, { draft, created })
}

/** What a column's clauses are cut at. */
export function liftFrom(column: Fields<'ColumnDef'>, context: ConstraintContext): string[] {
  const { colname = '', constraints, collClause } = column
  const all = (constraints ?? []).flatMap((node) => fieldsOf(node, 'Constraint') ?? [])
  const clauses = all.filter(({ contype }) => contype?.startsWith('CONSTR_ATTR') !== true)
  const locations = [...clauses, ...(collClause === undefined ? [] : [collClause])]
  const bounds = locations.map(({ location }) => context.draft.indexOf(location))
  return liftColumnConstraints(colname, clauses, { ...context, bounds })
}

function constraintContext(create: CreateStmt, context: CreateContext): ConstraintContext {
  const { draft, find, created, searchPath } = context
  const kind: TableKind = created?.kind ?? 'plain'
  const given = [
    ...tableConstraints(create),
    ...columnsOf(create).flatMap(({ constraints }) =>
      (constraints ?? []).flatMap((node) => fieldsOf(node, 'Constraint') ?? []),
    ),
  ].flatMap(({ conname }) => conname ?? [])
  return {
    draft,
    kind,
    names: new ConstraintNames(create.relation?.relname ?? '', given),
    findTarget: (table) => (isSelf(create, table, searchPath) ? { kind } : find(table)),
  }
}

/** The table that is being made is in no catalog yet. */
function isSelf(create: CreateStmt, table: RangeVar, searchPath: readonly string[]): boolean {
  const { relation } = create
  const schemaOf = (each: RangeVar | undefined): string | undefined =>
    each?.schemaname ?? searchPath[0]
  return relation?.relname === table.relname && schemaOf(relation) === schemaOf(table)
}

function columnsOf(create: CreateStmt): readonly Fields<'ColumnDef'>[] {
  return (create.tableElts ?? []).flatMap((node) => fieldsOf(node, 'ColumnDef') ?? [])
}

function tableConstraints(create: CreateStmt): readonly Constraint[] {
  return (create.tableElts ?? []).flatMap((node) => fieldsOf(node, 'Constraint') ?? [])
}

function refuseManagedParents(create: CreateStmt, { draft, find }: CreateContext): void {
  for (const node of create.inhRelations ?? []) {
    const parent = fieldsOf(node, 'RangeVar')
    if (parent === undefined || !isManaged(find(parent))) continue
    const message = `INHERITS and PARTITION OF are refused: ${draft.nameAt(parent.location)} is a managed table`
    throw draft.refusal(draft.indexOf(parent.location), message)
  }
}

function refuseShape(
  create: CreateStmt,
  { kind }: CreatedTable,
  { draft, find }: CreateContext,
): void {
  const at = draft.indexOf(create.relation?.location)
  const name = `${kind.toUpperCase()} TABLE`
  const part = refusedPart(create)
  if (part !== undefined) throw draft.refusal(at, `CREATE ${name} is refused with ${part}`)
  for (const column of columnsOf(create)) {
    if (!reservedColumns.has(column.colname ?? '')) continue
    const message = `the column name ${column.colname ?? ''} is reserved in a ${name}`
    throw draft.refusal(draft.indexOf(column.location), message, 'It is a column of the system.')
  }
  refuseLike(create, kind, { draft, find })
  if (hasPrimaryKey(create)) return
  const message = `a ${name} needs a primary key`
  const hint = 'Add one, such as id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY.'
  throw draft.refusal(at, message, hint)
}

function refusedPart(create: CreateStmt): string | undefined {
  const { relation } = create
  if (relation?.relpersistence === 't' || relation?.schemaname === 'pg_temp') return 'TEMPORARY'
  if (relation?.relpersistence === 'u') return 'UNLOGGED'
  if (create.partbound !== undefined) return 'PARTITION OF'
  if (create.inhRelations !== undefined) return 'INHERITS'
  if (create.partspec !== undefined) return 'PARTITION BY'
  return create.ofTypename === undefined ? undefined : 'OF a type'
}

/** Copied keys would be without `_user_id`. */
function refuseLike(
  create: CreateStmt,
  kind: TableKind,
  { draft, find }: { readonly draft: Draft; readonly find: FindTable },
): void {
  for (const node of create.tableElts ?? []) {
    const { relation } = fieldsOf(node, 'TableLikeClause') ?? {}
    if (relation === undefined || (kind === 'shared' && !isManaged(find(relation)))) continue
    const what = kind === 'shared' ? 'LIKE of a managed table' : 'LIKE'
    throw draft.refusal(
      draft.indexOf(relation.location),
      `${what} is refused in a ${kind.toUpperCase()} TABLE`,
      'Write its columns.',
    )
  }
}

function hasPrimaryKey(create: CreateStmt): boolean {
  const inColumns = columnsOf(create).flatMap(({ constraints }) =>
    (constraints ?? []).flatMap((node) => fieldsOf(node, 'Constraint') ?? []),
  )
  return [...inColumns, ...tableConstraints(create)].some(
    ({ contype }) => contype === 'CONSTR_PRIMARY',
  )
}

/** The indexes after the last token of each column and constraint. */
function elementEnds(create: CreateStmt, draft: Draft): number[] {
  const nameEnd = afterName(draft.text, draft.indexOf(create.relation?.location))
  const open = significantAt(draft.text, nameEnd)
  const ends: number[] = []
  if (open === undefined || wordOf(draft.text, open) !== '(') return ends
  let end = open.end
  for (const token of walkTokens(draft.text, open.end)) {
    if (token.depth === 0 && token.word === ',') ends.push(end)
    end = token.end
  }
  return [...ends, end]
}

function addColumns(
  create: CreateStmt,
  { draft, created }: { readonly draft: Draft; readonly created: CreatedTable },
): void {
  const nameEnd = afterName(draft.text, draft.indexOf(create.relation?.location))
  const open = significantAt(draft.text, nameEnd)
  if (open === undefined) return
  const close = closingAt(draft.text, open.start)
  if (created.ttl === undefined) {
    draft.insert(close, `, ${systemColumns(created.kind).join(', ')}`)
    return
  }
  draft.insert(
    close,
    ', _user_id text not null default kalam.uid(), _expires_at timestamptz not null',
  )
  draft.insert(close, ` default (now() + interval ${created.ttl.literal})`, created.ttl.index)
}

function systemColumns(kind: CreatedTable['kind']): string[] {
  const owner = kind === 'shared' ? [] : ['_user_id text not null default kalam.uid()']
  return [...owner, '_deleted boolean not null generated always as (false) stored']
}
