/**
 * What statements do to their session beyond what PostgreSQL does for it, because one backend serves
 * all sessions: DISCARD ALL and its like end only what is this session's, LISTEN holds for it alone.
 */
import type { SessionEffect } from '../../dialect/plan.js'
import type { Identity, Notification } from '../../engine/engine.js'
import { DbError } from '../../errors.js'
import type { WireClient } from '../wire-session.js'
import { asideMessages } from './aside.js'
import { clientMessage, clientTag, target } from './client-messages.js'
import { HeldNotifications } from './held-notifications.js'
import { nameInPostgres } from './own-names.js'
import type { NotificationHub, NotificationListener } from './notification-hub.js'
import type { Pipeline } from './pipeline.js'
import { serverMessage, serverTag } from './server-messages.js'

export interface SessionEffectsOptions {
  readonly pipeline: Pipeline
  readonly hub: NotificationHub
  readonly identity: Identity
  readonly namePrefix: string
  readonly client: Pick<WireClient, 'send' | 'end'>
  /** `postgres_wire.notified_bytes_max`. */
  readonly notifiedBytesMax: number
  /** `postgres_wire.channels_max`. */
  readonly channelsMax: number
  /** Forgets a statement that the client prepared by Parse, or all of them; by name, what remembers it again. */
  readonly forgetStatements: (name: string | undefined) => ReadonlyMap<string, () => void>
}

const hidden = { hides: 'everything' } as const

/** What DISCARD ALL does in the backend. */
const discardTexts = [
  ...['RESET ALL', 'DISCARD TEMP', 'DISCARD SEQUENCES'],
  'SELECT pg_catalog.pg_advisory_unlock_all()',
]

/** Of a statement that does nothing, in a failed transaction fails, and needs no right. */
export const nothingText = 'UNLISTEN kalam_nothing'

/** The command of a statement whose effect is all ours; undefined where PostgreSQL has its part. */
export function commandOfOurs(effect: SessionEffect): string | undefined {
  switch (effect.kind) {
    case 'none':
      return effect.command
    case 'unlisten':
    case 'unlisten-all':
      return 'UNLISTEN'
    case 'deallocate-all':
      return 'DEALLOCATE ALL'
    case 'close-all':
      return 'CLOSE CURSOR ALL'
    case 'discard':
      return effect.what === 'all' ? 'DISCARD ALL' : undefined
    case 'listen':
    case 'prepare':
    case 'execute':
    case 'deallocate':
    case 'declare':
    case 'close':
    case 'savepoint':
    case 'roll-back-to':
    case 'release':
      return undefined
  }
}

type Listening = (channels: Set<string>) => void

export class SessionEffects {
  readonly #options: SessionEffectsOptions
  /** Prepared by SQL. */
  readonly #statements = new Set<string>()
  /** Declared by SQL; true for those that outlive their transaction. */
  readonly #cursors = new Map<string, boolean>()
  readonly #channels = new Set<string>()
  /** What LISTEN and UNLISTEN are to do when their transaction commits. */
  #listening: Listening[] = []
  /** Those of the transaction, and how long `#listening` was at each. */
  #savepoints: { readonly name: string; readonly listening: number }[] = []
  /** Of LISTENs that are not committed yet: their transaction may notify them too. */
  readonly #hoped = new Set<string>()
  readonly #notified: HeldNotifications
  readonly #listener: NotificationListener = (notification) => this.#hear(notification)

  constructor(options: SessionEffectsOptions) {
    const { client, notifiedBytesMax: bytesMax } = options
    this.#options = options
    this.#notified = new HeldNotifications({ client, bytesMax })
  }

