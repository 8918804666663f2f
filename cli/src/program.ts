/** The command line: which commands and options there are, and what each starts. */
import { Command, Option } from 'commander'
import {
  createKey,
  createUser,
  dropUser,
  listKeys,
  listUsers,
  revokeKey,
  rotateUser,
  runAdminStatement,
  type AdminStatement,
  type KeyOptions,
  type UserOptions,
} from './admin-commands.js'
import { CliError, exitCodeHelp, type ExitName } from './exit-code.js'
import { outputFormats } from './output-format.js'
import type { ServeOptions } from './serve-command.js'
import { ServerConnection } from './server-connection.js'
import { metaSql } from './shell/meta-commands.js'
import { runInputs } from './sql-command.js'
import type { SqlInput } from './sql-input.js'
import { runStatus } from './status-command.js'
import { readSubscribe } from './subscribe-statement.js'
import type { Invocation, Surroundings } from './surroundings.js'
import { resolveTarget, type GlobalOptions } from './target.js'
import { runTypes } from './types-command.js'

/** Parses and runs a command line. Throws CliError, and CommanderError for wrong usage. */
export async function runProgram(
  argv: readonly string[],
  invocation: Invocation,
): Promise<ExitName> {
  const run: Run = { exit: 'ok', inputs: [] }
  await buildProgram(invocation, run).parseAsync([...argv], { from: 'user' })
  return run.exit
}

/** What one run of the program collects. */
interface Run {
  exit: ExitName
  /** `-c` and `-f` in the order they were given. */
  readonly inputs: SqlInput[]
}

function buildProgram(invocation: Invocation, run: Run): Command {
  const program = new Command('kalam')
  addGlobalOptions(program, run, invocation.version)
  program
    .usage('[options] [command]')
    .description(
      'Talks to a KalamDB server, or is one.\nWithout a command: SQL, typed or piped in.',
    )
    .argument('[command...]')
    .helpCommand('help [command]', 'explain a command')
    .addHelpText('after', `\n${helpEnding}`)
    .showHelpAfterError('(kalam --help explains all options)')
    .configureHelp({ visibleArguments: () => [] })
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void invocation.surroundings.stdout.write(text),
      writeErr: (text) => void invocation.surroundings.stderr.write(text),
    })
    .action(async (words: readonly string[]) => {
      refuseUnknownCommand(words)
      run.exit = await runSql(optionsOf(program), invocation, run.inputs)
    })
  addServe(program, invocation, run)
  addUserCommands(program, invocation, run)
  addKeyCommands(program, invocation, run)
  addSubscribe(program, invocation, run)
  addTypes(program, invocation, run)
  addStatus(program, invocation, run)
  return program
}

const helpEnding = `Examples:
  kalam serve                                  start a server in this folder
  kalam user create alice                      make a user and print her first key, once
  kalam -c 'SELECT now()'                      run SQL and print the result
  kalam -f schema.sql --format json            run a file
  kalam subscribe 'SELECT * FROM app.todos'    print rows as they change, until Ctrl-C
  kalam types > schema.ts                      the tables as TypeScript types
  echo 'SELECT 1' | kalam --format csv         run what is piped in
  kalam                                        type SQL; \\? explains the shell

On the machine of the server itself no key is needed. Elsewhere: --api-key, KALAM_API_KEY or a profile
in ~/.kalam/config.toml:
  [profiles.default]
  url = "https://db.example.com"
  api_key = "kal_…"

Environment: KALAM_URL, KALAM_API_KEY, KALAM_PROFILE, KALAM_FORMAT, KALAM_NAMESPACE

${exitCodeHelp}`

/** Commander takes the program's options before and after a command alike. */
function addGlobalOptions(program: Command, run: Run, version: string): void {
  program
    .option('-c, --command <sql>', 'run SQL; may be repeated', (sql: string) => {
      run.inputs.push(inputOf(sql))
    })
    .option('-f, --file <path>', 'run the SQL of a file, - for standard input', (path: string) => {
      run.inputs.push({ kind: 'file', path })
    })
    .addOption(
      // Checked in target.ts: it may come from the environment or a profile just as well.
      new Option('--format <format>', `how results are written: ${outputFormats.join(', ')}`),
    )
    .option('--url <url>', 'the server (default http://127.0.0.1:2900)')
    .option(
      '--api-key <key>',
      'who you are; others on this machine can see it, KALAM_API_KEY hides it',
    )
    .option('--profile <name>', 'the profile of ~/.kalam/config.toml to use')
    .option('--namespace <name>', 'the schema in which unqualified names are looked up first')
    .option('-q, --quiet', 'print results only; of a new user or key, only the key')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
}

/** SQL, or one of the shell's commands that mean SQL. */
function inputOf(sql: string): SqlInput {
  const copy = /^\s*\\copy\s+([^]*?);?\s*$/iu.exec(sql)
  if (copy !== null) return { kind: 'copy', argument: copy[1] ?? '' }
  return { kind: 'text', sql: metaSql(sql.trim()) ?? sql }
}

function optionsOf(program: Command): GlobalOptions {
  return program.opts()
}

function refuseUnknownCommand(words: readonly string[]): void {
  const [word] = words
  if (word === undefined) return
  const hint = /\s/.test(word) ? 'SQL goes behind -c' : 'kalam --help lists the commands'
  throw new CliError('usage', `unknown command: ${word}\n${hint}`)
}

