/**
 * Managed tables: whose rows belong to their users, whose deletes can be undone, and whose changes
 * are logged. PostgreSQL does the work: a real DELETE, after which a trigger moves the rows to a
 * twin table; row security keeps users apart; event triggers hold it all together under DDL.
 */
import type { Migration } from '../migration.js'
import { registry } from './0002-tables/registry.js'
import { shapes } from './0002-tables/shapes.js'
import { twins } from './0002-tables/twins.js'
import { triggers } from './0002-tables/triggers.js'
import { managing } from './0002-tables/managing.js'
import { guards } from './0002-tables/guards.js'
import { leaks } from './0002-tables/leaks.js'
import { views } from './0002-tables/views.js'

export const tables: Migration = {
  version: 2,
  name: 'tables',
  sql: [
    // Functions are read from the public ones down, and so name others that come after them.
    'set local check_function_bodies = off;',
    registry(),
    leaks(),
    views(),
    shapes(),
    twins(),
    triggers(),
    managing(),
    // Last: from then on event triggers see what is done.
    guards(),
  ].join('\n'),
}
