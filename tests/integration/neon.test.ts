/** The query protocol of `@neondatabase/serverless`, asked by its own driver and by ORMs on it. */
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { neon, neonConfig, NeonDbError, Pool } from '@neondatabase/serverless'
import { eq, sql as drizzleSql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/neon-http'
import { drizzle as drizzleOnPool } from 'drizzle-orm/neon-serverless'
import { migrate } from 'drizzle-orm/neon-http/migrator'
import { boolean, integer, pgSchema, text } from 'drizzle-orm/pg-core'
import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type CompiledQuery,
  type DatabaseConnection,
  type Generated,
} from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createWebSocketStream, WebSocket, WebSocketServer } from 'ws'
import { openNeon } from '#adapters/neon/open-neon.js'
import type { AdapterParts } from '#src/database/adapter.js'
import { openTestServer, type TestServer } from '../support/server.js'

const bodyBytesMax = 4_096
const parametersMax = 5
const queriesMax = 4

let server: TestServer
let aliceKey: string
let bobKey: string

beforeAll(async () => {
  server = await openTestServer({
    settings: {
      'neon.enabled': true,
      'postgres_wire.enabled': true,
      'postgres_wire.port': 0,
      'http.body_bytes_max': bodyBytesMax,
      'http.parameters_max': parametersMax,
      'http.statements_max': queriesMax,
      // More than all tests of a user make, and one more a second is soon spent.
      'limits.requests_per_second_per_key': 1,
      'limits.burst_requests_per_key': 200,
    },
  })
  neonConfig.fetchEndpoint = (host, port) => `http://${host}:${port}/sql`
  aliceKey = await server.createUser('alice')
  bobKey = await server.createUser('bob')
  await server.sql('CREATE NAMESPACE app')
  await server.sql(
    'CREATE USER TABLE app.notes (id int PRIMARY KEY, title varchar(10) NOT NULL, done bool DEFAULT false)',
  )
  await server.sql('CREATE SEQUENCE app.tickets; GRANT USAGE ON SEQUENCE app.tickets TO user')
})
afterAll(() => server.close())

function urlOf(user: string, key: string, database = 'kalamdb'): string {
  return `postgres://${user}:${key}@127.0.0.1:${server.port}/${database}?sslmode=require`
}

const asRoot = () => neon(urlOf('root', server.adminKey))
const asAlice = () => neon(urlOf('alice', aliceKey))

/** What the driver makes of an error. */
async function errorOf(running: Promise<unknown>): Promise<NeonDbError> {
  const error: unknown = await running.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof NeonDbError) return error
  throw new Error(`no error of the driver: ${String(error)}`)
}

/** A request that the driver would not send. */
function post(
  body: string,
  headers: Readonly<Record<string, string>> = {},
  url = urlOf('root', server.adminKey),
): Promise<Response> {
  const all = { 'Neon-Connection-String': url, ...headers }
  return fetch(`${server.url}/sql`, { method: 'POST', body, headers: all })
}

