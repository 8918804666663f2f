/** COPY in and out over HTTP: requirements B6, B11, C5, C6, C10, D7, K4, by id. */
import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { copy, copyIn, copyOut, copyUrl, type CopyOptions } from '../support/copy-client.js'
import { errorOf, postSql } from '../support/http-client.js'
import { watch } from '../support/live.js'
import { openTestServer, type TestServer } from '../support/server.js'

const kinds = ['plain', 'shared', 'users', 'streams'] as const
const bodyBytesMax = 2 * 1024 * 1024

let server: TestServer
let alice: string
let bob: string

beforeAll(async () => {
  server = await openTestServer({
    settings: {
      'http.copy_body_bytes_max': bodyBytesMax,
      'http.copy_spool_bytes_max': 32 * 1024 * 1024,
      'http.body_bytes_max': 4096,
    },
  })
  alice = await server.createUser('alice')
  bob = await server.createUser('bob')
  const columns = 'id integer PRIMARY KEY, a text, n numeric DEFAULT 7'
  await server.sql(`
    CREATE NAMESPACE app;
    CREATE TABLE app.plain (${columns});
    CREATE SHARED TABLE app.shared (${columns});
    CREATE USER TABLE app.users (${columns});
    CREATE STREAM TABLE app.streams (${columns}) TTL '1 hour';
    CREATE TABLE app.sink (${columns});
    CREATE USER TABLE app.notes (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL);
    GRANT ALL ON app.plain, app.shared TO user`)
})
afterAll(() => server.close())

/** The error of a COPY; fails if it succeeds. */
async function copyError(sql: string, options?: CopyOptions) {
  const answer = await copy(server, sql, options)
  return { status: answer.status, ...errorOf(answer) }
}

const countOf = async (table: string, key = server.adminKey): Promise<unknown> =>
  (await server.sql(`SELECT count(*)::int AS n FROM ${table}`, { key })).rows[0]?.['n']

describe('every kind of table, both ways, in each format', () => {
  const types = {
    text: 'text/tab-separated-values; charset=utf-8',
    csv: 'text/csv; charset=utf-8',
    binary: 'application/octet-stream',
  } as const

  test.each(kinds)('B6: %s: without a list the own columns are meant', async (kind) => {
    const data = 'id,a,n\n1,one,1.50\n2,"two, or so",\n3,drei ✓,3\n'
    expect(
      await copyIn(server, `COPY app.${kind} FROM STDIN (FORMAT csv, HEADER)`, data, alice),
    ).toBe(3)
    for (const format of ['text', 'csv', 'binary'] as const) {
      const out = await copyOut(server, `COPY app.${kind} TO STDOUT (FORMAT ${format})`, alice)
      expect(out.type).toBe(types[format])
      await server.sql('TRUNCATE app.sink')
      const into = `COPY app.sink FROM STDIN (FORMAT ${format})`
      expect(await copyIn(server, into, out.bytes)).toBe(3)
      const { text } = await copyOut(server, 'COPY app.sink TO STDOUT (FORMAT csv, HEADER)')
      expect(text).toBe(data)
      // And back into the table that it came from.
      await server.sql(`DELETE FROM app.plain; DELETE FROM app.shared`)
      if (kind === 'users') await server.sql('DELETE FROM app.users', { key: alice })
      if (kind !== 'streams')
        expect(
          await copyIn(server, `COPY app.${kind} FROM STDIN (FORMAT ${format})`, out.bytes, alice),
        ).toBe(3)
    }
  })

  test('a list, a condition and a default', async () => {
    await copyIn(
      server,
      "COPY app.users (id, a) FROM STDIN WHERE users.id > 10 AND a <> 'no'",
      '9\tx\n11\tyes\n12\tno\n',
      bob,
    )
    const { text } = await copyOut(server, 'COPY app.users TO STDOUT', bob)
    expect(text).toBe('11\tyes\t7\n')
  })

  test('values for an identity that is GENERATED ALWAYS', async () => {
    expect(await copyIn(server, 'COPY app.notes FROM STDIN', '41\tforty-one\n', alice)).toBe(1)
    expect(await copyIn(server, 'COPY app.notes (body) FROM STDIN', 'next\n', alice)).toBe(1)
    expect((await copyOut(server, 'COPY app.notes (body) TO STDOUT', alice)).text).toBe(
      'forty-one\nnext\n',
    )
  })

  test('a query, deleted rows included', async () => {
    await copyIn(server, 'COPY app.users (id, a) FROM STDIN', '21\tgone\n', bob)
    await server.sql('DELETE FROM app.users WHERE id = 21', { key: bob })
    const sql =
      'COPY (SELECT id, _deleted FROM app.users INCLUDE DELETED ORDER BY id) TO STDOUT (FORMAT csv)'
    expect((await copyOut(server, sql, bob)).text).toBe('11,f\n21,t\n')
  })

  test('a query too long for a URL goes into the body', async () => {
    const sql = `COPY (SELECT '${'x'.repeat(3_000)}') TO STDOUT`
    const response = await fetch(`${server.url}/v1/api/copy`, {
      method: 'POST',
      headers: { 'x-api-key': alice, 'content-type': 'application/json' },
      body: JSON.stringify({ sql }),
    })
    expect(await response.text()).toBe(`${'x'.repeat(3_000)}\n`)
  })

  test('no rows, either way; a namespace; another encoding', async () => {
    expect(await copyIn(server, 'COPY app.sink FROM STDIN', '')).toBe(0)
    const empty = await copyOut(server, 'COPY (SELECT 1 WHERE false) TO STDOUT')
    expect([empty.text, empty.type]).toEqual(['', types.text])
    const found = await copy(server, 'COPY users (id) TO STDOUT', { key: bob, namespace: 'app' })
    expect(found.text).toBe('11\n')
    const ascii = await copyOut(
      server,
      `COPY (SELECT 1) TO STDOUT (ENCODING 'sql_ascii', FORMAT csv)`,
    )
    expect([ascii.type, ascii.text]).toEqual(['text/csv', '1\n'])
  })
})

