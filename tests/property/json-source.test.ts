import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { elementSources, fieldSource } from '#src/protocol/json-source.js'
import { propertyRuns } from '../support/counts.js'

const space = fc.constantFrom('', ' ', '\n', '\t \r')

describe('C4: the source of a value in JSON text', () => {
  test('elements come back as they were written', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(space, fc.json(), space)), space, (parts, around) => {
        const text = `${around}[${around}${parts.map((part) => part.join('')).join(',')}]${around}`
        expect(elementSources(text)).toEqual(parts.map(([, json]) => json))
      }),
      propertyRuns(),
    )
  })

  test('a field comes back as it was written, among others', () => {
    const field = fc.tuple(fc.string(), fc.json())
    fc.assert(
      fc.property(
        fc.array(field),
        fc.json(),
        fc.array(field),
        space,
        (before, json, after, gap) => {
          const others = after.filter(([name]) => name !== 'params')
          const fields: [string, string][] = [...before, ['params', json], ...others]
          const members = fields.map(
            ([name, value]) => `${JSON.stringify(name)}${gap}:${gap}${value}`,
          )
          expect(fieldSource(`{${gap}${members.join(`${gap},${gap}`)}${gap}}`, 'params')).toBe(json)
        },
      ),
      propertyRuns(),
    )
  })

  test('deep nesting does not use the stack', () => {
    const deep = '['.repeat(100_000) + ']'.repeat(100_000)
    expect(elementSources(`[${deep},1]`)).toEqual([deep, '1'])
  })

  test('strings that end in backslashes', () => {
    expect(elementSources('["\\\\","\\"","a\\\\\\"b"]')).toEqual(['"\\\\"', '"\\""', '"a\\\\\\"b"'])
  })
})