describe('I5: a query', () => {
  test('gives values that the driver reads by their types', async () => {
    const [row] = await asRoot()`
      select 9007199254740993 as large, 1.10::numeric as exact, true as yes, null as nothing,
             '2026-11-25 10:00:00.5+00'::timestamptz as at, '{"a": [1]}'::jsonb as doc,
             array['x', null, '"']::text[] as list, '\\x00ff'::bytea as bytes, 1.5::float8 as half`
    expect(row).toEqual({
      ...{ large: '9007199254740993', exact: '1.10', yes: true, nothing: null, half: 1.5 },
      ...{ at: new Date('2026-11-25T10:00:00.500Z'), doc: { a: [1] }, list: ['x', null, '"'] },
      bytes: Buffer.from([0, 255]),
    })
  })

  test('takes values as the driver writes them', async () => {
    const at = new Date('2026-11-25T10:00:00.123Z')
    const doc = { a: 'ü' }
    const [row] = await asRoot()`
      select ${7} + 1 as number, ${at}::timestamptz = '2026-11-25 10:00:00.123+00' as at,
             ${doc}::jsonb->>'a' as text, cardinality(${['a', 'b']}::text[]) as length,
             ${Buffer.from([1, 255])} as bytes`
    expect(row).toEqual({
      ...{ number: 8, at: true, text: 'ü', length: 2 },
      bytes: Buffer.from([1, 255]),
    })
  })

  test('tells of its columns what PostgreSQL does', async () => {
    const [table] = await server
      .sql("select 'app.notes'::regclass::oid::int4 as oid")
      .then(({ rows }) => rows)
    const { fields, command, rowCount, rowAsArray } = await asRoot().query(
      'select title, id, id + 1 as next from app.notes',
      [],
      { fullResults: true },
    )
    const text = { tableID: table?.['oid'], format: 'text' }
    expect(fields).toEqual([
      { ...text, name: 'title', ...typed(1043, -1, 14), columnID: 2 },
      { ...text, name: 'id', ...typed(23, 4, -1), columnID: 1 },
      { ...text, name: 'next', ...typed(23, 4, -1), tableID: 0, columnID: 0 },
    ])
    expect({ command, rowCount, rowAsArray }).toEqual({
      ...{ command: 'SELECT', rowCount: 0, rowAsArray: false },
    })
  })

  test.each([
    ['CREATE TABLE app.made (n int)', 'CREATE', null],
    ['INSERT INTO app.made SELECT generate_series(1, 3)', 'INSERT', 3],
    ['UPDATE app.made SET n = n WHERE n > 1', 'UPDATE', 2],
    ['SELECT n FROM app.made', 'SELECT', 3],
    ['SHOW search_path', 'SHOW', null],
    ['DROP TABLE app.made', 'DROP', null],
    ["CREATE USER IF NOT EXISTS 'carol'", 'CREATE', 1],
  ])('%s says what it did', async (text, command, rowCount) => {
    const result = await asRoot().query(text, [], { fullResults: true })
    expect(result).toMatchObject({ command, rowCount })
  })

  test('keeps rows of one name apart in lists, and as objects gives the last', async () => {
    const text = 'select 1 as a, 2 as a'
    expect(await asRoot().query(text, [], { arrayMode: true })).toEqual([[1, 2]])
    expect(await asRoot().query(text)).toEqual([{ a: 2 }])
  })

  test('without raw text has JSON values and objects, as the SQL API', async () => {
    const query = "select 1 as n, 2::int8 as large, true as yes, '[1]'::json as doc"
    const response = await post(JSON.stringify({ query }))
    expect(await response.json()).toMatchObject({
      rows: [{ n: 1, large: '2', yes: true, doc: [1] }],
      rowAsArray: false,
    })
    const inLists = await post(JSON.stringify({ query, arrayMode: true }))
    expect(await inLists.json()).toMatchObject({
      rows: [[1, '2', true, [1]]],
      rowAsArray: true,
    })
  })
})

function typed(dataTypeID: number, dataTypeSize: number, dataTypeModifier: number) {
  return { dataTypeID, dataTypeSize, dataTypeModifier }
}

