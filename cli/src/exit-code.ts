/** What the process says when it ends; documented in `--help` and docs/cli.md. */
export const exitCodes = {
  ok: 0,
  /** The server refused a statement, or PostgreSQL reported an error. */
  sqlError: 1,
  /** The command line, a profile or an environment variable makes no sense. */
  usage: 2,
  /** No server answers, it is not ready, or the connection broke. */
  notConnected: 3,
  /** No API key, one that the server does not accept, or one that may not do this. */
  notAuthorised: 4,
  /** A file cannot be read or is not text; the output cannot be written. */
  fileFailed: 5,
  /** Ctrl-C. 128 + SIGINT, as shells count. */
  interrupted: 130,
} as const

export type ExitName = keyof typeof exitCodes

/** Ends a command with a meaning and a message that says what to do next. */
export class CliError extends Error {
  readonly exit: ExitName

  constructor(exit: ExitName, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'CliError'
    this.exit = exit
  }
}

/** The lines that explain the exit codes, for `--help`. */
export const exitCodeHelp = `Exit codes:
  0    done
  1    SQL error; statements before it were carried out
  2    wrong usage
  3    cannot connect, or the server is not ready
  4    not authorised: no key, a wrong key, or not allowed
  5    a file cannot be read, or the output cannot be written
  130  interrupted`
