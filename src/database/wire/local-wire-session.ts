/**
 * The session behind the Postgres door. It plans every text as the other doors do, lets PostgreSQL
 * run it under names of its own, and passes on what PostgreSQL says.
 *
 *   Query                 plan ─► Parse Bind Describe Execute, of each statement ─► Sync
 *   Parse Bind Execute …  plan ─► the same messages, with the session's names    ─► Flush, Sync
 *
 * A text of several statements is one implicit transaction to PostgreSQL, and so is what stands
 * between two Syncs: both are one pipeline here.
 */
import type { Callers } from '../../access/callers.js'
import type { Dialect } from '../../dialect/open-dialect.js'
import type { KalamPlan, Plan, PlanContext, SqlPlan } from '../../dialect/plan.js'
import type { Session } from '../../engine/engine.js'
import { firstError } from '../../engine/backend-messages.js'
import { syncMessage } from '../../engine/frontend-messages.js'
import { DbError } from '../../errors.js'
import type { AdvisoryLocks } from '../advisory-locks.js'
import type { Caller } from '../database.js'
import { listsLiveQueries, writeLiveQueries } from '../live-query-list.js'
import type { Spools } from '../spool.js'
import type { StatementLog } from '../statement-log.js'
import { sqlPlanOf, type RunnerRooms } from '../statement-runner.js'
import type { WireSession, WireSessionOptions } from '../wire-session.js'
import { asideMessages } from './aside.js'
import { clientTag, readQuery } from './client-messages.js'
import { CopyStatements } from './copy-statement.js'
import { ExtendedQuery } from './extended-query.js'
import { isKalam, runKalam } from './kalam-steps.js'
import type { NotificationHub } from './notification-hub.js'
import { Outbox } from './outbox.js'
import { nameInPostgres } from './own-names.js'
import { inPostgresWords, Pipeline } from './pipeline.js'
import { commandComplete, emptyQuery, type TransactionStatus } from './server-messages.js'
import { ReportedSettings } from './reported-settings.js'
import { SessionComposer } from './session-composer.js'
import { refuseStartup, SessionSettings } from './session-settings.js'
import { SessionEffects } from './session-effects.js'
import { SessionLocks } from './session-locks.js'
import { StatementSteps } from './statement-steps.js'
import { TransactionDeadlines } from './transaction-deadlines.js'

export interface WireRooms {
  readonly rooms: RunnerRooms
  readonly dialect: Dialect
  readonly callers: Callers
  readonly log: StatementLog
  readonly hub: NotificationHub
  readonly locks: AdvisoryLocks
  readonly spools: Spools
  readonly reportedDefaults: () => Promise<ReadonlyMap<string, string>>
  readonly settings: {
    readonly statementTimeoutMs: number
    readonly leaseWaitMs: number
    readonly adminLeaseMs: number
    readonly resultBytesMax: number
    readonly streamPieceBytes: number
    readonly streamIdleTimeoutMs: number
    readonly copyBytesMax: number
    readonly notifiedBytesMax: number
    readonly channelsMax: number
    readonly statementsBytesMax: number
  }
}

/** Errors: what is wrong with its settings (QUERY_REJECTED, STATEMENT_REFUSED, FORBIDDEN); the engine's. */
export async function openWireSession(
  rooms: WireRooms,
  caller: Caller,
  options: WireSessionOptions,
): Promise<WireSession> {
  refuseStartup(options.settings, caller)
  const session = new LocalWireSession(rooms, caller, options)
  try {
    await session.open()
    return session
  } catch (error) {
    await session.close()
    throw error
  }
}

function insideTransaction(): DbError {
  const message = 'statements about users and keys cannot run inside a transaction'
  return new DbError('QUERY_REJECTED', message, { sqlState: '25001' })
}

/** Whether a statement of a Query of several begins an implicit transaction block, or is in one. */
type Block = 'begins' | 'goes-on'

/** What follows it begins another. */
function endsTransaction(plan: Plan): boolean {
  if (isKalam(plan)) return true
  const { transaction } = plan.kind === 'sql' ? plan : plan.inner
  return transaction === 'commit' || transaction === 'rollback'
}

