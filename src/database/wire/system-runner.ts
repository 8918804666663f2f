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
import type { QueryResult, QueryRunner } from '../../engine/queries.js'
import type { Column } from '../../engine/statement.js'
import { asideMessages } from './aside.js'
import type { Pipeline } from './pipeline.js'

/** Runs queries by the pipeline, which says whether they end in Flush or in Sync. */
export function systemRunner(pipeline: Pick<Pipeline, 'runAside'>): QueryRunner {
  return {
    async query(sql, parameters = []) {
      const { prepare, describe, execute } = asideMessages(sql, parameters)
      const messages = [...prepare, describe, execute]
      return resultOf(await pipeline.runAside(systemIdentity, messages))
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
