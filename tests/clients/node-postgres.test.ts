/** I1, I3, I4: node-postgres with its pool, cursors and copy streams. */
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Client, DatabaseError, Pool, type Notification } from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openWireServer, type WireServer } from '../support/wire-server.js'

let server: WireServer
const open: Client[] = []
beforeAll(async () => {
  server = await openWireServer()
  await server.sql(`
    CREATE SCHEMA app;
    CREATE TABLE app.t (id integer PRIMARY KEY, name text);
    CREATE USER TABLE app.todos (id integer PRIMARY KEY, title text NOT NULL)`)
})
afterEach(() => Promise.all(open.splice(0).map((client) => client.end())))
afterAll(() => server.close())

const connect = async (): Promise<Client> => {
  const { host, port, user, password, database } = server
  const client = new Client({ host, port, user, password, database })
  await client.connect()
  open.push(client)
  return client
}
const stateOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    (error: unknown) => (error instanceof DatabaseError ? (error.code ?? '') : String(error)),
  )

describe('values', () => {
  test('parameters and results of many types come back as they went', async () => {
    const client = await connect()
    const at = new Date('2026-01-02T03:04:05.678Z')
    const values = [
      7,
      '9007199254740993',
      1.5,
      true,
      'ünï',
      at,
      { a: [1, null] },
      ['x', null],
      null,
    ]
    const { rows } = await client.query<unknown[]>({
      text: 'SELECT $1::int4, $2::int8, $3::float8, $4::bool, $5::text, $6::timestamptz, $7::jsonb, $8::text[], $9::text',
      values: [...values],
      rowMode: 'array',
    })
    expect(rows).toEqual([values])
    const bytes = Buffer.from([0, 255, 10, 92])
    const binary = await client.query('SELECT $1::bytea AS b', [bytes])
    expect(binary.rows).toEqual([{ b: bytes }])
  })

  test('fields tell of table, column and type', async () => {
    const client = await connect()
    const { fields, command, rowCount } = await client.query('SELECT id, name FROM app.t LIMIT 0')
    expect(fields.map(({ name, dataTypeID, columnID }) => [name, dataTypeID, columnID])).toEqual([
      ['id', 23, 1],
      ['name', 25, 2],
    ])
    expect(fields[0]?.tableID).toBeGreaterThan(16_000)
    expect([command, rowCount]).toEqual(['SELECT', 0])
  })

  test('several statements in one query give a result each', async () => {
    const client = await connect()
    const results = (await client.query('SELECT 1 AS a; SELECT 2 AS b')) as unknown as readonly {
      readonly rows: readonly unknown[]
    }[]
    expect(results.map(({ rows }) => rows)).toEqual([[{ a: 1 }], [{ b: 2 }]])
  })

  test('errors have the fields of PostgreSQL', async () => {
    const client = await connect()
    await client.query("INSERT INTO app.t VALUES (1, 'one')")
    const error: unknown = await client
      .query('INSERT INTO app.t VALUES (1, $1)', ['again'])
      .catch((cause: unknown) => cause)
    expect(error).toMatchObject({
      ...{ severity: 'ERROR', code: '23505', schema: 'app', table: 't', constraint: 't_pkey' },
      detail: 'Key (id)=(1) already exists.',
    })
    const position: unknown = await client.query('SELECT  nothing').catch((cause: unknown) => cause)
    expect(position).toMatchObject({ code: '42703', position: '9' })
    expect(await client.query('SELECT 1 AS fine')).toMatchObject({ rows: [{ fine: 1 }] })
  })
})

