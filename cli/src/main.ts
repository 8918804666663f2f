/** The process: its streams, signals and exit code. Everything else is in program.ts. */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { CommanderError } from 'commander'
import { CliError, exitCodes, type ExitName } from './exit-code.js'
import { runProgram } from './program.js'

process.exitCode = exitCodes[await main()]

async function main(): Promise<ExitName> {
  endQuietlyWithReader()
  try {
    return await runProgram(process.argv.slice(2), {
      surroundings: {
        stdin: process.stdin,
        stdout: process.stdout,
        stderr: process.stderr,
        env: process.env,
        home: process.env['HOME'] ?? homedir(),
        clock: () => performance.now(),
      },
      version: readVersion(),
      signal: interruption(),
    })
  } catch (error) {
    return tell(error)
  }
}

/** `kalam … | head` is no error: when nobody reads any more, there is nothing left to do. */
function endQuietlyWithReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCodes.ok)
    process.stderr.write(`kalam: cannot write the output: ${error.message}\n`)
    process.exit(exitCodes.fileFailed)
  })
}

/** The first Ctrl-C cancels the request on the server; a second one ends the process. */
function interruption(): AbortSignal {
  const controller = new AbortController()
  const interrupt = () => controller.abort()
  process.once('SIGINT', interrupt)
  return controller.signal
}

function tell(error: unknown): ExitName {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 'ok' : 'usage'
  if (error instanceof CliError) {
    process.stderr.write(`kalam: ${error.message}\n`)
    return error.exit
  }
  throw error
}

/** Of the package that holds the compiled file, dist/cli/src/main.js. */
function readVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')
  const { version } = JSON.parse(text) as { readonly version: string }
  return version
}
