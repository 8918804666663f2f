import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { settingsOfUsers } from '#src/catalog/migrations/0011-shown-columns.js'
import { userSettings } from '#src/dialect/setting-rules.js'
import { rows } from '../../support/managed-table-cells.js'

const docs = readFileSync('docs/sql.md', 'utf8')

test('docs/sql.md names every setting that everyone may set, and no other', () => {
  const section = /Everyone\s+may set[^]*?Admins may also/.exec(docs)?.[0] ?? ''
  const named = [...section.matchAll(/`(\w+)`/g)].map((match) => match[1])
  const formats = ['datestyle', 'intervalstyle', 'bytea_output', 'extra_float_digits']
  expect([...named, ...formats].sort()).toEqual([...userSettings].sort())
})

test('set_config on the Postgres wire knows every setting that everyone may set', () => {
  // A key that may only read must not set these; what is added needs a step of the system schema.
  const known = [...settingsOfUsers, 'transaction_read_only', 'default_transaction_read_only']
  expect(known.sort()).toEqual([...userSettings].sort())
})

test.each(['user', 'admin'] as const)(
  'B11: docs/sql.md has the statements of the %s with their outcomes, and no others',
  (who) => {
    const section = /^### What each statement does$([^]*?)^## /mu.exec(docs)?.[1] ?? ''
    const [ofUsers = '', ofAdmins = ''] = section.split(/^As an admin/mu)
    const listed = (who === 'user' ? ofUsers : ofAdmins)
      .split('\n')
      .filter((line) => line.startsWith('| `'))
      .map((line) => Array.from(line.matchAll(/`([^`]+)`/gu), ([, cell]) => cell))
    const tested = rows
      .filter((row) => row.who === who)
      .map(({ sql, outcomes }) => [sql, ...outcomes])
    expect(tested.length * 4).toBeGreaterThan(120)
    expect(listed).toEqual(tested)
  },
)
