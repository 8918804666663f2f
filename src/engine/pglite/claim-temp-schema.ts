import { firstError } from '../backend-messages.js'
import { systemIdentity } from '../engine.js'
import { simpleQuery } from '../frontend-messages.js'
import type { Backend } from './backend.js'

/**
 * Makes the schema of temporary objects before anybody else does: PostgreSQL makes it with the first
 * of them and keeps it, so it would tell each user whether another has made any since the start.
 */
export function claimTempSchema(backend: Backend): void {
  const { bytes } = backend.run({
    bytes: simpleQuery('CREATE TEMPORARY TABLE kalam_first (); DROP TABLE pg_temp.kalam_first'),
    identity: systemIdentity,
    searchPath: undefined,
    replyBytesMax: Infinity,
    end: 'query',
    ownSettings: false,
  })
  const error = firstError(bytes)
  if (error !== undefined) throw error
}