  /** Adds what is to happen before the statement itself. Errors: QUERY_REJECTED in a transaction; OUT_OF_RESOURCES. */
  before(effect: SessionEffect): void {
    // In a failed transaction it fails, and has done nothing.
    if (this.#options.pipeline.status === 'E') return
    if (effect.kind === 'deallocate-all') this.#closeStatements()
    else if (effect.kind === 'close-all') this.#closeCursors()
    else if (effect.kind === 'listen') this.#hope(effect.channel)
    else if (effect.kind === 'discard' && effect.what === 'all') this.#discardAll()
  }

  /** The statement has run. */
  after(effect: SessionEffect): void {
    switch (effect.kind) {
      case 'prepare':
        this.#statements.add(effect.name)
        break
      case 'deallocate':
        this.#statements.delete(effect.name)
        this.#options.forgetStatements(effect.name)
        break
      case 'declare':
        this.#cursors.set(effect.name, effect.isHeld)
        break
      case 'close':
        this.#cursors.delete(effect.name)
        break
      case 'listen':
        this.#listening.push((channels) => channels.add(effect.channel))
        break
      case 'unlisten':
        this.#listening.push((channels) => channels.delete(effect.channel))
        break
      case 'unlisten-all':
        this.#listening.push((channels) => channels.clear())
        break
      case 'discard':
        if (effect.what === 'all') this.#listening.push((channels) => channels.clear())
        break
      case 'savepoint':
        this.#savepoints.push({ name: effect.name, listening: this.#listening.length })
        break
      case 'roll-back-to':
        this.#rollBackTo(effect.name)
        break
      case 'release':
        this.#release(effect.name)
        break
      case 'none':
      case 'execute':
      case 'deallocate-all':
      case 'close-all':
        break
    }
  }

  /** A transaction ended with COMMIT or ROLLBACK. */
  ended(isCommit: boolean): void {
    this.#savepoints = []
    const listening = this.#listening.splice(0)
    if (this.#hoped.size === 0 && listening.length === 0) return
    const before = [...this.#channels, ...this.#hoped]
    this.#hoped.clear()
    if (isCommit) for (const apply of listening) apply(this.#channels)
    for (const channel of before)
      if (!this.#channels.has(channel)) this.#options.hub.unlisten(channel, this.#listener)
    this.#notified.keepOnly(this.#channels)
  }

  /** The session works from now on; what is notified waits for its end. */
  begin(): void {
    this.#notified.hold()
  }

  /** What was notified meanwhile, for the client to hear before ReadyForQuery. */
  takeNotified(): readonly Uint8Array[] {
    return this.#notified.take()
  }

  /** The session waits for its client, outside a transaction. */
  rest(): void {
    this.#notified.release()
    for (const [name, isHeld] of this.#cursors) if (!isHeld) this.#cursors.delete(name)
  }

  close(): void {
    this.ended(false)
    for (const channel of this.#channels) this.#options.hub.unlisten(channel, this.#listener)
    this.#channels.clear()
  }

  #rollBackTo(name: string): void {
    const index = this.#lastSavepoint(name)
    const savepoint = this.#savepoints[index]
    if (savepoint === undefined) return
    this.#savepoints = this.#savepoints.slice(0, index + 1)
    this.#listening = this.#listening.slice(0, savepoint.listening)
  }

  #release(name: string): void {
    const index = this.#lastSavepoint(name)
    if (index >= 0) this.#savepoints = this.#savepoints.slice(0, index)
  }

  /** The place of the last one of that name, which PostgreSQL has found too. */
  #lastSavepoint(name: string): number {
    return this.#savepoints.findLastIndex((each) => each.name === name)
  }

  /** PostgreSQL looks through all channels of all sessions for each LISTEN and each notification. */
  #hope(channel: string): void {
    const { channelsMax } = this.#options
    const isNew = !this.#channels.has(channel) && !this.#hoped.has(channel)
    if (isNew && this.#channels.size + this.#hoped.size >= channelsMax)
      throw new DbError(
        'OUT_OF_RESOURCES',
        `a session listens to ${channelsMax} channels at most`,
        {
          sqlState: '53400',
          hint: 'postgres_wire.channels_max is the bound; tell in the payload what it is about',
        },
      )
    this.#hoped.add(channel)
    this.#options.hub.listen(channel, this.#listener)
  }

  #hear({ processId, channel, payload }: Notification): void {
    const id = Buffer.alloc(4)
    id.writeInt32BE(processId)
    const names = Buffer.from(`${channel}\0${payload}\0`)
    const message = serverMessage(serverTag.notification, Buffer.concat([id, names]))
    this.#notified.add(channel, message)
  }

  #closeStatements(): void {
    const parsed = this.#options.forgetStatements(undefined)
    const prepared = [...this.#statements]
    this.#statements.clear()
    for (const name of prepared)
      this.#close(target.statement, name, () => this.#statements.add(name))
    for (const [name, remember] of parsed) this.#close(target.statement, name, remember)
  }

  #closeCursors(): void {
    const cursors = [...this.#cursors]
    this.#cursors.clear()
    for (const [name, isHeld] of cursors)
      this.#close(target.portal, name, () => this.#cursors.set(name, isHeld))
  }

  /** Where it was passed over PostgreSQL has it still, and `remember` says so. */
  #close(what: number, name: string, remember: () => void): void {
    const { pipeline, identity, namePrefix } = this.#options
    const named = nameInPostgres(namePrefix, name)
    const step = { ...hidden, failed: remember }
    pipeline.add(identity, clientMessage(clientTag.close, what, named), step)
  }

  #discardAll(): void {
    const { pipeline, identity } = this.#options
    if (pipeline.status !== 'I' || pipeline.hasExecutes)
      throw new DbError('QUERY_REJECTED', 'DISCARD ALL cannot run inside a transaction block', {
        sqlState: '25001',
      })
    this.#closeCursors()
    this.#closeStatements()
    for (const text of discardTexts) this.#runHidden(text, identity)
  }

  #runHidden(text: string, identity: Identity): void {
    const { prepare, execute } = asideMessages(text)
    for (const message of [...prepare, execute])
      this.#options.pipeline.add(identity, message, hidden)
  }
}
