/** `kalam subscribe` and `SUBSCRIBE TO`: a live query, until Ctrl-C or its end. */
import { WebSocket } from 'ws'
import {
  createClient,
  isKalamError,
  type ConnectionState,
  type ErrorDetails,
  type KalamClient,
  type WebSocketConstructor,
} from 'kalam-link'
import { openFeed, type FeedEvent } from 'kalam-link/feed'
import { errorCodes, type ErrorCode } from '../../src/protocol/error-code.js'
import { indexOfCharacter, positionAt } from '../../src/protocol/text-position.js'
import { ChangePrinter } from './change-printer.js'
import { displayLine } from './display-text.js'
import { CliError, type ExitName } from './exit-code.js'
import { wrongKeyAdvice, type ServerConnection } from './server-connection.js'
import { formatSqlError } from './sql-error-text.js'
import type { Surroundings } from './surroundings.js'
import type { OutputFormat } from './output-format.js'

export interface SubscribeOptions {
  readonly connection: ServerConnection
  readonly surroundings: Surroundings
  readonly isQuiet: boolean
  readonly format: OutputFormat
  /** Ends it: Ctrl-C. */
  readonly signal: AbortSignal
  readonly sql: string
  /** JSON of the list of `$1`, `$2`, … */
  readonly params?: string | undefined
  /** Continue after this cursor. */
  readonly from?: string | undefined
  /** Where the query was written, for errors. */
  readonly place?: QueryPlace | undefined
}

export interface QueryPlace {
  /** The statement that the query stands in. */
  readonly text: string
  /** Where the query stands in it. */
  readonly shift: number
  /** Of the file, if it was one. */
  readonly source: string | undefined
  readonly line: number
  readonly column: number
}

/** Attempts before the first success: the server answered over HTTP a moment ago. */
const firstAttemptsMax = 5
/** A server that starts may listen before its new token is where we look for it. */
const refusedTokensMax = 5
/** So long after one. */
const refusedTokenPauseMs = 500
/** A person, or a pipe, waits. */
const reconnect = { delayMsMin: 100, delayMsMax: 2_000 }

/** Ends at Ctrl-C with `ok`, or with what ended the query. Throws CliError. */
export async function runSubscribe(options: SubscribeOptions): Promise<ExitName> {
  const key = await options.connection.key()
  // Says in its own words what to do when nothing is there.
  await options.connection.state()
  if (options.signal.aborted) return 'ok'
  const follower = new Follower(options)
  return follower.run(key.value)
}

class Follower {
  readonly #options: SubscribeOptions
  readonly #printer: ChangePrinter
  #socket: WebSocket | undefined
  #wasConnected = false
  #refusedTokens = 0
  #refusedTimer: ReturnType<typeof setTimeout> | undefined
  #end: (exit: ExitName | CliError) => void = () => undefined

  constructor(options: SubscribeOptions) {
    this.#options = options
    const write = (text: string) => this.#write(text)
    this.#printer = new ChangePrinter(options.format, write, options.from)
  }

