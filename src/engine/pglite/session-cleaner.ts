import { failingMessage, simpleQuery, syncMessage } from '../frontend-messages.js'
import { dataRows } from '../backend-messages.js'
import { systemIdentity } from '../engine.js'
import type { Backend, TransactionStatus } from './backend.js'
import type { KeptName } from './kept-memory.js'

/** Names of cursors and prepared statements that are the engine's own start so. */
const ownNames = 'kalam'
const failAndSyncMessage = Buffer.concat([failingMessage, syncMessage])

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
      end: bytes === failAndSyncMessage ? 'sync' : 'query',
      ownSettings: false,
    }).bytes

  const rollBackMessage = simpleQuery('ROLLBACK')
  const resetMessage = simpleQuery('RESET ALL')
  const forgetSequencesMessage = simpleQuery('DISCARD SEQUENCES')
  const unlistenMessage = simpleQuery('UNLISTEN *')
  // The system schema's own function of that name leaves the locks of sessions that last.
  const cleanMessage = simpleQuery(
    'RESET ALL; DISCARD TEMP; DISCARD SEQUENCES; SELECT pg_advisory_unlock_all()',
  )
  const leftoversMessage = simpleQuery(
    namesWhere(`name <> '' AND NOT starts_with(name, '${ownNames}')`),
  )

  const dropNames = (which: Uint8Array): void => {
    for (const [statement] of dataRows(run(which)))
      if (typeof statement === 'string') run(simpleQuery(statement))
  }

  return {
    /** Ends a transaction from whichever state the last unit left. */
    rollBack: (status: TransactionStatus) => {
      // After a Flush, PostgreSQL may take nothing but Sync, which commits what has not failed.
      if (status === 'none') run(failAndSyncMessage)
      run(rollBackMessage)
    },
    /** Settings that functions left; a transaction of plain statements leaves nothing else. */
    resetSettings: () => {
      run(resetMessage)
      backend.forgetSettings()
    },
    forgetSequences: () => void run(forgetSequencesMessage),
    clean: () => {
      run(cleanMessage)
      backend.forgetSettings()
      dropNames(leftoversMessage)
    },
    /** Ends every LISTEN, whoever began it. */
    unlisten: () => void run(unlistenMessage),
    dropName: ({ kind, name }: KeptName) => {
      const what = kind === 'cursor' ? 'CLOSE' : 'DEALLOCATE'
      run(simpleQuery(`${what} "${name.replaceAll('"', '""')}"`))
    },
    dropNames: (prefix: string) => {
      dropNames(simpleQuery(namesWhere(`starts_with(name, '${prefix.replaceAll(`'`, `''`)}')`)))
    },
  }
}

/** Statements that drop cursors and prepared statements. */
function namesWhere(condition: string): string {
  return `SELECT 'CLOSE ' || quote_ident(name) FROM pg_cursors WHERE ${condition}
     UNION ALL
     SELECT 'DEALLOCATE ' || quote_ident(name) FROM pg_prepared_statements WHERE ${condition}`
}
