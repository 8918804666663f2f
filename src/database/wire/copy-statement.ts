/**
 * COPY … FROM STDIN in a session. In a transaction the engine is the session's own, and the data
 * streams by. Outside of one a client could hold everybody up by being slow, so its data goes
 * through a spool (ADR 0015) and is there before the engine begins. TO STDOUT needs nothing of its
 * own: its data is an answer like any other.
 */
import type { StagedCopy } from '../../dialect/rewrite/copy.js'
import type { CopyStream, Identity } from '../../engine/engine.js'
import { DbError } from '../../errors.js'
import type { Spool, Spools } from '../spool.js'
import type { WireClient } from '../wire-session.js'
import { asideMessages } from './aside.js'
import { gathered } from './gathered.js'
import type { Outbox } from './outbox.js'
import type { Pipeline } from './pipeline.js'
import type { Runnable } from './session-statement.js'
import type { StatementSteps } from './statement-steps.js'

export interface CopyStatementsOptions {
  readonly pipeline: Pipeline
  readonly steps: StatementSteps
  readonly client: WireClient
  readonly outbox: Outbox
  readonly spools: Spools
  /** Most data of one COPY … FROM outside of a transaction. */
  readonly copyBytesMax: number
  /** Row security does not hold for who runs as this role: PostgreSQL copies by itself. */
  readonly everythingRoleOid: number
}

interface CopyIn {
  readonly runnable: Runnable
  readonly staged: StagedCopy | undefined
  readonly endsQuery: boolean
}

const hidden = { hides: 'everything' } as const

export class CopyStatements {
  readonly #options: CopyStatementsOptions

  constructor(options: CopyStatementsOptions) {
    this.#options = options
  }

  /** Runs it after all that is pending. `endsQuery`: it is the last statement of a Query. */
  async run(runnable: Runnable, endsQuery: boolean): Promise<void> {
    const { pipeline } = this.#options
    const isFirst = pipeline.status === 'I' && !pipeline.hasExecutes
    await pipeline.flush()
    if (pipeline.passesOver) return
    const copy = { runnable, staged: this.#stagedOf(runnable), endsQuery }
    if (runnable.refusal !== undefined) {
      this.#options.steps.runWhole(runnable, false)
      return
    }
    if (!isFirst) {
      this.#add(copy)
      await pipeline.flush({ copy: this.#straightIn() })
      return
    }
    // What was parsed and bound must not hold the engine.
    await pipeline.sync({ hidden: true })
    await this.#spooledIn(copy)
  }

  #stagedOf({ stage, identity }: Runnable): StagedCopy | undefined {
    return identity.roleOid === this.#options.everythingRoleOid ? undefined : stage?.()
  }

  #add({ runnable, staged, endsQuery }: CopyIn): void {
    const { steps } = this.#options
    const execution = steps.execution(runnable, endsQuery)
    if (staged === undefined) {
      this.#addText(runnable.identity, runnable.composed.text, execution)
      return
    }
    const { create, copy, insert, drop, inTablesName } = staged
    const words = steps.words({ ...runnable, composed: copy }, inTablesName)
    this.#addText(runnable.identity, create, { ...hidden, isOnTheWay: true })
    this.#addText(runnable.identity, copy.text, { ...hidden, inClientsWords: words })
    const asCopy = (tag: string): string => tag.replace('INSERT 0', 'COPY')
    this.#addText(runnable.identity, insert, {
      ...execution,
      inClientsWords: steps.wordsWithoutPlace(),
      tagFor: asCopy,
      succeeded: (tag) => execution.succeeded?.(tag === undefined ? undefined : asCopy(tag)),
    })
    this.#addText(runnable.identity, drop, { ...hidden, isOnTheWay: true })
  }

  /** Runs a text of which only the last step is heard. */
  #addText(identity: Identity, text: string, step: Parameters<Pipeline['add']>[2]): void {
    const { prepare, execute } = asideMessages(text)
    const { inClientsWords } = step
    for (const message of prepare)
      this.#options.pipeline.add(
        identity,
        message,
        inClientsWords === undefined ? hidden : { ...hidden, inClientsWords },
      )
    this.#options.pipeline.add(identity, execute, step)
  }

  /** The client is asked for data when PostgreSQL has said that it wants it. */
  #straightIn(): CopyStream {
    const { client, outbox } = this.#options
    let begin: (() => void) | undefined
    const begun = new Promise<void>((resolve) => (begin = resolve))
    const output = async (bytes: Uint8Array): Promise<void> => {
      await outbox.send(bytes)
      begin?.()
    }
    const input = async function* (): AsyncGenerator<Uint8Array> {
      await begun
      yield* gathered(client.copyData())
    }
    return { input: input(), output }
  }

  async #spooledIn(copy: CopyIn): Promise<void> {
    const { pipeline, outbox, spools } = this.#options
    const answer = await this.#probe(copy)
    if (answer === undefined) return
    await outbox.send(answer)
    const spool = spools.open()
    try {
      await this.#fill(spool)
      this.#add(copy)
      // CopyInResponse was said already.
      await pipeline.flush({ copy: { input: spool, output: () => Promise.resolve() } })
    } finally {
      await spool.close()
    }
  }

  /** CopyInResponse; undefined if the COPY fails before it, and the client was told. */
  async #probe(copy: CopyIn): Promise<Uint8Array | undefined> {
    const { runnable, staged } = copy
    const answers: Uint8Array[] = []
    const stream: CopyStream = {
      input: failing(),
      output: (bytes) => {
        answers.push(bytes)
        return Promise.resolve()
      },
    }
    const texts =
      staged === undefined ? [runnable.composed.text] : [staged.create, staged.copy.text]
    const messages = texts.flatMap((text) => {
      const { prepare, execute } = asideMessages(text)
      return [...prepare, execute]
    })
    await this.#options.pipeline.runAside(runnable.identity, messages, stream)
    if (answers.length > 0) return Buffer.concat(answers)
    // Once more, for PostgreSQL to say why, with all its fields.
    this.#add(copy)
    await this.#options.pipeline.flush({ copy: { input: failing() } })
    return undefined
  }

  async #fill(spool: Spool): Promise<void> {
    const source = this.#options.client.copyData()[Symbol.asyncIterator]()
    const filling = this.#fillFrom(source, spool)
    await this.#options.pipeline.whileUncancelled(filling, () => void source.return?.())
  }

  async #fillFrom(source: AsyncIterator<Uint8Array>, spool: Spool): Promise<void> {
    const { copyBytesMax } = this.#options
    let bytes = 0
    for await (const piece of dataOf(source)) {
      bytes += piece.length
      if (bytes > copyBytesMax)
        throw new DbError('REQUEST_TOO_LARGE', `the data is larger than ${copyBytesMax} bytes`, {
          hint: 'send it in parts; http.copy_body_bytes_max is the bound',
        })
      await spool.write(piece)
    }
    spool.end()
  }
}

/** Errors: what PostgreSQL says of CopyFail. */
async function* dataOf(source: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* gathered({ [Symbol.asyncIterator]: () => source })
  } catch (error) {
    if (!(error instanceof DbError) || error.code !== 'CANCELLED') throw error
    throw new DbError('CANCELLED', `COPY from stdin failed: ${error.message}`)
  }
}

/** Ends a COPY as soon as it wants data. */
async function* failing(): AsyncGenerator<Uint8Array> {
  await Promise.resolve()
  yield* []
  throw new Error('only tried')
}
