import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Caller } from '#src/database/database.js'
import { seed } from '../../support/counts.js'
import { openLiveServer, type LiveServer } from '../../support/live-server.js'
import { Random } from '../../support/live-world.js'

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
     create user table app.own (id int primary key, secret text, n int);
     create shared table app.shared (id int primary key, n int);
     create table app.plain (id int primary key, n int, owner text);
     create view app.counts as select count(*) as rows from app.own;
     grant select on app.shared, app.plain, app.counts to user`,
  )
})
afterAll(() => live.close())

describe('D8: rows of others', () => {
  test('never come: no row, no deletion, no count', { timeout: 120_000 }, async () => {
    const random = new Random(seed)
    const queries = [
      'select * from app.own',
      'select secret from app.own where n % 2 = 0',
      `select id, secret from app.own where n > 2 and secret like '%'`,
      'select count(*), max(secret) from app.own',
      'select id, secret from app.own order by n desc, id limit 3',
      'select * from app.counts',
      'select id, secret, _deleted from app.own include deleted',
      'select s.id, o.secret from app.shared s left join app.own o on o.n = s.n',
    ]
    const users = [alice, bob]
    const receivers = await Promise.all(
      users.flatMap((user) => queries.map((sql) => live.watch(user, sql))),
    )
    for (let round = 0; round < 40; round++) {
      const user = random.one(users)
      const id = random.below(10)
      await live.run(
        user,
        random.one([
          `insert into app.own values (${id}, 'of ${user.name}', ${random.below(6)}) on conflict (id) do update set n = excluded.n`,
          `update app.own set n = n + 1, secret = 'of ${user.name} too'`,
          `delete from app.own where id = ${id}`,
          'truncate app.own',
          `undelete from app.own where id = ${id} and not exists (select from app.own x where x.id = ${id})`,
        ]),
      )
      await live.run(
        root,
        `update app.shared set n = ${round}; insert into app.shared values (${round}, ${round})`,
      )
    }
    for (const [index, receiver] of receivers.entries()) {
      const user = users[Math.floor(index / queries.length)] ?? alice
      const other = user === alice ? 'bob' : 'alice'
      const sql = queries[index % queries.length] ?? ''
      const fresh = await live.watch(user, sql)
      await receiver.until(sql, () => receiver.sorted().join() === fresh.sorted().join())
      const seen = JSON.stringify([
        receiver.changes,
        receiver.events.map((event) => ('rows' in event ? Buffer.from(event.rows).toString() : '')),
      ])
      expect(seen).not.toContain(`of ${other}`)
      expect(receiver.faults).toEqual([])
      receiver.close()
      fresh.close()
    }
  })

  test('what another user does costs a follower nothing: no event at all', async () => {
    const rows = await live.watch(alice, 'select id from app.own')
    await live.run(bob, `insert into app.own values (500, 'of bob', 0)`)
    await live.run(alice, `insert into app.own values (501, 'of alice', 0)`)
    await rows.until('501', () => rows.changes.length > 0)
    expect(rows.changes).toEqual([['i', [501], [501]]])
    rows.close()
  })

  test('a service that watches as a user gets theirs, and no longer than they could', async () => {
    const service = await live.caller('notifier', 'service')
    const watched = await live.caller('watched')
    await live.run(watched, `insert into app.own values (600, 'hers', 600)`)
    await live.run(bob, `insert into app.own values (600, 'his', 600)`)
    const followed = await live.watch(
      service,
      `execute as 'watched' (select id, secret from app.own where n >= 600)`,
    )
    const counted = await live.watch(
      service,
      `execute as 'watched' (select count(*), max(secret) from app.own where n >= 600)`,
    )
    const own = await live.watch(service, 'select id, secret from app.own')
    expect([followed.mode, counted.mode]).toEqual(['follow', 'evaluated'])
    expect([followed.rows, counted.rows, own.rows]).toEqual([[[600, 'hers']], [['1', 'hers']], []])
    await live.run(
      bob,
      `insert into app.own values (601, 'his', 601); delete from app.own where id = 600`,
    )
    await live.run(watched, `insert into app.own values (602, 'hers too', 602)`)
    await followed.until('602', () => followed.changes.length > 0)
    await counted.until('2', () => counted.rows[0]?.[0] === '2')
    expect(followed.changes).toEqual([['i', [602], [602, 'hers too']]])
    expect(counted.rows).toEqual([['2', 'hers too']])
    expect(own.changes).toEqual([])
    await live.run(root, `alter user 'watched' role service`)
    await followed.until('ended', () => followed.ended !== undefined)
    await counted.until('ended', () => counted.ended !== undefined)
    expect([followed.ended?.code, counted.ended?.code]).toEqual(['FORBIDDEN', 'FORBIDDEN'])
    own.close()
  })

  test('a function that nobody names asks who the caller is', async () => {
    await live.run(
      root,
      `create table app.noted (id int primary key, owner text);
       grant select on app.noted to user;
       create function public.mine(app.noted) returns boolean language sql stable
         return $1.owner = kalam.uid();
       insert into app.noted values (1, '${alice.userId}'), (2, '${bob.userId}')`,
    )
    const sql = 'select id from app.noted n where n.mine'
    const hers = await live.watch(alice, sql)
    const his = await live.watch(bob, sql)
    expect([hers.rows, his.rows]).toEqual([[[1]], [[2]]])
    hers.close()
    his.close()
  })

  test('a table with policies of its own is evaluated as its caller', async () => {
    await live.run(
      root,
      `alter table app.plain enable row level security;
       create policy own on app.plain using (owner = kalam.uid());
       insert into app.plain values (1, 1, '${alice.userId}'), (2, 2, '${bob.userId}')`,
    )
    const rows = await live.watch(alice, 'select id from app.plain')
    expect(rows.mode).toBe('evaluated')
    expect(rows.rows).toEqual([[1]])
    await live.run(root, `update app.plain set owner = '${alice.userId}' where id = 2`)
    await rows.until('both', () => rows.rows.length === 2)
    rows.close()
  })
})

describe('D8: rights that are taken', () => {
  test.each(['select id from app.shared', 'select count(*) from app.shared'])(
    'end %s before anything that comes after is told',
    async (sql) => {
      await live.run(root, 'delete from app.shared')
      const rows = await live.watch(alice, sql)
      await live.run(
        root,
        'begin; revoke select on app.shared from user; insert into app.shared values (900, 9); commit',
      )
      await rows.until('ended', () => rows.ended !== undefined)
      expect(rows.ended).toMatchObject({ code: 'FORBIDDEN' })
      expect(rows.changes).toEqual([])
      await live.run(root, 'grant select on app.shared to user')
    },
  )

  test('a new policy makes a followed query begin anew, as its caller', async () => {
    await live.run(
      root,
      'create table app.guarded (id int primary key, n int); grant select on app.guarded to user; insert into app.guarded values (1, 1), (2, 2)',
    )
    const rows = await live.watch(alice, 'select id, n from app.guarded')
    expect(rows.mode).toBe('follow')
    await live.run(
      root,
      `alter table app.guarded enable row level security;
       create policy few on app.guarded for select using (n > 1)`,
    )
    await rows.until('one row', () => rows.isReady && rows.rows.length === 1)
    expect(rows.mode).toBe('evaluated')
    await live.run(
      root,
      'drop policy few on app.guarded; alter table app.guarded disable row level security',
    )
    await rows.until('both again', () => rows.isReady && rows.rows.length === 2)
    rows.close()
  })

  test('a user whose role changes is ended; so is one who is dropped', async () => {
    const carol = await live.caller('carol')
    const first = await live.watch(carol, 'select id from app.own')
    await live.run(root, `alter user 'carol' role service`)
    await first.until('ended', () => first.ended !== undefined)
    expect(first.ended).toMatchObject({ code: 'FORBIDDEN' })
    const dora = await live.caller('dora')
    const second = await live.watch(dora, 'select id from app.own')
    await live.run(root, `drop user 'dora'`)
    await second.until('ended', () => second.ended !== undefined)
    expect(second.ended).toMatchObject({ code: 'FORBIDDEN' })
  })

  test('a GRANT to one user leaves their queries open', async () => {
    const rows = await live.watch(bob, 'select id from app.own where n = 77')
    await live.run(root, `grant select on app.shared to 'bob'`)
    await live.run(bob, `insert into app.own values (77, 'of bob', 77)`)
    await rows.until('77', () => rows.rows.length === 1)
    expect(rows.ended).toBeUndefined()
    rows.close()
  })
})

describe('a table that changes under a live query', () => {
  test('begins it anew with its new columns; its end ends it', async () => {
    await live.run(
      root,
      'create table app.moving (id int primary key, a int); insert into app.moving values (1, 1)',
    )
    const followed = await live.watch(root, 'select * from app.moving')
    const counted = await live.watch(root, 'select count(*), max(id) from app.moving')
    await live.run(root, `alter table app.moving add column b text default 'new'`)
    await followed.until('new column', () => followed.isReady && followed.columns.length === 3)
    expect(followed.rows).toEqual([[1, 1, 'new']])
    expect(followed.events.filter((event) => event.kind === 'reset')).toEqual([
      { kind: 'reset', reason: 'SCHEMA_CHANGED' },
    ])
    await live.run(root, `insert into app.moving values (2, 2, 'x')`)
    await followed.until('2', () => followed.rows.length === 2)
    await counted.until('2', () => counted.isReady && counted.rows[0]?.[0] === '2')
    await live.run(root, 'alter table app.moving rename column a to c')
    await followed.until('renamed', () => followed.isReady && followed.columns[1] === 'c')
    await live.run(root, 'drop table app.moving')
    await followed.until('ended', () => followed.ended !== undefined)
    await counted.until('ended', () => counted.ended !== undefined)
    expect(followed.ended?.message).toContain('does not exist')
    expect(followed.faults).toEqual([])
  })

  test('a view that is replaced gives its new rows', async () => {
    await live.run(
      root,
      'create table app.base (id int primary key); insert into app.base values (1), (2); create view app.seen as select id from app.base where id = 1',
    )
    const rows = await live.watch(root, 'select id from app.seen')
    expect(rows.rows).toEqual([[1]])
    await live.run(root, 'create or replace view app.seen as select id from app.base where id = 2')
    await rows.until('2', () => rows.isReady && rows.rows[0]?.[0] === 2)
    rows.close()
  })
})
