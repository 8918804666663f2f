/**
 * A client that is logged in, until its end:
 *
 *   idle ──message──► gathering ──Query, Sync, Flush──► running ──the session is done──► idle
 *     └───────────────────── Terminate, gone, ended by us ─────────────────────► ended
 *
 * While a unit runs, messages stay unread but for the data of COPY. `ended` is reached once, from
 * anywhere; what runs is cancelled there.
 */
import type { Presence } from '../../src/database/database.js'
import {
  errorMessage,
  readyForQuery,
  type TransactionStatus,
} from '../../src/database/wire/server-messages.js'
import type { WireClient, WireSession } from '../../src/database/wire-session.js'
import { DbError } from '../../src/errors.js'
import type { Log } from '../../src/telemetry/log.js'
import type { Metrics } from '../../src/telemetry/metrics.js'
import { CopyInput } from './copy-input.js'
import type { FrameBound } from './frame-reader.js'
import { frontendTag } from './frontend-tag.js'
import type { WireSocket } from './wire-socket.js'

export interface ConversationOptions {
  readonly socket: WireSocket
  readonly presence: Presence
  readonly log: Log
  readonly metrics: Metrics
  /** `postgres_wire.message_bytes_max`. */
  readonly messageBound: FrameBound
  /** Most that is gathered of one unit. */
  readonly unitBytesMax: number
  /** Most that is read ahead of what runs. */
  readonly aheadBytesMax: number
  /** Told once, when the session has given back all that it had. */
  readonly onEnded: () => void
}

export class Conversation implements WireClient {
  readonly #options: ConversationOptions
  readonly #socket: WireSocket
  #session: WireSession | undefined
  #gathered: Buffer[] = []
  #gatheredBytes = 0
  #status: TransactionStatus = 'I'
  #isRunning = false
  /** Part of what comes up to the next Sync has run. */
  #isMidway = false
  /** A unit was refused: all up to the next Sync is dropped. */
  #isSkipping = false
  /** The Sync that ends a COPY, whose unit had one already. */
  #dropsSync = false
  #copy: CopyInput | undefined
  #isStopping = false
  #hasEnded = false

  constructor(options: ConversationOptions) {
    this.#options = options
    this.#socket = options.socket
  }

  /** Takes what the client says from now on. */
  open(session: WireSession): void {
    this.#session = session
    if (this.#socket.gone !== undefined) {
      this.#finish('CLOSED')
      return
    }
    this.#socket.onData = () => this.#came()
    this.#socket.onGone = ({ code }) => this.#finish(code === 'CANCELLED' ? 'CLOSED' : code)
    this.#proceed()
  }

  send(messages: Uint8Array): void | Promise<void> {
    this.#status = statusAtEnd(messages) ?? this.#status
    return this.#socket.send(messages)
  }

  copyData(): AsyncIterable<Uint8Array> {
    this.#copy = new CopyInput(() => this.#nextOfCopy())
    return this.#copy
  }

