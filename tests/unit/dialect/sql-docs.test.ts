import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { userSettings } from '#src/dialect/setting-rules.js'

test('docs/sql.md names every setting that everyone may set, and no other', () => {
  const docs = readFileSync('docs/sql.md', 'utf8')
  const section = /Everyone\s+may set[^]*?Admins may also/.exec(docs)?.[0] ?? ''
  const named = [...section.matchAll(/`(\w+)`/g)].map((match) => match[1])
  const formats = ['datestyle', 'intervalstyle', 'bytea_output', 'extra_float_digits']
  expect([...named, ...formats].sort()).toEqual([...userSettings].sort())
})
