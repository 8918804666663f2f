import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { migrate } from '#src/catalog/migrate.js'
import { allMigrations } from '#src/catalog/migrations/all-migrations.js'
import type { Migration } from '#src/catalog/migration.js'
import { Queries } from '#src/engine/queries.js'
import { openTestEngine, type TestEngine } from '../support/engine.js'

const folder = mkdtempSync(join(tmpdir(), 'kalamdb-migrate-'))
let opened: TestEngine
let queries: Queries
beforeAll(async () => {
  opened = await openTestEngine({ folder })
  queries = new Queries(opened.engine)
})
afterAll(async () => {
  await opened[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

const version = allMigrations.length
const next: Migration = {
  version: version + 1,
  name: 'notes',
  sql: `create table kalam.notes (id integer primary key);
        insert into kalam.notes select u from generate_series(1, 3) u;`,
}
const failing: Migration = {
  version: version + 2,
  name: 'failing',
  sql: 'drop table kalam.notes; create table kalam.half (id integer); select 1 / 0 into strict id;',
}

const versions = async () =>
  (await queries.query('select version from kalam.migrations order by version')).rows.flat()
const relation = async (name: string) =>
  (await queries.query('select to_regclass($1)::text', [name])).rows[0]?.[0]

const sharedColumns =
  'id int primary key, _deleted boolean not null generated always as (false) stored'
const twinOf = async (table: string) =>
  (await queries.query('select twin::text from kalam.tables where tab = $1::regclass', [table]))
    .rows[0]?.[0] ?? ''
/** Name, command and condition, whatever the table's number. */
const policiesOf = async (table: string) =>
  (
    await queries.query(
      `select p.polname, p.polcmd, replace(pg_get_expr(p.polqual, p.polrelid), t.id::text, 'id')
         from kalam.tables t join pg_policy p on p.polrelid = t.twin
        where t.tab = $1::regclass order by p.polname`,
      [table],
    )
  ).rows

describe('K3: a data folder', () => {
  test('of version 5 is brought to the newest, and stays there', async () => {
    expect(await migrate(queries, allMigrations.slice(0, 5))).toBe(5)
    await queries.query('create schema app')
    await queries.query(`create table app.before (${sharedColumns})`)
    await queries.query('insert into app.before values (1), (2)')
    await queries.query('delete from app.before where id = 1')
    expect(await migrate(queries)).toBe(version - 5)
    expect(await migrate(queries)).toBe(0)
    expect(await versions()).toEqual(allMigrations.map((migration) => String(migration.version)))
  })

  test('has twins from before version 6 with the policies of later ones, and their rows', async () => {
    await queries.query(`create table app.after (${sharedColumns})`)
    const policies = await policiesOf('app.before')
    expect(policies).toEqual(await policiesOf('app.after'))
    expect(policies.map(([name, command]) => [name, command])).toEqual([
      ['kalam_rows', 'r'],
      ['kalam_undelete', 'd'],
    ])
    expect((await queries.query(`select id from ${await twinOf('app.before')}`)).rows).toEqual([
      ['1'],
    ])
  })

  test('of an older version is brought up, with what is in it', async () => {
    const before = await queries.query('select * from kalam.users')
    expect(await migrate(queries, [...allMigrations, next])).toBe(1)
    expect((await queries.query('select count(*) from kalam.notes')).rows).toEqual([['3']])
    expect((await queries.query('select * from kalam.users')).rows).toEqual(before.rows)
  })

  test('keeps its version, and everything else, when a step fails', async () => {
    const before = await versions()
    const migrations = [...allMigrations, next, failing]
    const message = `step ${version + 2} (failing) of the system schema failed`
    await expect(migrate(queries, migrations)).rejects.toMatchObject({
      code: 'DATA_FOLDER',
      message: expect.stringContaining(message) as string,
    })
    expect(await versions()).toEqual(before)
    expect(await relation('kalam.notes')).toBe('kalam.notes')
    expect(await relation('kalam.half')).toBeNull()
  })

  test('of a newer server is refused', async () => {
    await expect(migrate(queries)).rejects.toMatchObject({
      code: 'DATA_FOLDER',
      message: expect.stringContaining(`has version ${version + 1}`) as string,
    })
  })

  test('whose steps read differently is refused', async () => {
    const changed = { ...next, sql: `${next.sql} -- and more` }
    await expect(migrate(queries, [...allMigrations, changed])).rejects.toMatchObject({
      code: 'DATA_FOLDER',
      message: expect.stringContaining(`version ${version + 1} of the data folder`) as string,
    })
  })

  test('does not mind how a step is indented', async () => {
    const indented = { ...next, sql: next.sql.replaceAll('\n', '\n\n   ') }
    expect(await migrate(queries, [...allMigrations, indented])).toBe(0)
  })
})

test('versions must count from 1 without gaps', async () => {
  await expect(migrate(queries, [next])).rejects.toThrow('without gaps')
})