describe('I5: the caller', () => {
  test('has their own rows, and deletes that can be undone', async () => {
    const alice = asAlice()
    const bob = neon(urlOf('bob', bobKey), { fullResults: true })
    await alice`INSERT INTO app.notes VALUES (1, 'hers')`
    expect(await bob`INSERT INTO app.notes VALUES (1, 'his'), (2, 'his too')`).toMatchObject({
      rowCount: 2,
    })
    expect(await alice`SELECT title FROM app.notes`).toEqual([{ title: 'hers' }])
    expect(await bob`DELETE FROM app.notes WHERE id < 9`).toMatchObject({
      ...{ command: 'DELETE', rowCount: 2 },
    })
    expect(await bob`SELECT FROM app.notes`).toMatchObject({ rows: [], rowCount: 0 })
    expect(await bob`UNDELETE FROM app.notes WHERE id = 2 RETURNING title`).toMatchObject({
      ...{ rows: [{ title: 'his too' }], command: 'UNDELETE', rowCount: 1 },
    })
  })

  test.each([
    ['a key of somebody else', () => urlOf('alice', bobKey), '28P01'],
    ['an unknown key', () => urlOf('alice', `kal_${'x'.repeat(43)}`), '28P01'],
    ['a password that is no key', () => urlOf('alice', 'secret'), '28P01'],
    ['no password', () => `postgres://alice@127.0.0.1:${server.port}/kalamdb`, '28P01'],
    ['another database', () => urlOf('alice', aliceKey, 'postgres'), '3D000'],
  ])('%s is refused', async (_what, url, code) => {
    const error = await errorOf(neon(url())`select 1`)
    expect({ code: error.code, severity: error.severity }).toEqual({ code, severity: 'FATAL' })
  })

  test('options of the connection string are refused, but for those of Neon itself', async () => {
    const url = urlOf('alice', aliceKey)
    expect((await errorOf(neon(`${url}&options=-csearch_path%3Dapp`)`select 1`)).code).toBe('0A000')
    expect(await neon(`${url}&options=endpoint%3Dep-1`)`select 1 as n`).toEqual([{ n: 1 }])
  })

  test("may send the key as the driver's authToken", async () => {
    const url = `postgres://alice@127.0.0.1:${server.port}/kalamdb`
    expect(await neon(url, { authToken: aliceKey })`select kalam.uid() is not null as is`).toEqual([
      { is: true },
    ])
    const two = await errorOf(neon(urlOf('alice', aliceKey), { authToken: bobKey })`select 1`)
    expect(two.message).toContain('two different keys')
  })

  test('a missing connection string is no login, and is counted', async () => {
    const counted = async (reason: string) => {
      const name = `kalamdb_authentication_failures_total{reason="${reason}"} `
      const line = (await metrics()).split('\n').find((text) => text.startsWith(name))
      return Number(line?.slice(name.length) ?? 0)
    }
    const before = { missing: await counted('missing'), unknown: await counted('unknown') }
    const response = await fetch(`${server.url}/sql`, { method: 'POST', body: '{"query":""}' })
    expect([response.status, await response.json()]).toMatchObject([400, { code: '28P01' }])
    expect(await counted('missing')).toBe(before.missing + 1)
    await errorOf(neon(urlOf('alice', bobKey))`select 1`)
    expect(await counted('unknown')).toBe(before.unknown + 1)
  })
})

describe("I5: an error has PostgreSQL's fields", () => {
  test('a constraint', async () => {
    const error = await errorOf(
      asAlice()`INSERT INTO app.notes (id, title) VALUES (50, 'a'), (50, 'b')`,
    )
    expect(error).toMatchObject({
      ...{ code: '23505', severity: 'ERROR', schema: 'app', table: 'notes' },
      ...{ constraint: 'notes_pkey', name: 'NeonDbError' },
    })
    const missing = await errorOf(asAlice()`INSERT INTO app.notes (id) VALUES (51)`)
    expect(missing).toMatchObject({ code: '23502', table: 'notes', column: 'title' })
  })

  test('a place in the text', async () => {
    expect(await errorOf(asRoot().query('select 1 +\n nowhere'))).toMatchObject({
      ...{ code: '42703', position: '13' },
    })
  })

  test('several commands in one text', async () => {
    const error = await errorOf(asRoot().query('create table app.x (n int); drop table app.x'))
    expect(error.code).toBe('42601')
    const open = await errorOf(asRoot().query('begin'))
    expect(open.code).toBe('25P01')
  })
})

