/** Statements of ours between a client's: under names of their own, so that they disturb none of its. */
import type { TextValue } from '../../engine/frontend-messages.js'
import { clientMessage, clientTag, target } from './client-messages.js'

/** Of a statement and of a portal. */
export const aside = 'kalam_aside'

/** What an error left behind goes first. */
const before = [
  clientMessage(clientTag.close, target.statement, aside),
  clientMessage(clientTag.close, target.portal, aside),
]
const describe = clientMessage(clientTag.describe, target.portal, aside)
const execute = clientMessage(clientTag.execute, aside, Uint8Array.of(0, 0, 0, 0))
const noTypes = Uint8Array.of(0, 0)

/** Values are text. `formats`: those of its result, as Bind has them; text if there are none. */
export function asideMessages(
  sql: string,
  values: readonly TextValue[] = [],
  formats: Uint8Array = Uint8Array.of(0, 0),
): {
  readonly prepare: readonly Uint8Array[]
  readonly describe: Uint8Array
  readonly execute: Uint8Array
} {
  const parse = clientMessage(clientTag.parse, aside, sql, noTypes)
  const bind = clientMessage(clientTag.bind, aside, aside, boundValues(values), formats)
  return { prepare: [...before, parse, bind], describe, execute }
}

/** All formats are text. */
function boundValues(values: readonly TextValue[]): Uint8Array {
  const head = Buffer.alloc(4)
  head.writeUInt16BE(values.length, 2)
  return Buffer.concat([head, ...values.flatMap(boundValue)])
}

function boundValue(value: TextValue): readonly Buffer[] {
  const length = Buffer.alloc(4)
  if (value === null) {
    length.writeInt32BE(-1)
    return [length]
  }
  const text = Buffer.from(value)
  length.writeInt32BE(text.length)
  return [length, text]
}
