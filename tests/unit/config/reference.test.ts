import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseConfig } from '#src/config/config-file.js'
import { referenceFile, settingsPage } from '#src/config/reference.js'
import { allSettings } from '#src/config/settings.js'

test('G3: config.toml and docs/settings.md are up to date', () => {
  execFileSync(process.execPath, ['scripts/settings.js', '--check'], { encoding: 'utf8' })
})

test('G3: config.toml without its comment marks is the defaults', () => {
  const uncommented = referenceFile().replaceAll(/^# (?=\w+ = )/gm, '')
  const values = parseConfig(uncommented, 'config.toml')
  expect(values.map(({ section, name, value }) => [`${section}.${name ?? ''}`, value])).toEqual(
    allSettings().map(({ key, setting }) => [key, setting.default]),
  )
})

test('the settings page names every setting and its variable', () => {
  const page = settingsPage()
  for (const { key, variable } of allSettings())
    expect(page).toContain(`| \`${key}\` | \`${variable}\` |`)
})

test('every setting is read by some room', () => {
  const text = ['src', 'adapters']
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path)),
    )
    .filter((path) => path.endsWith('.ts') && !path.startsWith('src/config'))
    .map((path) => readFileSync(path, 'utf8'))
    .join('\n')
  const unread = allSettings().filter(({ name }) => !new RegExp(`\\b${name}\\b`).test(text))
  expect(unread.map(({ key }) => key)).toEqual([])
})
