/**
 * What a session's statements become at their turn: for the tables, settings and rights that are
 * its own at that moment. Nearly always all of it is known, and nothing is awaited.
 */
import type { Callers } from '../../access/callers.js'
import { composeText, type OfSession } from '../../dialect/compose-text.js'
import type { ExecuteAsPlan, Plan, SqlPlan } from '../../dialect/plan.js'
import type { Rewriting } from '../../dialect/rewrite/rewrite-statement.js'
import { noTables, type TableShapes } from '../../dialect/table-shape.js'
import type { Identity } from '../../engine/engine.js'
import type { QueryRunner } from '../../engine/queries.js'
import { DbError } from '../../errors.js'
import { isOfSession, mentionsNone, namedUsers } from '../compose-statement.js'
import type { Caller } from '../database.js'
import { inTime } from '../in-time.js'
import { mustSeeEverything, seesEverything } from '../row-security.js'
import type { RunnerRooms } from '../statement-runner.js'
import type { Pipeline } from './pipeline.js'
import { commandOfOurs, nothingText } from './session-effects.js'
import type { SessionSettings } from './session-settings.js'
import type { Runnable } from './session-statement.js'
import { systemRunner } from './system-runner.js'

export interface SessionComposerOptions {
  readonly rooms: RunnerRooms
  readonly callers: Callers
  readonly caller: Caller
  readonly pipeline: Pipeline
  readonly settings: SessionSettings
  readonly ofSession: OfSession
  /** The plan of a statement that the client prepared by Parse; of others PostgreSQL allows only queries. */
  readonly prepared: (name: string) => Plan | undefined
}

export class SessionComposer {
  readonly #options: SessionComposerOptions
  /** The session has changed tables in its transaction: only it sees them as they are. */
  #hasChangedTables = false
  #sessionTables: TableShapes | undefined
  /** It has made temporary objects, which hide others' of their names from it alone. */
  #hasTemporary = false
  /** With its temporary ones, as long as everybody's are these. */
  #ownTables: { readonly everybodys: TableShapes; readonly tables: TableShapes } | undefined
  /** What is pending may change what the next statement's names mean. */
  #mayChange = false

  constructor(options: SessionComposerOptions) {
    this.#options = options
  }

  /** Errors: STATEMENT_REFUSED, SYNTAX_ERROR, FORBIDDEN, NOT_FOUND, in the client's text. */
  compose(plan: SqlPlan | ExecuteAsPlan): Runnable | Promise<Runnable> {
    if (plan.kind === 'execute-as') return this.#composeAs(plan)
    if (namedUsers(plan).length > 0) return this.#composeGrant(plan)
    return this.#composeSql(plan, this.#options.caller.identity)
  }

  /** Whether what was composed is what would be now; false where that is not known at once. */
  isCurrent(runnable: Runnable): boolean {
    const { plan, identity } = runnable
    if (this.#mayChange || namedUsers(plan).length > 0) return false
    if (isOfSession(plan)) return mentionsNone(plan)
    if (this.#identityOf(plan, this.#options.caller.identity) !== identity) return false
    if (mentionsNone(plan)) return true
    const tables = this.#knownTables()
    if (tables === undefined) return false
    return this.#rewrite(plan, tables).composed.text === runnable.composed.text
  }

  /** A statement of this plan waits to run. */
  willRun(plan: SqlPlan): void {
    const endsNothing = plan.transaction === 'begin' || plan.transaction === 'commit'
    this.#mayChange ||= plan.ddl || (plan.stateful && !endsNothing)
  }

  /** A statement of this plan has run. */
  hasRun(plan: SqlPlan): void {
    if (plan.ddl) this.schemaChanged()
    if (plan.stateful) this.#sessionTables = undefined
  }

  schemaChanged(): void {
    this.#options.rooms.schemaChanged()
    this.#hasChangedTables = true
    this.#sessionTables = undefined
  }

  madeTemporary(): void {
    this.#hasTemporary = true
    this.#ownTables = undefined
  }

  /** Nothing is pending; outside a transaction the tables are everybody's again. */
  ready(isIdle: boolean): void {
    this.#mayChange = false
    if (!isIdle) return
    this.#hasChangedTables = false
    this.#sessionTables = undefined
  }

  /** Runs the system's own SQL where the session stands. */
  get runner(): QueryRunner {
    const { rooms, pipeline } = this.#options
    return pipeline.isEngaged || pipeline.isOpen ? systemRunner(pipeline) : rooms.queries
  }

  #composeSql(plan: SqlPlan, caller: Identity): Runnable | Promise<Runnable> {
    const command = plan.session && commandOfOurs(plan.session)
    if (command !== undefined) {
      const runnable = this.#runnable(plan, caller, doingNothing(plan, command))
      // What is pending may make what this is to close.
      return this.#mayChange ? this.#flush().then(() => runnable) : runnable
    }
    if (!this.#mayChange) {
      const tables = mentionsNone(plan) ? noTables : this.#knownTables()
      if (tables !== undefined) return this.#runnable(plan, caller, this.#rewrite(plan, tables))
    }
    return this.#composeAfterFlush(plan, caller)
  }

  async #composeAfterFlush(plan: SqlPlan, caller: Identity): Promise<Runnable> {
    await this.#flush()
    const tables = mentionsNone(plan) ? noTables : await this.#tables()
    return this.#runnable(plan, caller, this.#rewrite(plan, tables))
  }