/** Whether it may matter to it: to queries and changes of rows it does not, and BEGIN goes on with it. */
function asksForBlock({ touchesRows, stateful, transaction }: SqlPlan): boolean {
  return transaction !== 'begin' && (stateful || !touchesRows)
}

let lastSession = 0

class LocalWireSession implements WireSession {
  readonly #rooms: WireRooms
  readonly #caller: Caller
  readonly #context: PlanContext
  readonly #session: Session
  readonly #settings: SessionSettings
  readonly #outbox: Outbox
  readonly #pipeline: Pipeline
  readonly #composer: SessionComposer
  readonly #effects: SessionEffects
  readonly #steps: StatementSteps
  readonly #deadlines: TransactionDeadlines
  readonly #copies: CopyStatements
  readonly #extended: ExtendedQuery
  readonly #reported: ReportedSettings
  readonly #locks: SessionLocks
  #closing: Promise<void> | undefined
  readonly #processId: number

  constructor(
    rooms: WireRooms,
    caller: Caller,
    { client, settings, processId }: WireSessionOptions,
  ) {
    const { role, readOnly, identity } = caller
    const namePrefix = `kalam_w${++lastSession}_`
    const ofSession = {
      nameInPostgres: (name: string) => nameInPostgres(namePrefix, name),
      processId,
    }
    this.#rooms = rooms
    this.#processId = processId
    this.#caller = caller
    this.#context = { role, readOnly, door: 'postgres' }
    this.#session = rooms.rooms.engine.openSession({
      ...{ lasts: true, settings, namePrefix, processId },
      ...(role === 'admin' ? { leaseMs: rooms.settings.adminLeaseMs } : {}),
      onExpired: (error) => client.end(inPostgresWords(error)),
    })
    this.#settings = new SessionSettings(() => this.#session.settings, rooms.settings)
    this.#deadlines = new TransactionDeadlines(this.#settings, (error) => client.end(error))
    this.#reported = new ReportedSettings({
      settings: () => this.#session.settings,
      defaults: rooms.reportedDefaults,
      userName: caller.name,
    })
    this.#outbox = new Outbox(client, rooms.spools)
    const outbox = this.#outbox
    this.#locks = new SessionLocks({
      ...{ locks: rooms.locks, processId },
      lockTimeoutMs: () => this.#settings.lockTimeoutMs,
      statementTimeoutMs: () => this.#settings.statementTimeoutMs,
    })
    this.#pipeline = new Pipeline({
      ...{ identity, locks: this.#locks },
      session: this.#session,
      outbox,
      limits: () => this.#limits(),
      asideBytesMax: rooms.settings.resultBytesMax,
      onSchemaChange: () => this.#composer.schemaChanged(),
      onTemporary: () => this.#composer.madeTemporary(),
      onReady: (status, hasFailed) => this.#ready(status, hasFailed),
      beforeReady: (status) => [
        ...(status === 'I' ? this.#effects.takeNotified() : []),
        ...this.#reported.news(),
      ],
    })
    this.#effects = new SessionEffects({
      ...{ namePrefix, identity, client },
      ...{ hub: rooms.hub, pipeline: this.#pipeline },
      notifiedBytesMax: rooms.settings.notifiedBytesMax,
      channelsMax: rooms.settings.channelsMax,
      forgetStatements: (name) => this.#extended.forget(name),
    })
    this.#composer = new SessionComposer({
      ...{ caller, ofSession, rooms: rooms.rooms, callers: rooms.callers },
      ...{ pipeline: this.#pipeline, settings: this.#settings },
      prepared: (name) => this.#extended.planOf(name),
    })
    this.#steps = new StatementSteps({
      ...{ namePrefix, log: rooms.log, effects: this.#effects },
      ...{ pipeline: this.#pipeline, composer: this.#composer },
    })
    this.#copies = new CopyStatements({
      ...{ client, outbox, spools: rooms.spools },
      copyBytesMax: rooms.settings.copyBytesMax,
      ...{ pipeline: this.#pipeline, steps: this.#steps },
      everythingRoleOid: rooms.rooms.everythingRoleOid,
    })
    this.#extended = new ExtendedQuery({
      ...{ namePrefix, identity, steps: this.#steps, copies: this.#copies, spools: rooms.spools },
      keptMsMax: rooms.settings.streamIdleTimeoutMs,
      statementsBytesMax: rooms.settings.statementsBytesMax,
      ...{ pipeline: this.#pipeline, composer: this.#composer },
      plan: (text) => this.#plan(text),
      runKalam: (plan, formats) => this.#runKalam(plan, formats),
      beforeRun: (plan) => this.#beforeRun(plan),
    })
  }

  get parameters(): ReadonlyMap<string, string> {
    return this.#reported.told
  }

  /** Applies what the session is started with, and reads what the greeting says of it. */
  async open(): Promise<void> {
    const unit = { ...this.#limits(), identity: this.#caller.identity }
    const reply = await this.#session.run({ ...unit, bytes: syncMessage })
    const error = firstError(reply)
    if (error !== undefined) throw error
    await this.#reported.open()
  }

  async run(messages: readonly Uint8Array[]): Promise<void> {
    this.#effects.begin()
    this.#deadlines.work()
    this.#pipeline.begin()
    if (this.#mayDefer(messages)) {
      for (const message of messages.slice(0, -1)) this.#defer(message)
      await this.#pipeline.sync()
    } else await this.#runEach(messages)
    const { isEngaged, isBehind } = this.#pipeline
    this.#deadlines.rest(isEngaged)
    if (!isEngaged && !isBehind) this.#effects.rest()
  }

  async #runEach(messages: readonly Uint8Array[]): Promise<void> {
    for (const message of messages) {
      const done = this.#take(message)
      if (done !== undefined) await done
    }
  }

  cancel(): void {
    this.#pipeline.cancel()
  }

  close(): Promise<void> {
    this.#deadlines.stop()
    this.#effects.close()
    this.#extended.close()
    this.#closing ??= this.#end()
    return this.#closing
  }

  async #end(): Promise<void> {
    await Promise.all([this.#session.close(), this.#outbox.close()])
    if (this.#locks.holdsAny) {
      const { queries } = this.#rooms.rooms
      await queries.query('select kalam.give_advisory_locks_back($1)', [String(this.#processId)])
    }
    this.#locks.ended()
  }

  /**
   * Preparing must not wait for another's transaction: a client with two connections and one thread
   * would wait for itself (`pgbench -M prepared -c 2 -j 1`). PostgreSQL gets the text at its first use.
   */
  #mayDefer(messages: readonly Uint8Array[]): boolean {
    const { isEngaged, passesOver } = this.#pipeline
    if (isEngaged || passesOver || !this.#session.mustWait || messages.length < 2) return false
    const tags = messages.map(([tag]) => tag)
    return tags.pop() === clientTag.sync && tags.every((tag) => tag === clientTag.parse)
  }

  #defer(message: Uint8Array): void {
    try {
      if (!this.#pipeline.passesOver) this.#extended.defer(message)
    } catch (error) {
      this.#refuse(error)
    }
  }

  #take(message: Uint8Array): undefined | Promise<void> {
    const tag = message[0] ?? 0
    switch (tag) {
      case clientTag.sync:
        return this.#pipeline.sync()
      case clientTag.flush:
        return this.#pipeline.flush()
      case clientTag.query:
        return this.#pipeline.passesOver || this.#pipeline.isOpen
          ? this.#queryAfterOpen(message)
          : this.#query(message)
      case clientTag.functionCall:
        return this.#pipeline.passesOver ? undefined : this.#refuseFunctionCall()
      default:
        return this.#pipeline.passesOver ? undefined : this.#add(message)
    }
  }

  #add(message: Uint8Array): undefined | Promise<void> {
    try {
      const adding = this.#extended.add(message)
      return adding instanceof Promise
        ? adding.catch((error: unknown) => this.#refuse(error))
        : undefined
    } catch (error) {
      this.#refuse(error)
      return undefined
    }
  }

  /** What fails before a Query without a Sync in between passes it over too. */
  async #queryAfterOpen(message: Uint8Array): Promise<void> {
    if (!this.#pipeline.passesOver) await this.#pipeline.flush()
    if (!this.#pipeline.passesOver) await this.#query(message)
  }

  async #query(message: Uint8Array): Promise<void> {
    this.#extended.forgetUnnamed()
    try {
      const plans = this.#plan(readQuery(message))
      if (plans.length === 0) await this.#pipeline.say(emptyQuery)
      await this.#runPlans(plans)
    } catch (error) {
      this.#refuse(error)
    }
    await this.#pipeline.sync()
  }

  async #runPlans(plans: readonly Plan[]): Promise<void> {
    const areSeveral = plans.length > 1
    // In a failed transaction the next may be the ROLLBACK.
    let block: Block = areSeveral && this.#pipeline.status === 'I' ? 'begins' : 'goes-on'
    for (const plan of plans) {
      await this.#runPlan(plan, block, plan === plans.at(-1))
      if (this.#pipeline.passesOver) return
      block = areSeveral && endsTransaction(plan) ? 'begins' : 'goes-on'
    }
  }

  async #runPlan(plan: Plan, block: Block, isLast: boolean): Promise<void> {
    if (isKalam(plan)) {
      await this.#runKalam(plan, undefined)
      return
    }
    const before = this.#beforeRun(plan)
    if (before !== undefined) await before
    const composing = this.#composer.compose(plan)
    const runnable = composing instanceof Promise ? await composing : composing
    if (block === 'begins' && asksForBlock(runnable.plan)) this.#steps.beginBlock(runnable)
    if (runnable.plan.copy?.direction === 'from') await this.#copies.run(runnable, isLast)
    else this.#steps.runWhole(runnable, isLast)
  }

  /** What is live is known to the server alone: it writes the list before a statement reads it. */
  #beforeRun(plan: Plan): undefined | Promise<void> {
    const sql = sqlPlanOf(plan)
    if (sql === undefined || !listsLiveQueries(sql)) return undefined
    return writeLiveQueries(this.#composer.runner, this.#rooms.rooms.live.list())
  }

  /** Between transactions, as over HTTP. Without formats, of a Query: its columns are told too. */
  async #runKalam(plan: KalamPlan, formats: Uint8Array | undefined): Promise<void> {
    const pipeline = this.#pipeline
    if (pipeline.status !== 'I' || pipeline.hasExecutes) throw insideTransaction()
    await pipeline.flush()
    if (pipeline.passesOver) return
    await pipeline.sync({ hidden: true })
    const { command, text, values } = await runKalam(this.#rooms.rooms, plan, this.#caller)
    if (text === '') return pipeline.say(commandComplete(command))
    const { identity } = this.#caller
    const { prepare, describe, execute } = asideMessages(text, values, formats)
    const hidden = { hides: 'everything' } as const
    for (const message of prepare) pipeline.add(identity, message, hidden)
    if (formats === undefined) pipeline.add(identity, describe, { hides: 'nothing' })
    pipeline.add(identity, execute, { hides: 'nothing', does: 'lasts', tagFor: () => command })
  }

  async #refuseFunctionCall(): Promise<void> {
    this.#refuse(
      new DbError('STATEMENT_REFUSED', 'function calls of the protocol are not supported', {
        hint: 'call the function in a SELECT',
      }),
    )
    await this.#pipeline.sync()
  }

  /** What cannot be told to the client as its statement's error ends the connection. */
  #refuse(error: unknown): void {
    if (!(error instanceof DbError) || this.#pipeline.isOver) throw error
    this.#pipeline.refuse(error)
  }

  #plan(text: string): readonly Plan[] {
    return this.#rooms.dialect.planStatements(text, this.#context)
  }

  #ready(status: TransactionStatus, hasFailed: boolean): void {
    const isIdle = status === 'I'
    if (isIdle) this.#locks.ready()
    if (isIdle) this.#effects.ended(!hasFailed)
    this.#composer.ready(isIdle)
    this.#extended.ready(isIdle)
  }

  #limits() {
    return {
      searchPath: 'public',
      timeoutMs: this.#settings.statementTimeoutMs,
      waitMs: this.#settings.leaseWaitMs,
      replyBytesMax: this.#rooms.settings.streamPieceBytes,
    }
  }
}
