/** Who wants in, where to and with which settings, from the parameters of the start-up packet. */
import { DbError } from '../../src/errors.js'
import { databaseName } from '../../src/protocol/database-name.js'

export interface LoginRequest {
  readonly user: string
  /** `kalamdb` if the client named none. */
  readonly database: string
  /** What the session starts with. */
  readonly settings: ReadonlyMap<string, string>
  /** Options of the protocol (`_pq_.…`), none of which there is here. */
  readonly protocolOptions: readonly string[]
}

/** Errors: UNAUTHORIZED (no user), STATEMENT_REFUSED (replication), QUERY_REJECTED (settings). */
export function readLoginRequest(parameters: ReadonlyMap<string, string>): LoginRequest {
  const user = parameters.get('user') ?? ''
  if (user === '')
    throw new DbError('UNAUTHORIZED', 'no PostgreSQL user name specified in startup packet', {
      sqlState: '28000',
    })
  refuseReplication(parameters.get('replication'))
  const named = parameters.get('database') ?? ''
  return {
    user,
    database: named === '' ? databaseName : named,
    settings: settingsOf(parameters),
    protocolOptions: [...parameters.keys()].filter(isProtocolOption),
  }
}

/**
 * Whether this is the database. Clients ask for one with the user's name where nobody named one,
 * libpq among them, so that means this one too.
 */
export function isDatabase({ database, user }: LoginRequest): boolean {
  return database === databaseName || database === user
}

function isProtocolOption(name: string): boolean {
  return name.startsWith('_pq_.')
}

function refuseReplication(value = 'false'): void {
  if (/^(?:f|fa|fal|fals|false|n|no|of|off|0)$/iu.test(value)) return
  throw new DbError('STATEMENT_REFUSED', 'there is no replication over this protocol', {
    hint: 'Live queries tell of every change: docs/live.md.',
  })
}

const notSettings: ReadonlySet<string> = new Set(['user', 'database', 'options', 'replication'])

/** Those of `options` first: PostgreSQL lets the others win. */
function settingsOf(parameters: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const given = [...parameters].filter(
    ([name]) => !notSettings.has(name) && !isProtocolOption(name),
  )
  const settings = new Map([...settingsOfOptions(parameters.get('options') ?? ''), ...given])
  for (const [name, value] of settings)
    if (name.toLowerCase() === 'client_encoding') settings.set(name, encodingOf(value))
  return settings
}

/**
 * SQL_ASCII, which psql asks for in the locale C, means bytes as they are: text here is UTF-8 all the
 * same. Anything else would have to be converted, and PGlite cannot.
 */
function encodingOf(value: string): string {
  const name = value.replaceAll(/[^A-Za-z0-9]/gu, '').toLowerCase()
  if (['utf8', 'unicode', 'sqlascii'].includes(name)) return 'UTF8'
  throw new DbError('QUERY_REJECTED', `invalid value for parameter "client_encoding": "${value}"`, {
    sqlState: '22023',
    hint: 'The encoding is UTF8: PGCLIENTENCODING=UTF8.',
  })
}

/** `-c name=value` and `--name=value`, as `PGOPTIONS` has them. */
function settingsOfOptions(options: string): (readonly [string, string])[] {
  const words = splitOptions(options)
  const settings: (readonly [string, string])[] = []
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? ''
    if (word === '-c') settings.push(settingOf(words[++index] ?? '', '-c'))
    else if (word.startsWith('-c')) settings.push(settingOf(word.slice(2), '-c'))
    else if (word.startsWith('--')) settings.push(settingOf(word.slice(2), '--'))
    else
      throw new DbError(
        'QUERY_REJECTED',
        `invalid command-line argument for server process: ${word}`,
        { sqlState: '42601', hint: 'Settings are given as -c name=value.' },
      )
  }
  return settings
}

function settingOf(text: string, flag: string): readonly [string, string] {
  const equals = text.indexOf('=')
  if (equals < 1)
    throw new DbError('QUERY_REJECTED', `${flag} ${text} requires a value`, { sqlState: '42601' })
  return [text.slice(0, equals).replaceAll('-', '_'), text.slice(equals + 1)]
}

/** At spaces; a backslash takes what follows it as it is (PostgreSQL's pg_split_opts). */
function splitOptions(options: string): string[] {
  const words = options.match(/(?:\\.|\\$|[^\s\\])+/gsu) ?? []
  return words.map((word) => word.replaceAll(/\\(.?)/gsu, '$1'))
}
