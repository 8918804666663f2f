/**
 * What a session sends to the engine and what its client hears. Steps gather until a Flush or Sync;
 * then they run as one unit, or as one for each identity:
 *
 *   add, add, add ──► parts, by identity ──► unit … Flush, unit … Sync ──► engine
 *                                   client ◄── replies, read along the steps
 *
 * After an error all is passed over until Sync, as PostgreSQL does.
 */
import type { CopyStream, Identity, Reply, Session } from '../../engine/engine.js'
import { DbError } from '../../errors.js'
import type { WireClient } from '../wire-session.js'
import { clientMessage, clientTag } from './client-messages.js'
import { firstPieceRows, nextPieceRows, type PieceBounds } from './piece-rows.js'
import { failEach, readReply, type LargeResult, type ReplyRead, type Step } from './read-reply.js'
import { errorMessage, readyForQuery, type TransactionStatus } from './server-messages.js'

export interface PipelineLimits {
  readonly searchPath: string
  readonly timeoutMs: number
  readonly waitMs: number
  readonly replyBytesMax: number
}

export interface PipelineOptions {
  readonly session: Session
  readonly client: WireClient
  /** Who Sync and what we refuse run as. */
  readonly identity: Identity
  readonly limits: () => PipelineLimits
  /** How large results are read. */
  readonly bounds: PieceBounds
  /** DDL was done, by a function perhaps. */
  readonly onSchemaChange: () => void
  /** ReadyForQuery came: nothing is pending. */
  readonly onReady: (status: TransactionStatus, hasFailed: boolean) => void
  /** What else is to be said before ReadyForQuery. */
  readonly beforeReady: (status: TransactionStatus) => readonly Uint8Array[]
}

export interface RunOptions {
  /** The data of a COPY in it. */
  readonly copy?: CopyStream | undefined
  /** What is to be said before its answer. */
  readonly beforeAnswer?: (() => Promise<void>) | undefined
}

export interface SyncOptions extends RunOptions {
  /** The client asked for no ReadyForQuery. */
  readonly hidden?: boolean
}

interface Part {
  readonly identity: Identity
  readonly messages: Uint8Array[]
  readonly steps: Step[]
}

const syncMessage = clientMessage(clientTag.sync)
const flushMessage = clientMessage(clientTag.flush)

export class Pipeline {
  readonly #options: PipelineOptions
  #parts: Part[] = []
  #status: TransactionStatus = 'I'
  /** The engine has read messages after which no Sync came yet. */
  #isOpen = false
  /** An answer was lost, and with it what it said of the transaction. */
  #isUnsure = false
  #passesOver = false
  /** The last step added is one that fails. */
  #isRefused = false
  /** Said before anything else. */
  readonly #unsaid: Uint8Array[] = []
  /** The client has asked to end what runs. */
  isCancelled = false
  #hasExecutes = false
  #tookMs = 0

  constructor(options: PipelineOptions) {
    this.#options = options
  }

  /** As of the last ReadyForQuery. */
  get status(): TransactionStatus {
    return this.#status
  }

  /** The engine is this session's own at the moment. */
  get isEngaged(): boolean {
    return this.#isOpen || this.#status !== 'I'
  }

  /** Messages ran or wait to run that no Sync has ended yet. */
  get isOpen(): boolean {
    return this.#isOpen || this.#parts.length > 0
  }

  /** A statement was executed, or waits to be, that no Sync has ended yet. */
  get hasExecutes(): boolean {
    return this.#hasExecutes
  }

  /** Something failed, or is going to: all is passed over until Sync. */
  get passesOver(): boolean {
    return this.#passesOver || this.#isRefused
  }

  /** How long each Execute of the present unit took, on average. */
  get tookMs(): number {
    return this.#tookMs
  }

  add(identity: Identity, message: Uint8Array, step: Step): void {
    this.#hasExecutes ||= step.executes === true
    const last = this.#parts.at(-1)
    if (last !== undefined && isSame(last.identity, identity)) {
      last.messages.push(message)
      last.steps.push(step)
    } else this.#parts.push({ identity, messages: [message], steps: [step] })
  }

