/** The vectors of docs/protocol.md, and the table's hash beside its version. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { ByteSink } from '#src/protocol/byte-sink.js'
import {
  appendBinary,
  decodeClientBinary,
  decodeServerBinary,
} from '#src/protocol/socket-binary.js'
import {
  appendServerJson,
  decodeClientJson,
  decodeServerJson,
  encodeClientJson,
  jsonText,
} from '#src/protocol/socket-json.js'
import {
  PROTOCOL_VERSION,
  clientMessages,
  serverMessages,
  subProtocols,
  type ClientMessage,
  type ServerMessage,
} from '#src/protocol/socket-messages.js'

/** One message in both sub-protocols. */
interface Vector {
  readonly from: 'client' | 'server'
  /** The text frame. */
  readonly json: string
  /** The binary frame, in hexadecimal. */
  readonly binary: string
}

const vectors = JSON.parse(
  readFileSync(new URL('../../golden/socket-messages.json', import.meta.url), 'utf8'),
) as readonly Vector[]
const page = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8')

test('a change of the table is a decision: see PROTOCOL_VERSION', () => {
  const table = JSON.stringify({ subProtocols, clientMessages, serverMessages })
  const hash = createHash('sha256').update(table).digest('hex').slice(0, 16)
  expect([PROTOCOL_VERSION, hash]).toEqual([1, 'eed6aced5dd0b001'])
})

test('every message has a vector, a section in docs/protocol.md, and a tag of its own', () => {
  const table = { ...clientMessages, ...serverMessages }
  const kinds = vectors.map(({ json }) => (JSON.parse(json) as { type: string }).type)
  expect(new Set(kinds)).toEqual(new Set(Object.keys(table)))
  const tags = Object.values(table).map(({ tag }) => tag)
  expect(new Set(tags).size).toBe(tags.length)
  for (const [kind, { tag, fields }] of Object.entries(table)) {
    expect(page).toMatch(
      new RegExp(`^\\| \`${kind}\` +\\| \`0x${tag.toString(16).padStart(2, '0')}\` `, 'mu'),
    )
    for (const name of Object.keys(fields)) expect(page).toContain(`\`${name}\``)
  }
})

describe.each(vectors)('$from $json', ({ from, json, binary }) => {
  const bytes = Buffer.from(binary, 'hex')

  test('JSON decodes to what binary decodes to', () => {
    expect(plain(decodeOf(from).json(json))).toEqual(plain(decodeOf(from).binary(bytes)))
  })

  test('both encode to the vector', () => {
    const message = decodeOf(from).json(json)
    if (message.kind === 'fault') throw new Error(message.reason)
    expect(encodeJson(from, message)).toBe(json)
    const sink = new ByteSink()
    appendBinary(message, sink)
    expect(Buffer.from(sink.view()).toString('hex')).toBe(binary)
  })
})

function decodeOf(from: Vector['from']) {
  return from === 'client'
    ? { json: decodeClientJson, binary: decodeClientBinary }
    : { json: decodeServerJson, binary: decodeServerBinary }
}

function encodeJson(from: Vector['from'], message: ClientMessage | ServerMessage): string {
  // The vector says whose message it is.
  if (from === 'client') return encodeClientJson(message as ClientMessage)
  const sink = new ByteSink()
  appendServerJson(message as ServerMessage, sink)
  return Buffer.from(sink.view()).toString()
}

/** JSON as text, whichever codec it came from. */
function plain(message: object): object {
  return Object.fromEntries(
    Object.entries(message).map(([name, value]: [string, unknown]) => [
      name,
      value instanceof Uint8Array ? jsonText(value) : value,
    ]),
  )
}
