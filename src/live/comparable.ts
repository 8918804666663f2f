/** Types whose values JavaScript compares as PostgreSQL does. */
export type Family = 'integer' | 'text' | 'uuid' | 'boolean'

/** What `<`, `>` and equality mean the same for as in PostgreSQL, within one family. */
export type Comparable = number | bigint | string

const families: ReadonlyMap<number, Family> = new Map([
  [20, 'integer'],
  [21, 'integer'],
  [23, 'integer'],
  [25, 'text'],
  [1043, 'text'],
  [2950, 'uuid'],
  [16, 'boolean'],
] as const)

export function familyOf(typeOid: number): Family | undefined {
  return families.get(typeOid)
}

/** Longest text of an integer that a number holds exactly. */
const safeDigits = 15

/** A text as the family's value; undefined if it is written in a way that only PostgreSQL reads. */
export function comparableOf(family: Family, text: string): Comparable | undefined {
  switch (family) {
    case 'integer':
      if (!/^\s*[+-]?\d+\s*$/.test(text)) return undefined
      return text.length <= safeDigits ? Number(text) : BigInt(text.trim().replace(/^\+/, ''))
    case 'text':
      return text
    case 'uuid':
      return canonicalUuid(text)
    case 'boolean':
      return booleans[text]
  }
}

/** Its order is that of the digits. Braces and odd hyphens are left to PostgreSQL. */
function canonicalUuid(text: string): string | undefined {
  const isUuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)
  return isUuid ? text.toLowerCase() : undefined
}

const booleans: Readonly<Record<string, string>> = { t: 't', true: 't', f: 'f', false: 'f' }

/** One text for all ways to write a value: what an index of values is made of. */
export function indexText(value: Comparable): string {
  return String(value)
}
