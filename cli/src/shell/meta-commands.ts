/** The shell's own commands: a backslash, a name, perhaps an argument. */
import { metaCopyUsage } from '../copy-statement.js'
import { CliError } from '../exit-code.js'
import { outputFormats, type OutputFormat } from '../output-format.js'

/** What meta commands can ask of the shell. */
export interface MetaActions {
  say(text: string): void
  leave(): void
  runSql(sql: string): Promise<void>
  runFile(path: string): Promise<void>
  copy(argument: string): Promise<void>
  watch(seconds: number): Promise<void>
  toggleExpanded(): void
  toggleTiming(): void
  setFormat(format: OutputFormat): void
  connectTo(url: string): Promise<void>
  tellConnection(): Promise<void>
}

interface MetaCommand {
  /** As typed, with its argument. */
  readonly usage: string
  readonly help: string
  readonly run: (argument: string, actions: MetaActions) => Promise<void> | void
}

/** Carries out a line that starts with a backslash. Throws CliError `usage`. */
export async function runMetaCommand(line: string, actions: MetaActions): Promise<void> {
  const [name = '', argument = ''] = split(line)
  const command = metaCommands.find(({ usage }) => split(usage)[0] === name)
  if (command === undefined) throw new CliError('usage', `unknown command ${name}; \\? lists all`)
  await command.run(argument, actions)
}

/** The SQL that a describing command stands for; nothing for all others. */
export function metaSql(line: string): string | undefined {
  const [name = '', argument = ''] = split(line)
  switch (name) {
    case '\\d':
      return argument === '' ? 'SHOW TABLES' : `DESCRIBE ${argument}`
    case '\\dt':
      return argument === '' ? 'SHOW TABLES' : `SHOW TABLES IN ${argument}`
    case '\\dn':
      return 'SHOW NAMESPACES'
    case '\\du':
      return 'SHOW USERS'
    case '\\dk':
      return 'SHOW APIKEYS'
    default:
      return undefined
  }
}

/** Names only, for completion. */
export function metaNames(): string[] {
  return metaCommands.map(({ usage }) => split(usage)[0] ?? '')
}

/** The name with its backslash, and the rest without a closing semicolon. */
function split(line: string): readonly string[] {
  const match = /^(\\\S+?);?(?:\s+(.*?);?)?\s*$/.exec(line)
  return match === null ? [line] : [match[1] ?? '', match[2] ?? '']
}

const metaCommands: readonly MetaCommand[] = [
  { usage: '\\?', help: 'this help', run: (_, actions) => actions.say(helpText()) },
  { usage: '\\q', help: 'leave', run: (_, actions) => actions.leave() },
  { usage: '\\d [table]', help: 'tables, or the columns of one', run: describe('\\d') },
  { usage: '\\dt [namespace]', help: 'tables', run: describe('\\dt') },
  { usage: '\\dn', help: 'namespaces', run: describe('\\dn') },
  { usage: '\\du', help: 'users', run: describe('\\du') },
  { usage: '\\dk', help: 'API keys', run: describe('\\dk') },
  {
    usage: '\\x',
    help: 'one line a column instead of one line a row (on/off)',
    run: (_, actions) => actions.toggleExpanded(),
  },
  {
    usage: '\\timing',
    help: 'show how long statements take (on/off)',
    run: (_, actions) => actions.toggleTiming(),
  },
  {
    usage: '\\format name',
    help: `how results are written: ${outputFormats.join(', ')}`,
    run: (argument, actions) => actions.setFormat(formatNamed(argument)),
  },
  {
    usage: '\\i file',
    help: 'run the SQL of a file',
    run: (argument, actions) => actions.runFile(needed(argument, '\\i file')),
  },
  {
    usage: metaCopyUsage,
    help: 'copy rows from a file, or to one, on this machine',
    run: (argument, actions) => actions.copy(needed(argument, metaCopyUsage)),
  },
  {
    usage: '\\watch [seconds]',
    help: 'run the last statement again every 2 (or so many) seconds, until Ctrl-C',
    run: (argument, actions) => actions.watch(secondsIn(argument)),
  },
  {
    usage: '\\c url',
    help: 'talk to another server',
    run: (argument, actions) => actions.connectTo(needed(argument, '\\c url')),
  },
  {
    usage: '\\conninfo',
    help: 'which server, and where the key came from',
    run: (_, actions) => actions.tellConnection(),
  },
]

function describe(name: string): MetaCommand['run'] {
  return (argument, actions) => {
    const sql = metaSql(`${name} ${argument}`)
    return sql === undefined ? undefined : actions.runSql(sql)
  }
}

function needed(argument: string, usage: string): string {
  if (argument !== '') return argument
  throw new CliError('usage', `usage: ${usage}`)
}

function formatNamed(name: string): OutputFormat {
  const format = outputFormats.find((known) => known === name)
  if (format !== undefined) return format
  throw new CliError('usage', `usage: \\format ${outputFormats.join('|')}`)
}

/** psql's own default, and bounds that neither hurry the server nor overflow a timer. */
const watchSeconds = { default: 2, min: 0.1, max: 86_400 } as const

function secondsIn(argument: string): number {
  const seconds = argument === '' ? watchSeconds.default : Number(argument)
  if (seconds >= watchSeconds.min && seconds <= watchSeconds.max) return seconds
  throw new CliError(
    'usage',
    `usage: \\watch [seconds], from ${watchSeconds.min} to ${watchSeconds.max}`,
  )
}

function helpText(): string {
  const width = Math.max(...metaCommands.map(({ usage }) => usage.length))
  const lines = metaCommands.map(({ usage, help }) => `  ${usage.padEnd(width)}  ${help}`)
  return `${lines.join('\n')}

A statement ends with a semicolon and may have many lines. Ctrl-C forgets what was typed, or cancels
what is running; Ctrl-D leaves; Tab completes.
Each statement is a request of its own. BEGIN … COMMIT is held back (prompt kalam*>) and sent as
one request. SET lasts for the session; temporary tables and cursors only for one line, or one
transaction.`
}
