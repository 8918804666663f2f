/** `kalam -c`, `kalam -f` and SQL on standard input. */
import type { ExitName } from './exit-code.js'
import { ResultPrinter } from './result-printer.js'
import type { ServerConnection } from './server-connection.js'
import { formatSqlError } from './sql-error-text.js'
import { sourceName, statementsOf, type SqlInput } from './sql-input.js'
import { SqlSession, type SqlFailure } from './sql-session.js'
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
      const exit = await runInput(input, session, options)
      if (exit !== 'ok') return exit
    }
    return 'ok'
  } finally {
    await printer.end()
  }
}

/** Runs one input to its end or its first error, which is told. */
export async function runInput(
  input: SqlInput,
  session: SqlSession,
  options: Pick<SqlCommandOptions, 'surroundings' | 'signal'>,
): Promise<ExitName> {
  const { surroundings, signal } = options
  const fail = (failure: SqlFailure): ExitName => {
    surroundings.stderr.write(formatSqlError(failure, sourceName(input)))
    return exitOf(failure)
  }
  for await (const statement of statementsOf(input, surroundings.stdin)) {
    const failure = await session.add(statement, signal)
    if (failure !== undefined) return fail(failure)
  }
  if (session.isInTransaction) {
    surroundings.stderr.write('WARNING: the SQL ends inside a transaction; it is rolled back\n')
  }
  const failure = await session.flush(signal)
  return failure === undefined ? 'ok' : fail(failure)
}

/** Being refused is told apart from being wrong. */
export function exitOf({ status }: Pick<SqlFailure, 'status'>): ExitName {
  return status === 403 ? 'notAuthorised' : 'sqlError'
}
