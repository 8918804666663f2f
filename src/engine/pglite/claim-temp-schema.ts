import type { Backend } from './backend.js'
import { runAsSystem } from './run-as-system.js'
import type { TemporarySchema } from './session-memory.js'

/**
 * Makes the schema of temporary objects before anybody else does: PostgreSQL makes it with the first
 * of them and keeps it, so it would tell each user whether another has made any since the start.
 */
export function claimTempSchema(backend: Backend): TemporarySchema {
  const rows = runAsSystem(
    backend,
    `CREATE TEMPORARY TABLE kalam_first (); DROP TABLE pg_temp.kalam_first;
     SELECT oid, (SELECT oid FROM pg_catalog.pg_namespace
                   WHERE nspname = pg_catalog.replace(own.nspname, 'pg_temp', 'pg_toast_temp'))
       FROM pg_catalog.pg_namespace own WHERE oid = pg_catalog.pg_my_temp_schema()`,
  )
  const [[oid, toastOid] = []] = rows
  return { oid: Number(oid), toastOid: Number(toastOid) }
}
