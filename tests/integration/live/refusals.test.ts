import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openLiveServer, type LiveServer } from '../../support/live-server.js'
import { watch } from '../../support/live.js'

let live: LiveServer

beforeAll(async () => {
  live = await openLiveServer()
  await live.run(
    live.root,
    `create namespace app; create table app.t (id int primary key, at timestamptz);
     create materialized view app.copy as select * from app.t;
     create table app.parts (id int) partition by range (id);
     create view app.clock as select now() as at;
     create function app.guess() returns int language sql stable as 'select 1';
     create function app.twice(n int) returns int language sql immutable as 'select n * 2';`,
  )
})
afterAll(() => live.close())

describe('D3: the closed list of what cannot be live', () => {
  test.each([
    ['volatile functions', 'select random() from app.t', 'random()', 8],
    ['the clock, by function', 'select id from app.t where at < now()', 'now()', 33],
    ['the clock, by keyword', 'select current_date, id from app.t', 'CURRENT_DATE', 8],
    ['the clock, by word', `select id from app.t where at < 'now'::timestamptz`, "'now'", 33],
    ['the clock, in a view', 'select * from app.clock', 'now()', 15],
    ['functions of admins that are not immutable', 'select app.guess()', 'guess()', 8],
    ['functions that tell of the server', 'select pg_postmaster_start_time()', 'pg_postmaster', 8],
    ['FOR UPDATE', 'select id from app.t for update', 'SELECT', undefined],
    [
      'what changes rows',
      'with x as (delete from app.t returning id) select * from x',
      'SELECT',
      undefined,
    ],
    ['what is no SELECT', 'delete from app.t', 'SELECT', undefined],
    ['EXPLAIN', 'explain select 1', 'SELECT', undefined],
    ['several statements', 'select 1; select 2', 'one statement', undefined],
    ['the system catalog', 'select * from pg_class', 'pg_class', 15],
    ['the system views', 'select * from system.users', 'system.users', 15],
    ['materialized views', 'select * from app.copy', 'materialized', 15],
    ['partitioned tables', 'select * from app.parts', 'partitions', 15],
    ['TABLESAMPLE', 'select * from app.t tablesample system (10)', 'TABLESAMPLE', undefined],
  ])('%s', async (_name, sql, words, position) => {
    const error: unknown = await watch(live.database, live.root, sql).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'LIVE_REFUSED' })
    expect((error as Error).message).toContain(words)
    if (position !== undefined)
      expect((error as { fields: { position?: number } }).fields.position).toBe(position)
  })

  test('what PostgreSQL refuses is PostgreSQL’s error', async () => {
    const error = (sql: string) => watch(live.database, live.root, sql).catch((e: unknown) => e)
    expect(await error('select * from app.nowhere')).toMatchObject({
      fields: { sqlState: '42P01' },
    })
    expect(await error('select nothing from app.t')).toMatchObject({
      fields: { sqlState: '42703' },
    })
    expect(await error('select 1 / 0')).toMatchObject({ fields: { sqlState: '22012' } })
  })

  test('D8: names of the system’s namespaces are looked up for nobody, as in statements', async () => {
    const watching = watch(live.database, live.root, 'select * from t1', {
      namespace: 'kalam_deleted',
    })
    await expect(watching).rejects.toMatchObject({ code: 'STATEMENT_REFUSED' })
  })

  test('the clock, by parameter', async () => {
    const before = 'select id from app.t where at < $1'
    const watching = (at: string) => watch(live.database, live.root, before, { params: [at] })
    const error: unknown = await watching('tomorrow').catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'LIVE_REFUSED' })
    expect((error as Error).message).toContain("$1, 'tomorrow'")
    const rows = await watching('2026-01-01')
    rows.close()
  })

  test.each([
    'select app.twice(id) from app.t',
    'select kalam.uid(), current_user',
    'values (1), (2)',
    'select g from generate_series(1, 3) g',
    `select to_char(at, 'YYYY') from app.t`,
  ])('live: %s', async (sql) => {
    const rows = await live.watch(live.root, sql)
    expect(rows.ended).toBeUndefined()
    rows.close()
  })

  test('a query that fails later ends with PostgreSQL’s error', async () => {
    const evaluated = await live.watch(live.root, 'select sum(10 / (id - 5)) from app.t')
    const followed = await live.watch(live.root, 'select 10 / (id - 5), id from app.t')
    await live.run(live.root, 'insert into app.t values (5)')
    await evaluated.until('ended', () => evaluated.ended !== undefined)
    await followed.until('ended', () => followed.ended !== undefined)
    expect(evaluated.ended?.message).toBe('division by zero')
    expect(followed.ended?.message).toBe('division by zero')
  })
})
