/** The steps of a statement: what becomes of its answers, and what follows when it has run. */
import type { StatementLog } from '../statement-log.js'
import type { ReadyStatement } from '../statement-runner.js'
import { clientMessage, clientTag, target } from './client-messages.js'
import { inClientsWords } from './client-words.js'
import type { Pipeline } from './pipeline.js'
import type { BoundQuery, LargeResults } from './large-results.js'
import type { LargeResult, Step } from './read-reply.js'
import type { SessionComposer } from './session-composer.js'
import type { SessionEffects } from './session-effects.js'
import type { Runnable } from './session-statement.js'

export interface StepRooms {
  readonly pipeline: Pipeline
  readonly composer: SessionComposer
  readonly effects: SessionEffects
  readonly log: StatementLog
  readonly largeResults: () => LargeResults
  /** What the session puts before the names of its statements and portals. */
  readonly namePrefix: string
}

const noValues = Uint8Array.of(0, 0, 0, 0, 0, 0)
const noTypes = Uint8Array.of(0, 0)
const noBound = Uint8Array.of(0, 0, 0, 0)
const allRows = Uint8Array.of(0, 0, 0, 0)

const bindUnnamed = clientMessage(clientTag.bind, '', '', noValues)
const describeUnnamed = clientMessage(clientTag.describe, target.portal, '')
const executeUnnamed = clientMessage(clientTag.execute, '', allRows)

export class StatementSteps {
  readonly #rooms: StepRooms

  constructor(rooms: StepRooms) {
    this.#rooms = rooms
  }

  /** Runs a statement from its text to its end, as a Query does. */
  runWhole(runnable: Runnable): void {
    const { pipeline } = this.#rooms
    const { identity } = runnable
    this.#prepareEffect(runnable)
    const words = this.words(runnable)
    const hidden = { hides: 'everything', inClientsWords: words } as const
    const parse = clientMessage(clientTag.parse, '', runnable.composed.text, noTypes)
    pipeline.add(identity, parse, hidden)
    pipeline.add(identity, bindUnnamed, hidden)
    const { refusal } = runnable
    if (refusal === undefined) {
      pipeline.add(identity, describeUnnamed, { hides: 'no-data', inClientsWords: words })
      const bound = { runnable, types: noTypes, values: noBound, formats: noTypes }
      const large = this.#large(bound, (rowsMax) =>
        clientMessage(clientTag.execute, '', rowsOf(rowsMax)),
      )
      pipeline.add(identity, executeUnnamed, { ...this.execution(runnable), large })
    } else {
      pipeline.add(identity, executeUnnamed, hidden)
      pipeline.refuse(refusal)
    }
  }

  /** Adds an Execute of the client for all rows of what was bound, or for some. */
  execute(bound: BoundQuery, message: Uint8Array, portal: string | undefined): void {
    const { runnable } = bound
    this.#prepareEffect(runnable)
    const large =
      portal === undefined
        ? undefined
        : this.#large(bound, (rowsMax) => clientMessage(clientTag.execute, portal, rowsOf(rowsMax)))
    this.#rooms.pipeline.add(runnable.identity, message, { ...this.execution(runnable), large })
  }

  #large(bound: BoundQuery, execute: LargeResult['execute']): LargeResult {
    const { query, stateful } = bound.runnable.plan
    const isRepeatable = query && !stateful
    return {
      execute,
      again: isRepeatable ? () => this.#rooms.largeResults().run(bound) : undefined,
    }
  }

  #prepareEffect({ effect }: Runnable): void {
    if (effect !== undefined) this.#rooms.effects.before(effect)
  }

  /** The step of its Execute. */
  execution(runnable: Runnable): Step {
    const { composer, effects, log, pipeline } = this.#rooms
    const { plan, command, identity, effect } = runnable
    const logged: ReadyStatement = { kind: 'sql', plan, identity, parameters: [] }
    composer.willRun(plan)
    return {
      hides: 'nothing',
      executes: true,
      inClientsWords: this.words(runnable),
      tagFor: command === undefined ? undefined : (tag) => tagAs(command, tag),
      succeeded: (tag) => {
        if (tag === undefined) return
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

function rowsOf(rowsMax: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(rowsMax)
  return bytes
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
