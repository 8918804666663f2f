/** From what a door asks to what `live` takes: checked, composed, ready to run as its caller. */
import { createHash } from 'node:crypto'
import type { ComposedText } from '../dialect/compose-text.js'
import type { SqlPlan } from '../dialect/plan.js'
import type { Engine } from '../engine/engine.js'
import type { Queries } from '../engine/queries.js'
import { readQueryTree } from '../engine/query-tree.js'
import type { RawResult, Scope } from '../engine/statement.js'
import type { Statements } from '../engine/statements.js'
import { DbError } from '../errors.js'
import { sequenceOf } from '../changes/sequence.js'
import type { LiveRequest, LiveRunner, LiveStatement } from '../live/live-request.js'
import type { ColumnTypes } from './column-types.js'
import type { Caller, Parameter } from './database.js'
import { parameterText } from './parameters.js'
import { prepareRequest, type PrepareRooms } from './prepare-request.js'
import { mentionsNone } from './compose-statement.js'
import { quoteIfNeeded, type ReadyStatement, type RunnerRooms } from './statement-runner.js'
import type { WatchRequest } from './watch.js'
import { indexOfByte } from '../protocol/text-position.js'

/** Errors: those of planning; LIVE_REFUSED for what is no query of rows. */
export async function liveRequest(
  options: PrepareRooms & { readonly rooms: RunnerRooms },
  caller: Caller,
  request: WatchRequest,
): Promise<LiveRequest> {
  const { sql, parameters, namespace, from, fromId } = request
  const sqlRequest = { sql, parameters, namespace, transaction: false }
  const plan = await prepareRequest(options, caller, sqlRequest)
  const [statement, another] = plan.statements
  if (another !== undefined) throw refused('a live query is one statement')
  if (statement?.kind !== 'sql' || !statement.plan.query)
    throw refused('only a SELECT that changes nothing can be live')
  const path = searchPathOf(namespace)
  const composed = await compose(options.rooms, statement.plan, path.names)
  const query = runnable(statement, composed)
  // Written out: what is spread gets a hidden class of its own, 300 bytes for each live query.
  return {
    text: query.text,
    // The same text, but one that all live queries with this plan have together.
    sql: statement.plan.text === sql ? statement.plan.text : sql,
    parameterCount: query.parameterCount,
    parameterKey: query.parameterKey,
    encode: query.encode,
    identity: query.identity,
    userName: caller.name,
    searchPath: path.text,
    placeOf: query.placeOf,
    placed: query.placed,
    from,
    fromId,
  }
}

/** For the tables of this moment. */
async function compose(
  { tables, composer }: RunnerRooms,
  plan: SqlPlan,
  searchPath: readonly string[],
): Promise<ComposedText> {
  if (mentionsNone(plan)) return composer.composePlain(plan).composed
  const names = { tables: tables.known ?? (await tables.load()), searchPath }
  const { composed, refusal } = composer.compose(plan, names)
  if (refusal !== undefined) throw refusal
  return composed
}

type SqlStatement = ReadyStatement & { readonly kind: 'sql' }

function runnable({ plan, parameters, identity }: SqlStatement, composed: ComposedText) {
  const { text } = composed
  return {
    ...{ text, identity, parameterCount: plan.parameterCount },
    parameterKey: parameterKey(parameters),
    encode: (typeOids: readonly number[]) =>
      parameters.map((value, index) => parameterText(value, typeOids[index] ?? 0)),
    placeOf: (byte: number | undefined) => {
      if (byte === undefined) return undefined
      const characters = Array.from(text.slice(0, indexOfByte(text, byte))).length
      return composed.toCallerPosition(characters + 1)
    },
    placed: (error: unknown) => {
      const position = error instanceof DbError ? error.fields.position : undefined
      return error instanceof DbError && position !== undefined
        ? error.with(composed.toCallerPosition(position))
        : error
    },
  }
}

/** Short texts are their own key; of long ones a digest is kept. */
function parameterKey(parameters: readonly Parameter[]): string {
  const text = JSON.stringify(parameters)
  return text.length <= 64 ? text : createHash('sha256').update(text).digest('base64')
}

const publicPath = { names: ['public'], text: 'public' }

function searchPathOf(namespace: string | undefined) {
  if (namespace === undefined) return publicPath
  const names = [namespace, 'public']
  return { names, text: names.map(quoteIfNeeded).join(', ') }
}

function refused(message: string): DbError {
  return new DbError('LIVE_REFUSED', message)
}

export interface LiveRunnerOptions {
  readonly engine: Engine
  readonly queries: Queries
  readonly statements: Statements
  readonly columnTypes: ColumnTypes
  readonly timeoutMs: number
  readonly waitMs: number
}

export function liveRunner(options: LiveRunnerOptions): LiveRunner {
  const { engine, queries, statements, columnTypes } = options
  const execute = (
    statement: LiveStatement,
    send: Engine['run'],
    reuse: boolean,
  ): Promise<RawResult> => {
    const { text, parameterCount, encode } = statement
    const scope = scopeOf(statement, options)
    return statements.execute({ text, parameterCount, encode, scope, send, reuse })
  }
  return {
    run: (statement) => execute(statement, (unit) => engine.run(unit), statement.once !== true),
    treeOf: (statement) =>
      readQueryTree(statement.text, scopeOf(statement, options), (unit) => engine.run(unit)),
    runTogether: async (work) => {
      const session = engine.openSession({ leavesState: false })
      try {
        await session.hold(options.waitMs)
        const system = queries.within(session)
        return await work({
          run: (statement) => execute(statement, (unit) => session.run(unit), false),
          position: async () => {
            const { rows } = await system.query('select kalam.log_position()')
            return sequenceOf(rows[0]?.[0])
          },
        })
      } finally {
        await session.close()
      }
    },
    columnsOf: (columns) => columnTypes.resolve(columns, queries),
  }
}

function scopeOf(
  { identity, searchPath, replyBytesMax }: LiveStatement,
  { timeoutMs, waitMs }: LiveRunnerOptions,
): Scope {
  return { identity, searchPath, timeoutMs, waitMs, replyBytesMax }
}
