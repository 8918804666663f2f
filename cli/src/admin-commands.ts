/** `kalam user …` and `kalam key …`: KalamDB's own statements, with words around the answers. */
import { cellsOf, type Cell } from './cell.js'
import { displayLine } from './display-text.js'
import { CliError, type ExitName } from './exit-code.js'
import { ResultPrinter } from './result-printer.js'
import type { ServerConnection, StatementResult } from './server-connection.js'
import { exitOf } from './sql-command.js'
import { formatSqlError } from './sql-error-text.js'
import type { Surroundings } from './surroundings.js'

export interface AdminCommandOptions {
  readonly connection: ServerConnection
  readonly surroundings: Surroundings
  /** Prints a new key and nothing else, for scripts. */
  readonly isQuiet: boolean
}

/** What a statement's answer is shown as. */
export type AnswerKind =
  /** As a table, like any SELECT. */
  | { readonly kind: 'rows' }
  /** A key that is never shown again. */
  | { readonly kind: 'new-key'; readonly done: string; readonly otherwise: string }
  /** A sentence. */
  | { readonly kind: 'done'; readonly done: string }

export interface UserOptions {
  readonly role?: string
  readonly ifNotExists?: boolean
  readonly ifExists?: boolean
}

export interface KeyOptions {
  readonly expires?: string
  readonly readOnly?: boolean
}

export interface AdminStatement {
  readonly sql: string
  readonly answer: AnswerKind
}

export function createUser(name: string, options: UserOptions): AdminStatement {
  const ifNotExists = options.ifNotExists === true ? 'IF NOT EXISTS ' : ''
  const role = options.role === undefined ? '' : ` ROLE ${checkedRole(options.role)}`
  return {
    sql: `CREATE USER ${ifNotExists}${literal(name)}${role}`,
    answer: {
      kind: 'new-key',
      done: `Created user ${name}.`,
      otherwise: `User ${name} exists already. Keys are not shown again; make one more with: kalam key create ${name}`,
    },
  }
}

export function rotateUser(name: string): AdminStatement {
  return {
    sql: `ALTER USER ${literal(name)} ROTATE APIKEY`,
    answer: {
      kind: 'new-key',
      done: `Made a new key for ${name}; the keys before it no longer work.`,
      otherwise: `No key was made for ${name}.`,
    },
  }
}

export function dropUser(name: string, options: UserOptions): AdminStatement {
  return {
    sql: `DROP USER ${options.ifExists === true ? 'IF EXISTS ' : ''}${literal(name)}`,
    answer: { kind: 'done', done: `Dropped user ${name}.` },
  }
}

export function listUsers(): AdminStatement {
  return { sql: 'SHOW USERS', answer: { kind: 'rows' } }
}

export function createKey(name: string, options: KeyOptions): AdminStatement {
  const expires = options.expires === undefined ? '' : ` EXPIRES ${literal(options.expires)}`
  const readOnly = options.readOnly === true ? ' READ ONLY' : ''
  return {
    sql: `CREATE APIKEY FOR ${literal(name)}${expires}${readOnly}`,
    answer: {
      kind: 'new-key',
      done: `Made a key for ${name}.`,
      otherwise: `No key was made for ${name}.`,
    },
  }
}

export function listKeys(): AdminStatement {
  return { sql: 'SHOW APIKEYS', answer: { kind: 'rows' } }
}

export function revokeKey(id: string): AdminStatement {
  return {
    sql: `REVOKE APIKEY ${literal(id)}`,
    answer: { kind: 'done', done: `Revoked key ${id}.` },
  }
}

/** Carries the statement out and shows the answer in the format that was asked for. */
export async function runAdminStatement(
  { sql, answer }: AdminStatement,
  { connection, surroundings, isQuiet }: AdminCommandOptions,
): Promise<ExitName> {
  const { format } = connection.target
  const rows = format === 'json' ? 'object' : 'array'
  const reply = await connection.run({ sql, rows })
  if (reply.kind === 'error') {
    const failure = { error: reply.error, status: reply.status, text: '', index: undefined }
    surroundings.stderr.write(formatSqlError({ ...failure, line: 1, column: 1 }, undefined))
    return exitOf(reply)
  }
  const [result] = reply.results
  if (result === undefined) throw new CliError('notConnected', 'the server answered nothing')
  if (format === 'json') surroundings.stdout.write(`[${result.rows.join(',\n ')}]\n`)
  else if (format === 'csv' || answer.kind === 'rows') {
    await new ResultPrinter({
      format,
      output: surroundings.stdout,
      isExpanded: false,
      isQuiet,
    }).print(result)
  } else surroundings.stdout.write(isQuiet ? keyOnly(result) : sentence(answer, result))
  return 'ok'
}

function keyOnly(result: StatementResult): string {
  const key = keyIn(result)
  return key === undefined ? '' : `${displayLine(key)}\n`
}

function sentence(answer: Exclude<AnswerKind, { kind: 'rows' }>, result: StatementResult): string {
  if (answer.kind === 'done') return `${displayLine(answer.done)}\n`
  const key = keyIn(result)
  if (key === undefined) return `${displayLine(answer.otherwise)}\n`
  return [
    displayLine(answer.done),
    '',
    `  API key: ${displayLine(key)}`,
    '',
    'Keep it now: it is stored as a digest and never shown again.',
    '',
  ].join('\n')
}

function keyIn({ columns, rows }: StatementResult): Cell {
  const index = columns.findIndex(({ name }) => name === 'apikey')
  const [row] = rows
  return row === undefined || index < 0 ? undefined : cellsOf(row)[index]
}

const roles = ['user', 'service', 'admin']

function checkedRole(role: string): string {
  if (roles.includes(role.toLowerCase())) return role.toLowerCase()
  throw new CliError('usage', `unknown role ${role}; there are ${roles.join(', ')}`)
}

/** Standard strings: only the quote needs doubling. */
function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
