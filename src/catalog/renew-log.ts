import type { QueryRunner } from '../engine/queries.js'

/**
 * Gives the log of changes another name: changes at its end may be lost, and others will come under
 * their numbers. Cursors of the old name are answered with CURSOR_FOREIGN.
 */
export async function renewLog(queries: QueryRunner): Promise<void> {
  await queries.query(
    `update kalam.log set incarnation = replace(gen_random_uuid()::text, '-', '')`,
  )
}
