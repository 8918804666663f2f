/** One backend listens for all sessions: what others listen to is nobody's business. */
import type { Migration } from '../migration.js'

/** As with cursors and prepared statements (0001-base). */
export const hiddenChannels: Migration = {
  version: 9,
  name: 'hidden-channels',
  sql: `revoke execute on function pg_catalog.pg_listening_channels() from public;
        perform kalam.note_initial_rights();`,
}
