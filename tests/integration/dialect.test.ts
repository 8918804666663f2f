import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestServer, type TestServer } from '../support/server.js'

let server: TestServer
let aliceKey: string

beforeAll(async () => {
  server = await openTestServer()
  aliceKey = await server.createUser('alice')
  await server.sql(`
    create namespace app;
    create table app.notes (id int primary key, "Text" text default 'é' not null);
    comment on table app.notes is 'Notes';
    insert into app.notes values (1, 'one')`)
})

afterAll(() => server.close())

const errorOf = async (sql: string, key?: string) => {
  const { body } = await server.request(sql, key === undefined ? {} : { key })
  return body.status === 'error' ? body.error : undefined
}

describe('SHOW and DESCRIBE are queries', () => {
  test('SHOW NAMESPACES', async () => {
    const { rows } = await server.sql('show namespaces')
    expect(rows).toContainEqual({ name: 'app', comment: null })
  })

  test('SHOW TABLES IN', async () => {
    const { rows } = await server.sql('show tables in app')
    expect(rows).toEqual([
      {
        namespace: 'app',
        name: 'notes',
        kind: 'table',
        comment: 'Notes',
        deleted_retention_hours: null,
      },
    ])
  })

  test('SHOW USERS, APIKEYS and CONFIG', async () => {
    expect((await server.sql('show users')).rows.map((row) => row['name'])).toContain('alice')
    expect((await server.sql('show apikeys')).rows.map((row) => row['name'])).toContain('alice')
    expect((await server.sql('show config')).rows.map((row) => row['key'])).toContain('server.port')
  })

  test('a user sees themselves, and no settings', async () => {
    const names = (await server.sql('show users', { key: aliceKey })).rows.map((row) => row['name'])
    expect(names).toEqual(['alice'])
    expect((await server.sql('show config', { key: aliceKey })).rows).toEqual([])
  })

  test.each(['describe app.notes', 'DESCRIBE TABLE "app" . "notes"'])('%s', async (sql) => {
    const { rows } = await server.sql(sql)
    expect(rows).toMatchObject([
      { position: 1, name: 'id', type: 'integer', nullable: false, primary_key: true },
      { position: 2, name: 'Text', type: 'text', nullable: false, primary_key: false },
    ])
  })

  test('DESCRIBE finds a table in the namespace of the request', async () => {
    const { rows } = await server.sql('describe notes', { namespace: 'app' })
    expect(rows).toHaveLength(2)
  })

  test('DESCRIBE of a table that does not exist points at the name', async () => {
    const error = await errorOf("select 'é😀'; describe app.nothing")
    expect(error).toMatchObject({ code: 'QUERY_REJECTED', sqlstate: '42P01', position: 23 })
  })
})

describe('GRANT to users', () => {
  test('a user named in a GRANT gets just that', async () => {
    const bobKey = await server.createUser('bob')
    await server.sql("grant select on app.notes to 'bob'")
    expect((await server.sql('select id from app.notes', { key: bobKey })).rows).toEqual([
      { id: 1 },
    ])
    expect(await errorOf('select id from app.notes', aliceKey)).toMatchObject({ sqlstate: '42501' })
    await server.sql("revoke select on app.notes from 'bob'")
    expect(await errorOf('select id from app.notes', bobKey)).toMatchObject({ sqlstate: '42501' })
  })

  test('a user that does not exist is named', async () => {
    const error = await errorOf("grant select on app.notes to 'nobody'")
    expect(error?.message).toContain('nobody')
  })
})

describe("PostgreSQL's own errors point into the caller's text", () => {
  test.each<[string, object]>([
    ['select nothing', { position: 8, line: 1, column: 8 }],
    ["select 'é😀'; select\n 'é', nothing", { position: 27, line: 2, column: 7 }],
    ["execute as 'alice' (select 'é', nothing)", { position: 33, line: 1, column: 33 }],
  ])('%s', async (sql, fields) => {
    expect(await errorOf(sql)).toMatchObject(fields)
  })
})