  async run(key: string): Promise<ExitName> {
    const { connection, signal, sql, params, from } = this.#options
    const ended = new Promise<ExitName | CliError>((resolve) => {
      this.#end = resolve
    })
    const interrupt = () => this.#end('ok')
    signal.addEventListener('abort', interrupt)
    const client = this.#openClient(key)
    client.connection.subscribe((state) => this.#tellState(state, client))
    openFeed(client, sql, { params, from, namespace: connection.target.namespace }, (event) =>
      this.#take(event),
    )
    const exit = await ended
    signal.removeEventListener('abort', interrupt)
    clearTimeout(this.#refusedTimer)
    client.close()
    if (exit instanceof CliError) throw exit
    return exit
  }

  #openClient(key: string): KalamClient {
    const { target } = this.#options.connection
    try {
      return createClient({
        url: target.url,
        apiKey: () => target.currentKey() ?? key,
        WebSocket: this.#socketConstructor(),
        clock: this.#options.surroundings.clock,
        reconnect,
      })
    } catch (cause) {
      if (!isKalamError(cause) || !cause.code.startsWith('CONFIG_')) throw cause
      throw cause.code.startsWith('CONFIG_API_KEY')
        ? new CliError('notAuthorised', wrongKeyAdvice(target, cause.message), { cause })
        : new CliError('usage', cause.message, { cause })
    }
  }

  /** That of `ws`, of which the last one made is kept: it can be told to wait. */
  #socketConstructor(): WebSocketConstructor {
    const keep = (socket: WebSocket) => {
      this.#socket = socket
    }
    return class extends WebSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols, { perMessageDeflate: false, followRedirects: false })
        keep(this)
      }
    }
  }

  #take(event: FeedEvent): void {
    if (event.kind === 'failed') this.#fail(event.error)
    else if (event.kind === 'waiting') this.#say(`${event.error.message}; trying again soon`)
    else {
      if (event.kind === 'reset') this.#say(`starting over: ${event.reason}`)
      this.#printer.print(event)
    }
  }

  /** A slow reader of ours must not fill our memory: then the server waits, and ends us if need be. */
  #write(text: string): void {
    const { stdout } = this.#options.surroundings
    const socket = this.#socket
    if (text === '' || stdout.write(text) || socket?.isPaused !== false) return
    if (socket.readyState !== WebSocket.OPEN) return
    socket.pause()
    stdout.once('drain', () => socket.resume())
  }

  #tellState(state: ConnectionState, client: KalamClient): void {
    const { status, attempt, retryInMs, everConnected, error } = state
    switch (status) {
      case 'idle':
      case 'connecting':
        break
      case 'connected':
        if (this.#wasConnected) this.#say('connected again')
        this.#wasConnected = true
        this.#refusedTokens = 0
        break
      case 'reconnecting':
        if (retryInMs === undefined || error === undefined) break
        if (!everConnected && attempt >= firstAttemptsMax) this.#end(this.#closedError(error))
        else this.#sayWaiting(error.message, retryInMs)
        break
      case 'closed':
        if (error !== undefined) this.#refused(error, client)
    }
  }

  /** A server that starts anew has another token, which may not be there yet. */
  #refused(error: Pick<ErrorDetails, 'code' | 'message'>, client: KalamClient): void {
    const { target } = this.#options.connection
    const mayHelp = error.code === 'UNAUTHORIZED' && target.isToken
    if (!mayHelp || this.#refusedTokens >= refusedTokensMax) {
      this.#end(this.#closedError(error))
      return
    }
    this.#refusedTokens += 1
    this.#sayWaiting(error.message, refusedTokenPauseMs)
    this.#refusedTimer = setTimeout(() => client.connect(), refusedTokenPauseMs)
  }

  #sayWaiting(message: string, delayMs: number): void {
    this.#say(`${message}; trying again in ${(delayMs / 1000).toFixed(1)} s`)
  }

  /** On standard error: results are what is piped on. */
  #say(text: string): void {
    const { isQuiet, surroundings } = this.#options
    if (!isQuiet) surroundings.stderr.write(`kalam: ${displayLine(text)}\n`)
  }

  #fail(error: ErrorDetails): void {
    const { sql, place, surroundings } = this.#options
    const { text, shift, source, line, column } = place ?? {
      ...{ text: sql, shift: 0, source: undefined, line: 1, column: 1 },
    }
    const status = statusOf(error.code)
    const index =
      error.position === undefined
        ? undefined
        : Math.max(0, indexOfCharacter(sql, error.position - 1) + shift)
    const inside = positionAt(text, index ?? 0)
    const failure = {
      ...{ error, status, text, index },
      line: line + inside.line - 1,
      column: inside.line === 1 ? column + inside.column - 1 : inside.column,
    }
    surroundings.stderr.write(formatSqlError(failure, source))
    this.#end(status === 403 ? 'notAuthorised' : 'sqlError')
  }

  #closedError({ code, message }: Pick<ErrorDetails, 'code' | 'message'>): CliError {
    const { target } = this.#options.connection
    if (code === 'UNAUTHORIZED')
      return new CliError('notAuthorised', wrongKeyAdvice(target, message))
    if (code === 'FORBIDDEN') return new CliError('notAuthorised', message)
    return new CliError('notConnected', `cannot subscribe at ${target.url}: ${message}`)
  }
}

/** Of codes that this version does not know, 500. */
function statusOf(code: string): number {
  // Any text may be looked up.
  return Object.hasOwn(errorCodes, code) ? errorCodes[code as ErrorCode].status : 500
}
