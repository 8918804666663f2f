/**
 * Reads config.toml into loose values, each with the line it stands on. What they must be is for
 * load-config to say.
 */
import { readFileSync } from 'node:fs'
import { TomlError, parse } from 'smol-toml'
import { DbError } from '../errors.js'

/** A value of the file, not yet checked. */
export interface FileValue {
  readonly section: string
  /** Undefined when the section itself is not a table. */
  readonly name: string | undefined
  readonly value: unknown
  /** `config.toml:12`, or only the file where the line cannot be told. */
  readonly place: string
}

/** Reads and parses a file. Errors: CONFIG_INVALID when it cannot be read or is not TOML. */
export function readConfigFile(path: string): readonly FileValue[] {
  return parseConfig(readText(path), path)
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new DbError('CONFIG_INVALID', `cannot read ${path}: ${reason}`, {}, { cause })
  }
}

/** Parses the text of the file at `path`. Errors: CONFIG_INVALID with line and column. */
export function parseConfig(content: string, path: string): readonly FileValue[] {
  const lines = linesOfKeys(content)
  const placeOf = (key: string) => {
    const line = lines.get(key)
    return line === undefined ? path : `${path}:${line}`
  }
  return Object.entries(parseToml(content, path)).flatMap(([section, value]): FileValue[] => {
    if (!isTable(value)) return [{ section, name: undefined, value, place: placeOf(section) }]
    return Object.entries(value).map(([name, entry]) => ({
      section,
      name,
      value: entry,
      place: placeOf(`${section}.${name}`),
    }))
  })
}

function parseToml(content: string, path: string): Readonly<Record<string, unknown>> {
  try {
    return parse(content)
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause
    const reason = cause.message.split('\n')[0] ?? ''
    const place = `${path}:${cause.line}:${cause.column}`
    throw new DbError('CONFIG_INVALID', `${place}: ${reason}`, {}, { cause })
  }
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  const isObject = typeof value === 'object' && value !== null
  return isObject && !Array.isArray(value) && !(value instanceof Date)
}

/**
 * Line of each `[section]` and `section.key`. Reads lines, not TOML: a key inside a multi-line
 * text may be taken for one, which can only make a message name a wrong line.
 */
function linesOfKeys(content: string): ReadonlyMap<string, number> {
  const lines = new Map<string, number>()
  let section = ''
  for (const [index, line] of content.split('\n').entries()) {
    section = /^\s*\[\s*([\w-]+)\s*\]/.exec(line)?.[1] ?? section
    const name = /^\s*"?([\w-]+)"?\s*=/.exec(line)?.[1]
    const dotted = /^\s*([\w-]+)\s*\.\s*([\w-]+)\s*=/.exec(line)
    if (name !== undefined) lines.set(section === '' ? name : `${section}.${name}`, index + 1)
    if (dotted !== null) lines.set(`${dotted[1]}.${dotted[2]}`, index + 1)
  }
  return lines
}