describe('sessions', () => {
  test('one name is another prepared statement on each connection', async () => {
    const [a, b] = await Promise.all([connect(), connect()])
    const ask = (client: Client, text: string, value: number) =>
      client.query<{ n: number }>({ name: 'same', text, values: [value] })
    for (let round = 0; round < 3; round += 1) {
      const [one, two] = await Promise.all([
        ask(a, 'SELECT $1::int + 1 AS n', round),
        ask(b, 'SELECT $1::int * 10 AS n', round),
      ])
      expect([one.rows[0]?.n, two.rows[0]?.n]).toEqual([round + 1, round * 10])
    }
  })

  test('a pool serves many requests at once, transactions among them', async () => {
    const { host, port, user, password, database } = server
    const pool = new Pool({ host, port, user, password, database, max: 5 })
    await pool.query('CREATE TABLE app.counter (n integer); INSERT INTO app.counter VALUES (0)')
    const increment = async () => {
      const client = await pool.connect()
      try {
        await client.query('BEGIN')
        const { rows } = await client.query<{ n: number }>('SELECT n FROM app.counter FOR UPDATE')
        await client.query('UPDATE app.counter SET n = $1', [(rows[0]?.n ?? 0) + 1])
        await client.query('COMMIT')
      } finally {
        client.release()
      }
    }
    const reads = Array.from({ length: 40 }, (_, n) =>
      pool.query<{ n: number }>('SELECT $1::int AS n', [n]),
    )
    await Promise.all([...Array.from({ length: 20 }, increment), ...reads])
    expect((await pool.query('SELECT n FROM app.counter')).rows).toEqual([{ n: 20 }])
    expect((await Promise.all(reads)).map(({ rows }) => rows)).toEqual(
      Array.from({ length: 40 }, (_, n) => [{ n }]),
    )
    await pool.end()
  })

  test('settings are of their session', async () => {
    const [a, b] = await Promise.all([connect(), connect()])
    await a.query(
      "SET search_path = app; SET timezone = 'Asia/Tokyo'; SET statement_timeout = 4321",
    )
    const show = async (client: Client, name: string) =>
      Object.values((await client.query<Record<string, string>>(`SHOW ${name}`)).rows[0] ?? {})[0]
    expect(await show(a, 'timezone')).toBe('Asia/Tokyo')
    expect(await show(b, 'timezone')).not.toBe('Asia/Tokyo')
    expect(await show(b, 'search_path')).not.toBe('app')
    expect(await show(a, 'search_path')).toBe('app')
    expect(await show(a, 'statement_timeout')).toBe('4321ms')
    await a.query('RESET ALL')
    expect(await show(a, 'search_path')).not.toBe('app')
  })

  test('temporary tables are of their session', async () => {
    const [a, b] = await Promise.all([connect(), connect()])
    await a.query('CREATE TEMP TABLE mine (n int); INSERT INTO mine VALUES (1)')
    expect(await stateOf(b.query('SELECT * FROM mine'))).toBe('42P01')
    expect((await a.query('SELECT * FROM mine')).rows).toEqual([{ n: 1 }])
    await a.query('DROP TABLE mine')
  })

  test('a statement may take statement_timeout, no longer', async () => {
    const client = await connect()
    await client.query('SET statement_timeout = 100')
    const endless = client.query('SELECT count(*) FROM (SELECT generate_series(1, 4000000000)) n')
    expect(await stateOf(endless)).toBe('57014')
  })

  test('a second connection with the cancel key ends what runs', async () => {
    const client = await connect()
    const running = stateOf(
      client.query('SELECT count(*) FROM (SELECT generate_series(1, 4000000000)) n'),
    )
    const { host, port } = server
    const canceller = new Client({ host, port })
    // Not in the declarations: what psql's Ctrl-C does.
    ;(canceller as unknown as { cancel(client: Client, query: unknown): void }).cancel(
      client,
      (client as unknown as { activeQuery?: unknown }).activeQuery ?? undefined,
    )
    expect(await running).toBe('57014')
    expect((await client.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }])
  })

  test('process ids differ, and pg_backend_pid() is that of the greeting', async () => {
    const [a, b] = await Promise.all([connect(), connect()])
    const pidOf = async (client: Client) =>
      (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid
    const greeted = (client: Client) => (client as unknown as { processID: number }).processID
    expect(greeted(a)).not.toBe(greeted(b))
    expect(await pidOf(a)).toBe(greeted(a))
    expect(await pidOf(b)).toBe(greeted(b))
  })
})

