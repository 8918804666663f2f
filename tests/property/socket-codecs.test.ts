/** Any message survives both codecs; no bytes crash a decoder, or make it read what is not there. */
import fc from 'fast-check'
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
  countMax,
  idMax,
  planMessages,
  type ClientMessage,
  type FieldPlan,
  type MessagePlan,
  type ServerMessage,
  type Side,
} from '#src/protocol/socket-messages.js'
import { propertyRuns } from '../support/counts.js'

// Well-formed: a lone surrogate has no UTF-8.
const text = fc.string({ unit: 'binary' }).map((value) => Buffer.from(value).toString())
const json = fc.jsonValue().map((value) => JSON.stringify(value))
const row = fc.array(fc.jsonValue()).map((values) => JSON.stringify(values))
const place = fc.option(fc.nat(), { nil: undefined })
const change = fc
  .tuple(fc.constantFrom('i', 'u', 'd'), row, row, place)
  .map(([operation, key, image, at]) => {
    const parts = operation === 'd' ? [key] : [key, image]
    return `[${[`"${operation}"`, ...parts, ...(at === undefined ? [] : [at])].join(',')}]`
  })
  // A delete has no row, so what follows its key would be read as one.
  .filter((source) => !/^\["d",.*\],\d+\]$/u.test(source))
const listOf = (element: fc.Arbitrary<string>) =>
  fc.array(element).map((elements) => `[${elements.join(',')}]`)

function valueOf({ kind }: FieldPlan): fc.Arbitrary<unknown> {
  switch (kind) {
    case 'id':
      return fc.integer({ min: 0, max: idMax })
    case 'count':
      return fc.maxSafeNat().map((value) => Math.min(value, countMax))
    case 'text':
      return text
    case 'flag':
      return fc.boolean()
    case 'json':
      return json
    case 'rows':
      return listOf(row)
    case 'changes':
      return listOf(change)
  }
}

function messageOf({ kind, fields }: MessagePlan): fc.Arbitrary<Record<string, unknown>> {
  const values = fields.map((field) =>
    (field.isOptional ? fc.option(valueOf(field), { nil: undefined }) : valueOf(field)).map(
      (value) => (value === undefined ? [] : [[field.name, value] as const]),
    ),
  )
  return fc.tuple(...values).map((entries) => ({ kind, ...Object.fromEntries(entries.flat()) }))
}

const messages = (side: Side) => fc.oneof(...planMessages(side).map(messageOf))

/** JSON as text, whichever codec it came from. */
function plain(message: object): object {
  return Object.fromEntries(
    Object.entries(message).map(([name, value]: [string, unknown]) => [
      name,
      value instanceof Uint8Array ? jsonText(value) : value,
    ]),
  )
}

function binaryOf(message: object): Uint8Array {
  const sink = new ByteSink()
  // Made from the table that the type is made from.
  appendBinary(message as ClientMessage | ServerMessage, sink)
  return sink.view()
}

function serverJsonOf(message: object): string {
  const sink = new ByteSink()
  appendServerJson(message as ServerMessage, sink)
  return Buffer.from(sink.view()).toString()
}

describe('encode, then decode', () => {
  test('messages of clients', () => {
    fc.assert(
      fc.property(messages('client'), (message) => {
        expect(plain(decodeClientJson(encodeClientJson(message as never)))).toEqual(message)
        expect(plain(decodeClientBinary(binaryOf(message)))).toEqual(message)
      }),
      propertyRuns(500),
    )
  })

  test('messages of the server, also from bytes', () => {
    fc.assert(
      fc.property(messages('server'), (message) => {
        expect(plain(decodeServerJson(serverJsonOf(message)))).toEqual(message)
        expect(plain(decodeServerBinary(binaryOf(message)))).toEqual(message)
        const asBytes = withBytes(message)
        expect(serverJsonOf(asBytes)).toBe(serverJsonOf(message))
        expect(binaryOf(asBytes)).toEqual(binaryOf(message))
      }),
      propertyRuns(500),
    )
  })
})

describe('bytes that are no message', () => {
  const decoders = [decodeClientBinary, decodeServerBinary]

  test('any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        for (const decode of decoders) expect(typeof decode(bytes).kind).toBe('string')
      }),
      propertyRuns(1_000),
    )
  })

  test('any tag before any bytes', () => {
    const tags = [...planMessages('client'), ...planMessages('server')].map(({ tag }) => tag)
    const bytes = fc.tuple(fc.constantFrom(...tags), fc.uint8Array({ maxLength: 64 }))
    fc.assert(
      fc.property(bytes, ([tag, rest]) => {
        for (const decode of decoders)
          expect(typeof decode(Uint8Array.of(tag, ...rest)).kind).toBe('string')
      }),
      propertyRuns(1_000),
    )
  })

  test('a message that is cut off is a fault, one that is changed does not crash', () => {
    const cut = fc.tuple(messages('client'), fc.nat(), fc.nat(255))
    fc.assert(
      fc.property(cut, ([message, at, byte]) => {
        const bytes = binaryOf(message)
        const index = at % bytes.length
        expect(decodeClientBinary(bytes.subarray(0, index)).kind).toBe('fault')
        const changed = bytes.slice()
        changed[index] = byte
        expect(typeof decodeClientBinary(changed).kind).toBe('string')
      }),
      propertyRuns(500),
    )
  })

  test('any text, and any JSON', () => {
    const any = fc.oneof(fc.string({ unit: 'binary' }), json, fc.json())
    fc.assert(
      fc.property(any, (source) => {
        expect(typeof decodeClientJson(source).kind).toBe('string')
        expect(typeof decodeServerJson(source).kind).toBe('string')
      }),
      propertyRuns(500),
    )
  })

  test('names that objects have by themselves are no messages and no fields', () => {
    for (const name of ['__proto__', 'constructor', 'toString'])
      expect(decodeClientJson(`{"type":"${name}"}`).kind).toBe('fault')
    expect(decodeClientJson('{"type":"ping","__proto__":{"id":1}}').kind).toBe('fault')
  })

  test('a length that claims more than there is', () => {
    const huge = Uint8Array.of(0x01, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f)
    expect(decodeClientBinary(huge).kind).toBe('fault')
    const rows = Uint8Array.of(0x43, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f)
    expect(decodeServerBinary(rows).kind).toBe('fault')
  })
})

function withBytes(message: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const plan = planMessages('server').find(({ kind }) => kind === message['kind'])
  const isJson = (name: string) =>
    plan?.fields.some(
      (field) => field.name === name && ['json', 'rows', 'changes'].includes(field.kind),
    ) === true
  return Object.fromEntries(
    Object.entries(message).map(([name, value]) => [
      name,
      isJson(name) ? new TextEncoder().encode(String(value)) : value,
    ]),
  )
}
