/**
 * PGlite with its own `live` extension. It works in one process only, so this one is the database,
 * the writer and the watchers: nothing travels. Its writes reach the operating system, not the disk.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { live } from '@electric-sql/pglite/live'
import { serveLive } from './live-process.js'
import { insertSql, querySql, setupStatements, type LiveSystem, type Todo } from './live-system.js'

const owners = Number(process.argv[2])
const folder = mkdtempSync(join(tmpdir(), 'kalamdb-bench-live-'))
const database = await PGlite.create(join(folder, 'data'), { extensions: { live } })
for (const sql of setupStatements(owners)) await database.exec(sql)

const held = new Map<string, readonly Todo[]>()
let ends: (() => Promise<void>)[] = []

const system: LiveSystem = {
  subscribe: async ({ form, owners, see }) => {
    for (const owner of owners) {
      const query = await database.live.query<Todo>(querySql[form], [owner], ({ rows }) => {
        held.set(owner, rows)
        rows.forEach(see)
      })
      ends.push(() => query.unsubscribe())
    }
  },
  insert: async ({ id, owner, title }) => {
    await database.query(insertSql, [id, owner, title])
  },
  held: (owner) => (held.get(owner) ?? []).map(({ id }) => id),
  stored: async (owner, form) => {
    const { rows } = await database.query<Todo>(querySql[form], [owner])
    return rows.map(({ id }) => id)
  },
  unsubscribe: async () => {
    for (const end of ends) await end()
    ends = []
    held.clear()
  },
  close: async () => {
    await database.close()
    rmSync(folder, { recursive: true, force: true })
  },
}
serveLive(system)
