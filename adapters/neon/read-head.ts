/** The head of a request of `@neondatabase/serverless`: who asks, how rows are wanted, what BEGIN says. */
import type { IsolationLevel, TransactionMode } from '../../src/database/database.js'
import { DbError } from '../../src/errors.js'
import { parseConnectionString, type Login } from './connection-string.js'

export interface NeonHead {
  readonly login: Login
  /** Values as PostgreSQL's text; else as the SQL API has them. */
  readonly isTextWanted: boolean
  /** Rows as lists; else as objects. */
  readonly isArrayWanted: boolean
  /** Of a batch. */
  readonly transaction: TransactionMode
}

/** What pages may send; `neon-pool-opt-in` is of older drivers, and does nothing here. */
export const neonHeaders: readonly string[] = [
  ...['neon-connection-string', 'neon-raw-text-output', 'neon-array-mode', 'neon-pool-opt-in'],
  ...['neon-batch-isolation-level', 'neon-batch-read-only', 'neon-batch-deferrable'],
]

/**
 * Errors: UNAUTHORIZED if there is no key, of which `onKeyMissing` is told; STATEMENT_REFUSED,
 * BAD_REQUEST for what is not known.
 */
export function readHead(header: (name: string) => string, onKeyMissing: () => void): NeonHead {
  return {
    login: readLogin(header, onKeyMissing),
    isTextWanted: readFlag('Neon-Raw-Text-Output', header) ?? false,
    isArrayWanted: readFlag('Neon-Array-Mode', header) ?? false,
    transaction: {
      isolation: readIsolation(header('neon-batch-isolation-level')),
      readOnly: readFlag('Neon-Batch-Read-Only', header),
      deferrable: readFlag('Neon-Batch-Deferrable', header),
    },
  }
}

/** The driver's `authToken` comes as a bearer; it and the password may both be the key. */
function readLogin(header: (name: string) => string, onKeyMissing: () => void): Login {
  const login = parseConnectionString(header('neon-connection-string'))
  const bearer = /^bearer +(\S+) *$/i.exec(header('authorization'))?.[1] ?? ''
  if (login !== undefined && login.key !== '' && bearer !== '' && login.key !== bearer)
    throw new DbError(
      'BAD_REQUEST',
      'the connection string and Authorization hold two different keys; send one',
    )
  const key = login?.key === '' ? bearer : login?.key
  if (login !== undefined && key !== undefined && key !== '') return { ...login, key }
  onKeyMissing()
  throw new DbError(
    'UNAUTHORIZED',
    login === undefined ? 'Neon-Connection-String is missing or is no URL' : 'no API key',
    { hint: 'It is postgres://user:key@host/kalamdb, with an API key as the password.' },
  )
}

function readFlag(name: string, header: (name: string) => string): boolean | undefined {
  const text = header(name.toLowerCase())
  switch (text) {
    case '':
      return undefined
    case 'true':
      return true
    case 'false':
      return false
  }
  throw invalid(`${name} must be true or false`)
}

const isolationLevels: ReadonlyMap<string, IsolationLevel> = new Map([
  ['ReadUncommitted', 'READ UNCOMMITTED'],
  ['ReadCommitted', 'READ COMMITTED'],
  ['RepeatableRead', 'REPEATABLE READ'],
  ['Serializable', 'SERIALIZABLE'],
])

function readIsolation(text: string): IsolationLevel | undefined {
  if (text === '') return undefined
  const level = isolationLevels.get(text)
  if (level !== undefined) return level
  throw invalid(
    `Neon-Batch-Isolation-Level must be one of ${[...isolationLevels.keys()].join(', ')}`,
  )
}

function invalid(message: string): DbError {
  return new DbError('BAD_REQUEST', message, { sqlState: '22023' })
}
