/**
 * The interactive shell: lines in, results out.
 *
 *   ready ──text──▶ more (a statement is not complete) ──;──▶ running ──▶ ready
 *   ready ──BEGIN──▶ held (sent as one request at COMMIT or ROLLBACK)   ──▶ ready
 *
 * Ctrl-C leaves `more` and `held` for `ready` and cancels what is running.
 */
import { createInterface, type Interface } from 'node:readline'
import { StatementSplitter, type FoundStatement } from '../../../src/protocol/sql-text.js'
import { readCopy, readMetaCopy } from '../copy-statement.js'
import { displayLine } from '../display-text.js'
import { CliError, type ExitName } from '../exit-code.js'
import type { OutputFormat } from '../output-format.js'
import { ResultPrinter } from '../result-printer.js'
import type { ServerConnection, StatementResult } from '../server-connection.js'
import { flushAlone, runCopyStatement, runInput, runLive, runMetaCopy } from '../sql-command.js'
import { refuseData } from '../run-copy.js'
import { formatSqlError } from '../sql-error-text.js'
import { SqlSession } from '../sql-session.js'
import { readSubscribe } from '../subscribe-statement.js'
import type { Surroundings } from '../surroundings.js'
import { Catalog } from './catalog.js'
import { completeLine } from './completion.js'
import { History } from './history.js'
import { runMetaCommand, type MetaActions } from './meta-commands.js'

export interface ShellOptions {
  readonly connection: ServerConnection
  readonly surroundings: Surroundings
  readonly isQuiet: boolean
  /** A connection to another server, with the same key rules as the command line. */
  readonly connect: (url: string) => ServerConnection
}

/** Serves the person at the terminal until they leave. */
export async function runShell(options: ShellOptions): Promise<ExitName> {
  const shell = new Shell(options)
  return shell.run()
}

class Shell implements MetaActions {
  readonly #surroundings: Surroundings
  readonly #connect: ShellOptions['connect']
  readonly #isQuiet: boolean
  readonly #history: History
  readonly #lines: string[] = []
  #connection: ServerConnection
  #session: SqlSession
  #catalog: Catalog
  #splitter = new StatementSplitter()
  #format: OutputFormat
  #isExpanded = false
  #isTiming = false
  /** What ran last, for \watch. */
  #last: readonly FoundStatement[] = []
  #running: AbortController | undefined
  #readline: Interface | undefined
  #hasLeft = false

  constructor({ connection, surroundings, isQuiet, connect }: ShellOptions) {
    this.#connection = connection
    this.#surroundings = surroundings
    this.#isQuiet = isQuiet
    this.#connect = connect
    this.#format = connection.target.format
    this.#session = this.#newSession()
    this.#catalog = new Catalog(connection)
    this.#history = new History(surroundings.home)
  }

  async run(): Promise<ExitName> {
    await this.#greet()
    const { stdin, stdout } = this.#surroundings
    const readline = createInterface({
      input: stdin,
      output: stdout,
      terminal: true,
      history: this.#history.newestFirst(),
      historySize: this.#history.linesMax,
      removeHistoryDuplicates: true,
      completer: (line: string, done: (error: null, found: [string[], string]) => void) => {
        void this.#complete(line).then((found) => done(null, found))
      },
    })
    this.#readline = readline
    readline.on('history', (lines: string[]) => this.#history.forgetSecrets(lines))
    readline.on('SIGINT', () => this.#interrupt())
    await this.#serveLines(readline)
    return 'ok'
  }

  /** Results of what the person asks; everything else goes through `say`. */
  say(text: string): void {
    this.#surroundings.stdout.write(`${text}\n`)
  }

  leave(): void {
    this.#hasLeft = true
    this.#readline?.close()
  }

  async runSql(sql: string): Promise<void> {
    // What is asked beside an open transaction must not end up in it.
    const session = this.#session.isInTransaction ? this.#newSession() : this.#session
    await this.#runStatements([{ text: sql, line: 1, column: 1 }], session)
  }

  async runFile(path: string): Promise<void> {
    await this.#cancellable(async (signal) => {
      const surroundings = this.#surroundings
      const input = { kind: 'file', path } as const
      await runInput(input, this.#session, { ...this.#liveOptions(signal), surroundings })
      this.#session.discard()
    })
  }

  async copy(argument: string): Promise<void> {
    const task = readMetaCopy(argument)
    // The person's own input is not data.
    if (task.direction === 'from' && task.file === undefined) throw refuseData()
    await this.#cancellable(async (signal) => {
      const failure = await runMetaCopy(argument, this.#session, this.#liveOptions(signal))
      if (failure !== undefined) this.#surroundings.stdout.write(formatSqlError(failure, undefined))
    })
  }

