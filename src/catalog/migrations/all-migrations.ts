import type { Migration } from '../migration.js'
import { base } from './0001-base.js'
import { tables } from './0002-tables.js'
import { live } from './0003-live.js'
import { meanings } from './0004-meanings.js'
import { wire } from './0005-wire.js'
import { stricterTables } from './0006-stricter-tables.js'
import { introspection } from './0007-introspection.js'
import { advisoryLocks } from './0008-advisory-locks.js'
import { hiddenChannels } from './0009-hidden-channels.js'
import { waitingLocks } from './0010-waiting-locks.js'
import { shownColumns } from './0011-shown-columns.js'
import { ownLastValues } from './0012-own-last-values.js'
import { writtenDefinitions } from './0013-written-definitions.js'

/** Every step of the system schema, oldest first. New ones are added at the end. */
export const allMigrations: readonly Migration[] = [
  ...[base, tables, live, meanings],
  ...[wire, stricterTables, introspection, advisoryLocks],
  ...[hiddenChannels, waitingLocks, shownColumns, ownLastValues],
  writtenDefinitions,
]
