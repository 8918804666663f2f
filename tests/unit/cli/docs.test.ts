import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { exitCodeHelp, exitCodes } from '#cli/exit-code.js'
import { outputFormats } from '#cli/output-format.js'
import { metaNames } from '#cli/shell/meta-commands.js'

const page = readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8')

describe('docs/cli.md', () => {
  test.each(Object.values(exitCodes))('explains exit code %i, as --help does', (code) => {
    expect(page).toMatch(new RegExp(`^\\| ${code} +\\|`, 'm'))
    expect(exitCodeHelp).toMatch(new RegExp(`^ +${code} `, 'm'))
  })

  test.each(metaNames())('explains %s', (name) => expect(page).toContain(`| \`${name}`))

  test.each(outputFormats)('explains format %s', (format) =>
    expect(page).toContain(`\`${format}\``),
  )
})
