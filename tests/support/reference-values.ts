/**
 * The slow, obvious reading of requirement C4: PostgreSQL's text of a value → the JSON value that
 * a caller gets. Shares no code with src, so that both are unlikely to be wrong in the same way.
 */

/** @param type PostgreSQL's type name, `int4`, `timestamptz`, `text[]`. @param text `null` for NULL. */
export function referenceValue(type: string, text: string | null): unknown {
  if (text === null) return null
  if (type.endsWith('[]')) return arrayElements(type.slice(0, -2), text)
  if (type === 'bool') return text === 't'
  if (numberTypes.has(type)) return Number.isFinite(Number(text)) ? Number(text) : text
  if (type === 'json' || type === 'jsonb') return JSON.parse(text)
  // The reference session runs in UTC: only the separator and the offset differ from ISO 8601.
  if (type === 'timestamptz') return text.replace(' ', 'T').replace(/\+00$/, 'Z')
  return text
}

const numberTypes = new Set(['int2', 'int4', 'oid', 'float4', 'float8'])

/** `{1,NULL,"a,b",{…}}` → elements, by PostgreSQL docs 8.15.6. */
function arrayElements(type: string, text: string): unknown[] {
  const tokens = text.match(/[{},]|"(?:\\.|[^"\\])*"|[^{},"]+/gs) ?? []
  let next = 0
  const value = (): unknown => {
    const token = tokens[next++] ?? ''
    if (token === '{') return elements()
    if (token.startsWith('"'))
      return referenceValue(type, token.slice(1, -1).replace(/\\(.)/gs, '$1'))
    return referenceValue(type, token === 'NULL' ? null : token)
  }
  const elements = (): unknown[] => {
    const found: unknown[] = []
    while (tokens[next] !== '}') {
      if (tokens[next] === ',') next += 1
      else found.push(value())
    }
    next += 1
    return found
  }
  next = 1
  return elements()
}