  /** The statement fails with this error, and with it what it stands in. */
  refuse(error: DbError): void {
    if (this.#parts.length === 0 && !this.isEngaged) {
      this.#passesOver = true
      this.#unsaid.push(errorMessage(error))
      return
    }
    this.#isRefused = true
    this.add(this.#options.identity, failingMessage, { hides: 'nothing', refusal: error })
  }

  /** Says something of ours at the next Sync, where nothing else is pending before it. */
  sayLocally(message: Uint8Array): void {
    this.#unsaid.push(message)
  }

  /** Says something of ours, after the answers to all that was added before. */
  async say(...messages: readonly Uint8Array[]): Promise<void> {
    await this.flush()
    if (!this.#passesOver) await this.#send(messages)
  }

  /** Runs what is pending. */
  async flush(how: RunOptions = {}): Promise<void> {
    await this.#sendUnsaid()
    for (const part of this.#takeParts())
      if (this.#passesOver) passOver(part)
      else await this.#run(part, 'flush', how)
  }

  /** Runs what is pending and ends it. */
  async sync({ hidden = false, ...how }: SyncOptions = {}): Promise<void> {
    await this.#sendUnsaid()
    const parts = this.#takeParts()
    let isReady = false
    for (const [index, part] of parts.entries()) {
      if (this.#passesOver) {
        passOver(part)
        continue
      }
      const end = index < parts.length - 1 ? 'flush' : hidden ? 'hidden-sync' : 'sync'
      isReady = (await this.#run(part, end, how))?.status !== undefined
    }
    if (!isReady && (this.#isOpen || this.#isUnsure))
      isReady = (await this.#runSync(hidden))?.status !== undefined
    const hasFailed = this.#passesOver
    // The client has sent no Sync: all up to it is still passed over.
    this.#passesOver = hidden && hasFailed
    this.#isRefused = false
    this.#isOpen = false
    this.#hasExecutes = false
    if (!isReady) this.#options.onReady(this.#status, hasFailed)
    if (!isReady && !hidden) await this.#send([...this.#heard(), readyForQuery(this.#status)])
  }

  #heard(): readonly Uint8Array[] {
    return this.#options.beforeReady(this.#status)
  }

  /** Runs messages of our own as the system or the caller, after all that is pending. */
  async runAside(
    identity: Identity,
    messages: readonly Uint8Array[],
    copy?: CopyStream,
  ): Promise<Reply> {
    await this.flush()
    const end = this.#isOpen ? flushMessage : syncMessage
    const { session, limits } = this.#options
    return session.run({ ...limits(), bytes: Buffer.concat([...messages, end]), identity, copy })
  }

  #takeParts(): Part[] {
    const parts = this.#parts
    this.#parts = []
    return parts
  }

  #runSync(hidden: boolean): Promise<ReplyRead | undefined> {
    const part = { identity: this.#options.identity, messages: [], steps: [] }
    return this.#run(part, hidden ? 'hidden-sync' : 'sync', {})
  }

  /** Undefined if the engine gave no answer; then why was said. */
  async #run(
    part: Part,
    end: 'flush' | 'sync' | 'hidden-sync',
    how: RunOptions,
  ): Promise<ReplyRead | undefined> {
    const large = end === 'sync' && !this.#isOpen ? part.steps.at(-1)?.large : undefined
    if (large !== undefined && this.#status === 'T') return this.#runInPieces(part, large)
    if (large?.again !== undefined && this.#status === 'I')
      return this.#runOrAgain(part, large.again)
    const reply = await this.#runUnit(part, end === 'flush' ? flushMessage : syncMessage, how)
    return reply === undefined ? undefined : this.#read(reply, part, end, how)
  }

  /** Whole if it fits; else the query is run again, its rows a piece at a time. */
  async #runOrAgain(part: Part, again: () => Promise<void>): Promise<ReplyRead | undefined> {
    const reply = await this.#runUnit(part, syncMessage, { mayBeTooLarge: true })
    if (reply === undefined) return undefined
    if (reply !== 'too-large') return this.#read(reply, part, 'sync', {})
    const { identity, messages, steps } = part
    const before = { identity, messages: messages.slice(0, -1), steps: steps.slice(0, -1) }
    await this.#run(before, 'hidden-sync', {})
    if (this.#passesOver) return undefined
    try {
      await again()
    } catch (error) {
      if (!(error instanceof DbError) || endsConnection.has(error.code)) throw error
      this.#passesOver = true
      await this.#send([errorMessage(error)])
    }
    return undefined
  }

  /** In a transaction the portal stays between two units, and the engine is the session's anyway. */
  async #runInPieces(part: Part, large: LargeResult): Promise<ReplyRead | undefined> {
    const { identity } = part
    const last = part.steps.at(-1)
    let { messages, steps } = part
    let rows = firstPieceRows
    for (let total = 0; last !== undefined;) {
      messages = [...messages.slice(0, -1), large.execute(rows)]
      const piece = { identity, messages, steps }
      const reply = await this.#runUnit(piece, syncMessage, {})
      if (reply === undefined) return undefined
      const read = await this.#read(reply, piece, 'sync', {})
      if (!read.isSuspended) return read
      total += read.rows
      rows = nextPieceRows(rows, reply.length, this.#options.bounds)
      messages = messages.slice(-1)
      steps = [countingFrom(total, last)]
    }
    return undefined
  }

  async #read(
    reply: Reply,
    part: Part,
    end: 'flush' | 'sync' | 'hidden-sync',
    how: RunOptions,
  ): Promise<ReplyRead> {
    const read = readReply(reply, part.steps, {
      hidesReady: end === 'hidden-sync',
      schemaChanged: this.#options.onSchemaChange,
      beforeReady: (status, hasFailed) => this.#becomeReady(status, hasFailed),
    })
    if (end === 'flush') this.#isOpen = true
    if (read.hasFailed) this.#passesOver = true
    if (how.beforeAnswer !== undefined) await how.beforeAnswer()
    if (read.pieces.length > 0) await this.#send(read.pieces)
    return read
  }

  /** ReadyForQuery came; what is to be said before it. */
  #becomeReady(status: TransactionStatus, hasFailed: boolean): readonly Uint8Array[] {
    this.#status = status
    this.#isOpen = false
    this.#isUnsure = false
    this.#options.onReady(status, hasFailed || this.#passesOver)
    return this.#heard()
  }

  async #runUnit(
    part: Part,
    end: Uint8Array,
    { copy, beforeAnswer }: RunOptions,
  ): Promise<Reply | undefined>
  async #runUnit(
    part: Part,
    end: Uint8Array,
    how: { readonly mayBeTooLarge: true },
  ): Promise<Reply | 'too-large' | undefined>
  async #runUnit(
    part: Part,
    end: Uint8Array,
    {
      copy,
      beforeAnswer,
      mayBeTooLarge = false,
    }: RunOptions & { readonly mayBeTooLarge?: boolean },
  ): Promise<Reply | 'too-large' | undefined> {
    const { session, limits } = this.#options
    const bytes = Buffer.concat([...part.messages, end])
    const startedAt = performance.now()
    const settle = (): void => {
      const executes = part.steps.filter(({ executes: isOne }) => isOne === true).length
      this.#tookMs = (performance.now() - startedAt) / Math.max(1, executes)
    }
    try {
      const reply = await session.run({ ...limits(), bytes, identity: part.identity, copy })
      settle()
      return reply
    } catch (error) {
      if (!(error instanceof DbError)) throw error
      if (endsConnection.has(error.code)) throw inPostgresWords(error)
      if (mayBeTooLarge && error.code === 'RESULT_TOO_LARGE') return 'too-large'
      settle()
      failEach(part.steps, error)
      this.#passesOver = true
      if (!nothingRan.has(error.code)) this.#isUnsure = true
      if (beforeAnswer !== undefined) await beforeAnswer()
      await this.#send([errorMessage(inPostgresWords(error))])
      return undefined
    }
  }

  async #sendUnsaid(): Promise<void> {
    if (this.#unsaid.length > 0) await this.#send(this.#unsaid.splice(0))
  }

  async #send(messages: readonly Uint8Array[]): Promise<void> {
    const [first] = messages
    if (first === undefined) return
    const sent = this.#options.client.send(messages.length === 1 ? first : Buffer.concat(messages))
    if (sent instanceof Promise) await sent
  }
}

/** A portal's last portion counts only itself. */
function countingFrom(total: number, step: Step): Step {
  const tagFor = (tag: string): string => {
    const whole = tag.replace(/\d+$/, (count) => String(total + Number(count)))
    return step.tagFor?.(whole) ?? whole
  }
  return { ...step, tagFor }
}

function passOver({ steps }: Part): void {
  for (const step of steps) step.failed?.(undefined)
}

/** The transaction is gone, or the engine. */
const endsConnection: ReadonlySet<string> = new Set([
  'TRANSACTION_TIMEOUT',
  'ENGINE_RESTARTED',
  'UNAVAILABLE',
])

const nothingRan: ReadonlySet<string> = new Set(['LEASE_TIMEOUT', 'OVERLOADED'])

/** Binds a statement that is not there: PostgreSQL fails as it would by itself. */
const failingMessage = clientMessage(
  clientTag.bind,
  '',
  'kalam_refused',
  Uint8Array.of(0, 0, 0, 0, 0, 0),
)

function isSame(one: Identity, other: Identity): boolean {
  return (
    one === other ||
    (one.roleOid === other.roleOid &&
      one.userId === other.userId &&
      one.readOnly === other.readOnly)
  )
}

/** In PostgreSQL's words, which clients look for. */
export function inPostgresWords(error: DbError): DbError {
  const { code, fields, sqlState } = error
  const message = postgresMessages.get(code) ?? timeoutMessages.get(sqlState)
  if (message !== undefined) return new DbError(code, message, fields)
  if (code === 'LEASE_TIMEOUT')
    return error.with({
      hint: 'engine.lease_wait_ms is the bound; transactions have the engine one at a time',
    })
  return error
}

const timeoutMessages: ReadonlyMap<string, string> = new Map([
  ['25P03', 'terminating connection due to idle-in-transaction timeout'],
  ['25P04', 'terminating connection due to transaction timeout'],
])

const postgresMessages: ReadonlyMap<string, string> = new Map([
  ['CANCELLED', 'canceling statement due to user request'],
  ['STATEMENT_TIMEOUT', 'canceling statement due to statement timeout'],
])
