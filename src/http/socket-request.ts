/** What a socket's messages ask of the database, checked as strictly as a body of HTTP. */
import type { RequestParameters, SqlRequest } from '../database/database.js'
import type { WatchRequest } from '../database/watch.js'
import { DbError } from '../errors.js'
import type { RowShape } from '../protocol/row-json.js'
import { jsonText } from '../protocol/socket-json.js'
import type { ClientMessage, JsonSource } from '../protocol/socket-messages.js'
import { indexOfCharacter, positionAt } from '../protocol/text-position.js'
import { checkIdempotencyKey } from './credentials.js'
import { badRequest, checkText, readParameters } from '../database/json-parameters.js'
import { checkShape } from './sql-body.js'

type QueryMessage = Extract<ClientMessage, { readonly kind: 'query' }>
type SubscribeMessage = Extract<ClientMessage, { readonly kind: 'subscribe' }>

export interface QueryRequest {
  readonly request: SqlRequest
  readonly rows: RowShape
}

/** Errors: BAD_REQUEST, TOO_MANY_PARAMETERS. */
export function readQuery(message: QueryMessage, parametersMax: number): QueryRequest {
  const { sql, params, namespace, rows, transaction, idempotency_key } = message
  return {
    request: {
      sql: checkText('sql', sql),
      parameters: parametersOf(params, parametersMax),
      namespace: optionalText('namespace', namespace),
      transaction,
      idempotencyKey:
        idempotency_key === undefined ? undefined : checkIdempotencyKey(idempotency_key),
    },
    rows: checkShape(rows),
  }
}

/** Errors: BAD_REQUEST, TOO_MANY_PARAMETERS. */
export function readWatch(message: SubscribeMessage, parametersMax: number): WatchRequest {
  const { sql, params, namespace, from, from_id } = message
  return {
    sql: checkText('sql', sql),
    parameters: parametersOf(params, parametersMax),
    namespace: optionalText('namespace', namespace),
    from: optionalText('from', from),
    fromId: optionalText('from_id', from_id),
  }
}

/** What was thrown; an error that knows its character in the SQL also knows line and column. */
export function placed(thrown: unknown, sql: string): unknown {
  if (!(thrown instanceof DbError)) return thrown
  const { position, line } = thrown.fields
  if (position === undefined || line !== undefined) return thrown
  const place = positionAt(sql, indexOfCharacter(sql, position - 1))
  return thrown.with({ line: place.line, column: place.column })
}

function optionalText(field: string, value: string | undefined): string | undefined {
  return value === undefined ? undefined : checkText(field, value)
}

function parametersOf(params: JsonSource | undefined, parametersMax: number): RequestParameters {
  if (params === undefined)
    return readParameters(undefined, { text: '', source: String, parametersMax })
  const text = jsonText(params)
  return readParameters(parse(text), { text, source: () => text, parametersMax })
}

/** In binary frames nobody has looked at it yet. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (cause) {
    throw badRequest(`"params" is not JSON: ${cause instanceof Error ? cause.message : ''}`)
  }
}
