/** The doors beside HTTP, for who starts a server. */
import type { Adapter } from '../src/database/adapter.js'

export const adapters: readonly Adapter[] = []
