/**
 * The extended protocol: Parse, Bind, Describe, Execute and Close reach PostgreSQL as the client
 * sent them, but for names, which become the session's own, and for texts that must be another.
 */
import type { KalamPlan, Plan } from '../../dialect/plan.js'
import type { Identity } from '../../engine/engine.js'
import { DbError } from '../../errors.js'
import {
  clientMessage,
  clientTag,
  readBind,
  readExecute,
  readNamed,
  readParse,
  formatsStart,
  target,
} from './client-messages.js'
import type { CopyStatements } from './copy-statement.js'
import type { Spools } from '../spool.js'
import { describingText, isKalam } from './kalam-steps.js'
import { KeptRows } from './kept-rows.js'
import { nameInPostgres } from './own-names.js'
import type { Pipeline } from './pipeline.js'
import type { Step } from './read-reply.js'
import { parseComplete } from './server-messages.js'
import type { SessionComposer } from './session-composer.js'
import { PreparedStatements } from './prepared-statements.js'
import { parseMessage, type Prepared, type Runnable } from './session-statement.js'
import type { StatementSteps } from './statement-steps.js'

export interface ExtendedQueryOptions {
  readonly pipeline: Pipeline
  readonly composer: SessionComposer
  readonly steps: StatementSteps
  readonly copies: CopyStatements
  readonly spools: Spools
  /** Longest that a client may leave rows that were made for it. */
  readonly keptMsMax: number
  /** `postgres_wire.statements_bytes_max`. */
  readonly statementsBytesMax: number
  readonly namePrefix: string
  /** The caller's own identity. */
  readonly identity: Identity
  readonly plan: (text: string) => readonly Plan[]
  /** Runs a statement of KalamDB and gives its result in these formats. */
  readonly runKalam: (plan: KalamPlan, formats: Uint8Array | undefined) => Promise<void>
  /** Sees to what a statement needs before it is bound. */
  readonly beforeRun: (plan: Plan) => undefined | Promise<void>
}

interface Portal {
  readonly statement: Prepared
  /** As what it was bound; undefined for an empty text. */
  readonly runnable: Runnable | undefined
  readonly bind: Uint8Array
  /** Where its values begin. */
  readonly valuesAt: number
  /** It has given a portion of its rows. */
  isSuspended?: boolean
  /** The rows that are left, which were made already. */
  readonly kept?: KeptRows
}

export class ExtendedQuery {
  readonly #options: ExtendedQueryOptions
  /** By the client's names. */
  readonly #statements: PreparedStatements
  #portals = new Map<string, Portal>()
  /** PostgreSQL's one unnamed statement is this session's. */
  #unnamedIsThere = false

  constructor(options: ExtendedQueryOptions) {
    this.#options = options
    this.#statements = new PreparedStatements(options.statementsBytesMax)
  }

