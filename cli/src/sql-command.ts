/** `kalam -c`, `kalam -f` and SQL on standard input. */
import type { FoundStatement } from '../../src/protocol/sql-text.js'
import { readCopy, readMetaCopy, type CopyDirection, type CopyTask } from './copy-statement.js'
import { CliError, type ExitName } from './exit-code.js'
import type { OutputFormat } from './output-format.js'
import { ResultPrinter } from './result-printer.js'
import { refuseData, runCopy } from './run-copy.js'
import type { ServerConnection } from './server-connection.js'
import { formatSqlError } from './sql-error-text.js'
import { sourceName, statementsOf, type SqlInput } from './sql-input.js'
import { SqlSession, type SqlFailure } from './sql-session.js'
import { readSubscribe, type SubscribeStatement } from './subscribe-statement.js'
import type { Surroundings } from './surroundings.js'

export interface SqlCommandOptions {
  readonly connection: ServerConnection
  readonly surroundings: Surroundings
  readonly isQuiet: boolean
  readonly signal?: AbortSignal | undefined
}

/** Runs the inputs in order as one session and stops at the first error. */
export async function runInputs(
  inputs: readonly SqlInput[],
  options: SqlCommandOptions,
): Promise<ExitName> {
  const printer = new ResultPrinter({
    format: options.connection.target.format,
    output: options.surroundings.stdout,
    isExpanded: false,
    isQuiet: options.isQuiet,
  })
  const session = new SqlSession({
    connection: options.connection,
    rowShape: () => printer.rowShape,
    onResult: (result) => printer.print(result),
  })
  try {
    for (const input of inputs) {
      const exit = await runInput(input, session, {
        ...options,
        format: options.connection.target.format,
        beforeLive: () => printer.interrupt(),
      })
      if (exit !== 'ok') return exit
    }
    return 'ok'
  } finally {
    await printer.end()
  }
}

/** What an input is run with. */
export interface InputOptions {
  readonly connection: ServerConnection
  readonly surroundings: Surroundings
  readonly isQuiet: boolean
  readonly format: OutputFormat
  readonly signal?: AbortSignal | undefined
  /** Called before a live query, or COPY TO STDOUT, writes. */
  readonly beforeLive?: () => Promise<void>
}

/** Runs one input to its end or its first error, which is told. */
export async function runInput(
  input: SqlInput,
  session: SqlSession,
  options: InputOptions,
): Promise<ExitName> {
  const { surroundings, signal } = options
  const fail = (failure: SqlFailure): ExitName => {
    surroundings.stderr.write(formatSqlError(failure, sourceName(input)))
    return exitOf(failure)
  }
  if (input.kind === 'copy') {
    const failure = await runMetaCopy(input.argument, session, options)
    return failure === undefined ? 'ok' : fail(failure)
  }
  for await (const statement of statementsOf(input, surroundings.stdin)) {
    const direction = readCopy(statement.text)
    if (direction === 'from' && input.kind !== 'text') throw refuseData()
    const subscribe = readSubscribe(statement.text)
    const failure = await (direction !== undefined
      ? runCopyStatement(statement, direction, session, options)
      : subscribe === undefined
        ? session.add(statement, signal)
        : flushAlone('SUBSCRIBE', session, signal))
    if (failure !== undefined) return fail(failure)
    if (subscribe === undefined) continue
    await options.beforeLive?.()
    const exit = await runLive(statement, subscribe, { ...options, source: sourceName(input) })
    if (exit !== 'ok' || signal?.aborted === true) return exit
  }
  if (session.isInTransaction) {
    surroundings.stderr.write('WARNING: the SQL ends inside a transaction; it is rolled back\n')
  }
  const failure = await session.flush(signal)
  return failure === undefined ? 'ok' : fail(failure)
}

/** Throws CliError `usage` in a transaction, which would be held back until the query ends. */
export function flushAlone(
  name: 'SUBSCRIBE' | 'COPY',
  session: SqlSession,
  signal?: AbortSignal,
): Promise<SqlFailure | undefined> {
  if (!session.isInTransaction) return session.flush(signal)
  throw new CliError('usage', `${name} cannot stand in a transaction`)
}

/** Runs `COPY … FROM STDIN` or `TO STDOUT` with standard input or output. */
export async function runCopyStatement(
  statement: FoundStatement,
  direction: CopyDirection,
  session: SqlSession,
  options: Omit<InputOptions, 'format'>,
): Promise<SqlFailure | undefined> {
  const task = { sql: statement.text, direction, file: undefined }
  return runTask(task, statement, session, options)
}

/** Runs what stands behind `\\copy`. Throws CliError. */
export async function runMetaCopy(
  argument: string,
  session: SqlSession,
  options: Omit<InputOptions, 'format'>,
): Promise<SqlFailure | undefined> {
  const task = readMetaCopy(argument)
  return runTask(task, { text: task.sql, line: 1, column: 1 }, session, options)
}

async function runTask(
  task: CopyTask,
  place: FoundStatement,
  session: SqlSession,
  options: Omit<InputOptions, 'format'>,
): Promise<SqlFailure | undefined> {
  const failure = await flushAlone('COPY', session, options.signal)
  if (failure !== undefined) return failure
  if (task.direction === 'to' && task.file === undefined) await options.beforeLive?.()
  return runCopy(task, place, session, options)
}

/** Runs `SUBSCRIBE TO …` until the signal, or its end. Throws CliError. */
export async function runLive(
  { text, line, column }: FoundStatement,
  { sql, shift }: SubscribeStatement,
  options: InputOptions & { readonly source: string | undefined },
): Promise<ExitName> {
  const { connection, surroundings, isQuiet, format, source } = options
  const { signal = new AbortController().signal } = options
  const { runSubscribe } = await import('./subscribe-command.js')
  const place = { text, shift, source, line, column }
  return runSubscribe({ connection, surroundings, isQuiet, format, signal, sql, place })
}

/** Being refused is told apart from being wrong. */
export function exitOf({ status }: Pick<SqlFailure, 'status'>): ExitName {
  return status === 403 ? 'notAuthorised' : 'sqlError'
}
