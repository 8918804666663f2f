import { createHash } from 'node:crypto'

/** One step of the system schema. Once released it never changes; a later step changes its work. */
export interface Migration {
  /** From 1, without gaps. */
  readonly version: number
  readonly name: string
  /** Statements that PL/pgSQL can run inside a block: no VACUUM, no transaction control. */
  readonly sql: string
}

/** Tells a changed step from the one that was applied. */
export function checksumOf({ sql }: Migration): string {
  return createHash('sha256').update(sql.replaceAll(/\s+/g, ' ').trim()).digest('hex').slice(0, 16)
}
