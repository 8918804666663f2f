// Writes config.toml and docs/settings.md from the table of settings (build first).
// With --check: only says whether they are up to date.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { referenceFile, settingsPage } from '../dist/src/config/reference.js'

const files = { 'config.toml': referenceFile(), 'docs/settings.md': settingsPage() }
const isCheck = process.argv.includes('--check')

mkdirSync(new URL('../docs', import.meta.url), { recursive: true })
for (const [path, content] of Object.entries(files)) {
  const url = new URL(`../${path}`, import.meta.url)
  if (!isCheck) writeFileSync(url, content)
  else if (readText(url) !== content) outdated(path)
}

function readText(url) {
  try {
    return readFileSync(url, 'utf8')
  } catch {
    return undefined
  }
}

function outdated(path) {
  console.error(`${path} is out of date: run node scripts/build.js && node scripts/settings.js`)
  process.exitCode = 1
}