  /** Runs the last statements again and again, until Ctrl-C. */
  async watch(seconds: number): Promise<void> {
    if (this.#last.length === 0) throw new CliError('usage', '\\watch: nothing has run yet')
    await this.#cancellable(async (signal) => {
      while (!signal.aborted) {
        this.say(new Date().toISOString())
        if (!(await this.#send(this.#last, this.#session, signal))) return
        await pause(seconds * 1000, signal)
      }
    })
  }

  toggleExpanded(): void {
    this.#isExpanded = !this.#isExpanded
    this.say(`Expanded display is ${this.#isExpanded ? 'on' : 'off'}.`)
  }

  toggleTiming(): void {
    this.#isTiming = !this.#isTiming
    this.say(`Timing is ${this.#isTiming ? 'on' : 'off'}.`)
  }

  setFormat(format: OutputFormat): void {
    this.#format = format
    this.say(`Output format is ${format}.`)
  }

  async connectTo(url: string): Promise<void> {
    const connection = this.#connect(url)
    await connection.state()
    this.#connection = connection
    this.#session = this.#newSession()
    this.#catalog = new Catalog(connection)
    await this.tellConnection()
  }

  async tellConnection(): Promise<void> {
    const { url, key, namespace } = this.#connection.target
    const { version, state } = await this.#connection.state()
    const lookedUp = namespace === undefined ? '' : `, namespace ${namespace}`
    this.say(displayLine(`KalamDB ${version} at ${url}: ${state}${lookedUp}`))
    this.say(displayLine(`Key from ${key?.origin ?? 'nowhere'}`))
  }

  async #greet(): Promise<void> {
    const { version } = await this.#connection.state()
    if (this.#isQuiet) return
    this.say(displayLine(`KalamDB ${version} at ${this.#connection.target.url}`))
    this.say('Statements end with a semicolon. \\? for help, \\q or Ctrl-D to leave.\n')
  }

  /** Takes lines in order, also those typed while one is running. */
  async #serveLines(readline: Interface): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      let isServing = false
      const serve = async () => {
        if (isServing) return
        isServing = true
        for (let line = this.#lines.shift(); line !== undefined; line = this.#lines.shift()) {
          await this.#takeLine(line)
          if (this.#hasLeft) break
        }
        isServing = false
        if (this.#hasLeft) resolve()
        else this.#prompt(readline)
      }
      readline.on('line', (line) => {
        this.#history.add(line)
        this.#lines.push(line)
        serve().catch(reject)
      })
      readline.on('close', () => {
        this.#leaveAtEnd()
        if (!isServing) resolve()
      })
      this.#prompt(readline)
    })
  }

  #leaveAtEnd(): void {
    if (this.#hasLeft) return
    this.#hasLeft = true
    this.#running?.abort()
    if (this.#session.isInTransaction) this.say('\nThe open transaction was not sent.')
    else this.say('')
  }

  #prompt(readline: Interface): void {
    readline.setPrompt(this.#promptText())
    readline.prompt()
  }

  #promptText(): string {
    if (this.#session.isInTransaction) return 'kalam*> '
    return this.#splitter.isInside ? 'kalam-> ' : 'kalam=> '
  }

  async #takeLine(line: string): Promise<void> {
    const command = line.trim()
    if (!this.#splitter.isInside) {
      if (command === '') return
      if (command.startsWith('\\')) return this.#telling(() => runMetaCommand(command, this))
      if (['exit', 'quit'].includes(command.toLowerCase())) {
        this.leave()
        return
      }
      if (command.toLowerCase() === 'help') return this.#telling(() => runMetaCommand('\\?', this))
    }
    const found = this.#splitter.push(`${line}\n`)
    // Errors name lines of what was typed, so each input starts at line 1.
    if (!this.#splitter.isInside) this.#splitter = new StatementSplitter()
    if (found.length > 0) await this.#runStatements(found, this.#session)
  }

  async #runStatements(found: readonly FoundStatement[], session: SqlSession): Promise<void> {
    const wasInTransaction: boolean = session.isInTransaction
    await this.#cancellable(async (signal) => {
      if (!(await this.#send(found, session, signal))) session.discard()
    })
    this.#last = found
    if (found.some(({ text }) => /^(create|alter|drop)\b/i.test(text))) this.#catalog.forget()
    if (!wasInTransaction && session.isInTransaction && !this.#isQuiet) {
      this.say('The transaction is sent as a whole at COMMIT or ROLLBACK. Ctrl-C forgets it.')
    }
  }