describe('whose rows', () => {
  test('A3: nobody copies rows of others in or out', async () => {
    expect((await copyOut(server, 'COPY app.notes TO STDOUT', bob)).text).toBe('')
    const { rows } = await server.sql('SELECT _user_id AS id FROM app.notes LIMIT 1', {
      key: alice,
    })
    const foreign = `${String(rows[0]?.['id'])}\tmine?\n`
    const into = 'COPY app.notes (_user_id, body) FROM STDIN'
    expect(await copyError(into, { data: foreign, key: bob })).toMatchObject({
      code: 'FORBIDDEN',
      sqlstate: '42501',
    })
    expect(await copyIn(server, into, foreign, alice)).toBe(1)
    expect(await countOf('app.notes', bob)).toBe(0)
  })

  test('A4: with row_security off an admin copies the rows of all, both ways', async () => {
    const all = 'SET row_security = off; COPY app.notes (_user_id, id, body)'
    const { text } = await copyOut(server, `${all} TO STDOUT`)
    expect(text.split('\n')).toHaveLength(4)
    expect((await copyOut(server, 'COPY app.notes TO STDOUT')).text).toBe('')
    await server.sql('SET row_security = off; DELETE FROM app.notes')
    expect(await copyIn(server, `${all} FROM STDIN`, text)).toBe(3)
    expect(await countOf('app.notes', alice)).toBe(3)
    expect(await copyError(`${all} TO STDOUT`, { key: alice })).toMatchObject({ code: 'FORBIDDEN' })
  })

  test('EXECUTE AS', async () => {
    const service = await server.createUser('jobs', 'service')
    expect(
      await copyIn(
        server,
        `EXECUTE AS 'bob' (COPY app.notes (body) FROM STDIN)`,
        'from jobs\n',
        service,
      ),
    ).toBe(1)
    const out = await copyOut(server, `EXECUTE AS 'bob' (COPY app.notes (body) TO STDOUT)`, service)
    expect(out.text).toBe('from jobs\n')
    expect(await countOf('app.notes', service)).toBe(0)
  })

  test('rights, keys that may only read, and no key', async () => {
    expect(await copyError('COPY app.sink TO STDOUT', { key: alice })).toMatchObject({
      code: 'FORBIDDEN',
    })
    expect(await copyError('COPY app.sink FROM STDIN', { key: alice, data: '1\n' })).toMatchObject({
      code: 'FORBIDDEN',
    })
    const { rows } = await server.sql(`CREATE APIKEY FOR 'alice' READ ONLY`)
    const reader = String(rows[0]?.['apikey'])
    expect(await copyError('COPY app.notes FROM STDIN', { key: reader, data: '' })).toMatchObject({
      status: 403,
    })
    expect((await copyOut(server, 'COPY app.notes (body) TO STDOUT', reader)).status).toBe(200)
    expect(await copyError('COPY app.notes TO STDOUT', { key: 'kal_none' })).toMatchObject({
      status: 401,
    })
  })

  test('D7: a live query sees rows that are copied in', async () => {
    const caller = await server.database.authenticate(bob)
    const live = await watch(server.database, caller, 'SELECT id, a FROM app.users WHERE id > 100')
    await copyIn(server, 'COPY app.users (id, a) FROM STDIN', '101\tone\n102\ttwo\n', bob)
    await live.until('both', () => live.changes.length === 2)
    expect(live.rows.toSorted()).toEqual([
      [101, 'one'],
      [102, 'two'],
    ])
    live.close()
  })
})

