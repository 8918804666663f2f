import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestServer, type TestServer } from '../support/server.js'

let server: TestServer
let aliceKey: string
beforeAll(async () => {
  server = await openTestServer()
  aliceKey = await server.createUser('alice')
})
afterAll(() => server.close())

const names = async () => (await server.sql('SHOW NAMESPACES')).rows.map(({ name }) => name)
const errorOf = async (sql: string, key?: string) =>
  (await server.request(sql, key === undefined ? {} : { key })).body.error

describe('B1: a namespace', () => {
  test('is made once; a second time only with IF NOT EXISTS', async () => {
    await server.sql('CREATE NAMESPACE once')
    expect(await names()).toContain('once')
    expect(await errorOf('CREATE NAMESPACE once')).toMatchObject({
      code: 'ALREADY_EXISTS',
      sqlstate: '42P06',
    })
    await server.sql('CREATE NAMESPACE IF NOT EXISTS once')
  })

  test('and a schema are the same', async () => {
    await server.sql('CREATE SCHEMA one; CREATE NAMESPACE two')
    expect(await names()).toEqual(expect.arrayContaining(['one', 'two']))
    await server.sql('DROP NAMESPACE one; DROP SCHEMA two')
    expect(await names()).not.toEqual(expect.arrayContaining(['one']))
    expect(await names()).not.toEqual(expect.arrayContaining(['two']))
  })

  test('that is not empty is dropped only with CASCADE', async () => {
    await server.sql('CREATE NAMESPACE busy; CREATE TABLE busy.t (n int)')
    expect(await errorOf('DROP NAMESPACE busy')).toMatchObject({ sqlstate: '2BP01' })
    await server.sql('DROP NAMESPACE busy CASCADE')
    expect(await names()).not.toContain('busy')
  })

  test('that is not there is dropped only with IF EXISTS', async () => {
    expect(await errorOf('DROP NAMESPACE nowhere')).toMatchObject({ sqlstate: '3F000' })
    await server.sql('DROP NAMESPACE IF EXISTS nowhere')
  })
})

describe('B5: a plain table', () => {
  test('is PostgreSQL’s: its columns are those that were named, its deletes real', async () => {
    await server.sql('CREATE TABLE plain (n int PRIMARY KEY); INSERT INTO plain VALUES (1), (2)')
    const { results } = await server.sql('DELETE FROM plain WHERE n = 1; SELECT * FROM plain')
    expect(results.map(({ row_count }) => row_count)).toEqual([1, 1])
    expect(results[1]).toMatchObject({ columns: [{ name: 'n', type: 'int4' }], rows: [{ n: 2 }] })
  })

  test('is the admins’ until it is granted', async () => {
    await server.sql('CREATE TABLE ours (n int); INSERT INTO ours VALUES (1)')
    expect(await errorOf('SELECT * FROM ours', aliceKey)).toMatchObject({ code: 'FORBIDDEN' })
    await server.sql(`GRANT SELECT ON ours TO 'alice'`)
    expect((await server.sql('SELECT * FROM ours', { key: aliceKey })).rows).toEqual([{ n: 1 }])
    expect(await errorOf('DELETE FROM ours', aliceKey)).toMatchObject({ code: 'FORBIDDEN' })
  })
})
