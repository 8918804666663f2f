/** The doors beside HTTP, for who starts a server. */
import type { Adapter } from '../src/database/adapter.js'
import { openNeon } from './neon/open-neon.js'
import { openPostgres } from './postgres/open-postgres.js'

export const adapters: readonly Adapter[] = [openNeon, openPostgres]
