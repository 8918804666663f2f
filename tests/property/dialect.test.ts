import fc from 'fast-check'
import { expect, test } from 'vitest'
import { composeText } from '#src/dialect/compose-text.js'
import type { Splice } from '#src/dialect/plan.js'
import { DbError } from '#src/errors.js'
import { indexOfByte, indexOfCharacter, positionAt } from '#src/protocol/text-position.js'
import { propertyRuns } from '../support/counts.js'
import { errorOf, planAll } from '../support/dialect.js'

const text = fc.string({ unit: 'grapheme', maxLength: 30 })

test('a character outside of all splices keeps its place', () => {
  const character = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 })
  const parts = fc.array(fc.record({ kept: character, replaced: text, by: text }), { maxLength: 6 })
  fc.assert(
    fc.property(text, parts, text, (before, spliced, last) => {
      const splices: Splice[] = []
      const kept: { index: number; composedIndex: number }[] = []
      let source = ''
      let composedIndex = 0
      for (const part of spliced) {
        kept.push({ index: source.length, composedIndex })
        const start = source.length + part.kept.length
        splices.push({ start, end: start + part.replaced.length, text: part.by })
        source += part.kept + part.replaced
        composedIndex += part.kept.length + part.by.length
      }
      const whole = before + source + last
      const place = { start: before.length, end: whole.length, ...positionAt(whole, before.length) }
      const composed = composeText({ text: source + last, place, splices }, String)
      for (const { index, composedIndex: at } of kept) {
        const characters = Array.from(composed.text.slice(0, at)).length
        const expected = positionAt(whole, before.length + index)
        expect(composed.toCallerPosition(characters + 1)).toEqual(expected)
      }
    }),
    propertyRuns(),
  )
})

test('characters and bytes lead to the same index', () => {
  fc.assert(
    fc.property(text, fc.nat(30), (whole, count) => {
      const head = Array.from(whole).slice(0, count).join('')
      expect(indexOfCharacter(whole, count)).toBe(head.length)
      expect(indexOfByte(whole, Buffer.byteLength(head))).toBe(head.length)
    }),
    propertyRuns(),
  )
})

test('a syntax error points at the word that is wrong, whatever stands before it', () => {
  fc.assert(
    fc.property(fc.array(text, { maxLength: 4 }), fc.boolean(), (texts, inNext) => {
      const literals = texts.map((each) => `'${each.replaceAll("'", "''").replaceAll('\0', '')}'`)
      const head = `select ${[...literals, '1'].join(',\n')}${inNext ? '; select' : ' from'} `
      const error = errorOf(`${head}select; select 1`)
      expect(error.fields).toMatchObject(positionAt(head, head.length))
    }),
    propertyRuns(),
  )
})

test('any text ends in plans or in a DbError', () => {
  const words = fc.constantFrom(
    ...[
      'select',
      'create',
      'user',
      'apikey',
      'for',
      'grant',
      'to',
      'from',
      'revoke',
      'show',
      'tables',
    ],
    ...[
      'in',
      'describe',
      'execute',
      'as',
      "'a'",
      '(',
      ')',
      ',',
      ';',
      '"b"',
      'set',
      'role',
      '=',
      '1',
      '$1',
    ],
    ...[
      'table',
      'namespace',
      'drop',
      'alter',
      'policy',
      'on',
      'default',
      'privileges',
      'é',
      '\0',
      "'",
    ],
  )
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 9, arbitrary: words }, text), { maxLength: 12 }),
      (parts) => {
        try {
          expect(planAll(parts.join(' ')).length).toBeGreaterThan(0)
        } catch (error) {
          expect(error).toBeInstanceOf(DbError)
        }
      },
    ),
    propertyRuns(3_000),
  )
})