describe('I5: a transaction', () => {
  test('is all or nothing, and gives its results in order', async () => {
    const alice = asAlice()
    const results = await alice.transaction((tx) => [
      tx`INSERT INTO app.notes (id, title) VALUES (100, 'a;b') RETURNING id`,
      tx`UPDATE app.notes SET done = true WHERE id = ${100}`,
      tx`SELECT title, done FROM app.notes WHERE id = ${100} -- the end`,
    ])
    expect(results).toEqual([[{ id: 100 }], [], [{ title: 'a;b', done: true }]])
    const error = await errorOf(
      alice.transaction([
        alice`DELETE FROM app.notes WHERE id = 100`,
        alice`SELECT ${1}::int / nullif(id, id) FROM app.notes`,
        alice`SELECT 1 / 0`,
      ]),
    )
    expect(error.code).toBe('22012')
    expect(await alice`SELECT id FROM app.notes WHERE id = 100`).toEqual([{ id: 100 }])
  })

  test('runs as its options say', async () => {
    const root = asRoot()
    const modes = root`
      select current_setting('transaction_isolation') as isolation,
             current_setting('transaction_read_only') as read_only,
             current_setting('transaction_deferrable') as deferrable`
    const options = { isolationLevel: 'Serializable', readOnly: true, deferrable: true } as const
    expect(await root.transaction([modes], options)).toEqual([
      [{ isolation: 'serializable', read_only: 'on', deferrable: 'on' }],
    ])
    expect(await root.transaction([modes])).toEqual([
      [{ isolation: 'read committed', read_only: 'off', deferrable: 'off' }],
    ])
    const write = root.transaction([root`create table app.no (n int)`], { readOnly: true })
    expect((await errorOf(write)).code).toBe('25006')
  })

  test('does not lift a key that may only read', async () => {
    const { rows } = await server.sql("CREATE APIKEY FOR 'alice' READ ONLY")
    const reader = neon(urlOf('alice', String(rows[0]?.['apikey'])))
    const write = reader.transaction([reader`DELETE FROM app.notes`], { readOnly: false })
    expect((await errorOf(write)).code).toBe('42501')
    const sequence = reader.transaction([reader`SELECT nextval('app.tickets')`], {
      readOnly: false,
    })
    expect((await errorOf(sequence)).code).toBe('25006')
  })

  test('a batch without queries is nothing done', async () => {
    expect(await (await post('{"queries":[]}')).json()).toEqual({ results: [] })
  })
})

const app = pgSchema('app')
const tasks = app.table('tasks', {
  id: integer().primaryKey().generatedByDefaultAsIdentity(),
  title: text().notNull(),
  done: boolean().notNull().default(false),
})

const notes = app.table('notes', { id: integer().primaryKey(), title: text().notNull() })

describe('I5: drizzle-orm/neon-http works unchanged', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kalam-drizzle-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  test('migrations, queries, a batch', async () => {
    writeMigration(folder)
    const db = drizzle(asRoot())
    await migrate(db, { migrationsFolder: folder })
    await migrate(db, { migrationsFolder: folder })

    const [made] = await db.insert(tasks).values({ title: 'milk' }).returning()
    expect(made).toEqual({ id: 1, title: 'milk', done: false })
    await db.update(tasks).set({ done: true }).where(eq(tasks.title, 'milk'))
    expect(await db.select().from(tasks)).toEqual([{ id: 1, title: 'milk', done: true }])
    expect(await db.$count(tasks)).toBe(1)

    const [, found, raw] = await db.batch([
      db.insert(tasks).values({ title: 'eggs' }),
      db.select({ title: tasks.title }).from(tasks).orderBy(tasks.id),
      db.execute(drizzleSql`select count(*) as n from ${tasks}`),
    ])
    expect(found).toEqual([{ title: 'milk' }, { title: 'eggs' }])
    expect(raw.rows).toEqual([{ n: '2' }])
    const twice = db.batch([
      db.insert(tasks).values({ title: 'never' }),
      db.insert(tasks).values({ id: 1, title: 'there already' }),
    ])
    await expect(twice).rejects.toMatchObject({ code: '23505', constraint: 'tasks_pkey' })
    expect(await db.$count(tasks)).toBe(2)
  })
})

