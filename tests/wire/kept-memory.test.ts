/** Nobody takes the engine's memory from others: not with what a session keeps, not with one statement. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openTestServer, type TestServer } from '../support/server.js'
import {
  WireClient,
  errorOf,
  frame,
  tagsOf,
  type WireError,
  type WireLogin,
} from '../support/raw-wire-client.js'

const MiB = 1024 * 1024
const sessionBytesMax = 2 * MiB
/** `lookEveryMsMax` of the memory guard, and time for one look. */
const longestWithoutLookMs = 1_200

let server: TestServer
let alice: WireLogin
let bob: WireLogin
beforeAll(async () => {
  server = await openTestServer({
    settings: {
      'postgres_wire.enabled': true,
      'engine.memory_bytes_max': 160 * MiB,
      'engine.shared_buffers_bytes': 16 * MiB,
      'engine.session_bytes_max': sessionBytesMax,
      'engine.sessions_bytes_max': 3 * sessionBytesMax,
    },
  })
  alice = { user: 'alice', password: await server.createUser('alice') }
  bob = { user: 'bob', password: await server.createUser('bob') }
})
afterAll(() => server.close())

async function enter(login: WireLogin): Promise<WireClient> {
  const client = await WireClient.connect({ port: server.wirePort })
  await client.logIn(login)
  return client
}

async function restarts(): Promise<string> {
  const page = await (await fetch(`${server.url}/metrics`)).text()
  return /kalamdb_engine_restarts_total (\d+)/u.exec(page)?.[1] ?? 'unknown'
}

/** Bob does what needs memory, whatever others do. */
async function bobGoesOn(client: WireClient): Promise<void> {
  const said = await client.query(
    `select length(string_agg(repeat('x', 1000), '')) from generate_series(1, 5000)`,
  )
  expect(tagsOf(said)).toBe('TDCZ')
}

/** Statements of no session have no more than 1.5 MB, and a little for those that came after the last look. */
const keptOfServer = `select sum(total_bytes) < 2500000 as is_little
  from pg_backend_memory_contexts where name like 'CachedPlan%'`

let neighbour: WireClient
beforeEach(async () => {
  neighbour = await enter(bob)
  return () => neighbour.cut()
})

/** What a client is told last, who goes on until it is ended. */
async function untilEnded(
  login: WireLogin,
  step: (index: number) => Uint8Array,
  stepsMax: number,
): Promise<{ readonly severity: string; readonly code: string; readonly steps: number }> {
  await using client = await enter(login)
  for (let steps = 0; steps < stepsMax; steps++) {
    client.send(step(steps))
    try {
      const error = (await client.upTo('Z')).find(({ tag }) => tag === 'E')
      if (error !== undefined) throw new Error(JSON.stringify(errorOf(error)))
    } catch (error) {
      const [, told = '{}'] = /(\{.*\})/u.exec(String(error)) ?? []
      const { severity = String(error), code = '' } = JSON.parse(told) as Partial<
        Record<'severity' | 'code', string>
      >
      return { severity, code, steps }
    }
    await bobGoesOn(neighbour)
  }
  return { severity: 'none', code: '', steps: stepsMax }
}

/** What is kept is looked at after somebody's statement. */
async function toldWhileOthersWork(client: WireClient): Promise<WireError> {
  const told = client.error()
  const isTold = told.then(
    () => true,
    () => true,
  )
  while (!(await Promise.race([isTold, bobGoesOn(neighbour).then(() => false)])));
  return told
}

const query = (sql: string) => frame('Q', `${sql}\0`)
const listOf = (count: number) => Array(count).fill('1').join()

describe('a session is ended that keeps more than engine.session_bytes_max:', () => {
  const ways: readonly (readonly [string, (index: number) => Uint8Array])[] = [
    [
      'cursors WITH HOLD',
      (n) =>
        query(
          `declare c${n} cursor with hold for select repeat('x', 1000) from generate_series(1, 700)`,
        ),
    ],
    [
      'a cursor of one long row',
      (n) => query(`declare c${n} cursor with hold for select repeat('x', ${n * 200_000})`),
    ],
    ['PREPARE', (n) => query(`prepare p${n} as select ${listOf(1_000)}`)],
    [
      'statements of the protocol',
      (n) => Buffer.concat([frame('P', `p${n}\0select ${listOf(1_000)}\0\0\0`), frame('S')]),
    ],
    ['settings', (n) => query(`select set_config('app.s${n}', repeat('x', 200000), false)`)],
    [
      'temporary tables',
      (n) =>
        query(
          Array.from(
            { length: 10 },
            (_, index) => `create temp table t${n}_${index} (id serial primary key, t text)`,
          ).join('; '),
        ),
    ],
  ]
  test.each(ways)('%s', async (_way, step) => {
    const ended = await untilEnded(alice, step, 40)
    expect(ended).toMatchObject({ severity: 'FATAL', code: '53400' })
    expect(ended.steps).toBeGreaterThan(1)
    expect(await restarts()).toBe('0')
  })

  test('what is less is kept', async () => {
    await using client = await enter(alice)
    await client.query(
      `declare c cursor with hold for select repeat('x', 1000) from generate_series(1, 1000)`,
    )
    await client.query(`prepare p as select ${listOf(500)}`)
    await bobGoesOn(neighbour)
    await bobGoesOn(neighbour)
    expect(tagsOf(await client.query('fetch 2 from c'))).toBe('TDDCZ')
    expect(tagsOf(await client.query('execute p'))).toBe('TDCZ')
  })
})

