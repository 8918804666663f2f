/** Words that PostgreSQL takes for a time of the clock when it reads a constant (PG docs 8.5.1.4). */
import { indexOfByte } from '../protocol/text-position.js'

const clockWord = /(?<!\w)(?:now|today|tomorrow|yesterday)(?!\w)/i

/** The text of the constant that starts at the byte, if there is such a word in it. */
export function clockWordAt(text: string, byte: number | undefined): string | undefined {
  if (byte === undefined) return undefined
  const literal = literalAt(text.slice(indexOfByte(text, byte)))
  return literal !== undefined && isClockWord(literal) ? literal.trim() : undefined
}

/** Whether a value's text has such a word in it. */
export function isClockWord(value: string): boolean {
  return clockWord.test(value)
}

function literalAt(rest: string): string | undefined {
  const dollar = /^\$(\w*)\$([^]*?)\$\1\$/.exec(rest)
  if (dollar !== null) return dollar[2]
  return /^(?:[eE]|[uU]&)?'((?:[^']|'')*)'/.exec(rest)?.[1]
}

/** Times, lists and ranges of them; of types that were made all but enums. */
export function isTimeType(typeOid: number, typtype: string | undefined): boolean {
  return timeTypes.has(typeOid) || (typtype !== undefined && typtype !== 'e')
}

const timeTypes: ReadonlySet<number> = new Set([
  ...[1082, 1083, 1114, 1184, 1266],
  ...[1182, 1183, 1115, 1185, 1270],
  ...[3908, 3910, 3912, 3909, 3911, 3913],
  ...[4533, 4534, 4535],
])
