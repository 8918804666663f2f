import { simpleQuery, syncMessage } from '../frontend-messages.js'
import { dataRows } from '../backend-messages.js'
import { systemIdentity } from '../engine.js'
import type { Backend } from './backend.js'

/** Names of cursors and prepared statements that are the engine's own start so. */
const ownNames = 'kalam'

/**
 * Takes back what a session left in the one backend that all share: temporary tables, settings,
 * cursors, prepared statements, LISTEN, advisory locks, last values of sequences.
 */
export function sessionCleaner(backend: Backend) {
  const run = (bytes: Uint8Array): Uint8Array =>
    backend.run({
      bytes,
      identity: systemIdentity,
      searchPath: undefined,
      replyBytesMax: Infinity,
      end: bytes === syncMessage ? 'sync' : 'query',
      ownSettings: false,
    }).bytes

  const rollBackMessage = simpleQuery('ROLLBACK')
  const resetMessage = simpleQuery('RESET ALL')
  const forgetSequencesMessage = simpleQuery('DISCARD SEQUENCES')
  const cleanMessage = simpleQuery(
    'RESET ALL; DISCARD TEMP; DISCARD SEQUENCES; UNLISTEN *; SELECT pg_advisory_unlock_all()',
  )
  const leftoversMessage = simpleQuery(
    `SELECT 'CLOSE ' || quote_ident(name) FROM pg_cursors
       WHERE name <> '' AND NOT starts_with(name, '${ownNames}')
     UNION ALL
     SELECT 'DEALLOCATE ' || quote_ident(name) FROM pg_prepared_statements
       WHERE NOT starts_with(name, '${ownNames}')`,
  )

  return {
    rollBack: () => void run(rollBackMessage),
    sync: () => void run(syncMessage),
    /** Settings that functions left; a transaction of plain statements leaves nothing else. */
    resetSettings: () => {
      run(resetMessage)
      backend.forgetSettings()
    },
    forgetSequences: () => void run(forgetSequencesMessage),
    clean: () => {
      run(cleanMessage)
      backend.forgetSettings()
      for (const [statement] of dataRows(run(leftoversMessage)))
        if (typeof statement === 'string') run(simpleQuery(statement))
    },
  }
}
