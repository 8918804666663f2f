/**
 * The reference texts made from the table of settings: config.toml, docs/settings.md and the table
 * of docs/docker.md.
 * `node scripts/settings.js` writes them, and a test fails when they are out of date.
 */
import { tomlText } from './describe-config.js'
import { shortFlags } from './load-config.js'
import { allSettings, sections, type NamedSetting, type Section } from './settings.js'

/** config.toml with every setting at its default, commented out. */
export function referenceFile(): string {
  const parts = Object.entries<Section>(sections).map(([section, { description }]) =>
    [
      `# ${description}\n[${section}]`,
      ...settingsOf(section).map(
        ({ name, setting }) => `${fileComment(setting)}\n# ${name} = ${tomlText(setting.default)}`,
      ),
    ].join('\n\n'),
  )
  return [fileHead, ...parts].join('\n\n') + '\n'
}

const fileHead = [
  '# Settings of KalamDB. Every line that is commented out shows the default.',
  '# A variable KALAMDB_<SECTION>_<KEY> overrides this file; a flag of `kalam serve`, both.',
].join('\n')

function fileComment({ description, expects, unit }: NamedSetting['setting']): string {
  const range = unit === '' ? expects : `${expects} (${unit})`
  return `# ${description}\n# Expects ${range}.`
}

/** docs/settings.md: every setting, its variable, default and bounds. */
export function settingsPage(): string {
  const parts = Object.entries<Section>(sections).map(([section, { description }]) =>
    [
      `## [${section}]\n\n${description}`,
      [
        '| Setting | Variable | Default | Unit | Expects | What it does |',
        '|---|---|---|---|---|---|',
        ...settingsOf(section).map(tableRow),
      ].join('\n'),
    ].join('\n\n'),
  )
  return [pageHead(), ...parts].join('\n\n') + '\n'
}

function pageHead(): string {
  const flags = Object.entries(shortFlags).map(([flag, key]) => `| \`${flag}\` | \`${key}\` |`)
  return [
    '<!-- Made by `node scripts/settings.js`. Change src/config/settings.ts instead. -->',
    '# Settings',
    [
      'Each setting has a default. `config.toml` overrides it, an environment variable overrides',
      'that, and a flag of `kalam serve` overrides all. The file is `./config.toml` unless',
      '`--config` or `KALAMDB_CONFIG` names another. Unknown names, wrong types and values out of',
      'range stop the start with a message that names the setting and where it was set.',
      '`SHOW CONFIG` lists the values in use.',
    ].join('\n'),
    [
      'In variables and flags a list is separated by commas, and true and false may also be',
      'written 1, 0, yes, no, on, off.',
    ].join('\n'),
    ['| Flag | Setting |', '|---|---|', ...flags, '| `--set section.key=value` | any |'].join('\n'),
  ].join('\n\n')
}

/** The table of docs/docker.md: every variable, and its default in the image, which has some of its own. */
export function variablesTable(ofImage: ReadonlyMap<string, string>): string {
  const rows = allSettings().map(({ key, variable, setting }) => {
    const own = ofImage.get(variable)
    const value = own === undefined ? setting.default : setting.parse(own)
    return row([`\`${variable}\``, `\`${key}\``, `\`${tomlText(value)}\``, setting.expects])
  })
  const head = ['| Variable | Setting | Default in the image | Expects |', '|---|---|---|---|']
  return [...head, ...rows].join('\n')
}

function tableRow({ key, variable, setting }: NamedSetting): string {
  return row([
    `\`${key}\``,
    `\`${variable}\``,
    `\`${tomlText(setting.default)}\``,
    setting.unit,
    setting.expects,
    setting.description,
  ])
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function settingsOf(section: string): readonly NamedSetting[] {
  return allSettings().filter((named) => named.section === section)
}