test('engine.sessions_bytes_max: of many sessions the one that keeps the most is ended', async () => {
  const clients: WireClient[] = []
  for (let index = 0; index < 5; index++) clients.push(await enter(alice))
  await neighbour.query('declare mine cursor with hold for select 1')
  for (const [index, client] of clients.entries()) {
    await client.query(`select set_config('app.kept', repeat('x', ${800_000 - index}), false)`)
    await bobGoesOn(neighbour)
  }
  // The fourth is one too many, and then the fifth.
  for (const client of clients.slice(0, 2))
    expect(await toldWhileOthersWork(client)).toMatchObject({ severity: 'FATAL', code: '53200' })
  for (const client of clients.slice(2)) {
    expect(tagsOf(await client.query(`select length(current_setting('app.kept'))`))).toBe('TDCZ')
    client.cut()
  }
  expect(tagsOf(await neighbour.query('fetch 1 from mine'))).toBe('TDCZ')
})

test('names of settings that were made up are forgotten, and none that is set', async () => {
  await using other = await enter(alice)
  await other.query(`set app.mine = 'kept'`)
  const setNames = (length: number) =>
    `select count(set_config('app.' || repeat('x', ${length}) || n, 'x', n % 2 = 0)) from generate_series(1, 2000) n`
  await using client = await enter(alice)
  for (const length of [1, 1_000]) {
    expect(tagsOf(await client.query(setNames(length)))).toBe('TDCZ')
    await bobGoesOn(neighbour)
  }
  // Long ones fill it at once; over HTTP, where the statement's session ends after it.
  const { body } = await server.request(setNames(400_000))
  expect(body.error?.sqlstate).toBe('53200')
  await bobGoesOn(neighbour)
  const left = await other.query(
    `select current_setting('app.mine'), current_setting('app.x1', true) is null`,
  )
  expect(left.find(({ tag }) => tag === 'D')?.body.toString('latin1')).toMatch(/kept.*t$/su)
  expect(await restarts()).toBe('0')
})

describe('over HTTP', () => {
  test('statements that are prepared for many keep no more than a quarter of that', async () => {
    for (let index = 0; index < 30; index++) {
      const sql = `select ${listOf(1_000)}, ${index}`
      // The second time it is worth preparing.
      for (let time = 0; time < 3; time++) await server.sql(sql, { key: alice.password })
      await bobGoesOn(neighbour)
    }
    await expect
      .poll(async () => (await server.sql(keptOfServer)).rows)
      .toEqual([{ is_little: true }])
    expect(await restarts()).toBe('0')
  })

  test('a result whose rows keep too much of the memory ends its stream', async () => {
    const answer = await fetch(`${server.url}/v1/api/sql`, {
      method: 'POST',
      headers: {
        'X-API-KEY': alice.password,
        'Content-Type': 'application/json',
        Accept: 'application/x-ndjson',
      },
      body: JSON.stringify({ sql: `select repeat('x', 3000000) from generate_series(1, 50)` }),
    })
    const pieces = answer.body?.getReader()
    let end = Buffer.from((await pieces?.read())?.value ?? []).toString()
    // What is left waits for its reader, who comes back when what is kept was looked at.
    const startedAt = performance.now()
    while (performance.now() - startedAt < longestWithoutLookMs) await bobGoesOn(neighbour)
    for (let piece = await pieces?.read(); piece?.value !== undefined; piece = await pieces?.read())
      end = (end + Buffer.from(piece.value).toString()).slice(-1_000)
    expect(end).toMatch(/"code":"OUT_OF_RESOURCES".*"sqlstate":"53400"/u)
    await bobGoesOn(neighbour)
  })
})

describe('a statement that needs more than engine.memory_bytes_max fails by itself:', () => {
  const statements: readonly (readonly [string, string])[] = [
    ['a long text', `select length(repeat('x', 400000000))`],
    [
      'a recursive query',
      `with recursive r(t) as (select repeat('x', 1000000) union all select t || t from r) select count(*) from r`,
    ],
  ]
  test.each(statements)('%s', async (_what, sql) => {
    await using client = await enter(alice)
    const said = await client.query(sql)
    expect(said.filter(({ tag }) => tag === 'E').map((each) => errorOf(each).code)).toEqual([
      '53200',
    ])
    expect(tagsOf(await client.query('select 1'))).toBe('TDCZ')
    const { status, body } = await server.request(sql, { key: alice.password })
    expect({ status, ...body.error }).toMatchObject({ code: 'OUT_OF_RESOURCES', status: 503 })
    await bobGoesOn(neighbour)
    expect(await restarts()).toBe('0')
  })
})
