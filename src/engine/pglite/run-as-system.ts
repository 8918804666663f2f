import { dataRows, firstError } from '../backend-messages.js'
import { systemIdentity } from '../engine.js'
import { simpleQuery } from '../frontend-messages.js'
import type { Backend } from './backend.js'

/**
 * Runs statements of ours between units and gives their rows. Names of relations and types are to be
 * with their schema: temporary ones of whoever is in the backend come first, and they may have a
 * path of their own; null leaves it. Throws what fails.
 */
export function runAsSystem(
  backend: Backend,
  sql: string,
  searchPath: string | null = 'pg_catalog',
): (string | null)[][] {
  const { bytes, status } = backend.run({
    bytes: simpleQuery(sql),
    identity: systemIdentity,
    searchPath: searchPath ?? undefined,
    replyBytesMax: Infinity,
    end: 'query',
    ownSettings: false,
  })
  const error = firstError(bytes)
  if (error === undefined) return dataRows(bytes)
  if (status !== 'I') runAsSystem(backend, 'ROLLBACK', searchPath)
  throw error
}