  #runnable(plan: SqlPlan, caller: Identity, rewriting: Rewriting): Runnable {
    const { composed, command, refusal, stage } = rewriting
    const identity = this.#identityOf(plan, caller)
    const run = plan.session?.kind === 'execute' ? this.#executed(plan, plan.session.name) : plan
    return { plan: run, identity, composed, command, refusal, stage, effect: run.session }
  }

  /** EXECUTE as that which it runs: a Parse prepares anything. */
  #executed(plan: SqlPlan, name: string): SqlPlan {
    const prepared = this.#options.prepared(name)
    if (prepared?.kind !== 'sql') return plan
    const { transaction, redoable, ddl, session } = prepared
    return { ...plan, transaction, redoable, ddl, session }
  }

  #rewrite(plan: SqlPlan, tables: TableShapes): Rewriting {
    const { rooms, settings, ofSession } = this.#options
    const names = { tables, searchPath: settings.searchPath }
    if (isOfSession(plan)) return rooms.composer.composeForSession(plan, names, ofSession)
    if (mentionsNone(plan)) return rooms.composer.composePlain(plan)
    return rooms.composer.compose(plan, names)
  }

  async #composeAs(plan: ExecuteAsPlan): Promise<Runnable> {
    const { callers, caller, rooms } = this.#options
    const users = rooms.users.within(this.runner)
    const { identity } = await callers.callerFor(caller, plan.name, users)
    return this.#composeSql(plan.inner, identity)
  }

  async #composeGrant(plan: SqlPlan): Promise<Runnable> {
    await this.#flush()
    const { rooms, settings, caller } = this.#options
    const roles = new Map<string, string>()
    const users = rooms.users.within(this.runner)
    for (const name of new Set(namedUsers(plan))) roles.set(name, await users.roleOfUser(name))
    const names = { tables: await this.#tables(), searchPath: settings.searchPath }
    const rewriting = rooms.composer.composeWithRoles(plan, names, roles)
    return this.#runnable(plan, caller.identity, rewriting)
  }

  /** With row_security off an admin's statements run as the role that no policy holds. */
  #identityOf(plan: SqlPlan, caller: Identity): Identity {
    const { rooms, settings } = this.#options
    const isAll = mustSeeEverything(plan) || (settings.isRowSecurityOff && seesEverything(plan))
    return isAll ? this.#everything(caller, rooms.everythingRoleOid) : caller
  }

  #everythingIdentity: Identity | undefined

  #everything(caller: Identity, roleOid: number): Identity {
    return (this.#everythingIdentity ??= { ...caller, roleOid })
  }

  /** The tables, if nobody has to be asked. */
  #knownTables(): TableShapes | undefined {
    if (this.#hasChangedTables) return this.#sessionTables
    const { known } = this.#options.rooms.tables
    if (!this.#hasTemporary) return known
    return this.#ownTables?.everybodys === known ? this.#ownTables?.tables : undefined
  }

  async #tables(): Promise<TableShapes> {
    const known = this.#knownTables() ?? this.#sessionTables
    if (known !== undefined) return known
    const { rooms, pipeline } = this.#options
    if (!pipeline.isEngaged) {
      const everybodys = await this.#inTime(rooms.tables.load())
      if (!this.#hasTemporary) return everybodys
      const tables = await rooms.tables.loadWithin(systemRunner(pipeline))
      this.#ownTables = { everybodys, tables }
      return tables
    }
    if (pipeline.passesOver) return noTables
    try {
      return (this.#sessionTables = await rooms.tables.loadWithin(this.runner))
    } catch (error) {
      // In a failed transaction nothing is answered, and nothing runs.
      if (error instanceof DbError && error.sqlState === '25P02') return noTables
      throw error
    }
  }

  #inTime<T>(work: Promise<T>): Promise<T> {
    const { pipeline, settings } = this.#options
    const waiting = new AbortController()
    const { signal } = waiting
    const inBound = inTime(work, { waitMs: settings.leaseWaitMs, signal })
    return pipeline.whileUncancelled(inBound, () => waiting.abort())
  }

  async #flush(): Promise<void> {
    await this.#options.pipeline.flush()
    this.#mayChange = false
  }
}

/** In place of a statement whose effect is the session's own. */
function doingNothing({ place }: SqlPlan, command: string): Rewriting {
  return { composed: composeText({ text: nothingText, place, splices: [] }, String), command }
}
