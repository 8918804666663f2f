/** I1, I3, I4: postgres.js, which prepares and pipelines whatever it sends. */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { knock, openWireServer, type WireServer } from '../support/wire-server.js'

let server: WireServer
let sql: postgres.Sql
beforeAll(async () => {
  server = await openWireServer()
  const { host, port, user, password, database } = server
  sql = postgres({ host, port, user, password, database, max: 4, onnotice: () => undefined })
  await sql`CREATE SCHEMA app`
  await sql`CREATE TABLE app.t (id integer PRIMARY KEY, name text, tags text[], doc jsonb)`
})
afterAll(async () => {
  await sql.end({ timeout: 5 })
  await server.close()
})

test('values, arrays and JSON, by its inserts and updates', async () => {
  const row = { id: 1, name: 'ünï', tags: ['a', 'b'], doc: { x: [1] } }
  await sql`INSERT INTO app.t ${sql(row as never)}`
  await sql`INSERT INTO app.t ${sql([
    { id: 2, name: 'two' },
    { id: 3, name: 'three' },
  ])}`
  await sql`UPDATE app.t SET ${sql({ name: 'TWO' })} WHERE id = ${2}`
  expect(await sql`SELECT * FROM app.t WHERE id = ${1}`).toEqual([row])
  expect(await sql`SELECT name FROM app.t WHERE id IN ${sql([2, 3])} ORDER BY id`).toEqual([
    { name: 'TWO' },
    { name: 'three' },
  ])
  const deleted = await sql`DELETE FROM app.t WHERE id > 1`
  expect(deleted.count).toBe(2)
})

test('many statements in the pipeline of one connection, one of them failing', async () => {
  const { host, port, user, password, database } = server
  const one = postgres({ host, port, user, password, database, max: 1 })
  const answers = await Promise.allSettled(
    Array.from({ length: 200 }, (_, n) =>
      n === 100 ? one`SELECT ${n}::int / 0 AS n` : one`SELECT ${n}::int AS n`,
    ),
  )
  for (const [n, answer] of answers.entries()) {
    if (n === 100) expect(answer).toMatchObject({ status: 'rejected', reason: { code: '22012' } })
    else expect(answer).toMatchObject({ status: 'fulfilled', value: [{ n }] })
  }
  await one.end()
})

test('a statement of one text runs prepared, on all connections', async () => {
  const ask = (n: number) => sql`SELECT ${n}::int * 2 AS n`
  const numbers = Array.from({ length: 60 }, (_, n) => n)
  const answers = await Promise.all(numbers.map(ask))
  expect(answers.map(([row]) => row?.['n'] as number)).toEqual(numbers.map((n) => n * 2))
})

test('transactions: committed, rolled back, with savepoints and pipelined', async () => {
  await sql`CREATE TABLE app.moves (n integer)`
  await sql.begin(async (tx) => {
    await tx`INSERT INTO app.moves VALUES (1)`
    await tx
      .savepoint(async (inner) => {
        await inner`INSERT INTO app.moves VALUES (2)`
        throw new Error('not this one')
      })
      .catch(() => undefined)
    await Promise.all([3, 4].map((n) => tx`INSERT INTO app.moves VALUES (${n})`))
  })
  await expect(
    sql.begin(async (tx) => {
      await tx`INSERT INTO app.moves VALUES (5)`
      await tx`SELECT 1 / 0`
    }),
  ).rejects.toMatchObject({ code: '22012' })
  expect(await sql`SELECT n FROM app.moves ORDER BY n`).toEqual([{ n: 1 }, { n: 3 }, { n: 4 }])
  await Promise.all(
    Array.from({ length: 12 }, (_, n) =>
      sql.begin(async (tx) => {
        const [row] = await tx`SELECT count(*)::int AS n FROM app.moves`
        await tx`INSERT INTO app.moves VALUES (${100 + n + Number(row?.['n'])})`
      }),
    ),
  )
  expect(await sql`SELECT count(*)::int AS n FROM app.moves`).toEqual([{ n: 15 }])
})

test('cursors', async () => {
  const seen: number[] = []
  for await (const rows of sql`SELECT n FROM generate_series(1, 25) n`.cursor(10))
    seen.push(rows.length)
  expect(seen).toEqual([10, 10, 5])
  let stopped = 0
  await sql`SELECT n FROM generate_series(1, 1000) n`.cursor(5, () => {
    stopped += 1
    return sql.CLOSE
  })
  expect(stopped).toBe(1)
})

test('listen and notify', async () => {
  const heard: string[] = []
  let tell = () => {}
  const told = new Promise<void>((resolve) => (tell = resolve))
  const listening = await sql.listen('jobs', (payload) => {
    heard.push(payload)
    if (payload === 'last') tell()
  })
  // tx.notify would go by another connection, which waits for this one's transaction.
  await sql.begin((tx) => ['first', 'second'].map((text) => tx`SELECT pg_notify('jobs', ${text})`))
  await sql.notify('jobs', 'last')
  await told
  expect(heard).toEqual(['first', 'second', 'last'])
  await listening.unlisten()
})

test('copy in and out by streams', async () => {
  await sql`CREATE TABLE app.copied (id integer, name text)`
  const lines = Array.from({ length: 2_000 }, (_, n) => `${n}\tname ${n}\n`)
  await pipeline(Readable.from(lines), await sql`COPY app.copied FROM STDIN`.writable())
  const out: Buffer[] = []
  for await (const piece of await sql`COPY (SELECT * FROM app.copied ORDER BY id) TO STDOUT`.readable())
    out.push(piece as Buffer)
  expect(String(Buffer.concat(out))).toBe(lines.join(''))
})

test('cancel, simple queries, describe and unsafe texts', async () => {
  const { host, port, user, password, database } = server
  // Of its own: the pool may queue behind what it believes to be busy.
  const one = postgres({ host, port, user, password, database, max: 1, fetch_types: false })
  await one`SELECT 1`
  const endless = one`SELECT count(*) FROM (SELECT generate_series(1, 4000000000)) n`
    .simple()
    .execute()
  const ended = expect(endless).rejects.toMatchObject({ code: '57014' })
  await knock(server)
  endless.cancel()
  await ended
  const described = await one`SELECT id, name FROM app.t WHERE id = ${1}`.describe()
  expect(described.columns.map(({ name }) => name)).toEqual(['id', 'name'])
  expect(described.types).toEqual([23])
  const several = (await one.unsafe('SELECT 1 AS a; SELECT 2 AS b')) as unknown
  expect(several).toEqual([[{ a: 1 }], [{ b: 2 }]])
  expect(await one`SELECT 3 AS c`.simple()).toEqual([{ c: 3 }])
  expect(await one`SELECT 1, 'ünï'`.values()).toEqual([[1, 'ünï']])
  await one.end()
})
