import fc from 'fast-check'
import { expect, test } from 'vitest'
import { StatementSplitter, splitStatements, tokenize } from '#src/protocol/sql-text.js'
import { lineAndColumn } from '../support/line-and-column.js'
import { propertyRuns } from '../support/counts.js'

/** Text made of the pieces on which a tokenizer of SQL goes wrong. */
const sqlLike = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ...["'", "''", '"', '$$', '$a$', '$1', '$', 'E', "e'", 'U&', "\\'", '--', '/*', '*/', ';'],
        ...['(', ')', '\n', '\r\n', ' ', '.', '1.5e', '::', '+', '-', '/', '😀', 'é', '\ud800'],
        ...['create', ' function ', ' begin ', ' end ', ' case ', 'select 1', '0x', '_1'],
      ),
      fc.string({ unit: 'binary', maxLength: 3 }),
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(''))

test('tokens tile any text', () => {
  fc.assert(
    fc.property(sqlLike, (text) => {
      let end = 0
      for (const token of tokenize(text)) {
        expect(token.start).toBe(end)
        expect(token.end).toBeGreaterThan(token.start)
        end = token.end
      }
      expect(end).toBe(text.length)
    }),
    propertyRuns(2_000),
  )
})

test('pieces, cut anywhere, give the statements of the whole', () => {
  fc.assert(
    fc.property(sqlLike, fc.integer({ min: 1, max: 9 }), (text, size) => {
      const splitter = new StatementSplitter()
      const found = []
      for (let index = 0; index < text.length; index += size) {
        found.push(...splitter.push(text.slice(index, index + size)))
      }
      found.push(...splitter.end())
      const whole = splitStatements(text).map(({ start, end }) => ({
        text: text.slice(start, end),
        ...lineAndColumn(text, start),
      }))
      expect(found).toEqual(whole)
    }),
    propertyRuns(2_000),
  )
})