describe('K4: what is wrong is told, and leaves nothing', () => {
  test.each(kinds)('a bad line of %s', async (kind) => {
    const before = await countOf(`app.${kind}`, alice)
    const into = (data: string) =>
      copyError(`COPY app.${kind} (id, a) FROM STDIN`, { data, key: alice })
    expect(await into('61\tx\nsixty-two\ty\n')).toMatchObject({
      ...{ status: 400, sqlstate: '22P02' },
      where: `COPY ${kind}, line 2, column id: "sixty-two"`,
    })
    expect(await into('61\tx\n62\n')).toMatchObject({
      ...{ sqlstate: '22P04', message: 'missing data for column "a"' },
      where: `COPY ${kind}, line 2: "62"`,
    })
    expect(await into('61\tx\n61\ty\n')).toMatchObject({ status: 409, sqlstate: '23505' })
    expect(await countOf(`app.${kind}`, alice)).toBe(before)
  })

  test.each([
    ['COPY app.nowhere FROM STDIN', '42P01', undefined],
    ['COPY app.users (nope) FROM STDIN', '42703', undefined],
    ['COPY app.users (id, id) FROM STDIN', '42701', undefined],
    ['COPY app.users (_deleted) FROM STDIN', '42P10', undefined],
    ['COPY app.users FROM STDIN WHERE nope > 1', '42703', 33],
    ['COPY app.users FROM STDIN (FORMAT nope)', '22023', 28],
    [`COPY app.users FROM STDIN (DEFAULT 'x')`, '0A000', 28],
    ['COPY app.users TO STDOUT (FORMAT csv,)', '42601', 38],
    [`COPY app.users TO '/tmp/x'`, '0A000', 1],
    [`COPY app.users FROM PROGRAM 'id'`, '0A000', 1],
    ['COPY (SELECT nope FROM app.users) TO STDOUT', '42703', 14],
    ['COPY kalam.users TO STDOUT', '0A000', 6],
    ['SELECT 1', '08P01', undefined],
    ['COPY app.users TO STDOUT; COPY app.users TO STDOUT', '08P01', undefined],
    ['COPY app.users TO STDOUT; SET row_security = on', '08P01', undefined],
  ])('%s', async (sql, sqlstate, position) => {
    const error = await copyError(sql)
    expect([error.sqlstate, error.position]).toEqual([sqlstate, position])
  })

  test('data for TO STDOUT, and other faults of the request', async () => {
    const out = 'COPY app.users TO STDOUT'
    expect(await copyError(out, { data: '1' })).toMatchObject({ code: 'BAD_REQUEST' })
    expect(await copyError(out, { headers: { 'idempotency-key': 'k' } })).toMatchObject({
      status: 400,
    })
    for (const query of ['', '?sq=COPY', '?sql=a&sql=b', '?sql=%ff']) {
      const response = await fetch(`${server.url}/v1/api/copy${query}`, {
        method: 'POST',
        headers: { 'x-api-key': alice },
      })
      expect([query, response.status]).toEqual([query, 400])
    }
  })

  test('/v1/api/sql tells where COPY goes', async () => {
    for (const sql of ['COPY app.users FROM STDIN', 'COPY app.users TO STDOUT']) {
      const error = errorOf(await postSql(server, { body: { sql } }))
      expect(error).toMatchObject({ code: 'STATEMENT_REFUSED' })
      expect(error.hint).toContain('/v1/api/copy')
    }
  })
})

