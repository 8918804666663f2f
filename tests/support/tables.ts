/** Managed tables below the doors: an admin and two users on a real engine, and the system. */
import type { Identity } from '#src/engine/engine.js'
import { openTestCatalog, type TestCatalog } from './catalog.js'
import { rowsOf, unit } from './engine.js'

/** Columns that make a table managed, as the dialect adds them. */
export const systemColumns = {
  user: `_user_id text NOT NULL DEFAULT kalam.uid(),
    _deleted boolean NOT NULL GENERATED ALWAYS AS (false) STORED`,
  shared: '_deleted boolean NOT NULL GENERATED ALWAYS AS (false) STORED',
  stream: `_user_id text NOT NULL DEFAULT kalam.uid(),
    _expires_at timestamptz NOT NULL DEFAULT (now() + interval '30 seconds')`,
} as const

export type Who = 'admin' | 'alice' | 'bob' | 'everything' | 'system'
export type Row = readonly (string | null)[]

export interface TableWorld {
  readonly catalog: TestCatalog
  /** Runs statements in one go; answers the rows of them all. */
  run(who: Who, sql: string): Promise<readonly Row[]>
  /** Runs one statement; answers its tag with the count: `DELETE 3`. */
  tag(who: Who, sql: string): Promise<string>
  userId(who: Who): string
  /**
   * Changes of the log since the last call: op, then old and new as lists. `rights`: with the marks
   * of rights and meanings that may have changed, which most DDL leaves.
   */
  changes(options?: { readonly rights: boolean }): Promise<readonly (readonly unknown[])[]>
  close(): Promise<void>
}

export async function openTableWorld(): Promise<TableWorld> {
  const catalog = await openTestCatalog()
  const identities = await makeIdentities(catalog)
  const identityOf = (who: Who): Identity => {
    const identity = identities.get(who)
    if (identity === undefined) throw new Error(`no identity for ${who}`)
    return identity
  }
  const run: TableWorld['run'] = async (who, sql) =>
    rowsOf(await catalog.engine.run(unit(sql, { identity: identityOf(who) })))
  let position = '0'
  await run('admin', 'CREATE SCHEMA app')
  return {
    catalog,
    run,
    tag: async (who, sql) => {
      const { command, rowCount } = await catalog.as(identityOf(who), sql)
      return `${command} ${rowCount}`
    },
    userId: (who) => identityOf(who).userId,
    changes: async ({ rights } = { rights: false }) => {
      const rows = await run(
        'system',
        `SELECT seq, op, old, new FROM kalam.changes WHERE seq > ${position} ORDER BY seq`,
      )
      position = rows.at(-1)?.[0] ?? position
      return rows
        .filter(([, op]) => rights || op !== 'G')
        .map(([, op, old, latest]) =>
          [op, old, latest].filter((part) => part !== null).map(readPart),
        )
    },
    close: () => catalog.close(),
  }
}

function readPart(part: string | null | undefined): unknown {
  return part?.startsWith('[') === true ? (JSON.parse(part) as unknown) : part
}

async function makeIdentities(catalog: TestCatalog): Promise<ReadonlyMap<Who, Identity>> {
  const identities = new Map<Who, Identity>([
    ['system', { roleOid: 10, userId: '', readOnly: false }],
  ])
  for (const [who, name, role] of [
    ['admin', 'chief', 'admin'],
    ['alice', 'alice', 'user'],
    ['bob', 'bob', 'user'],
  ] as const) {
    await catalog.users.createUser({ name, role, ifNotExists: false })
    const found = await catalog.users.findByName(name)
    if (found === undefined) throw new Error('the user was made')
    identities.set(who, { userId: found.userId, roleOid: found.roleOid, readOnly: false })
  }
  const { rows } = await catalog.queries.query(`SELECT 'kalam_everything'::regrole::oid`)
  const admin = identities.get('admin')
  if (admin !== undefined) identities.set('everything', { ...admin, roleOid: Number(rows[0]?.[0]) })
  return identities
}
