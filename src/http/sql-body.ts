/**
 * The body of POST /v1/api/sql, from bytes to a checked request. Strict: what we do not know is
 * refused by name, so that a typo never runs as something else.
 */
import type { RequestParameters } from '../database/database.js'
import type { DbError } from '../errors.js'
import type { RowShape } from '../protocol/row-json.js'
import { fieldSource } from '../protocol/json-source.js'
import {
  badRequest,
  checkText,
  decodeBody,
  describe,
  readParameters,
} from '../database/json-parameters.js'

export interface SqlBody {
  readonly sql: string
  readonly parameters: RequestParameters
  readonly namespace: string | undefined
  readonly rows: RowShape
  readonly transaction: boolean
}

/** Errors: BAD_REQUEST, which says what and where; TOO_MANY_PARAMETERS. Valid before `bytes` go. */
export function parseSqlBody(bytes: Uint8Array, parametersMax: number): SqlBody {
  const text = decodeBody(bytes)
  const body = parseObject(text)
  for (const name of Object.keys(body)) {
    if (!knownFields.has(name)) throw unknownField(name)
  }
  const { sql, params, namespace, rows, transaction } = body
  return {
    sql: checkText('sql', sql),
    parameters: readParameters(params, {
      text,
      source: () => fieldSource(text, 'params') ?? '[]',
      parametersMax,
    }),
    namespace: namespace === undefined ? undefined : checkText('namespace', namespace),
    rows: checkShape(rows),
    transaction: checkBoolean(transaction),
  }
}

const knownFields = new Set(['sql', 'params', 'namespace', 'rows', 'transaction'])

function parseObject(text: string): Readonly<Record<string, unknown>> {
  const value = parseJson(text)
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>
  }
  throw badRequest(`the body must be a JSON object like {"sql": "…"}, not ${describe(value)}`)
}

function parseJson(text: string): unknown {
  if (text === '') throw badRequest('the body is empty; send a JSON object like {"sql": "…"}')
  try {
    return JSON.parse(text) as unknown
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : ''
    throw badRequest(`the body is not JSON: ${reason}`)
  }
}

function unknownField(name: string): DbError {
  const known = [...knownFields].join(', ')
  return badRequest(`unknown field ${JSON.stringify(name.slice(0, 64))}; known are ${known}`)
}

export function checkShape(value: unknown): RowShape {
  if (value === undefined || value === 'object') return 'object'
  if (value === 'array') return 'array'
  throw badRequest('"rows" must be "object" or "array"')
}

function checkBoolean(value: unknown): boolean {
  if (value === undefined) return false
  if (typeof value === 'boolean') return value
  throw badRequest(`"transaction" must be true or false, not ${describe(value)}`)
}
