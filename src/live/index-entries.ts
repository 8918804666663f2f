import type { BoundQuery, Dependency } from './bind-query.js'
import { indexText } from './comparable.js'
import { columnPlace, placesOf } from './follow-plan.js'
import { constantValue, type ParameterValue } from './predicate.js'
import type { IndexCondition, IndexEntry } from './predicate-index.js'

/** Where a query with these parameters stands in the index, for each table that it reads. */
export function indexEntries(
  bound: BoundQuery,
  userId: string,
  parameter: (number: number) => ParameterValue | undefined,
): readonly IndexEntry[] {
  return bound.dependencies.map((dependency) => ({
    tableId: dependency.table.id,
    owner: dependency.perOwner ? userId : undefined,
    condition: conditionOf(dependency, parameter),
  }))
}

/** The first that images can be looked up by; without one every change of the table counts. */
function conditionOf(
  { relation, conditions }: Dependency,
  parameter: (number: number) => ParameterValue | undefined,
): IndexCondition | undefined {
  const places = placesOf(relation)
  for (const { column, values } of conditions) {
    const place = columnPlace(places, column.name)
    // A column of the system is in no image.
    if (place?.family === undefined || place.index < 0) continue
    const { family } = place
    const constants = values.map((value) => constantValue(value, { parameter }, family))
    if (!constants.every((constant) => constant?.family === family)) continue
    return { column: place.index, values: textsOf(constants) }
  }
  return undefined
}

/** NULL equals nothing. */
function textsOf(constants: readonly ReturnType<typeof constantValue>[]): readonly string[] {
  const texts = constants.flatMap((constant) =>
    constant?.value === null || constant === undefined ? [] : [indexText(constant.value)],
  )
  return [...new Set(texts)]
}
