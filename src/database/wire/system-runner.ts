/** The system's own SQL while a session has the engine: inside its transaction, between its steps. */
import {
  backendTag,
  commandTag,
  dataRows,
  eachMessage,
  errorResponse,
  rowDescription,
} from '../../engine/backend-messages.js'
import { systemIdentity, type Reply } from '../../engine/engine.js'
import { MessageWriter } from '../../engine/frontend-messages.js'
import type { QueryResult, QueryRunner } from '../../engine/queries.js'
import type { Column } from '../../engine/statement.js'
import type { Pipeline } from './pipeline.js'

/** Runs queries by the pipeline, which says whether they end in Flush or in Sync. */
export function systemRunner(pipeline: Pick<Pipeline, 'runAside'>): QueryRunner {
  return {
    async query(sql, parameters = []) {
      const writer = new MessageWriter(sql.length * 3 + 64).parse('', sql).bind('', parameters)
      const bytes = writer.describePortal().execute().finish()
      return resultOf(await pipeline.runAside(systemIdentity, [bytes]))
    },
  }
}

function resultOf(reply: Reply): QueryResult {
  let columns: readonly Column[] = []
  let ended = { command: '', rowCount: 0 }
  eachMessage(reply, (tag, start, end) => {
    if (tag === backendTag.commandComplete) ended = commandTag(reply, start, end)
    else if (tag === backendTag.error) throw errorResponse(reply, start, end)
    else if (tag === backendTag.rowDescription) columns = rowDescription(reply, start)
  })
  return { columns, rows: dataRows(reply), ...ended }
}