  /** Nothing is pending; outside a transaction there are no portals, and others use the engine. */
  ready(isIdle: boolean): void {
    if (!isIdle) return
    this.#unnamedIsThere = false
    if (this.#portals.size > 0) this.#closePortals()
  }

  /** Gives back what the portals take. */
  close(): void {
    this.#closePortals()
  }

  #closePortals(): void {
    if (this.#portals.size === 0) return
    for (const { kept } of this.#portals.values()) closeKept(kept)
    // Emptied, its old table would point to the new one and keep what that holds: see PendingUnits.
    this.#portals = new Map()
  }

  /** Forgets a statement that was prepared, or all of them; by name, what remembers it again. */
  forget(name: string | undefined): ReadonlyMap<string, () => void> {
    const names = name === undefined ? [...this.#statements.keys()] : [name]
    const forgotten = new Map<string, () => void>()
    for (const each of names) {
      const statement = this.#statements.get(each)
      if (each === '' || statement === undefined) continue
      this.#statements.delete(each)
      forgotten.set(each, () => this.#statements.set(each, statement))
    }
    return forgotten
  }

  /** The plan of a statement that the client prepared by Parse. */
  planOf(name: string): Plan | undefined {
    return this.#statements.get(name)?.plan
  }

  /** A Query ends the unnamed statement and portal, as in PostgreSQL; ours runs by those. */
  forgetUnnamed(): void {
    this.#statements.delete('')
    this.#portals.delete('')
    this.#unnamedIsThere = false
  }

  /** Errors: those of the message and of its text; nothing was added then. */
  add(message: Uint8Array): undefined | Promise<void> {
    const tag = message[0] ?? 0
    switch (tag) {
      case clientTag.parse:
        return this.#parse(message)
      case clientTag.bind:
        return this.#bind(message)
      case clientTag.describe:
        return this.#describe(message)
      case clientTag.execute:
        return this.#execute(message)
      case clientTag.close:
        this.#close(message)
        return undefined
      default:
        throw new DbError('BAD_REQUEST', `invalid frontend message type ${tag}`)
    }
  }

  /** Takes a Parse that PostgreSQL is to get later. Errors: those of the text. */
  defer(message: Uint8Array): void {
    const statement = this.#readStatement(message)
    if (statement.name !== '' && this.#statements.has(statement.name))
      throw alreadyExists(statement.name)
    statement.isThere = false
    this.#statements.set(statement.name, statement)
    if (statement.name === '') this.#unnamedIsThere = false
    this.#options.pipeline.sayLocally(parseComplete)
  }

  #parse(message: Uint8Array): undefined | Promise<void> {
    const statement = this.#readStatement(message)
    const before = statement.name === '' ? undefined : this.#statements.get(statement.name)
    // PostgreSQL says that there is one, after all that is wrong with the text: so it must have it.
    const preparing = before?.isThere === false ? this.#prepareNow(before) : undefined
    return preparing === undefined
      ? this.#parseComposed(statement, message)
      : preparing.then(() => this.#parseComposed(statement, message))
  }

  #parseComposed(statement: Prepared, message: Uint8Array): undefined | Promise<void> {
    const composing = this.#composed(statement.plan)
    if (composing instanceof Promise)
      return composing.then((runnable) => this.#addParse(statement, runnable, message))
    this.#addParse(statement, composing, message)
    return undefined
  }

  #readStatement(message: Uint8Array): Prepared {
    const { name, text, typesAt } = readParse(message)
    const plan = this.#planOne(text)
    this.#statements.makeSureOfRoom(name, text)
    const types = message.subarray(typesAt)
    return {
      ...{ name, plan },
      text: plan !== undefined && isKalam(plan) ? describingText(plan) : text,
      backendName: this.#backendName(name),
      // A part of it would keep all that came with the message.
      types: name === '' ? types : new Uint8Array(types),
      runnable: undefined,
      isThere: true,
    }
  }

  /** PostgreSQL takes one statement, or none. */
  #planOne(text: string): Plan | undefined {
    const plans = this.#options.plan(text)
    if (plans.length < 2) return plans[0]
    const message = 'cannot insert multiple commands into a prepared statement'
    throw new DbError('SYNTAX_ERROR', message)
  }

  #composed(plan: Plan | undefined): Runnable | undefined | Promise<Runnable> {
    if (plan === undefined || isKalam(plan)) return undefined
    return this.#options.composer.compose(plan)
  }

  #addParse(statement: Prepared, runnable: Runnable | undefined, message: Uint8Array): void {
    const { pipeline, steps } = this.#options
    const { name } = statement
    const { text } = readParse(message)
    statement.runnable = runnable
    if (runnable?.refusal !== undefined) {
      this.#refuseParse(statement, runnable.refusal)
      return
    }
    const before = this.#statements.get(name)
    this.#statements.set(name, statement)
    if (name === '') this.#unnamedIsThere = true
    const asSent = name === '' && (runnable?.composed.text ?? statement.text) === text
    pipeline.add(this.#identityOf(runnable), asSent ? message : parseMessage(statement), {
      hides: 'nothing',
      inClientsWords: steps.words(runnable),
      failed: (error) =>
        this.#takeBack(statement, error === undefined || name !== '' ? before : undefined),
    })
  }

