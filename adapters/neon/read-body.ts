/**
 * The body: `{"query", "params"}`, or `{"queries": [{"query", "params"}, …]}` for a transaction. Fields
 * that are not known are let be: the protocol is others', and grows.
 */
import type { BatchStatement } from '../../src/database/database.js'
import {
  badRequest,
  checkText,
  decodeBody,
  describe,
  readParameters,
} from '../../src/database/json-parameters.js'
import { DbError } from '../../src/errors.js'
import { elementSources, fieldSource } from '../../src/protocol/json-source.js'

export interface NeonQueries {
  readonly list: readonly NeonQuery[]
  readonly isBatch: boolean
}

export interface NeonQuery extends BatchStatement {
  /** Rows as lists or not, where the head does not decide. */
  readonly arrayMode: boolean | undefined
}

export interface QueryBounds {
  /** `http.parameters_max`, of one query. */
  readonly parametersMax: number
  /** `http.statements_max`, of one batch. */
  readonly queriesMax: number
}

/** Errors: BAD_REQUEST, TOO_MANY_PARAMETERS; the body's own, if there is none. */
export function readBody(body: Uint8Array | DbError, bounds: QueryBounds): NeonQueries {
  if (body instanceof DbError) throw body
  const text = decodeBody(body)
  const content = checkObject('the body', parseJson(text))
  const { queries } = content
  if (queries === undefined) return { list: [readQuery(content, text, bounds)], isBatch: false }
  if (!Array.isArray(queries))
    throw badRequest(`"queries" must be a list, not ${describe(queries)}`)
  const { queriesMax } = bounds
  if (queries.length > queriesMax)
    throw new DbError(
      'TOO_MANY_PARAMETERS',
      `${queries.length} queries are more than http.statements_max, ${queriesMax}`,
    )
  const sources = elementSources(fieldSource(text, 'queries') ?? '[]')
  const list = queries.map((query: unknown, index) =>
    readQuery(checkObject('a query', query), sources[index] ?? '{}', bounds),
  )
  return { list, isBatch: true }
}

type JsonObject = Readonly<Record<string, unknown>>

/** `text` is the query's own. */
function readQuery(
  { query, params, arrayMode }: JsonObject,
  text: string,
  { parametersMax }: QueryBounds,
): NeonQuery {
  const source = () => fieldSource(text, 'params') ?? '[]'
  return {
    sql: checkText('query', query),
    parameters: readParameters(params ?? undefined, { text, source, parametersMax }).single,
    arrayMode: typeof arrayMode === 'boolean' ? arrayMode : undefined,
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (cause) {
    throw badRequest(`the body is not JSON: ${cause instanceof Error ? cause.message : ''}`)
  }
}

function checkObject(what: string, value: unknown): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as JsonObject
  throw badRequest(
    `${what} must be a JSON object like {"query": "…", "params": []}, not ${describe(value)}`,
  )
}