describe('LISTEN and NOTIFY', () => {
  const nextOf = async (client: Client): Promise<Notification> => {
    const [notification] = (await once(client, 'notification', {
      signal: AbortSignal.timeout(10_000),
    })) as [Notification]
    return notification
  }

  test('a notification reaches the others that listen, at its commit', async () => {
    const [listener, sender, other] = await Promise.all([connect(), connect(), connect()])
    await listener.query('LISTEN news')
    const strays: Notification[] = []
    other.on('notification', (each) => strays.push(each))
    const first = nextOf(listener)
    await sender.query('BEGIN')
    await sender.query("NOTIFY news, 'rolled back'")
    await sender.query('ROLLBACK')
    await sender.query("SELECT pg_notify('news', 'kept')")
    expect(await first).toMatchObject({
      ...{ channel: 'news', payload: 'kept' },
      processId: (sender as unknown as { processID: number }).processID,
    })
    await other.query('SELECT 1')
    expect(strays).toEqual([])
  })

  test('UNLISTEN ends it', async () => {
    const [listener, sender] = await Promise.all([connect(), connect()])
    await listener.query('LISTEN a; LISTEN b; UNLISTEN a')
    const seen: string[] = []
    listener.on('notification', ({ channel }) => seen.push(channel))
    const next = nextOf(listener)
    await sender.query("NOTIFY a, 'x'; NOTIFY b, 'y'")
    await next
    expect(seen).toEqual(['b'])
  })
})

describe('pg-cursor', () => {
  test('reads in pieces and may stop early', async () => {
    const client = await connect()
    const cursor = client.query(
      new Cursor<{ n: number }>('SELECT n FROM generate_series(1, 1000) n'),
    )
    expect((await cursor.read(3)).map(({ n }) => n)).toEqual([1, 2, 3])
    expect((await cursor.read(500)).at(-1)).toEqual({ n: 503 })
    await cursor.close()
    expect((await client.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }])
  })

  test('reads to the end, with parameters, in a transaction', async () => {
    const client = await connect()
    await client.query('BEGIN')
    const cursor = client.query(new Cursor('SELECT n FROM generate_series(1, $1::int) n', [250]))
    let count = 0
    for (;;) {
      const rows = await cursor.read(100)
      if (rows.length === 0) break
      count += rows.length
    }
    expect(count).toBe(250)
    await client.query('COMMIT')
  })
})

describe('pg-copy-streams', () => {
  test.each(['app.copied', 'app.todos'])('in and out: %s', async (table) => {
    const client = await connect()
    await client.query(
      'CREATE TABLE IF NOT EXISTS app.copied (id integer PRIMARY KEY, title text NOT NULL)',
    )
    const lines = Array.from({ length: 5_000 }, (_, n) => `${n}\tthing ${n}\n`)
    const into = client.query(copyFrom(`COPY ${table} (id, title) FROM STDIN`))
    await pipeline(Readable.from(lines), into)
    expect(into.rowCount).toBe(5_000)
    const pieces: Buffer[] = []
    for await (const piece of client.query(
      copyTo(`COPY (SELECT id, title FROM ${table} ORDER BY id) TO STDOUT`),
    ))
      pieces.push(piece as Buffer)
    expect(String(Buffer.concat(pieces))).toBe(lines.join(''))
  })

  test('a stream that fails leaves nothing, and the connection goes on', async () => {
    const client = await connect()
    await client.query('CREATE TABLE app.failed (n integer)')
    const broken = Readable.from(
      (function* () {
        yield '1\n'
        throw new Error('the file ended')
      })(),
    )
    const outcome = await pipeline(
      broken,
      client.query(copyFrom('COPY app.failed FROM STDIN')),
    ).catch((error: unknown) => String(error))
    expect(outcome).toContain('the file ended')
    expect((await client.query('SELECT count(*)::int AS n FROM app.failed')).rows).toEqual([
      { n: 0 },
    ])
  })
})
