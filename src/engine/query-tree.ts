/**
 * A query as PostgreSQL understands it: with `debug_print_parse` it prints the tree that its parser
 * made (PG docs 19.17), every function, operator, type and table in it by its OID.
 */
import { backendTag, eachMessage, errorResponse, parameterTypes } from './backend-messages.js'
import type { Reply, Unit } from './engine.js'
import { MessageWriter } from './frontend-messages.js'
import type { Scope } from './statement.js'

export interface QueryTree {
  /** In the notation of `nodeToString`: `{QUERY :commandType 1 …}`. */
  readonly text: string
  readonly parameterTypes: readonly number[]
}

/** What PostgreSQL puts before the tree. */
const treeTitle = 'parse tree:'

/**
 * Has one SELECT analysed, as its caller, and does not run it. `send` runs the unit: settings end with
 * it. Errors: PostgreSQL's, with `position` in `sql`; those of the engine's `run`.
 */
export async function readQueryTree(
  sql: string,
  scope: Scope,
  send: (unit: Unit) => Promise<Reply>,
): Promise<QueryTree> {
  const reply = await send({ freesRoom: false, ...scope, bytes: analysis(sql) })
  let text = ''
  let types: readonly number[] = []
  eachMessage(reply, (tag, start, end) => {
    if (tag === backendTag.error) throw errorResponse(reply, start, end)
    if (tag === backendTag.parameterDescription) types = parameterTypes(reply, start)
    if (tag !== backendTag.notice) return
    const { message, fields } = errorResponse(reply, start, end)
    // The last: a check that a constant had to pass may have run queries of its own before.
    if (message === treeTitle) text = fields.detail ?? ''
  })
  return { text, parameterTypes: types }
}

function analysis(sql: string): Uint8Array {
  const writer = new MessageWriter(sql.length * 3 + 256)
  for (const setting of ['debug_pretty_print = off', 'client_min_messages = log'])
    writer.parse('', `set ${setting}`).bind('', []).execute()
  writer.parse('', 'set debug_print_parse = on').bind('', []).execute()
  return writer.parse('', sql).describeStatement('').sync().finish()
}
