/**
 * What callers send as parameters, in the text that PostgreSQL reads for the type it inferred.
 * Digits pass through as they were written, whatever their number.
 */
import { isLosslessNumber, parse, stringify } from 'lossless-json'
import type { TextValue } from '../engine/frontend-messages.js'
import { builtinTypes } from '../protocol/builtin-types.js'
import type { Parameter } from './database.js'

const jsonOids: ReadonlySet<number> = new Set([114, 3802])

/** The value in PostgreSQL's text format. `typeOid` is the parameter's type. */
export function parameterText(value: Parameter, typeOid: number): TextValue {
  if (value === null || typeof value === 'string') return value
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  const isList = value.json.trimStart().startsWith('[')
  if (!isList || !takesArray(typeOid)) return value.json
  return arrayText(parse(value.json))
}

/** Types of users' own (enum arrays, …) are taken for arrays: nothing else is written as a list. */
function takesArray(typeOid: number): boolean {
  if (jsonOids.has(typeOid)) return false
  const type = builtinTypes.get(typeOid)
  return type === undefined || type.encoding === 'array'
}

/** `[1, null, ["a"]]` → `{1,NULL,{"a"}}`. PostgreSQL docs 8.15.6. */
function arrayText(value: unknown): string {
  if (Array.isArray(value)) return `{${value.map(arrayText).join(',')}}`
  if (value === null) return 'NULL'
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  if (isLosslessNumber(value)) return value.value
  return quoted(typeof value === 'string' ? value : (stringify(value) ?? ''))
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}
