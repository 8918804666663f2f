/** Parameters of SQL as JSON callers send them; numbers keep the text they came in. */
import type { Parameter, RequestParameters } from './database.js'
import { DbError } from '../errors.js'
import { elementSources } from '../protocol/json-source.js'

const noParameters: RequestParameters = Object.freeze({ single: [], each: undefined })

export interface ParameterSource {
  /** JSON text that the parameters are somewhere in. */
  readonly text: string
  /** Their own JSON text. */
  readonly source: () => string
  readonly parametersMax: number
}

/** `params` as JSON.parse has it. Errors: BAD_REQUEST, TOO_MANY_PARAMETERS. */
export function readParameters(
  params: unknown,
  { text, source, parametersMax }: ParameterSource,
): RequestParameters {
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
  const sources = elementSources(source())
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

export function describe(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return (
    { string: 'a string', number: 'a number', boolean: 'a boolean' }[typeof value as string] ??
    'an object'
  )
}

/** The text of a body. Errors: BAD_REQUEST. */
export function decodeBody(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw badRequest('the body is not valid UTF-8')
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function badRequest(message: string, hint?: string): DbError {
  return new DbError('BAD_REQUEST', message, { hint })
}

export function checkText(field: string, value: unknown): string {
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
