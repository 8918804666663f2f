/** How single changes of one table become changes of a query's result. */
import type { KeyOf } from '../changes/in-order.js'
import { quoteIdentifier } from '../dialect/compose-text.js'
import type { ColumnTerm, Predicate, Term } from '../dialect/live-predicate.js'
import type { SingleTable } from '../dialect/live-analysis.js'
import { familyOf } from './comparable.js'
import {
  compilePredicate,
  type ColumnPlace,
  type Decide,
  type ParameterValue,
} from './predicate.js'
import type { LoggedTable, Relation } from './table-catalog.js'

export interface FollowPlan {
  readonly table: LoggedTable
  /** Only rows of the caller are theirs to see. */
  readonly perOwner: boolean
  readonly single: SingleTable
  readonly places: TablePlaces
  /** Where each column of the result is in an image; undefined if PostgreSQL has to compute one. */
  readonly targets: readonly number[] | undefined
  /** Its operators are PostgreSQL's own: what they mean is known here. */
  readonly isExact: boolean
}

/** Places in an image; the system's columns have places of their own. */
export interface TablePlaces {
  readonly relation: Relation
  readonly columns: ReadonlyMap<string, number>
}

/** Where `ReadColumn` finds what images leave out. */
export const systemPlace = { owner: -1, deleted: -2 } as const

/** Undefined if changes of the table do not tell what happens to the result. */
export function followPlan(
  single: SingleTable,
  relation: Relation,
  { isExact }: Pick<FollowPlan, 'isExact'>,
): FollowPlan | undefined {
  const { logged } = relation
  if (logged === undefined || logged.isTwin || !single.followable) return undefined
  if (relation.key.length === 0 || hidesRows(relation)) return undefined
  const places = placesOf(relation)
  if (names(single).some((column) => !isKnown(column, single, places))) return undefined
  if (logged.kind === 'stream' && needsExpiry(single)) return undefined
  return {
    table: logged,
    perOwner: logged.kind === 'user' || logged.kind === 'stream',
    single,
    places,
    targets: targetPlaces(single, places),
    isExact,
  }
}

/** Tells the rows of a logged table apart by its key. */
export function keyOfRows({ table, places }: Pick<FollowPlan, 'table' | 'places'>): KeyOf {
  const { relation, columns } = places
  const key = relation.key.map((name) => columns.get(name) ?? systemPlace.owner)
  return (change) => {
    if (change.tableId !== table.id || change.version !== table.version) return undefined
    const image = change.new ?? change.old
    return image && JSON.stringify([table.id, change.owner, ...key.map((place) => image[place])])
  }
}

/** Its WHERE in JavaScript; undefined if PostgreSQL has to decide. */
export function decideOf(
  plan: FollowPlan,
  parameters: (number: number) => ParameterValue | undefined,
): Decide | undefined {
  const { where } = plan.single
  if (where === undefined) return () => true
  if (!plan.isExact) return undefined
  return compilePredicate(where, {
    column: (term) => columnPlace(plan.places, term.name),
    parameter: parameters,
  })
}

export function columnPlace(
  { relation, columns }: TablePlaces,
  name: string,
): ColumnPlace | undefined {
  const index = columns.get(name)
  const column = relation.columns.find((each) => each.name === name)
  if (index === undefined || column === undefined) return undefined
  const family = familyOf(column.typeOid)
  const isExact = family !== 'text' || column.isDeterministic
  return { index, family: isExact ? family : undefined }
}

export function placesOf(relation: Relation): TablePlaces {
  const kind = relation.logged?.kind ?? 'plain'
  const columns = new Map<string, number>()
  let index = 0
  for (const { name } of relation.columns) {
    const system = systemPlaceOf(name, kind)
    if (system === 'none') columns.set(name, index++)
    else if (system !== undefined) columns.set(name, system)
  }
  return { relation, columns }
}

/** `none` for a column of the images; undefined for one that nothing has. */
function systemPlaceOf(name: string, kind: LoggedTable['kind']): number | 'none' | undefined {
  if (name === '_user_id' && (kind === 'user' || kind === 'stream')) return systemPlace.owner
  if (name === '_deleted' && (kind === 'user' || kind === 'shared')) return systemPlace.deleted
  return name === '_expires_at' && kind === 'stream' ? undefined : 'none'
}

/** The table as a row of texts: `image` is SQL for the list, `owner` for whose row it is. */
export function rowFromImage(
  { relation, columns }: TablePlaces,
  image: string,
  owner: string,
): string {
  const values = relation.columns.flatMap(({ name, declared }) => {
    const place = columns.get(name)
    if (place === undefined) return []
    return `${valueAt(place, image, owner)}::${declared} as ${quoteIdentifier(name)}`
  })
  return `select ${values.join(', ')}`
}

function valueAt(place: number, image: string, owner: string): string {
  if (place === systemPlace.owner) return owner
  if (place === systemPlace.deleted) return 'false'
  return `(${image} ->> ${place})`
}

/** Policies of managed tables are known; others' are for PostgreSQL. */
function hidesRows({ hasOwnPolicies, hasRowSecurity, logged }: Relation): boolean {
  const isPlain = logged?.kind === 'plain' || logged?.kind === 'shared'
  return hasOwnPolicies || (isPlain && hasRowSecurity)
}

/** Columns by name, as far as they can be read from the text. */
function names({ targets, where }: SingleTable): readonly ColumnTerm[] {
  return [
    ...targets.flatMap((target) => (target.kind === 'column' ? [target.column] : [])),
    ...(where === undefined ? [] : columnsIn(where)),
  ]
}

function columnsIn(predicate: Predicate): readonly ColumnTerm[] {
  switch (predicate.kind) {
    case 'and':
    case 'or':
      return predicate.parts.flatMap(columnsIn)
    case 'not':
    case 'is':
      return columnsIn(predicate.part)
    case 'compare':
      return [predicate.left, predicate.right].flatMap(columnOf)
    case 'in':
      return [predicate.left, ...predicate.right].flatMap(columnOf)
    case 'is-null':
    case 'term':
      return columnOf(predicate.term)
    case 'opaque':
      return []
  }
}

function columnOf(term: Term): readonly ColumnTerm[] {
  return term.kind === 'column' ? [term] : []
}

/** What is no column of the table (ctid, the whole row, `value.field`) is PostgreSQL's to know. */
function isKnown(column: ColumnTerm, single: SingleTable, { columns }: TablePlaces): boolean {
  const { qualifier, name } = column
  return columns.has(name) && (qualifier === undefined || qualifier === single.relation.alias)
}

/** Images do not hold when a row expires. */
function needsExpiry({ targets, where }: SingleTable): boolean {
  return targets.some(({ kind }) => kind !== 'column') || isOpaque(where)
}

function isOpaque(where: Predicate | undefined): boolean {
  switch (where?.kind) {
    case undefined:
      return false
    case 'and':
    case 'or':
      return where.parts.some(isOpaque)
    case 'not':
    case 'is':
      return isOpaque(where.part)
    case 'opaque':
      return true
    case 'compare':
    case 'in':
    case 'is-null':
    case 'term':
      return false
  }
}

function targetPlaces(
  { targets }: SingleTable,
  { relation, columns }: TablePlaces,
): readonly number[] | undefined {
  const places: (number | undefined)[] = targets.flatMap((target) => {
    if (target.kind === 'all') return relation.columns.map(({ name }) => columns.get(name))
    return target.kind === 'column' ? [columns.get(target.column.name)] : [undefined]
  })
  const known = places.filter((place) => place !== undefined)
  return known.length === places.length ? known : undefined
}