function writeMigration(folder: string): void {
  mkdirSync(join(folder, 'meta'))
  const entries = [{ idx: 0, version: '7', when: 1, tag: '0000_tasks', breakpoints: true }]
  writeFileSync(
    join(folder, 'meta', '_journal.json'),
    JSON.stringify({ version: '7', dialect: 'postgresql', entries }),
  )
  writeFileSync(
    join(folder, '0000_tasks.sql'),
    `CREATE TABLE "app"."tasks" (
       "id" integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, "title" text NOT NULL,
       "done" boolean DEFAULT false NOT NULL
     );--> statement-breakpoint
     CREATE INDEX "tasks_title" ON "app"."tasks" ("title");`,
  )
}

/** The relay of docs/neon.md. */
async function openRelay(): Promise<WebSocketServer> {
  const relay = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  relay.on('connection', (socket) => {
    const stream = createWebSocketStream(socket)
    const database = connect(server.wirePort, '127.0.0.1')
    stream.pipe(database).pipe(stream)
    stream.on('error', () => database.destroy())
    database.on('error', () => stream.destroy())
  })
  await once(relay, 'listening')
  return relay
}

test('I5: drizzle-orm/neon-serverless works through a relay to the Postgres wire', async () => {
  const relay = await openRelay()
  neonConfig.wsProxy = () => `127.0.0.1:${(relay.address() as AddressInfo).port}/v2`
  neonConfig.webSocketConstructor = WebSocket
  neonConfig.useSecureWebSocket = false
  neonConfig.pipelineConnect = false
  const pool = new Pool({ connectionString: urlOf('alice', aliceKey) })
  try {
    const db = drizzleOnPool(pool)
    await db.transaction(async (tx) => {
      await tx.insert(notes).values({ id: 400, title: 'pool' })
      const [found] = await tx.select({ title: notes.title }).from(notes).where(eq(notes.id, 400))
      expect(found).toEqual({ title: 'pool' })
    })
    const undone = db.transaction(async (tx) => {
      await tx.delete(notes).where(eq(notes.id, 400))
      tx.rollback()
    })
    await expect(undone).rejects.toThrow('Rollback')
    expect(await db.$count(notes, eq(notes.id, 400))).toBe(1)
  } finally {
    await pool.end()
    relay.close()
  }
})

/** What kysely-neon does: each query one request. */
class NeonDriver extends DummyDriver {
  override acquireConnection(): Promise<DatabaseConnection> {
    return Promise.resolve({
      executeQuery: async ({ sql, parameters }: CompiledQuery) => {
        const result = await asAlice().query(sql, [...parameters], { fullResults: true })
        // The rows are of the type that the query was compiled for.
        return { rows: result.rows as never[], numAffectedRows: BigInt(result.rowCount) }
      },
      streamQuery: () => {
        throw new Error('an HTTP driver streams nothing')
      },
    })
  }
}

test('I5: Kysely runs on the driver', async () => {
  interface Notes {
    'app.notes': { id: number; title: string; done: Generated<boolean> }
  }
  const db = new Kysely<Notes>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new NeonDriver(),
      createIntrospector: (kysely) => new PostgresIntrospector(kysely),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  })
  await db.insertInto('app.notes').values({ id: 300, title: 'kysely' }).execute()
  const deleted = await db.deleteFrom('app.notes').where('id', '=', 300).executeTakeFirst()
  expect(deleted.numDeletedRows).toBe(1n)
  expect(
    await db.selectFrom('app.notes').select('title').where('id', '=', 300).executeTakeFirst(),
  ).toBeUndefined()
})

