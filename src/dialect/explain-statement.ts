import type { PlanContext, Splice } from './plan.js'
import type { TokenReader } from './token-reader.js'

/**
 * EXPLAIN shows ordinary callers no costs: they are estimates over the rows of all users. The
 * splices add `COSTS OFF`; none if the statement is another one.
 */
export function readExplainSplices(reader: TokenReader, context: PlanContext): Splice[] {
  if (context.role === 'admin' || !reader.skip('explain')) return []
  if (hasOptions(reader)) return endOfOptions(reader)
  const start = reader.index
  const words = ['analyze', 'analyse', 'verbose'].filter((word) => reader.skip(word))
  const text = `(${[...words, 'costs off'].join(', ')}) `
  return [{ start, end: reader.index, text }]
}

/** `EXPLAIN (VERBOSE) SELECT …`, not `EXPLAIN (SELECT …)`. */
function hasOptions(reader: TokenReader): boolean {
  const queries = ['select', 'values', 'with', 'table', '(']
  return reader.isNext('(') && !queries.some((word) => reader.isNext('(', word))
}

function endOfOptions(reader: TokenReader): Splice[] {
  for (let token = reader.peek(); token !== undefined; token = reader.peek()) {
    if (reader.isNext(')')) return [{ start: token.start, end: token.start, text: ', costs off' }]
    reader.take()
  }
  return []
}