  /** Whether all went well. */
  async #send(
    found: readonly FoundStatement[],
    session: SqlSession,
    signal: AbortSignal,
  ): Promise<boolean> {
    const start = this.#surroundings.clock()
    for (const statement of found) {
      const direction = readCopy(statement.text)
      if (direction === 'from') throw refuseData()
      const subscribe = readSubscribe(statement.text)
      const failure = await (direction !== undefined
        ? runCopyStatement(statement, direction, session, this.#liveOptions(signal))
        : subscribe === undefined
          ? session.add(statement, signal)
          : flushAlone('SUBSCRIBE', session, signal))
      if (failure === undefined) {
        if (subscribe === undefined) continue
        const source = undefined
        const options = { ...this.#liveOptions(signal), source }
        if ((await runLive(statement, subscribe, options)) !== 'ok') return false
        continue
      }
      this.#surroundings.stdout.write(formatSqlError(failure, undefined))
      return false
    }
    if (session.isInTransaction) return true
    const failure = await session.flush(signal)
    if (failure !== undefined) this.#surroundings.stdout.write(formatSqlError(failure, undefined))
    if (this.#isTiming) this.say(`Time: ${(this.#surroundings.clock() - start).toFixed(3)} ms`)
    return failure === undefined
  }

  /** Runs something that Ctrl-C can end, and tells what goes wrong. */
  async #cancellable(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const running = new AbortController()
    this.#running = running
    await this.#telling(() => work(running.signal))
    this.#running = undefined
  }

  /** Errors end what was asked for, never the shell. */
  async #telling(work: () => Promise<void> | void): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof CliError)) throw error
      this.#session.discard()
      this.say(error.message)
    }
  }

  #interrupt(): void {
    if (this.#running !== undefined) {
      this.#running.abort()
      return
    }
    this.#splitter = new StatementSplitter()
    this.#session.discard()
    const readline = this.#readline
    if (readline === undefined) return
    this.say('^C')
    readline.setPrompt(this.#promptText())
    if (readline.line === '') readline.prompt()
    // To the end, then delete to the start; readline shows the prompt again by itself.
    readline.write(null, { ctrl: true, name: 'e' })
    readline.write(null, { ctrl: true, name: 'u' })
  }

  #liveOptions(signal: AbortSignal) {
    return {
      connection: this.#connection,
      surroundings: this.#surroundings,
      isQuiet: this.#isQuiet,
      format: this.#format,
      signal,
    }
  }

  #newSession(): SqlSession {
    return new SqlSession({
      connection: this.#connection,
      rowShape: () => (this.#format === 'json' ? 'object' : 'array'),
      onResult: (result) => this.#show(result),
    })
  }

  /** Each result is a document of its own: nobody pipes a shell into a program. */
  async #show(result: StatementResult): Promise<void> {
    const printer = new ResultPrinter({
      format: this.#format,
      output: this.#surroundings.stdout,
      isExpanded: this.#isExpanded,
      isQuiet: this.#isQuiet,
    })
    await printer.print(result)
    await printer.end()
  }

  async #complete(line: string): Promise<[string[], string]> {
    return completeLine(line, await this.#catalog.names())
  }
}

/** Waits, but no longer than until the signal. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}