describe('I5: limits', () => {
  test('a body of http.body_bytes_max is taken, one more byte is not', async () => {
    const body = (bytes: number) => {
      const start = '{"query":"select 1 as n"'
      return `${start}${' '.repeat(bytes - start.length - 1)}}`
    }
    expect((await post(body(bodyBytesMax))).status).toBe(200)
    const refused = await post(body(bodyBytesMax + 1))
    expect([refused.status, await refused.json()]).toMatchObject([413, { code: '54000' }])
  })

  test('parameters, and queries of a batch', async () => {
    const query = (parameters: number) => ({
      query: `select ${Array.from({ length: parameters }, (_, i) => `$${i + 1}::int`).join(', ')}`,
      params: Array.from({ length: parameters }, () => '1'),
    })
    const batch = (queries: number) => ({
      queries: Array.from({ length: queries }, () => query(1)),
    })
    const statusOf = async (body: object) => (await post(JSON.stringify(body))).status
    expect(await statusOf(query(parametersMax))).toBe(200)
    expect(await statusOf(query(parametersMax + 1))).toBe(400)
    expect(await statusOf(batch(queriesMax))).toBe(200)
    expect(await statusOf(batch(queriesMax + 1))).toBe(400)
  })

  test.each([
    ['no JSON', '{', {}],
    ['no object', '[]', {}],
    ['no query', '{"params":[]}', {}],
    ['parameters that are no list', '{"query":"select 1","params":{}}', {}],
    ['queries that are no list', '{"queries":{}}', {}],
    ['a query that is no object', '{"queries":[null]}', {}],
    ['a query with a zero character', '{"query":"select \\u0000"}', {}],
    ['an unknown isolation level', '{"queries":[]}', { 'Neon-Batch-Isolation-Level': 'None' }],
    ['a flag that is none', '{"queries":[]}', { 'Neon-Batch-Read-Only': 'yes' }],
  ])('%s is refused, saying what is wrong', async (_what, body, headers) => {
    const response = await post(body, headers)
    const error = (await response.json()) as { code: string; message: string }
    expect([response.status, error.code]).toEqual([400, codeFor(headers)])
    expect(error.message).not.toBe('')
  })

  test('more requests than a key may make are told when to come again', async () => {
    const key = await server.createUser('eager')
    const answers = await Promise.all(
      Array.from({ length: 260 }, () =>
        post('{"query":"select 1"}', {}, urlOf('eager', key)).then(async (response) => {
          await response.arrayBuffer()
          return response
        }),
      ),
    )
    const refused = answers.find(({ status }) => status === 429)
    expect(refused?.headers.get('retry-after')).toMatch(/^\d+$/u)
  })

  test('a caller who leaves ends their statement', async () => {
    const leaving = new AbortController()
    const endless =
      'with recursive n as (select 1 as i union all select i + 1 from n) select sum(i) from n'
    const running = asRoot().query(endless, [], { fetchOptions: { signal: leaving.signal } })
    const failed = errorOf(running)
    while (!/^kalamdb_engine_queue_units [1-9]/mu.test(await metrics())) continue
    leaving.abort()
    await failed
    const startedMs = performance.now()
    expect(await asRoot()`select 1 as n`).toEqual([{ n: 1 }])
    // Not after the statement's own deadline of 30 s.
    expect(performance.now() - startedMs).toBeLessThan(10_000)
  })

  test('requests are counted under their path, and it takes no other method', async () => {
    expect((await fetch(`${server.url}/sql`)).status).toBe(405)
    expect(await metrics()).toMatch(/route="\/sql"/u)
  })

  test('C8: pages of allowed origins may send its headers', async () => {
    const preflight = (path: string) =>
      fetch(`${server.url}${path}`, {
        method: 'OPTIONS',
        headers: {
          Origin: 'http://localhost:5173',
          'Access-Control-Request-Method': 'POST',
          'Access-Control-Request-Headers': 'neon-connection-string',
        },
      }).then(({ headers }) => headers.get('access-control-allow-headers') ?? '')
    expect(await preflight('/sql')).toContain('neon-connection-string')
    expect(await preflight('/v1/api/sql')).not.toContain('neon-')
  })
})

/** Wrong values of headers have PostgreSQL's own code for such. */
function codeFor(headers: object): string {
  return Object.keys(headers).length > 0 ? '22023' : '08P01'
}

async function metrics(): Promise<string> {
  return (await fetch(`${server.url}/metrics`)).text()
}

test('without neon.enabled nothing is served', async () => {
  const served: string[] = []
  // What it looks at first, and all that it looks at.
  const parts = {
    config: { neon: { enabled: false } },
    servePost: ({ path }: { path: string }) => served.push(path),
  } as unknown as AdapterParts
  expect(await openNeon(parts)).toBeUndefined()
  expect(served).toEqual([])
})
