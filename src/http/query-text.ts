import { badRequest } from '../database/json-parameters.js'

/**
 * The fields of a URL's query. Strict: a field that is not known, comes twice or is no UTF-8 is
 * refused by name. Errors: BAD_REQUEST.
 */
export function readQuery(query: string, known: readonly string[]): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  for (const part of query.split('&')) {
    if (part === '') continue
    const [name = '', ...values] = part.split('=')
    const field = decode(name)
    if (!known.includes(field))
      throw badRequest(`unknown ${quoted(field)} in the URL; known are ${known.join(', ')}`)
    if (fields.has(field)) throw badRequest(`${quoted(field)} is in the URL twice`)
    fields.set(field, decode(values.join('=')))
  }
  return fields
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw badRequest(`${quoted(text)} in the URL is not UTF-8 in percent-encoding`)
  }
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 64))
}
