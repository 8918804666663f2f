/**
 * The body of POST /v1/api/sql, from bytes to a checked request. Strict: what we do not know is
 * refused by name, so that a typo never runs as something else.
 */
import type { Parameter, RequestParameters } from '../database/database.js'
import { DbError } from '../errors.js'
import type { RowShape } from '../protocol/row-json.js'
import { elementSources, fieldSource } from './json-source.js'

export interface SqlBody {
  readonly sql: string
  readonly parameters: RequestParameters
  readonly namespace: string | undefined
  readonly rows: RowShape
  readonly transaction: boolean
}

/** Errors: BAD_REQUEST, which says what and where; TOO_MANY_PARAMETERS. Valid before `bytes` go. */
export function parseSqlBody(bytes: Uint8Array, parametersMax: number): SqlBody {
  const text = decodeText(bytes)
  const body = parseObject(text)
  for (const name of Object.keys(body)) {
    if (!knownFields.has(name)) throw unknownField(name)
  }
  const { sql, params, namespace, rows, transaction } = body
  return {
    sql: checkText('sql', sql),
    parameters: readParameters(params, text, parametersMax),
    namespace: namespace === undefined ? undefined : checkText('namespace', namespace),
    rows: checkShape(rows),
    transaction: checkBoolean(transaction),
  }
}

const knownFields = new Set(['sql', 'params', 'namespace', 'rows', 'transaction'])

function decodeText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw badRequest('the body is not valid UTF-8')
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

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

function checkText(field: string, value: unknown): string {
  if (typeof value !== 'string') {
    if (value === undefined) throw badRequest(`"${field}" is missing; it must be a string`)
    throw badRequest(`"${field}" must be a string, not ${describe(value)}`)
  }
  checkCharacters(`"${field}"`, value)
  return value
}

/** With the flag `u` the halves of whole pairs do not match. */
const loneSurrogate = /\p{Surrogate}/u

/** What PostgreSQL's text cannot hold would be cut off or replaced on the way: refuse it here. */
function checkCharacters(place: string, value: string): void {
  if (value.includes('\0')) throw badRequest(`${place} contains a zero character (\\u0000)`)
  if (loneSurrogate.test(value)) throw badRequest(`${place} contains half of a surrogate pair`)
}

function checkShape(value: unknown): RowShape {
  if (value === undefined || value === 'object') return 'object'
  if (value === 'array') return 'array'
  throw badRequest('"rows" must be "object" or "array"')
}

function checkBoolean(value: unknown): boolean {
  if (value === undefined) return false
  if (typeof value === 'boolean') return value
  throw badRequest(`"transaction" must be true or false, not ${describe(value)}`)
}

const noParameters: RequestParameters = Object.freeze({ single: [], each: undefined })

function readParameters(params: unknown, text: string, parametersMax: number): RequestParameters {
  if (params === undefined) return noParameters
  if (!Array.isArray(params)) {
    throw badRequest(`"params" must be a list, not ${describe(params)}`)
  }
  const values: readonly unknown[] = params
  const isListOfLists = values.length > 0 && values.every((value) => Array.isArray(value))
  if (!isListOfLists) checkCount(values.length, parametersMax)
  if (isPlain(values, text)) {
    return { single: values.map(plainParameter), each: undefined }
  }
  const sources = elementSources(fieldSource(text, 'params') ?? '[]')
  return {
    single: values.map((value, index) => sourceParameter(value, sources[index] ?? '')),
    each: isListOfLists ? readLists(values, sources, parametersMax) : undefined,
  }
}

function checkCount(count: number, parametersMax: number): void {
  if (count <= parametersMax) return
  throw new DbError(
    'TOO_MANY_PARAMETERS',
    `${count} parameters are more than http.parameters_max, ${parametersMax}`,
  )
}

/** A number that may not be written as JSON.parse would write it: `1.10`, `1e3`, `-0`. */
const unusualNumber = /\d[.eE]|-0/

/** No objects or lists, and no number whose digits would suffer: the source is not needed. */
function isPlain(values: readonly unknown[], text: string): boolean {
  let hasNumber = false
  for (const value of values) {
    if (typeof value === 'object' && value !== null) return false
    if (typeof value !== 'number') continue
    if (!Number.isSafeInteger(value)) return false
    hasNumber = true
  }
  return !hasNumber || !unusualNumber.test(text)
}

function plainParameter(value: unknown, index: number): Parameter {
  if (typeof value === 'number') return { json: String(value) }
  if (typeof value === 'string') checkCharacters(`parameter $${index + 1}`, value)
  // The rest of what `isPlain` lets through.
  return value as string | boolean | null
}

function sourceParameter(value: unknown, source: string, index = 0): Parameter {
  if (typeof value === 'number' || (typeof value === 'object' && value !== null)) {
    return { json: source }
  }
  return plainParameter(value, index)
}

function readLists(
  values: readonly unknown[],
  sources: readonly string[],
  parametersMax: number,
): Parameter[][] {
  return values.map((list, index) => {
    // `readParameters` has seen that all are lists.
    const elements = list as readonly unknown[]
    checkCount(elements.length, parametersMax)
    const elementTexts = elementSources(sources[index] ?? '[]')
    return elements.map((value, at) => sourceParameter(value, elementTexts[at] ?? '', at))
  })
}

function describe(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return (
    { string: 'a string', number: 'a number', boolean: 'a boolean' }[typeof value as string] ??
    'an object'
  )
}

function badRequest(message: string): DbError {
  return new DbError('BAD_REQUEST', message)
}