describe('C5: an answer that fails in the middle', () => {
  const failing = (rows: number) =>
    `COPY (SELECT 1 / (g - ${rows}), repeat('x', 1000) FROM generate_series(1, ${rows + 1}) g) TO STDOUT`

  test('is an error answer while nothing was sent', async () => {
    expect(await copyError(failing(10))).toMatchObject({ status: 400, sqlstate: '22012' })
  })

  test('breaks off afterwards', async () => {
    await expect(copy(server, failing(2_000))).rejects.toThrow()
    expect((await server.sql('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })

  test('C9: who leaves ends the statement', async () => {
    const leaving = new AbortController()
    const endless = 'COPY (SELECT generate_series(1, 1000000000)) TO STDOUT'
    const response = await fetch(copyUrl(server, endless), {
      method: 'POST',
      headers: { 'x-api-key': server.adminKey },
      signal: leaving.signal,
    })
    await response.body?.getReader().read()
    leaving.abort()
    // Everybody waits for it.
    expect((await server.sql('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    const metrics = async () => (await fetch(`${server.url}/metrics`)).text()
    await expect.poll(metrics).toMatch(/command="unknown",outcome="CANCELLED"\} 1$/mu)
  })

  test('C6: more than the spools may hold, for a reader who is too slow', async () => {
    const large = `COPY (SELECT repeat('x', 1000), generate_series(1, 100000)) TO STDOUT`
    const response = await fetch(copyUrl(server, large), {
      method: 'POST',
      headers: { 'x-api-key': server.adminKey },
    })
    const reader = response.body?.getReader()
    await reader?.read()
    expect((await server.sql('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    const readAll = async () => {
      for (;;) if ((await reader?.read())?.done !== false) return
    }
    await expect(readAll()).rejects.toThrow()
  })
})

describe('C6: the data of one COPY', () => {
  const rows = (bytes: number) => `${'x'.repeat(bytes - 1)}\n`

  test.each([bodyBytesMax - 1, bodyBytesMax])('%i bytes are taken', async (bytes) => {
    expect(await copyIn(server, 'COPY app.notes (body) FROM STDIN', rows(bytes), bob)).toBe(1)
  })

  test('one byte more is not', async () => {
    const data = rows(bodyBytesMax + 1)
    const error = await copyError('COPY app.notes (body) FROM STDIN', { data, key: bob })
    expect(error).toMatchObject({ status: 413, code: 'REQUEST_TOO_LARGE' })
    expect(error.hint).toContain('http.copy_body_bytes_max')
  })

  test('who has no key, or may not, gets to read why', async () => {
    const data = rows(bodyBytesMax)
    expect(await copyError('COPY app.sink FROM STDIN', { data, key: 'kal_none' })).toMatchObject({
      status: 401,
    })
    expect(await copyError('COPY app.sink FROM STDIN', { data, key: bob })).toMatchObject({
      status: 403,
    })
    expect(await copyError('COPY app.sink FROM', { data, key: bob })).toMatchObject({ status: 400 })
  })

  test('C9: of who leaves in the middle nothing is kept', async () => {
    const before = await countOf('app.sink')
    await new Promise<void>((resolve) => {
      const sending = httpRequest(copyUrl(server, 'COPY app.sink (id) FROM STDIN'), {
        method: 'POST',
        headers: { 'x-api-key': server.adminKey, 'content-length': 1_000_000 },
      })
      sending.on('error', () => undefined)
      sending.on('close', () => resolve())
      sending.write('71\n72\n', () => sending.destroy())
    })
    expect(await countOf('app.sink')).toBe(before)
    expect(await copyIn(server, 'COPY app.sink (id) FROM STDIN', '71\n')).toBe(1)
  })
})

describe('C10, C8', () => {
  test('a repeat under an Idempotency-Key copies nothing twice', async () => {
    const headers = { 'idempotency-key': 'todos-1' }
    const sql = 'COPY app.notes (body) FROM STDIN'
    const before = Number(await countOf('app.notes', alice))
    const first = await copy(server, sql, { data: 'once\n', key: alice, headers })
    const again = await copy(server, sql, { data: 'once\n', key: alice, headers })
    expect(JSON.parse(first.text)).toMatchObject({ results: [{ command: 'COPY', row_count: 1 }] })
    expect(JSON.parse(again.text)).toMatchObject({ results: [{ row_count: 1 }], replayed: true })
    expect(await countOf('app.notes', alice)).toBe(before + 1)
    const other = await copyError(sql, { data: 'other\n', key: alice, headers })
    expect(other.code).toBe('IDEMPOTENCY_KEY_REUSED')
  })

  test('pages of other origins may copy', async () => {
    const origin = 'http://localhost:5173'
    const { headers } = await copy(server, 'COPY app.notes TO STDOUT', { headers: { origin } })
    expect(headers.get('access-control-allow-origin')).toBe(origin)
  })
})