async function runSql(
  options: GlobalOptions,
  invocation: Invocation,
  inputs: readonly SqlInput[],
): Promise<ExitName> {
  const { surroundings, signal } = invocation
  const connection = connect(options, surroundings)
  const isQuiet = options.quiet === true
  const isTerminal = surroundings.stdin.isTTY === true && surroundings.stdout.isTTY === true
  if (inputs.length === 0 && isTerminal) {
    const { runShell } = await import('./shell/shell.js')
    const connectTo = (url: string) => connect({ ...options, url }, surroundings)
    return runShell({ connection, surroundings, isQuiet, connect: connectTo })
  }
  const given = inputs.length > 0 ? inputs : [{ kind: 'file', path: '-' } as const]
  return runInputs(given, { connection, surroundings, isQuiet, signal })
}

function connect(options: GlobalOptions, surroundings: Surroundings): ServerConnection {
  return new ServerConnection(resolveTarget(options, surroundings))
}

function addServe(program: Command, invocation: Invocation, run: Run): void {
  program
    .command('serve')
    .description('start a server; Ctrl-C or SIGTERM stops it in good order')
    .option('--config <file>', 'configuration file (default ./config.toml if there is one)')
    .option('--host <address>', 'address to listen on (default 127.0.0.1)')
    .option('--port <port>', 'port to listen on (default 2900)')
    .option('--data-dir <folder>', 'where the database is kept (default ./data/kalamdb)')
    .option('--log-level <level>', 'how much is logged (default info)')
    .option('--set <section.key=value>', 'any other setting; may be repeated', collect, [])
    .action(async (options: ServeOptions) => {
      refuseInputs(run, 'serve')
      // Loaded when it is needed: the server is most of the code, and other commands start faster.
      const { runServe } = await import('./serve-command.js')
      run.exit = await runServe(options, invocation)
    })
}

function collect(value: string, values: readonly string[]): readonly string[] {
  return [...values, value]
}

function addUserCommands(program: Command, invocation: Invocation, run: Run): void {
  const carryOut = adminRunner(program, invocation, run)
  const users = program.command('user').description('make, list and drop users')
  users
    .command('create <name>')
    .description('make a user and print a first key, once')
    .option('--role <role>', 'user, service or admin (default user)')
    .option('--if-not-exists', 'succeed if there is such a user')
    .action((name: string, options: UserOptions) => carryOut(createUser(name, options)))
  users
    .command('list')
    .description('list the users')
    .action(() => carryOut(listUsers()))
  users
    .command('rotate <name>')
    .description('make a new key; all keys before it stop working')
    .action((name: string) => carryOut(rotateUser(name)))
  users
    .command('drop <name>')
    .description('drop a user and all their keys')
    .option('--if-exists', 'succeed if there is no such user')
    .action((name: string, options: UserOptions) => carryOut(dropUser(name, options)))
}

function addKeyCommands(program: Command, invocation: Invocation, run: Run): void {
  const carryOut = adminRunner(program, invocation, run)
  const keys = program.command('key').description('make, list and revoke API keys')
  keys
    .command('create <user>')
    .description('make one more key for a user and print it, once')
    .option('--expires <interval>', "when it stops working, like '30 days' (default never)")
    .option('--read-only', 'a key that can only read')
    .action((name: string, options: KeyOptions) => carryOut(createKey(name, options)))
  keys
    .command('list')
    .description('list the keys, without their secrets')
    .action(() => carryOut(listKeys()))
  keys
    .command('revoke <id>')
    .description('end a key; kalam key list shows the ids')
    .action((id: string) => carryOut(revokeKey(id)))
}

function adminRunner(program: Command, { surroundings }: Invocation, run: Run) {
  return async (statement: AdminStatement) => {
    refuseInputs(run, 'this command')
    const options = optionsOf(program)
    run.exit = await runAdminStatement(statement, {
      connection: connect(options, surroundings),
      surroundings,
      isQuiet: options.quiet === true,
    })
  }
}

interface SubscribeFlags {
  readonly from?: string
  readonly params?: string
}

function addSubscribe(program: Command, { surroundings, signal }: Invocation, run: Run): void {
  program
    .command('subscribe <query>')
    .description('print the rows of a query, then what changes them, until Ctrl-C')
    .option('--from <cursor>', 'continue after this cursor instead of printing all rows')
    .option('--params <json>', 'the list of $1, $2, …, as JSON')
    .action(async (query: string, { from, params }: SubscribeFlags) => {
      refuseInputs(run, 'subscribe')
      const options = optionsOf(program)
      const connection = connect(options, surroundings)
      const { runSubscribe } = await import('./subscribe-command.js')
      run.exit = await runSubscribe({
        ...{ connection, surroundings, signal, from },
        isQuiet: options.quiet === true,
        format: connection.target.format,
        sql: readSubscribe(query)?.sql ?? query,
        params: params === undefined ? undefined : checkedParams(params),
      })
    })
}

function checkedParams(json: string): string {
  try {
    if (Array.isArray(JSON.parse(json))) return json
  } catch {
    // Told below.
  }
  throw new CliError('usage', `--params must be a list in JSON like '[1, "x"]', not ${json}`)
}

function addTypes(program: Command, { surroundings }: Invocation, run: Run): void {
  program
    .command('types')
    .description('write the tables as TypeScript types, for createClient<Schema>() of kalam-link')
    .action(async () => {
      refuseInputs(run, 'types')
      run.exit = await runTypes(connect(optionsOf(program), surroundings), surroundings)
    })
}

function addStatus(program: Command, { surroundings }: Invocation, run: Run): void {
  program
    .command('status')
    .description('say whether the server answers, and its version')
    .action(async () => {
      refuseInputs(run, 'status')
      run.exit = await runStatus(connect(optionsOf(program), surroundings), surroundings)
    })
}

function refuseInputs({ inputs }: Run, name: string): void {
  if (inputs.length > 0) throw new CliError('usage', `-c and -f make no sense with ${name}`)
}
