/** A change is told with the very JSON that a snapshot has, whatever the type and whoever wrote it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openLiveServer, type LiveServer } from '../../support/live-server.js'

const types: readonly (readonly [type: string, literal: string])[] = [
  ['bool', 'true'],
  ['int2', '-7'],
  ['int8', '9007199254740993'],
  ['float4', '1.1'],
  ['float8', `'NaN'`],
  ['numeric(12, 4)', '1.10'],
  ['text', `E'a"\\\\b\\n\\tü😀'`],
  ['varchar(5)', `'abc'`],
  ['char(6)', `'ab'`],
  ['"char"', `'x'`],
  ['name', `'some name'`],
  ['bytea', `'\\x00ff10'`],
  ['uuid', `'FFFFFFFF-0000-4000-8000-00000000000A'`],
  ['date', `'2026-02-03'`],
  ['time', `'04:05:06.789'`],
  ['timetz', `'04:05:06+02'`],
  ['timestamp', `'2026-02-03 04:05:06'`],
  ['timestamptz', `'2026-02-03 04:05:06.789+05:30'`],
  ['interval', `'1 year -2 days 03:04:05.678'`],
  ['json', `'{"a" : [1, 2.50]}'`],
  ['jsonb', `'{"b":{"c":null}}'`],
  ['inet', `'10.0.0.1'`],
  ['cidr', `'10.0.0.0/8'`],
  ['macaddr', `'08:00:2b:01:02:03'`],
  ['bit(4)', `B'1010'`],
  ['int4range', `'[1,10)'`],
  ['tstzrange', `'[2026-01-01 00:00+02,2026-01-02 00:00+02)'`],
  ['point', `'(1,2)'`],
  ['int4[]', `'{{1,2},{3,NULL}}'`],
  ['text[]', `array['a,b', 'c"d', null]`],
  ['timestamptz[]', `array['2026-02-03 04:05:06+05:30'::timestamptz]`],
  ['bool[]', `'{t,f}'`],
  ['tsvector', `'a:1 b:2'`],
  ['app.mood', `'so so'`],
  ['app.positive', '3'],
  ['app.pair', `'(1,"a b")'`],
]

let live: LiveServer

beforeAll(async () => {
  live = await openLiveServer()
  const columns = types.map(([type], index) => `c${index} ${type}`).join(', ')
  await live.run(
    live.root,
    `create namespace app;
     create type app.mood as enum ('good', 'so so');
     create domain app.positive as int check (value > 0);
     create type app.pair as (a int, b text);
     create user table app.own (id int primary key, ${columns});
     create table app.plain (id int primary key, ${columns},
       twice int generated always as (c1 * 2) stored, half int generated always as (c1 / 2))`,
  )
})
afterAll(() => live.close())

describe.each(['own', 'plain'])('app.%s', (table) => {
  test.each(['*', '*, id + 0 as computed'])('select %s', async (targets) => {
    const sql = `select ${targets} from app.${table}`
    await live.run(live.root, `delete from app.${table}`)
    const rows = await live.watch(live.root, sql)
    expect(rows.mode).toBe('follow')
    const names = types.map((_, index) => `c${index}`).join(', ')
    const values = types.map(([type, literal]) => `${literal}::${type}`).join(', ')
    await live.run(
      live.root,
      `begin; set local timezone = 'Asia/Tokyo';
       insert into app.${table} (id, ${names}) values (1, ${values});
       insert into app.${table} (id) values (2); commit`,
    )
    await rows.until('two', () => rows.rows.length === 2)
    const fresh = await live.watch(live.root, sql)
    expect(rows.rows).toEqual(fresh.rows)
    await live.run(live.root, `update app.${table} set c1 = c1 + 1`)
    await rows.until('updated', () => rows.changes.length === 4)
    const again = await live.watch(live.root, sql)
    expect(rows.sorted()).toEqual(again.sorted())
    for (const receiver of [rows, fresh, again]) receiver.close()
  })
})
