/**
 * B6, B7, B10, SC2: a managed table does what PostgreSQL's own does. Random requests run as alice on
 * USER tables (bob has rows under the same keys), on SHARED tables, and on plain tables of a
 * native PostgreSQL: equal counts, rows, errors and contents. `KALAM_TEST_SEED`
 * sets others; a failing one is cut to the requests that matter, and printed as a script.
 */
import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import fc from 'fast-check'
import type { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { countOf, seed } from '../support/counts.js'
import type { Outcome } from '../support/differential/outcome.js'
import { scriptOf, type Request } from '../support/differential/request.js'
import {
  kalamSide,
  nativeSide,
  openNativeClient,
  type Side,
} from '../support/differential/sides.js'
import { copyOfTemplate, openTestEngine, rowsOf, unit } from '../support/engine.js'
import {
  nativePostgresMissing,
  openNativePostgres,
  type NativePostgres,
} from '../support/native-postgres.js'
import { openTestServer, type TestServer } from '../support/server.js'
import {
  emptyStatements,
  firstStatements,
  goneStatements,
  grantStatements,
  restartStatements,
  schemaStatements,
  tables,
  type Kind,
} from './managed/schema.js'
import { requests } from './managed/statements.js'

const missing = nativePostgresMissing()
if (missing !== undefined) console.log(`skipped, managed tables against native: ${missing}`)

const sequences = 100 * countOf('KALAM_TEST_DIFFERENTIAL_FACTOR', 1)
const statementsMin = 2_000

const kinds: readonly { readonly namespace: string; readonly kind: Kind }[] = [
  { namespace: 'mine', kind: 'USER' },
  { namespace: 'ours', kind: 'SHARED' },
]

describe.skipIf(missing !== undefined)('managed tables and native PostgreSQL', () => {
  let native: NativePostgres
  let client: Client
  let server: TestServer
  let reference: Side
  let sides: readonly (Side & { readonly namespace: string })[]
  let alice: string
  let bob: string
  let folder: string
  let twins: ReadonlyMap<string, string>

  beforeAll(async () => {
    native = await openNativePostgres()
    client = await openNativeClient(native)
    for (const sql of [...schemaStatements(''), ...goneStatements]) await client.query(sql)
    reference = await nativeSide(client, native.version)
    folder = copyOfTemplate()
    server = await openTestServer({ folder })
    alice = await server.createUser('alice')
    bob = await server.createUser('bob')
    for (const { namespace, kind } of kinds) {
      await server.sql(`CREATE NAMESPACE ${namespace}`)
      for (const sql of [...schemaStatements(kind), ...grantStatements(kind)])
        await server.sql(sql, { namespace })
    }
    sides = kinds.map(({ namespace }) => ({
      namespace,
      ...kalamSide({ server, key: alice, namespace }),
    }))
    const { rows } = await server.sql('SELECT id, tab::text FROM kalam.tables', { key: alice })
    twins = new Map(rows.map(({ id, tab }) => [String(tab), `kalam_deleted.t${String(id)}`]))
    // A caller's own rows; nobody but a test would want to.
    await server.sql(`CREATE FUNCTION forget(twin regclass) RETURNS void LANGUAGE plpgsql
      AS $$ BEGIN EXECUTE format('DELETE FROM %s', twin); END $$`)
    for (const sql of bobsStatements) await server.sql(sql, { key: bob, namespace: 'mine' })
  })
  afterAll(async () => {
    await client.end()
    await Promise.all([native.close(), server.close()])
    rmSync(dirname(folder), { recursive: true, force: true })
  })

  test('answer alike, whatever is asked', { timeout: 30_000 + sequences * 2_000 }, async () => {
    const bobsBefore = await everythingOf(bob)
    const counted = { statements: 0, failed: 0 }
    await fc.assert(
      fc.asyncProperty(requests({ isManaged: true }), async (sequence) => {
        await startAfresh()
        for (const [index, request] of sequence.entries()) {
          const { error } = await runEverywhere(request, sequence.slice(0, index + 1))
          counted.statements += request.statements.length
          if (error !== undefined) counted.failed += 1
        }
        await runEverywhere(contents, sequence)
        await runEverywhere(deletedContents, sequence)
      }),
      { seed, numRuns: sequences },
    )
    console.log(
      `differential: ${counted.statements} statements in ${sequences} sequences on 3 sides,` +
        ` ${counted.failed} requests ended in an error; seed ${seed}`,
    )
    expect(counted.statements).toBeGreaterThanOrEqual(statementsMin)
    expect(await everythingOf(bob)).toEqual(bobsBefore)
  })

  test('D2: the log, replayed from nothing, gives the rows that are there', async () => {
    await server.close()
    await using opened = await openTestEngine({ folder })
    const rows = async (sql: string) => rowsOf(await opened.engine.run(unit(sql)))
    const all = await rows(managedTablesQuery)
    expect(all).toHaveLength(2 * tables.length)
    let replayed = 0
    for (const [id, name, columns] of all) {
      const log = await rows(
        `SELECT op, owner, old, new FROM kalam.changes WHERE table_id = ${id} ORDER BY seq`,
      )
      replayed += log.length
      const live = await rows(`SELECT ${columns} FROM ${name}`)
      expect(replay(log), `${name}`).toEqual(live.map((row) => JSON.stringify(row)).sort())
    }
    console.log(`differential: ${replayed} changes of the log replayed`)
  })

  async function startAfresh(): Promise<void> {
    // After a sequence that went wrong, they do not hold the same rows.
    await Promise.all([reference, ...sides].map((side) => side.run(requestOf(emptyStatements))))
    await forgetDeleted()
    await restart()
    await runEverywhere(requestOf(firstStatements), [])
  }

  async function forgetDeleted(): Promise<void> {
    for (const { name } of tables) await client.query(`TRUNCATE ${name}_gone`)
    for (const { namespace } of kinds) {
      const texts = tables.map(({ name }) => `forget('${twins.get(`${namespace}.${name}`)}')`)
      await server.sql(`SELECT ${texts.join(', ')}`, { key: alice })
    }
  }

  async function restart(): Promise<void> {
    for (const sql of restartStatements) await client.query(sql)
    for (const { namespace } of kinds) await server.sql(restartStatements.join(';'), { namespace })
  }

  /** The outcome that all sides had; throws with a script when they differ. */
  async function runEverywhere(request: Request, script: readonly Request[]): Promise<Outcome> {
    const answered = await Promise.allSettled(
      [reference, ...sides].map((side) => side.run(request)),
    )
    const [expected, ...others] = answered.map((each) => {
      if (each.status === 'rejected') throw each.reason
      return each.value
    })
    if (expected === undefined) throw new Error('no reference')
    const wanted = JSON.stringify(comparable(expected, request), null, 1)
    for (const [index, outcome] of others.entries()) {
      const got = JSON.stringify(comparable(outcome, request), null, 1)
      if (got === wanted) continue
      throw new Error(reportOf({ namespace: sides[index]?.namespace ?? '', wanted, got, script }))
    }
    return expected
  }

  async function everythingOf(key: string): Promise<unknown> {
    const { results } = await server.sql(
      deletedContents.statements.map(({ text }) => text).join(';'),
      { key, namespace: 'mine', rows: 'array' },
    )
    return results.map(({ rows }) => rows)
  }
})

const bobsStatements: readonly string[] = [
  ...firstStatements,
  "INSERT INTO parent (id, code, amount) VALUES (5, 'it''s', 5), (6, 'ü😀', 6), (11, 'c', 11)",
  "INSERT INTO child (parent_id, label, rank) VALUES (5, 'three', 4), (6, 'skip', 5), (6, 'ü', 6)",
  'DELETE FROM entry WHERE parent_id = 4',
  'DELETE FROM parent WHERE id = 4',
]

const contents = requestOf(
  tables.map(({ name, key }) => `SELECT * FROM ${name} ORDER BY ${key.join(', ')}`),
)

const deletedContents: Request = {
  mode: 'each',
  statements: tables.map(({ name, columns }) => ({
    text: `SELECT ${columns.join(', ')}, x._deleted AS is_gone FROM ${name} INCLUDE DELETED x`,
    native: `SELECT *, false AS is_gone FROM (SELECT ${columns.join(', ')} FROM ${name}) a
      UNION ALL SELECT *, true FROM (SELECT ${columns.join(', ')} FROM ${name}_gone) b`,
  })),
}

function requestOf(texts: readonly string[]): Request {
  return { mode: 'each', statements: texts.map((text) => ({ text })) }
}

/** What of an outcome both sides must agree on. */
function comparable({ results, error }: Outcome, { statements }: Request): unknown {
  if (error === undefined) return { results }
  const { statement, sqlstate, message, position } = error
  const failed = statements[statement ?? -1]
  if (failed?.anyConstraint === true && sqlstate.startsWith('23'))
    return { error: { statement, sqlstate: '23' } }
  const hasOwnText = statements.some(({ native }) => native !== undefined)
  return { error: { statement, sqlstate, message, ...(hasOwnText ? {} : { position }) } }
}

/** Id, name, and the columns of the log's images, owner first. */
const managedTablesQuery = `
  SELECT t.id, t.tab, CASE t.kind WHEN 'user' THEN '_user_id' ELSE 'NULL' END || ', '
    || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
  FROM kalam.tables t JOIN pg_attribute a ON a.attrelid = t.tab AND a.attnum > 0
  WHERE NOT a.attisdropped AND a.attname NOT IN ('_user_id', '_deleted')
  GROUP BY t.id`

/**
 * Rows by what they hold, not by key: within a statement, PostgreSQL runs the triggers of its
 * inserts before those of its deletes, whichever came first.
 */
function replay(log: readonly (readonly (string | null)[])[]): string[] {
  const rows = new Map<string, number>()
  const add = (owner: string | null, image: string | null, count: number) => {
    if (image === null) return
    const row = JSON.stringify([owner, ...(JSON.parse(image) as unknown[])])
    rows.set(row, (rows.get(row) ?? 0) + count)
  }
  for (const [, owner = null, old = null, latest = null] of log) {
    add(owner, old, -1)
    add(owner, latest, 1)
  }
  return [...rows]
    .flatMap(([row, count]) => (count === 0 ? [] : [`${row}${count === 1 ? '' : count}`]))
    .sort()
}

interface Difference {
  readonly namespace: string
  readonly wanted: string
  readonly got: string
  readonly script: readonly Request[]
}

/** With a script for `kalam -f`, and one for psql where KalamDB has words of its own. */
function reportOf({ namespace, wanted, got, script }: Difference): string {
  const replay = (side: 'kalam' | 'native') =>
    [...firstStatements, scriptOf(script, side)].join(';\n')
  const scripts = [...new Set([replay('kalam'), replay('native')])]
  return [
    `namespace ${namespace} differs from native PostgreSQL, seed ${seed}`,
    ...[differenceOf(wanted, got), ...scripts],
  ].join('\n\n')
}

const linesMax = 40

/** Lines of either text that the other does not have. */
function differenceOf(wanted: string, got: string): string {
  const onlyIn = (text: string, other: string, mark: string) => {
    const others = other.split('\n')
    return text.split('\n').flatMap((line) => {
      const at = others.indexOf(line)
      if (at >= 0) others.splice(at, 1)
      return at >= 0 ? [] : [`${mark}${line}`]
    })
  }
  const lines = [...onlyIn(wanted, got, 'native: '), ...onlyIn(got, wanted, 'KalamDB:')]
  return lines.slice(0, linesMax).join('\n')
}
