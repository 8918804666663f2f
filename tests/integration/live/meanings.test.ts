/** What a live query means beyond its text: functions, tables and types that it does not name. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Caller } from '#src/database/database.js'
import { relianceOf } from '#src/live/known-functions.js'
import { openLiveServer, type LiveServer } from '../../support/live-server.js'
import { watch, type TestReceiver } from '../../support/live.js'

let live: LiveServer
let root: Caller
let alice: Caller
let bob: Caller

beforeAll(async () => {
  live = await openLiveServer()
  root = live.root
  alice = await live.caller('alice')
  bob = await live.caller('bob')
  await live.run(
    root,
    `create namespace app;
     create table app.t (id int primary key, n int, at timestamptz);
     create table app.limits (name text primary key, least int);
     insert into app.limits values ('n', 2);
     insert into app.t values (1, 1), (2, 2), (3, 3);
     grant select on app.t, app.limits to user;

     create function app.unseen(n int) returns boolean language sql stable
       as 'select n >= least from app.limits';
     create function app.unseen_plan(n int) returns boolean language plpgsql stable
       as 'begin return n >= least from app.limits; end';
     create function app.seen(n int) returns boolean language sql stable
       return n >= (select least from app.limits where name = 'n');
     create function app.chance(n int) returns boolean language sql return n >= random()`,
  )
})
afterAll(() => live.close())

const containing = (text: string): unknown => expect.stringContaining(text)
const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern)

const refusalOf = (sql: string): Promise<unknown> =>
  watch(live.database, root, sql).catch((error: unknown) => error)

const setLeast = (least: number) => live.run(root, `update app.limits set least = ${least}`)

const idsOf = ({ rows }: TestReceiver) => rows.map(([id]) => Number(id)).sort((a, b) => a - b)

describe('a function whose text hides what it reads is refused, however it is called', () => {
  test.each([
    ['by an operator', `create operator public.@? (rightarg = int, function = app.unseen)`, '@? n'],
    [
      'by an operator, of plpgsql',
      `create operator public.@! (rightarg = int, function = app.unseen_plan)`,
      '@! n',
    ],
    [
      'by a cast',
      `create type app.pair as (a boolean); create function app.to_pair(n int) returns app.pair language sql stable as 'select row(app.unseen(n))::app.pair';
       create cast (int as app.pair) with function app.to_pair(int)`,
      'n::app.pair is not null',
    ],
    [
      'as a column of the row',
      `create function public.large(app.t) returns boolean language sql stable as 'select app.unseen($1.n)'`,
      't.large',
    ],
    [
      'by an aggregate',
      `create function app.count_seen(c int, n int) returns int language sql stable as 'select c + app.unseen(n)::int';
       create aggregate app.counted(int) (sfunc = app.count_seen, stype = int, initcond = '0')`,
      '(select app.counted(x.n) from app.t x) > 1',
    ],
    [
      'by the check of a domain',
      'create domain app.large as int check (app.unseen(value))',
      'n::app.large > 0',
    ],
    [
      'by a domain within a list',
      'create domain app.larger as int check (app.unseen(value))',
      `n = any ('{7}'::app.larger[])`,
    ],
    [
      'by a cast to json that to_json looks for',
      `create type app.note as (n int); create function app.note_json(app.note) returns json language sql stable as 'select to_json(app.unseen($1.n))';
       create cast (app.note as json) with function app.note_json(app.note)`,
      `to_json(row(n)::app.note)::text = 'true'`,
    ],
    [
      'by a function that is seen',
      'create function app.indirect(n int) returns boolean language sql stable return app.unseen(n)',
      'app.indirect(n)',
    ],
    [
      'as the default of an argument',
      'create function app.defaulted(a int, b boolean default app.unseen(2)) returns boolean language sql stable return b',
      'app.defaulted(n)',
    ],
  ])('%s', async (_name, ddl, condition) => {
    await live.run(root, ddl)
    expect(await refusalOf(`select id from app.t where ${condition}`)).toMatchObject({
      code: 'LIVE_REFUSED',
      message: matching(/unseen|note_json|to_pair|large|count_seen/),
      fields: { hint: containing('BEGIN ATOMIC') },
    })
  })

  test('in the body of a view, which is named', async () => {
    await live.run(root, 'create view app.hiding as select id from app.t where app.unseen(n)')
    expect(await refusalOf('select id from app.hiding')).toMatchObject({
      message: containing('view app.hiding: unseen() cannot be live'),
      fields: { position: 16 },
    })
  })

  test('in a policy, which is named', async () => {
    await live.run(
      root,
      `create table app.judged (id int primary key, n int); grant select on app.judged to user;
       alter table app.judged enable row level security;
       create policy few on app.judged using (app.unseen(n))`,
    )
    expect(await refusalOf('select id from app.judged')).toMatchObject({
      message: containing('policy few of app.judged: unseen() cannot be live'),
    })
  })

  test('a volatile one, also where its body is seen', async () => {
    await live.run(root, 'create operator public.@~ (rightarg = int, function = app.chance)')
    expect(await refusalOf('select id from app.t where @~ n')).toMatchObject({
      code: 'LIVE_REFUSED',
      message: containing('another answer each time'),
    })
  })
})

describe('the clock, where no word of the query says so', () => {
  test.each([
    [`select id from app.t where at > 'now'`, 33],
    [`select id from app.t where at > E'yesterday'`, 33],
    [`select id from app.t where at <@ '[today,tomorrow)'::tstzrange`, 34],
    [`select age(at) from app.t`, 8],
  ])('%s', async (sql, position) => {
    expect(await refusalOf(sql)).toMatchObject({
      code: 'LIVE_REFUSED',
      message: containing('clock'),
      fields: { position },
    })
  })

  test.each([`select id from app.t where 'now' = 'today'`, 'select age(at, at) from app.t'])(
    'is not meant by %s',
    async (sql) => {
      const rows = await live.watch(root, sql)
      expect(rows.ended).toBeUndefined()
      rows.close()
    },
  )
})

describe('tables that a query does not name count', () => {
  const changed = async (sql: string, caller = root): Promise<readonly number[]> => {
    await setLeast(2)
    const rows = await live.watch(caller, sql)
    const before = idsOf(rows)
    await setLeast(3)
    await rows.until('fewer', () => idsOf(rows).length < before.length)
    await setLeast(1)
    await rows.until('more', () => idsOf(rows).length > before.length)
    expect(rows.faults).toEqual([])
    rows.close()
    return before
  }

  test.each([
    ['in a function', 'app.seen(n)', ''],
    [
      'behind an operator',
      '@+ n',
      'create operator public.@+ (rightarg = int, function = app.seen)',
    ],
    [
      'behind a column of the row',
      't.fits',
      'create function public.fits(app.t) returns boolean language sql stable begin atomic select app.seen($1.n); end',
    ],
  ])('%s', async (_name, condition, ddl) => {
    if (ddl !== '') await live.run(root, ddl)
    expect(await changed(`select id from app.t where ${condition}`)).toEqual([2, 3])
  })

  test('in a policy of a plain table', async () => {
    await live.run(
      root,
      `create table app.guarded (id int primary key, n int); grant select on app.guarded to user;
       insert into app.guarded select id, n from app.t;
       alter table app.guarded enable row level security;
       create policy few on app.guarded using (n >= (select least from app.limits))`,
    )
    expect(await changed('select id from app.guarded', alice)).toEqual([2, 3])
  })

  test('in a policy of a plain table, read by a view of its own owner', async () => {
    await live.run(
      root,
      `alter table app.guarded force row level security;
       create view app.through as select id from app.guarded; grant select on app.through to user`,
    )
    expect(await changed('select id from app.through', alice)).toEqual([2, 3])
  })

  test('in a further policy of a user table, by a function that is seen', async () => {
    await live.run(
      root,
      `create user table app.own (id int primary key, n int);
       create policy few on app.own as restrictive using (app.seen(n)) with check (true)`,
    )
    await live.run(alice, 'insert into app.own values (1, 1), (2, 2), (3, 3)')
    expect(await changed('select id from app.own', alice)).toEqual([2, 3])
  })

  test('where an operator of the own makes = something else, nothing is taken for granted', async () => {
    await live.run(
      root,
      `create type app.any_case as enum ('a', 'A');
       create table app.cases (id int primary key, word varchar);
       insert into app.cases values (1, 'a');
       create function app.same(varchar, text) returns boolean language sql immutable
         return lower($1::text) = lower($2);
       create operator public.= (leftarg = varchar, rightarg = text, function = app.same)`,
    )
    const sql = `select id from app.cases where word = 'A'::text`
    const rows = await live.watch(root, sql)
    expect(idsOf(rows)).toEqual([1])
    await live.run(root, `insert into app.cases values (2, 'a')`)
    await rows.until('2', () => rows.rows.length === 2)
    await live.run(root, 'drop operator public.= (varchar, text)')
    await rows.until('none', () => rows.isReady && rows.rows.length === 0)
    rows.close()
  })
})

describe('a followed query whose rows change without a change of a row', () => {
  const resetsOf = ({ events }: TestReceiver) =>
    events.flatMap((event) => ('reason' in event ? [event.reason] : []))

  const cases: readonly (readonly [string, string, string, string])[] = [
    [
      'the expression of a stored column',
      `create table app.g1 (id int primary key, n int, m int generated always as (n * 2) stored);
       insert into app.g1 values (1, 1)`,
      'select id, m from app.g1',
      'alter table app.g1 alter m set expression as (n * 3)',
    ],
    [
      'the expression of a virtual column',
      `create table app.g2 (id int primary key, n int, m int generated always as (n * 2) virtual);
       insert into app.g2 values (1, 1)`,
      'select id, m from app.g2',
      'alter table app.g2 alter m set expression as (n * 3)',
    ],
    [
      'the name of an enum value',
      `create type app.mood as enum ('sad', 'well'); create table app.g3 (id int primary key, m app.mood);
       insert into app.g3 values (1, 'sad')`,
      'select id, m from app.g3',
      `alter type app.mood rename value 'sad' to 'sorry'`,
    ],
    [
      'the name of an enum value, in a list in a composite type in a domain',
      `create type app.size as enum ('s', 'l'); create type app.sizes as (all_of app.size[]);
       create domain app.sizes_too as app.sizes;
       create shared table app.g4 (id int primary key, m app.sizes_too);
       insert into app.g4 values (1, row('{s}'))`,
      'select id, m from app.g4',
      `alter type app.size rename value 's' to 'small'`,
    ],
    [
      'the attributes of a composite type',
      `create type app.place as (x int); create table app.g5 (id int primary key, m app.place);
       insert into app.g5 values (1, row(1))`,
      'select id, m from app.g5',
      'alter type app.place add attribute y int',
    ],
    [
      'an IMMUTABLE function',
      `create table app.g6 (id int primary key, n int); insert into app.g6 values (1, 1);
       create function app.times(int) returns int language sql immutable as 'select $1 * 2'`,
      'select id, app.times(n) from app.g6',
      `create or replace function app.times(int) returns int language sql immutable as 'select $1 * 3'`,
    ],
    [
      'a function behind an operator',
      `create table app.g7 (id int primary key, n int); insert into app.g7 values (1, 1);
       create function app.more(int) returns int language sql immutable return $1 + 1;
       create operator public.@^ (rightarg = int, function = app.more)`,
      'select id, @^ n from app.g7',
      'create or replace function app.more(int) returns int language sql immutable return $1 + 2',
    ],
    [
      'an enum that only the query names',
      `create type app.word as enum ('1', '2'); create table app.g8 (id int primary key, n int);
       insert into app.g8 values (1, 1)`,
      'select id, n::text::app.word from app.g8',
      `alter type app.word rename value '2' to '3'`,
    ],
    [
      'what two values of an enum are to each other',
      `create type app.grade as enum ('b', 'a'); create table app.g9 (id int primary key, m app.grade);
       insert into app.g9 values (1, 'a')`,
      `select id from app.g9 where m < 'b'`,
      `alter type app.grade rename value 'b' to 'z'; alter type app.grade rename value 'a' to 'b'`,
    ],
  ]

  test.each(cases)('%s: begins anew', async (_name, ddl, sql, change) => {
    await live.run(root, ddl)
    const rows = await live.watch(root, sql)
    const away = await live.watch(root, sql)
    expect(rows.mode).toBe('follow')
    away.close()
    await live.run(root, change)
    await rows.until('reset', () => rows.isReady && resetsOf(rows).length > 0)
    expect(new Set(resetsOf(rows))).toEqual(new Set(['SCHEMA_CHANGED']))
    const fresh = await live.watch(root, sql)
    await rows.until('fresh', () => rows.isReady && rows.sorted().join() === fresh.sorted().join())
    const back = await watch(live.database, root, sql, { from: away.cursor ?? '' }, away)
    await back.until('reset', () => back.isReady && resetsOf(back).length > 0)
    expect(resetsOf(back)).toEqual(['SCHEMA_CHANGED'])
    expect(back.sorted()).toEqual(fresh.sorted())
    for (const receiver of [rows, fresh, back]) {
      expect(receiver.faults).toEqual([])
      receiver.close()
    }
  })

  test('a domain that some of its values no longer fulfil: ends with PostgreSQL’s error', async () => {
    await live.run(
      root,
      `create domain app.small as int; create table app.g10 (id int primary key, n int);
       insert into app.g10 values (1, 100)`,
    )
    const rows = await live.watch(root, 'select id, n::app.small from app.g10')
    expect(rows.mode).toBe('follow')
    await live.run(root, 'alter domain app.small add check (value < 10)')
    await rows.until('ended', () => rows.ended !== undefined)
    expect(rows.ended?.message).toContain('small_check')
  })

  test('other DDL leaves it as it is, and its cursors', async () => {
    await live.run(root, 'create table app.g11 (id int primary key, n int)')
    const sql = 'select id, app.times(n) from app.g11'
    const rows = await live.watch(root, sql)
    await live.run(
      root,
      `create index on app.g11 (n); grant select on app.g11 to user;
       insert into app.g11 values (1, 1)`,
    )
    await rows.until('1', () => rows.rows.length === 1)
    expect(resetsOf(rows)).toEqual([])
    rows.close()
    await live.run(root, 'create index on app.g11 (n); insert into app.g11 values (2, 2)')
    const back = await watch(live.database, root, sql, { from: rows.cursor ?? '' }, rows)
    await back.until('2', () => back.rows.length === 2)
    expect(resetsOf(back)).toEqual([])
    back.close()
  })
})

describe('users share a query where who asks does not matter', () => {
  const groups = async (): Promise<number> => {
    const text = await (await fetch(`${live.server.url}/metrics`)).text()
    return Number(/^kalamdb_live_groups (\d+)$/m.exec(text)?.[1])
  }

  const together = async (sql: string): Promise<number> => {
    const before = await groups()
    const hers = await live.watch(alice, sql)
    const his = await live.watch(bob, sql)
    const count = (await groups()) - before
    hers.close()
    his.close()
    return count
  }

  test.each([
    ['select count(*) from app.t', 1],
    ['select id from app.t where app.seen(n)', 1],
    ['select id from app.t where n = 1', 1],
    ['select id, kalam.uid() from app.t', 2],
    ['select id from app.t where current_user is not null', 2],
    ['select id from app.t where app.mine(n)', 2],
    ['select id from app.t where app.says_it_does_not_ask(n)', 2],
    ['select id from app.asking', 2],
    ['select id from app.own', 2],
  ])('%s: %i', async (sql, expected) => {
    await live.run(
      root,
      `create or replace function app.mine(int) returns boolean language sql stable return kalam.uid() <> '';
       create or replace function app.says_it_does_not_ask(int) returns boolean language sql immutable
         as 'select kalam.uid() <> ''''';
       create or replace view app.asking as select id from app.t where current_user <> '';
       grant select on app.asking to user`,
    )
    expect(await together(sql)).toBe(expected)
  })
})

describe('functions of PostgreSQL that are STABLE', () => {
  /** Refused by name: what they tell of changes without a word. */
  const refused =
    /^(?:pg_|txid_|inet_|aclexplode$|brin_|mxid_age$|.*send$|\w*(?:database|schema|table)_to_xml\w*$|fmgr_|has_(?:largeobject|parameter|tablespace)_privilege$)/

  test('are each known by what their answer depends on', async () => {
    const { rows } = await live.server.sql(
      `select distinct proname as name, pronargs as count from pg_proc
        where provolatile = 's' and pronamespace = 'pg_catalog'::regnamespace
          and not proargtypes::oid[] && '{internal,cstring}'::regtype[]::oid[]
          and prorettype not in ('internal'::regtype, 'cstring'::regtype)`,
    )
    const unknown = rows
      .map(({ name, count }) => ({ name: String(name), count: Number(count) }))
      .filter(({ name, count }) => relianceOf(name, count) === 'server' && !refused.test(name))
    expect(unknown).toEqual([])
  })
})
