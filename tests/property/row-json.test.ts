/**
 * The encoder against the slowest obvious one: make PostgreSQL's text from a value that we know,
 * encode, parse, and compare with the value.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ByteSink } from '#src/protocol/byte-sink.js'
import { encodeRows, rowEncoder } from '#src/protocol/row-json.js'
import { builtinTypes } from '#src/protocol/builtin-types.js'
import { columnsOf, encodedText, encodedValue } from '../support/encode-rows.js'
import { propertyRuns } from '../support/counts.js'
import { dataRow } from '../support/data-rows.js'

const text = fc.string({ unit: 'binary' }).map((value) => value.replaceAll('\0', ''))
type Nested = string | null | readonly Nested[]

describe('C4: values survive', () => {
  test('any text', () => {
    fc.assert(
      fc.property(text, (value) => {
        const wellFormed = Buffer.from(value).toString()
        expect(JSON.parse(encodedValue('text', value))).toBe(wellFormed)
      }),
      propertyRuns(),
    )
  })

  test('any JSON, however it is spaced', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 2, '\n\r\t '), (value, space) => {
        const json = JSON.stringify(value, null, space)
        const encoded = encodedValue('json', json)
        expect(encoded).not.toMatch(/[\n\r]/u)
        expect(JSON.stringify(JSON.parse(encoded))).toBe(JSON.stringify(JSON.parse(json)))
      }),
      propertyRuns(),
    )
  })

  test('any double', () => {
    fc.assert(
      fc.property(fc.double(), (value) => {
        const expected = Number.isFinite(value) ? value : String(value)
        expect(JSON.parse(encodedValue('float8', postgresDouble(value)))).toEqual(expected)
      }),
      propertyRuns(),
    )
  })

  test('any time that Date can hold, in any time zone', () => {
    const time = fc.date({ noInvalidDate: true })
    const offsetMinutes = fc.integer({ min: -15 * 60 - 59, max: 15 * 60 + 59 })
    fc.assert(
      fc.property(time, offsetMinutes, (date, offset) => {
        const shown = new Date(date.getTime() + offset * 60_000)
        fc.pre(!Number.isNaN(shown.getTime()))
        expect(JSON.parse(encodedValue('timestamptz', postgresTime(shown, offset)))).toBe(
          date.toISOString(),
        )
      }),
      propertyRuns(2_000),
    )
  })

  test('any array of texts, up to six dimensions', () => {
    const array = fc
      .integer({ min: 1, max: 6 })
      .chain((depth) => nestedArray(fc.option(text), depth))
    fc.assert(
      fc.property(array, (value) => {
        const expected: unknown = JSON.parse(JSON.stringify(wellFormed(value)))
        expect(JSON.parse(encodedValue('text[]', postgresArray(value)))).toEqual(expected)
      }),
      propertyRuns(),
    )
  })

  test('any row, in both shapes', () => {
    const columns = columnsOf(['a', 'text'], ['b', 'int8'], ['c', 'text'])
    const row = fc.tuple(fc.option(text), fc.option(fc.bigInt()), fc.option(text))
    fc.assert(
      fc.property(fc.array(row), (rows) => {
        const known = rows.map(([a, b, c]) =>
          wellFormed([a, b === null ? null : String(b), c]),
        ) as (string | null)[][]
        const frames = Buffer.concat(known.map(dataRow))
        const arrays = encodedText({ columns, frames, shape: 'array' })
        const objects = encodedText({ columns, frames, shape: 'object' })
        expect(JSON.parse(`[${arrays}]`)).toEqual(known)
        expect(JSON.parse(`[${objects}]`)).toEqual(known.map(([a, b, c]) => ({ a, b, c })))
      }),
      propertyRuns(),
    )
  })
})

describe('K4: any bytes give valid JSON', () => {
  const types = [...builtinTypes.values()]
  const bytes = fc.uint8Array({ maxLength: 64 })
  const nearMiss = fc
    .array(
      fc.constantFrom(
        ...['{', '}', '[', ']', '"', '\\', ',', ':', '=', ' ', '\n', '\0', '0', '1', '-', '+'],
        ...['.', 'e', 'E', 't', 'true', 'null', 'NULL', 'NaN', '[0:1]=', '"a":', 'ü', '\\u00'],
        ...['2026-11-23 11:42:50', '.5', '+00', '-05:30', ' BC', 'infinity'],
      ),
    )
    .map((parts) => Buffer.from(parts.join('')))

  test('as a value of any type', () => {
    fc.assert(
      fc.property(fc.constantFrom(...types), fc.oneof(bytes, nearMiss), (type, value) => {
        const columns = [{ name: 'value', type }]
        const json = encodedText({ columns, frames: dataRow([value]), shape: 'object' })
        expect(() => JSON.parse(json) as unknown).not.toThrow()
      }),
      propertyRuns(20_000),
    )
  })

  test('as frames, cut anywhere or made of noise', () => {
    const columns = columnsOf(['id', 'int4'], ['tags', 'text[]'], ['doc', 'json'])
    const frames = dataRow(['1', '{a,"b"}', '{"a":1}'])
    const cut = fc.nat(frames.length).map((end) => frames.subarray(0, end))
    const damaged = fc
      .tuple(fc.nat(frames.length - 1), fc.nat(255))
      .map(([at, byte]) => frames.map((old, index) => (index === at ? byte : old)))
    fc.assert(
      fc.property(fc.array(fc.oneof(cut, damaged, bytes)), (parts) => {
        const out = new ByteSink(1)
        const encoder = rowEncoder(columns, 'object')
        encodeRows({ frames: Buffer.concat(parts), encoder, separator: 'comma', out })
        const json = `[${Buffer.from(out.view()).toString()}]`
        expect(() => JSON.parse(json) as unknown).not.toThrow()
      }),
      propertyRuns(5_000),
    )
  })
})

/** Lone surrogates cannot be UTF-8; Buffer makes them U+FFFD, as they would be anywhere. */
function wellFormed(value: Nested): Nested {
  if (value === null) return null
  if (typeof value === 'string') return Buffer.from(value).toString()
  return value.map(wellFormed)
}

function nestedArray(leaf: fc.Arbitrary<string | null>, depth: number): fc.Arbitrary<Nested> {
  const inner: fc.Arbitrary<Nested> = depth === 1 ? leaf : nestedArray(leaf, depth - 1)
  return fc.array(inner, { maxLength: 3 })
}

function postgresArray(value: Nested): string {
  if (value === null) return 'NULL'
  if (typeof value !== 'string') return `{${value.map(postgresArray).join(',')}}`
  if (/^[a-z]+$/u.test(value)) return value
  return `"${value.replaceAll(/["\\]/gu, '\\$&')}"`
}

function postgresDouble(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value)
}

function postgresTime(shown: Date, offsetMinutes: number): string {
  const [, year = '', rest = ''] = /^([+-]?\d+)-(.*)Z$/u.exec(shown.toISOString()) ?? []
  const isBeforeChrist = Number(year) < 1
  const era = isBeforeChrist ? 1 - Number(year) : Number(year)
  const hours = String(Math.floor(Math.abs(offsetMinutes) / 60)).padStart(2, '0')
  const minutes = String(Math.abs(offsetMinutes) % 60).padStart(2, '0')
  const zone = `${offsetMinutes < 0 ? '-' : '+'}${hours}${minutes === '00' ? '' : `:${minutes}`}`
  const day = `${String(era).padStart(4, '0')}-${rest.replace('T', ' ')}`
  return `${day}${zone}${isBeforeChrist ? ' BC' : ''}`
}
