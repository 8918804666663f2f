/** Errors and notices of PostgreSQL as the client is to read them. */
import type { ComposedText } from '../../dialect/compose-text.js'
import { fieldsMessage, readFields } from './server-messages.js'

export interface WordsOf {
  /** What the session puts before the names of its statements and portals. */
  readonly namePrefix: string
  /** The text that PostgreSQL got; undefined for one that it got as the client wrote it. */
  readonly composed: ComposedText | undefined
  /** The text is ours: places in it mean nothing to the client. */
  readonly isOurs?: boolean | undefined
  /** What else is called otherwise. */
  readonly rename?: ((text: string) => string) | undefined
}

/** Fields in which names may stand: message, detail, hint, context. */
const textFields = ['M', 'D', 'H', 'W']

const headerBytes = 5

/** An ErrorResponse or NoticeResponse anew, with all its fields. */
export function inClientsWords(
  message: Uint8Array,
  { namePrefix, composed, isOurs, rename }: WordsOf,
): Uint8Array {
  const fields = readFields(message, headerBytes, message.length)
  for (const field of textFields) {
    const text = fields.get(field)
    if (text === undefined) continue
    const own = text.replaceAll(namePrefix, '')
    fields.set(field, rename === undefined ? own : rename(own))
  }
  // By which the session knows what it waits for.
  if (fields.get('s') === 'kalam') for (const name of ['s', 'n']) fields.delete(name)
  const position = fields.get('P')
  if (isOurs === true) fields.delete('P')
  else if (position !== undefined && composed !== undefined)
    fields.set('P', String(composed.toCallerPosition(Number(position)).position))
  return fieldsMessage(message[0] ?? 0, fields)
}