  /** What it names is PostgreSQL's to say first: it analyses the text, and only then it is refused. */
  #refuseParse(statement: Prepared, refusal: DbError): void {
    const { pipeline, steps } = this.#options
    const { runnable } = statement
    this.#unnamedIsThere = false
    if (statement.name === '') this.#statements.delete('')
    pipeline.add(this.#identityOf(runnable), parseMessage({ ...statement, backendName: '' }), {
      hides: 'everything',
      inClientsWords: steps.words(runnable),
    })
    pipeline.refuse(refusal)
  }

  /** A Parse that failed leaves no unnamed statement; one that was passed over, that of before. */
  #takeBack(statement: Prepared, before: Prepared | undefined): void {
    const { name } = statement
    if (name === '') this.#unnamedIsThere = false
    if (this.#statements.get(name) !== statement) return
    if (before === undefined) this.#statements.delete(name)
    else this.#statements.set(name, before)
  }

  #bind(message: Uint8Array): undefined | Promise<void> {
    const bound = readBind(message)
    const statement = this.#find(bound.statement)
    const { portal, valuesAt } = bound
    const add = (): void => {
      const { runnable, backendName } = statement
      const asSent = portal === '' && backendName === ''
      const sent = asSent
        ? message
        : clientMessage(
            clientTag.bind,
            this.#backendName(portal),
            backendName,
            message.subarray(valuesAt),
          )
      closeKept(this.#portals.get(portal)?.kept)
      this.#portals.set(portal, { statement, runnable, bind: message, valuesAt })
      this.#add(runnable, sent)
    }
    const preparing = this.#readyToRun(statement)
    if (preparing !== undefined) return preparing.then(add)
    add()
    return undefined
  }

  #readyToRun(statement: Prepared): undefined | Promise<void> {
    const { plan } = statement
    const before = plan === undefined ? undefined : this.#options.beforeRun(plan)
    return before === undefined
      ? this.#prepareNow(statement)
      : before.then(() => this.#prepareNow(statement))
  }

  #describe(message: Uint8Array): undefined | Promise<void> {
    const { target: what, name } = readNamed(message)
    if (what === target.statement) {
      const statement = this.#find(name)
      const add = (): void => {
        const { backendName, runnable } = statement
        const sent =
          backendName === '' ? message : clientMessage(clientTag.describe, what, backendName)
        this.#add(runnable, sent)
      }
      const preparing = this.#prepareNow(statement)
      if (preparing !== undefined) return preparing.then(add)
      add()
      return undefined
    }
    const bound = this.#portal(name)
    const sent =
      name === '' ? message : clientMessage(clientTag.describe, what, this.#backendName(name))
    this.#add(bound?.runnable, sent)
    return undefined
  }

  #execute(message: Uint8Array): undefined | Promise<void> {
    const { portal, rowsMax } = readExecute(message)
    const bound = this.#portal(portal)
    const { runnable, statement } = bound ?? {}
    if (bound !== undefined && statement?.plan !== undefined && isKalam(statement.plan))
      return this.#options.runKalam(statement.plan, formatsOf(bound))
    if (bound?.kept !== undefined) return this.#sayKept(bound.kept, rowsMax)
    const sent = this.#executeMessage(portal, message)
    if (bound === undefined || runnable === undefined) this.#add(undefined, sent)
    else if (runnable.plan.copy?.direction === 'from')
      return this.#options.copies.run(runnable, false)
    else if (rowsMax > 0) return this.#executePortion(portal, { bound, runnable, sent, rowsMax })
    else this.#options.steps.execute(runnable, sent)
    return undefined
  }

  #executeMessage(portal: string, message: Uint8Array): Uint8Array {
    if (portal === '') return message
    return clientMessage(clientTag.execute, this.#backendName(portal), message.subarray(-4))
  }

  /**
   * A client that comes back for more may take its time, and its portal needs the engine all that
   * while. So the rest is made at once, where nothing but this portal is at stake.
   */
  #executePortion(portal: string, portion: Portion): undefined | Promise<void> {
    const { pipeline, steps } = this.#options
    const { bound, runnable, sent } = portion
    const { query, stateful } = runnable.plan
    const isAlone = this.#portals.size === 1 && pipeline.status === 'I' && pipeline.onlyReads
    if (bound.isSuspended === true && isAlone && query && !stateful)
      return this.#runAhead(portal, portion)
    steps.execute(runnable, sent, () => (bound.isSuspended = true))
    return undefined
  }

  async #runAhead(portal: string, { bound, runnable, rowsMax }: Portion): Promise<void> {
    const { pipeline, steps, spools, keptMsMax } = this.#options
    const kept = new KeptRows(spools.open(), keptMsMax)
    try {
      await pipeline.flush()
      if (pipeline.passesOver) return
      steps.execute(runnable, clientMessage(clientTag.execute, this.#backendName(portal), allRows))
      await pipeline.runAhead(kept)
      kept.end()
      this.#portals.set(portal, { ...bound, kept })
      await this.#sayKept(kept, rowsMax)
    } finally {
      if (this.#portals.get(portal)?.kept !== kept) closeKept(kept)
    }
  }

  #sayKept(kept: KeptRows, rowsMax: number): Promise<void> {
    return this.#options.pipeline.sayKept(async (outlet) => {
      const end = await kept.say(rowsMax === 0 ? Infinity : rowsMax, (bytes, following) =>
        outlet.send(bytes, following),
      )
      return { hasFailed: end === 'failed' }
    })
  }

  #close(message: Uint8Array): void {
    const { target: what, name } = readNamed(message)
    const sent =
      name === '' ? message : clientMessage(clientTag.close, what, this.#backendName(name))
    if (what !== target.statement) {
      closeKept(this.#portals.get(name)?.kept)
      this.#portals.delete(name)
      this.#add(undefined, sent)
      return
    }
    const statement = this.#statements.get(name)
    this.#statements.delete(name)
    if (name === '') this.#unnamedIsThere = false
    this.#add(undefined, sent, () => {
      if (statement !== undefined) this.#statements.set(name, statement)
    })
  }

  /** A message that PostgreSQL answers as it stands. */
  #add(runnable: Runnable | undefined, message: Uint8Array, failed?: () => void): void {
    const { pipeline, steps } = this.#options
    const step: Step = {
      hides: 'nothing',
      inClientsWords: steps.words(runnable),
      ...(failed === undefined ? {} : { failed }),
    }
    pipeline.add(this.#identityOf(runnable), message, step)
  }

  /**
   * Sees to it that PostgreSQL has the statement as it is to run now: others may have used the
   * unnamed one since, and tables may have become others.
   */
  #prepareNow(statement: Prepared): undefined | Promise<void> {
    const { plan, runnable, name } = statement
    const isThere = name === '' ? this.#unnamedIsThere : statement.isThere
    const isComposed = runnable !== undefined || plan === undefined || isKalam(plan)
    const isCurrent =
      isComposed && (runnable === undefined || this.#options.composer.isCurrent(runnable))
    if (isThere && isCurrent) return undefined
    const composing = this.#composed(plan)
    if (composing instanceof Promise)
      return composing.then((now) => this.#prepareAnew(statement, now, isThere))
    this.#prepareAnew(statement, composing, isThere)
    return undefined
  }

  #prepareAnew(statement: Prepared, now: Runnable | undefined, isThere: boolean): void {
    const { pipeline, steps } = this.#options
    const { runnable, backendName, name } = statement
    statement.runnable = now
    if (isThere && isSameText(now, runnable)) return
    statement.isThere = true
    const identity = this.#identityOf(now)
    const hidden = { hides: 'everything', inClientsWords: steps.words(now) } as const
    if (name !== '')
      pipeline.add(identity, clientMessage(clientTag.close, target.statement, backendName), hidden)
    pipeline.add(identity, parseMessage(statement), {
      ...hidden,
      failed: () => {
        statement.isThere = false
        if (name === '') this.#unnamedIsThere = false
      },
    })
    if (name === '') this.#unnamedIsThere = true
    if (now?.refusal !== undefined) pipeline.refuse(now.refusal)
  }

  #find(name: string): Prepared {
    const statement = this.#statements.get(name)
    if (statement !== undefined) return statement
    // Of the others PostgreSQL knows whether PREPARE made them.
    if (name !== '') return this.#preparedBySql(name)
    const message = 'unnamed prepared statement does not exist'
    throw new DbError('QUERY_REJECTED', message, { sqlState: '26000' })
  }

  /** Of those that are not known PostgreSQL knows whether DECLARE made them. Errors: 34000. */
  #portal(name: string): Portal | undefined {
    const portal = this.#portals.get(name)
    if (portal === undefined && name === '')
      throw new DbError('QUERY_REJECTED', 'portal "" does not exist', { sqlState: '34000' })
    return portal
  }

  #preparedBySql(name: string): Prepared {
    const backendName = this.#backendName(name)
    return {
      ...{ name, backendName, text: '', types: new Uint8Array(0) },
      ...{ plan: undefined, runnable: undefined, isThere: true },
    }
  }

  #backendName(name: string): string {
    return nameInPostgres(this.#options.namePrefix, name)
  }

  #identityOf(runnable: Runnable | undefined): Identity {
    return runnable?.identity ?? this.#options.identity
  }
}

function alreadyExists(name: string): DbError {
  const message = `prepared statement "${name}" already exists`
  return new DbError('ALREADY_EXISTS', message, { sqlState: '42P05' })
}

interface Portion {
  readonly bound: Portal
  readonly runnable: Runnable
  /** The Execute as PostgreSQL gets it. */
  readonly sent: Uint8Array
  readonly rowsMax: number
}

const allRows = Uint8Array.of(0, 0, 0, 0)

/** A file that cannot be closed goes with the process. */
function closeKept(kept: KeptRows | undefined): void {
  kept?.close().catch(() => undefined)
}

function formatsOf({ bind, valuesAt }: Portal): Uint8Array {
  return bind.subarray(formatsStart(bind, valuesAt))
}

function isSameText(one: Runnable | undefined, other: Runnable | undefined): boolean {
  return one?.composed.text === other?.composed.text && one?.identity === other?.identity
}
