import { expect, test } from 'vitest'
import { checkName, nameCharactersMax } from '#src/catalog/user-names.js'
import { DbError } from '#src/errors.js'

function stateOf(name: string): string | undefined {
  try {
    checkName(name)
    return undefined
  } catch (error) {
    if (error instanceof DbError) return error.sqlState
    throw error
  }
}

test.each(['alice', 'Ålice', "o'brien", 'a b', 'a"b', '名前', '👩‍👩‍👧', 'root', '$1', 'x'.repeat(63)])(
  'a user can be called %s',
  (name) => expect(stateOf(name)).toBeUndefined(),
)

test.each(['', ' ', ' a', 'a ', 'a\u0000b', 'a\nb', 'a\u2028b', '\ud800'])(
  'a user cannot be called %j',
  (name) => expect(stateOf(name)).toBe('42602'),
)

test.each(['user', 'SERVICE', 'Admin', 'public'])('the name %s is reserved', (name) => {
  expect(stateOf(name)).toBe('42939')
})

test('a name has at most 63 characters, however many bytes they take', () => {
  expect(stateOf('👩'.repeat(nameCharactersMax - 1))).toBeUndefined()
  expect(stateOf('👩'.repeat(nameCharactersMax))).toBeUndefined()
  expect(stateOf('👩'.repeat(nameCharactersMax + 1))).toBe('42602')
})
