/** The steps of a statement: what becomes of its answers, and what follows when it has run. */
import type { SqlPlan } from '../../dialect/plan.js'
import type { StatementLog } from '../statement-log.js'
import type { ReadyStatement } from '../statement-runner.js'
import { clientMessage, clientTag, target } from './client-messages.js'
import { inClientsWords } from './client-words.js'
import type { Pipeline } from './pipeline.js'
import type { Doing, Step } from './read-reply.js'
import type { SessionComposer } from './session-composer.js'
import { nothingText, type SessionEffects } from './session-effects.js'
import type { Runnable } from './session-statement.js'

export interface StepRooms {
  readonly pipeline: Pipeline
  readonly composer: SessionComposer
  readonly effects: SessionEffects
  readonly log: StatementLog
  /** What the session puts before the names of its statements and portals. */
  readonly namePrefix: string
}

const noValues = Uint8Array.of(0, 0, 0, 0, 0, 0)
const noTypes = Uint8Array.of(0, 0)
const allRows = Uint8Array.of(0, 0, 0, 0)

const bindUnnamed = clientMessage(clientTag.bind, '', '', noValues)
const executeUnnamed = clientMessage(clientTag.execute, '', allRows)
const runUnnamed = Buffer.concat([
  bindUnnamed,
  clientMessage(clientTag.describe, target.portal, ''),
  executeUnnamed,
])
const runNothing = Buffer.concat([
  clientMessage(clientTag.parse, '', nothingText, noTypes),
  bindUnnamed,
  executeUnnamed,
])

const hidden = { hides: 'everything' } as const

export class StatementSteps {
  readonly #rooms: StepRooms

  constructor(rooms: StepRooms) {
    this.#rooms = rooms
  }

  /** Runs a statement from its text to its end, as a Query does, of which it may be the last. */
  runWhole(runnable: Runnable, endsQuery: boolean): void {
    const { pipeline } = this.#rooms
    const { identity } = runnable
    this.#prepareEffect(runnable)
    const words = this.words(runnable)
    const hidden = { hides: 'everything', inClientsWords: words } as const
    const parse = clientMessage(clientTag.parse, '', runnable.composed.text, noTypes)
    pipeline.add(identity, parse, hidden)
    const { refusal } = runnable
    if (refusal === undefined) {
      const described = { hides: 'no-data', inClientsWords: words } as const
      pipeline.add(identity, runUnnamed, hidden, described, this.execution(runnable, endsQuery))
    } else {
      pipeline.add(identity, bindUnnamed, hidden)
      pipeline.add(identity, executeUnnamed, hidden)
      pipeline.refuse(refusal)
    }
  }

  /**
   * Begins what PostgreSQL makes of a Query of several statements: an implicit transaction block, in which
   * some may run that may not by themselves (LOCK, DECLARE), and others the other way round (VACUUM). In a
   * pipeline PostgreSQL begins one after the first statement, so there is one before it.
   */
  beginBlock({ identity }: Runnable): void {
    const { pipeline } = this.#rooms
    pipeline.add(identity, runNothing, hidden, hidden, { ...hidden, does: 'opens' })
  }

  /** Adds an Execute of the client. `suspended`: called if it leaves rows for another. */
  execute(runnable: Runnable, message: Uint8Array, suspended?: () => void): void {
    this.#prepareEffect(runnable)
    this.#rooms.pipeline.add(runnable.identity, message, this.execution(runnable, false, suspended))
  }

  #prepareEffect({ effect }: Runnable): void {
    if (effect !== undefined) this.#rooms.effects.before(effect)
  }

  /** The step of its Execute. */
  execution(runnable: Runnable, endsQuery = false, suspended?: () => void): Step {
    const { composer, effects, log, pipeline } = this.#rooms
    const { plan, command, identity, effect } = runnable
    const logged: ReadyStatement = { kind: 'sql', plan, identity, parameters: [] }
    composer.willRun(plan)
    return {
      hides: 'nothing',
      does: doingOf(plan),
      endsQuery,
      inClientsWords: this.words(runnable),
      tagFor: command === undefined ? undefined : (tag) => tagAs(command, tag),
      succeeded: (tag) => {
        if (tag === undefined) {
          suspended?.()
          return
        }
        log.succeeded(logged, command ?? commandOf(tag), pipeline.tookMs)
        composer.hasRun(plan)
        if (effect !== undefined) effects.after(effect)
        if (plan.transaction === 'commit' || plan.transaction === 'rollback')
          effects.ended(tag === 'COMMIT')
      },
      failed: (error) => {
        if (error !== undefined) log.rejected(logged, error, pipeline.tookMs)
      },
    }
  }

  /** Turns errors and notices of a statement into the client's words. */
  words(
    runnable: Pick<Runnable, 'composed'> | undefined,
    rename?: (text: string) => string,
  ): (message: Uint8Array) => Uint8Array {
    const { namePrefix } = this.#rooms
    const composed = runnable?.composed
    return (message) => inClientsWords(message, { namePrefix, composed, rename })
  }

  /** The same for a text of ours, in which no place means anything to the client. */
  wordsWithoutPlace(): (message: Uint8Array) => Uint8Array {
    const { namePrefix } = this.#rooms
    return (message) => inClientsWords(message, { namePrefix, composed: undefined, isOurs: true })
  }
}

const doings = {
  always: 'changes',
  'in-block': 'commits',
  never: 'lasts',
} as const satisfies Record<SqlPlan['redoable'], Doing>

function doingOf(plan: SqlPlan): Doing {
  if (plan.transaction === 'begin' || plan.isSetting) return 'opens'
  if ((plan.query && !plan.stateful) || plan.copy?.direction === 'to') return 'reads'
  return doings[plan.redoable]
}

/** `INSERT 0 3` → `INSERT`. */
function commandOf(tag: string): string {
  return tag.replace(/(?: \d+)+$/, '')
}

/** The command that is answered, with PostgreSQL's count; TRUNCATE and ALTER TABLE count nothing. */
function tagAs(command: string, tag: string): string {
  const [, count] = / (\d+)$/.exec(tag) ?? []
  return count === undefined || command.endsWith(' TABLE') ? command : `${command} ${count}`
}
