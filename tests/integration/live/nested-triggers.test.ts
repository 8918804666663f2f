/** Triggers that change the rows they were fired for: the log has that in an order of its own. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openLiveServer, type LiveServer } from '../../support/live-server.js'
import { watch } from '../../support/live.js'

let live: LiveServer

beforeAll(async () => {
  live = await openLiveServer({ settings: { 'live.read_changes_max': 10 } })
  await live.run(
    live.root,
    `create namespace app; create table app.steps (id int primary key, n int);
     create function app.step() returns trigger language plpgsql as $$ begin
       if new.n < 3 then update app.steps set n = n + 1 where id = new.id; end if;
       return null;
     end $$;
     create trigger step after insert or update on app.steps for each row execute function app.step()`,
  )
})
afterAll(() => live.close())

const resets = (rows: { events: readonly { kind: string }[] }) =>
  rows.events.flatMap((event) => ('reason' in event ? [event.reason] : []))

test('a row that passed by the condition on its way is not in the result', async () => {
  const passing = await live.watch(live.root, 'select id, n from app.steps where n = 1')
  const staying = await live.watch(live.root, 'select id, n from app.steps where n = 3')
  await live.run(live.root, 'insert into app.steps values (1, 0)')
  await staying.until('1', () => staying.changes.length > 0)
  expect(staying.changes).toEqual([['i', [1], [1, 3]]])
  await live.run(live.root, 'update app.steps set n = 1; delete from app.steps')
  await staying.until('gone', () => staying.rows.length === 0)
  expect(passing.changes).toEqual([])
  expect([...passing.faults, ...staying.faults]).toEqual([])
  passing.close()
  staying.close()
})

test('so it is for who comes back with a cursor', async () => {
  const sql = 'select id, n from app.steps where n = 3'
  const rows = await live.watch(live.root, sql)
  rows.close()
  await live.run(live.root, 'insert into app.steps values (2, 0)')
  const back = await watch(live.database, live.root, sql, { from: rows.cursor ?? '' }, rows)
  await back.until('2', () => back.rows.length === 1)
  expect(back.changes).toEqual([['i', [2], [2, 3]]])
  back.close()
  await live.run(live.root, 'delete from app.steps')
})

test('live.read_changes_max: what falls into several pieces begins anew', async () => {
  const sql = 'select id, n from app.steps where n in (1, 3)'
  const rows = await live.watch(live.root, sql)
  const away = await live.watch(live.root, sql)
  away.close()
  await live.run(live.root, 'insert into app.steps select g, 0 from generate_series(1, 20) g')
  const haveAll = ({ isReady, rows: found }: typeof rows) =>
    isReady && found.length === 20 && found.every(([, n]) => n === 3)
  await rows.until('all', () => haveAll(rows))
  const back = await watch(live.database, live.root, sql, { from: away.cursor ?? '' }, away)
  // The pieces before tell of the state that passed.
  await back.until('all', () => haveAll(back))
  for (const receiver of [rows, back]) {
    expect(resets(receiver)).toContain('EVALUATED')
    receiver.close()
  }
})
