// Writes config.toml, docs/settings.md and the table in docs/docker.md from the table of settings
// (build first). With --check: only says whether they are up to date.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'
import { referenceFile, settingsPage, variablesTable } from '../dist/src/config/reference.js'

const tableBegin = '<!-- Made by `node scripts/settings.js` -->'
const tableEnd = '<!-- end -->'

const files = {
  'config.toml': referenceFile(),
  'docs/settings.md': settingsPage(),
  'docs/docker.md': await dockerPage(),
}
const isCheck = process.argv.includes('--check')

for (const [path, content] of Object.entries(files)) {
  if (!isCheck) writeFileSync(urlOf(path), content)
  else if (readText(path) !== content) outdated(path)
}

/** The rest of the page is written by hand. */
async function dockerPage() {
  const page = readText('docs/docker.md')
  const [head, tail] = [tableBegin, tableEnd].map((mark) => page.indexOf(mark))
  const table = variablesTable(variablesOf(readText('Dockerfile')))
  const filepath = fileURLToPath(urlOf('docs/docker.md'))
  return format(`${page.slice(0, head)}${tableBegin}\n\n${table}\n\n${page.slice(tail)}`, {
    ...(await resolveConfig(filepath)),
    filepath,
  })
}

/** What the image sets of the settings, by its ENV. */
function variablesOf(dockerfile) {
  const settings = dockerfile.matchAll(/^(?:ENV)? +(KALAMDB_\w+)=(\S+)/gmu)
  return new Map(Array.from(settings, ([, variable, value]) => [variable, value]))
}

function readText(path) {
  return readFileSync(urlOf(path), 'utf8')
}

function urlOf(path) {
  return new URL(`../${path}`, import.meta.url)
}

function outdated(path) {
  console.error(`${path} is out of date: run node scripts/build.js && node scripts/settings.js`)
  process.exitCode = 1
}
