/** `kalam serve`: starts the server in this process and stops it in good order. */
import { adapters } from '../../adapters/adapters.js'
import { loadConfig, parseSetFlag, shortFlags, type Flag } from '../../src/config/load-config.js'
import { startServer, type Server } from '../../src/server.js'
import { DbError } from '../../src/errors.js'
import { CliError, exitCodes, type ExitName } from './exit-code.js'
import type { Invocation } from './surroundings.js'

export interface ServeOptions {
  readonly config?: string
  readonly host?: string
  readonly port?: string
  readonly dataDir?: string
  readonly logLevel?: string
  /** `section.key=value`, each. */
  readonly set: readonly string[]
}

/** Serves until SIGINT or SIGTERM. A second signal ends the process at once. */
export async function runServe(
  options: ServeOptions,
  { surroundings, version }: Pick<Invocation, 'surroundings' | 'version'>,
): Promise<ExitName> {
  const { env, home, stderr } = surroundings
  // Before the start, which takes seconds: process 1 of a container does not hear what it does not
  // listen for, and any other would end in the middle of it.
  const signal = firstSignal((name) =>
    stderr.write(`\n${name}: finishing what runs, then stopping; again to stop at once\n`),
  )
  try {
    const loaded = loadConfig({ file: options.config, env, flags: flagsOf(options) })
    const server = await startServer({ loaded, version, home, adapters })
    stderr.write(greeting(server, commandsIn(env)))
    await signal
    await server.close()
    return 'ok'
  } catch (error) {
    throw advised(error)
  }
}

function flagsOf(options: ServeOptions): readonly Flag[] {
  const given = {
    '--host': options.host,
    '--port': options.port,
    '--data-dir': options.dataDir,
    '--log-level': options.logLevel,
  }
  const short = Object.entries(given).flatMap(([flag, value]) =>
    value === undefined ? [] : [{ flag, key: shortFlags[flag as keyof typeof given], value }],
  )
  return [...short, ...options.set.map(parseSetFlag)]
}

/** Where it listens and what to do next; the log follows on standard output. */
function greeting({ url, adapterAddresses, hasKeys }: Server, commands: Commands): string {
  const next = hasKeys ? [] : [`  first key:  ${commands.kalam} user create NAME`]
  const lines = [
    `KalamDB listens at ${url}`,
    ...adapterAddresses.map(alsoAt),
    ...next,
    `  shell:      ${commands.shell}`,
    `  stop:       ${commands.stop}`,
  ]
  return `${lines.join('\n')}\n`
}

/** What to type for the Postgres wire; other doors are named. */
function alsoAt(address: string): string {
  const url = /^postgres:\/\/(.*)$/u.exec(address)?.[1]
  return url === undefined
    ? `  also:       ${address}`
    : `  psql:       psql 'postgres://NAME@${url}'`
}

/** What a person types who sees this server's first lines. */
interface Commands {
  readonly kalam: string
  readonly shell: string
  readonly stop: string
}

function commandsIn(env: Readonly<Record<string, string | undefined>>): Commands {
  if (env['KALAM_CONTAINER'] === 'docker') return dockerCommands(env['HOSTNAME'] ?? '')
  // Started by npm (`npm start` in a checkout), it is npx that finds the command.
  const kalam = env['npm_lifecycle_event'] === undefined ? 'kalam' : 'npx kalam'
  return { kalam, shell: kalam, stop: 'Ctrl-C' }
}

/** Docker takes the start of a container's id for its name, and makes it the host name. */
function dockerCommands(hostName: string): Commands {
  const container = /^[0-9a-f]{12}$/.test(hostName) ? hostName : 'CONTAINER'
  return {
    kalam: `docker exec ${container} kalam`,
    shell: `docker exec -it ${container} kalam`,
    stop: `docker stop ${container}`,
  }
}

/** The second one ends the process. */
function firstSignal(told: (name: string) => void): Promise<void> {
  return new Promise((resolve) => {
    let isStopping = false
    const stop = (name: string) => {
      if (isStopping) process.exit(exitCodes.interrupted)
      isStopping = true
      told(name)
      resolve()
    }
    process.on('SIGINT', stop)
    process.on('SIGTERM', stop)
  })
}

/** The server's own reasons, with what to do next. */
function advised(error: unknown): unknown {
  if (!(error instanceof DbError)) return error
  if (error.code === 'CONFIG_INVALID') return new CliError('usage', error.message, { cause: error })
  const hint = error.fields.hint === undefined ? '' : `\n${error.fields.hint}`
  return new CliError('notConnected', `the server did not start: ${error.message}${hint}`, {
    cause: error,
  })
}