  /** Ends what runs, for a CancelRequest. */
  cancel(): void {
    if (this.#isRunning) this.#session?.cancel()
  }

  /** Tells the client why, and ends. */
  end(error: DbError): void {
    if (this.#hasEnded) return
    this.#socket.end(errorMessage(error, 'FATAL'))
    this.#finish(error.code)
  }

  /** Ends as soon as nothing runs and no transaction is open. */
  stop(): void {
    this.#isStopping = true
    this.#endIfStopped()
  }

  #came(): void {
    if (this.#copy !== undefined) this.#copy.wake()
    if (!this.#isRunning) this.#proceed()
    else if (this.#isFull()) this.#socket.want(false)
  }

  /** Takes messages until a unit runs, or there are no more. */
  #proceed(): void {
    try {
      while (!this.#isRunning && !this.#hasEnded) {
        const message = this.#socket.reader.message(this.#options.messageBound)
        if (message === undefined) break
        this.#take(message)
      }
    } catch (thrown) {
      this.end(this.#errorOf(thrown))
    }
    if (!this.#hasEnded) this.#socket.want(!this.#isRunning || !this.#isFull())
  }

  #isFull(): boolean {
    return this.#socket.reader.bufferedBytes >= this.#options.aheadBytesMax
  }

  #take(message: Buffer): void {
    const tag = message[0] ?? 0
    // Left over from a COPY that has failed: PostgreSQL ignores them as well.
    if (isOfCopy(tag)) return
    const dropsSync = this.#dropsSync
    this.#dropsSync = false
    if (tag === frontendTag.terminate) this.#leave()
    else if (tag === frontendTag.proof)
      throw new DbError('BAD_REQUEST', 'a connection is authenticated once')
    else if (dropsSync && tag === frontendTag.sync) return
    else if (this.#isSkipping) this.#skip(tag)
    else this.#gather(message, tag)
  }

  #skip(tag: number): void {
    if (tag !== frontendTag.sync) return
    this.#isSkipping = false
    void this.send(readyForQuery(this.#status))
  }

  #gather(message: Buffer, tag: number): void {
    this.#gathered.push(message)
    this.#gatheredBytes += message.length
    const { unitBytesMax } = this.#options
    if (this.#gatheredBytes > unitBytesMax)
      throw new DbError(
        'REQUEST_TOO_LARGE',
        `more than postgres_wire.unit_bytes_max, ${unitBytesMax} bytes, before a Sync`,
      )
    if (!endsUnit(tag)) return
    const unit = this.#gathered
    this.#gathered = []
    this.#gatheredBytes = 0
    const refusal = this.#refusal()
    if (refusal === undefined) this.#run(unit, tag)
    else this.#refuse(refusal, tag)
  }

  /**
   * Of the key's rate. Not inside a transaction: it has begun, and to leave out one of its statements
   * would be worse than one too many.
   */
  #refusal(): DbError | undefined {
    if (this.#status !== 'I' || this.#isMidway) return undefined
    try {
      this.#options.presence.countRequest()
      return undefined
    } catch (thrown) {
      return this.#errorOf(thrown)
    }
  }

  #refuse(error: DbError, tag: number): void {
    void this.send(errorMessage(error))
    if (tag === frontendTag.flush) this.#isSkipping = true
    else void this.send(readyForQuery(this.#status))
  }

  #run(unit: readonly Buffer[], tag: number): void {
    this.#isRunning = true
    this.#options.metrics.wireUnit()
    const running = this.#session?.run(unit)
    running?.then(
      () => this.#ran(tag),
      (thrown: unknown) => this.end(this.#errorOf(thrown)),
    )
  }

  #ran(tag: number): void {
    this.#isRunning = false
    this.#isMidway = tag === frontendTag.flush
    this.#dropsSync = this.#copy !== undefined && tag === frontendTag.sync
    this.#copy = undefined
    if (this.#hasEnded) return
    this.#endIfStopped()
    this.#proceed()
  }

  #nextOfCopy(): Buffer | undefined {
    const { gone, reader } = this.#socket
    if (this.#hasEnded) throw gone ?? new DbError('CANCELLED', 'the connection was ended')
    const message = reader.message(this.#options.messageBound)
    if (message === undefined || !this.#isFull()) this.#socket.want(true)
    if (message?.[0] === frontendTag.terminate) {
      this.#leave()
      throw new DbError('CANCELLED', 'the client has gone')
    }
    return message
  }

  /** As the client wishes. */
  #leave(): void {
    this.#socket.end()
    this.#finish('CLOSED')
  }

  #endIfStopped(): void {
    if (this.#isStopping && !this.#isRunning && this.#status === 'I') this.end(stopped())
  }

  #finish(code: string): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    const { presence, metrics, log, onEnded } = this.#options
    presence.leave()
    metrics.wireEnded(code)
    if (this.#isRunning) this.#session?.cancel()
    // Whoever waits for data is told that none will come.
    this.#copy?.wake()
    const closing = this.#session?.close() ?? Promise.resolve()
    void closing
      .catch((error: unknown) => log.error('a session of the wire did not close', { error }))
      .finally(onEnded)
  }

  /** Our own bugs are told apart only in the log. */
  #errorOf(thrown: unknown): DbError {
    if (thrown instanceof DbError) return thrown
    this.#options.log.error('internal error in the Postgres wire', { error: thrown })
    return new DbError('INTERNAL', 'internal error', {}, { cause: thrown })
  }
}

/** What the server says to all when it stops (PostgreSQL: admin_shutdown). */
export function stopped(): DbError {
  return new DbError('UNAVAILABLE', 'terminating connection due to administrator command', {
    sqlState: '57P01',
  })
}

function endsUnit(tag: number): boolean {
  return (
    tag === frontendTag.query ||
    tag === frontendTag.sync ||
    tag === frontendTag.flush ||
    tag === frontendTag.functionCall
  )
}

function isOfCopy(tag: number): boolean {
  return (
    tag === frontendTag.copyData || tag === frontendTag.copyDone || tag === frontendTag.copyFail
  )
}

const readyTag = 0x5a
const readyBytes = 6

/**
 * Of ReadyForQuery, if that is the last message. What a row holds could look like it, where a reply
 * comes in parts; the end of the reply sets that right.
 */
function statusAtEnd(messages: Uint8Array): TransactionStatus | undefined {
  const at = messages.length - readyBytes
  if (at < 0 || messages[at] !== readyTag || messages[at + 4] !== 5) return undefined
  if (messages[at + 1] !== 0 || messages[at + 2] !== 0 || messages[at + 3] !== 0) return undefined
  const status = String.fromCharCode(messages[at + 5] ?? 0)
  return status === 'I' || status === 'T' || status === 'E' ? status : undefined
}
