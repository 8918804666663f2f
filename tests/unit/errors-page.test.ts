import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { errorCodes } from '#src/protocol/error-code.js'

const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')
const row = /^\| `([A-Z_]+)` +\| (\d{3}) +\| (\w{5}) +\| (yes|no) +\| .+ \| .+ \|$/gmu

describe('docs/errors.md', () => {
  test('lists every code, in order, with its status, SQLSTATE and retry, and no other', () => {
    const listed = [...page.matchAll(row)].map(([, code, status, sqlState, retry]) => [
      code,
      { status: Number(status), sqlState, retry: retry === 'yes' },
    ])
    expect(listed).toEqual(Object.entries(errorCodes))
  })
})
