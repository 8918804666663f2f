/** What equal queries of one role share, whatever their parameters: tables, rights, columns. */
import { withTableReplaced } from '../dialect/live-text.js'
import type { Column } from '../engine/statement.js'
import type { ResultColumn } from '../protocol/type-info.js'
import type { BoundQuery } from './bind-query.js'
import { resultShape, type ResultShape } from './encode-changes.js'
import { rowFromImage, type FollowPlan } from './follow-plan.js'
import type { LiveMode } from './live-event.js'

export interface LiveQuery {
  /** Role, search path, text. */
  readonly key: string
  /** Another for each; short, because every group has it in its own key. */
  readonly number: number
  readonly bound: BoundQuery
  readonly mode: LiveMode
  /** Groups that use it: without any it is forgotten. */
  groups: number
  /** Of the parameters. */
  readonly typeOids: readonly number[]
  /** Of columns as PostgreSQL last gave them. */
  shape: { readonly columns: readonly Column[]; readonly result: ResultShape } | undefined
}

/** Where in the result the table's key is; none if it is not all there. */
export function keyPlaces(bound: BoundQuery, columnCount: number): readonly number[] {
  const { single, singleRelation, key } = bound
  if (single === undefined || singleRelation === undefined || key.length === 0) return []
  const names: (string | undefined)[] = single.targets.flatMap((target) => {
    if (target.kind === 'all') return singleRelation.columns.map(({ name }) => name)
    return target.kind === 'column' ? [target.column.name] : [undefined]
  })
  // `(value).*` is one target of many columns.
  if (names.length !== columnCount) return []
  const places = key.map((name) => names.indexOf(name))
  return places.includes(-1) ? [] : places
}

export function shapeOf(bound: BoundQuery, columns: readonly ResultColumn[]): ResultShape {
  return resultShape(columns, keyPlaces(bound, columns.length))
}

/**
 * The query over a list of images in place of its table: for each that fulfils the WHERE the row of
 * the result and, last, the image's number from 1. The list is the parameter after the caller's.
 */
export function imageQuery(text: string, plan: FollowPlan, parameterCount: number): string {
  const row = rowFromImage(plan.places, '"kalam i"."kalam v"', `("kalam i"."kalam v" ->> -1)`)
  const query = withTableReplaced(text, plan.single, row)
  return `select "kalam q".*, "kalam i"."kalam n"
  from pg_catalog.json_array_elements($${parameterCount + 1}::text::json)
       with ordinality "kalam i" ("kalam v", "kalam n")
 cross join lateral (
${query}
) "kalam q"`
}
