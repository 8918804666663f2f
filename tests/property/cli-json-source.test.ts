import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { elements, members } from '#cli/json-source.js'
import { propertyRuns } from '../support/counts.js'

describe('JSON taken apart', () => {
  test('has the same parts that JSON.parse finds, for lists', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.constantFrom(0, 2), (list, indent) => {
        const parts = elements(JSON.stringify(list, null, indent))
        expect(parts.map((part): unknown => JSON.parse(part))).toEqual(asParsed(list))
      }),
      propertyRuns(),
    )
  })

  test('has the same parts that JSON.parse finds, for objects', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.constantFrom(0, 2),
        (object, indent) => {
          const parts = members(JSON.stringify(object, null, indent))
          const parsed = [...parts].map(([name, part]): [string, unknown] => [
            name,
            JSON.parse(part),
          ])
          expect(Object.fromEntries(parsed)).toEqual(asParsed({ ...object }))
        },
      ),
      propertyRuns(),
    )
  })

  test('keeps every digit', () =>
    expect(elements('[9007199254740993, 1.10, 1e-400]')).toEqual([
      '9007199254740993',
      '1.10',
      '1e-400',
    ]))

  test.each(['', '[', '[1', '["a', '[1 2]', '[,]', '{', '[{]'])('%j throws', (source) =>
    expect(() => elements(source)).toThrow(SyntaxError),
  )

  test('takes time in proportion to the text', () => {
    const source = JSON.stringify(Array.from({ length: 20_000 }, () => '\\'.repeat(50)))
    expect(elements(source)).toHaveLength(20_000)
  })
})

/** -0 and undefined do not survive JSON. */
function asParsed(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}
