/**
 * The query protocol of `@neondatabase/serverless` (1.2): one statement, or several as a
 * transaction, in one POST; rows as PostgreSQL's text, which the driver parses by type. So
 * serverless functions and the HTTP drivers of ORMs run unchanged.
 */
import type { AdapterParts, OpenAdapter } from '../../src/database/adapter.js'
import type { Caller, Database, SqlOutcome } from '../../src/database/database.js'
import type { PostAnswer, PostRoute } from '../../src/database/post-route.js'
import { DbError, errorAsValue } from '../../src/errors.js'
import { databaseName } from '../../src/protocol/database-name.js'
import type { Login } from './connection-string.js'
import { neonError } from './neon-error.js'
import { readBody, type NeonQueries, type QueryBounds } from './read-body.js'
import { neonHeaders, readHead, type NeonHead } from './read-head.js'
import { writeResult, type RowForm } from './write-result.js'

/** Opens the door if `neon.enabled` says so. It has no socket of its own: HTTP ends what runs. */
export function openNeon({
  config,
  database,
  metrics,
  servePost,
}: AdapterParts): Promise<OpenAdapter | undefined> {
  if (!config.neon.enabled) return Promise.resolve(undefined)
  const { parameters_max, statements_max } = config.http
  servePost(
    neonRoute({ database, metrics }, { parametersMax: parameters_max, queriesMax: statements_max }),
  )
  return Promise.resolve({ address: `POST ${path}`, close: () => Promise.resolve() })
}

/** Where the driver posts to, at the host of the connection string. */
const path = '/sql'

type Rooms = Pick<AdapterParts, 'database' | 'metrics'>

function neonRoute(rooms: Rooms, bounds: QueryBounds): PostRoute {
  return {
    path,
    requestHeaders: neonHeaders,
    readHead: (header) => {
      const head = readHead(header, () => rooms.metrics.authenticationFailed('missing'))
      return (body) => {
        const queries = errorAsValue(() => readBody(body, bounds))
        return async (signal) => {
          const caller = await logIn(rooms, head.login)
          if (queries instanceof DbError) throw queries
          return answerOf(
            await run(rooms.database, { caller, head, queries, signal }),
            queries,
            head,
          )
        }
      }
    },
    refuse: neonError,
  }
}

/** Errors: UNAUTHORIZED if the key is not one of the user's; NOT_FOUND for another database. */
async function logIn({ database, metrics }: Rooms, login: Login): Promise<Caller> {
  const caller = await database.authenticate(login.key)
  if (login.user !== caller.name) {
    metrics.authenticationFailed('unknown')
    throw new DbError('UNAUTHORIZED', `the API key is not one of the user "${login.user}"`, {
      hint: 'The connection string is postgres://owner:key@host/kalamdb.',
    })
  }
  if (login.database !== databaseName)
    throw new DbError('NOT_FOUND', `database "${login.database}" does not exist`, {
      sqlState: '3D000',
      hint: `The database is called ${databaseName}.`,
    })
  return caller
}

interface Running {
  readonly caller: Caller
  readonly head: NeonHead
  readonly queries: NeonQueries
  readonly signal: Parameters<Database['runBatch']>[2]
}

function run(database: Database, { caller, head, queries, signal }: Running): Promise<SqlOutcome> {
  const transaction = queries.isBatch ? head.transaction : undefined
  return database.runBatch(caller, { statements: queries.list, transaction }, signal)
}

/** One result by itself, those of a batch as a list. */
function answerOf(
  { results }: SqlOutcome,
  { isBatch, list }: NeonQueries,
  head: NeonHead,
): PostAnswer {
  const formOf = (index: number): RowForm => ({
    isText: head.isTextWanted,
    isArray: list[index]?.arrayMode ?? head.isArrayWanted,
  })
  return {
    status: 200,
    contentType: 'application/json',
    write: (out) => {
      if (isBatch) out.appendText('{"results":[')
      results.forEach((result, index) => {
        if (index > 0) out.appendText(',')
        writeResult(result, formOf(index), out)
      })
      if (isBatch) out.appendText(']}')
    },
  }
}
