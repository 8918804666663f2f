import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestServer, type TestServer } from '../support/server.js'

let server: TestServer
beforeAll(async () => {
  server = await openTestServer()
  await server.sql('create table notes (id int)')
})
afterAll(() => server.close())

let names = 0
const newName = () => `person${++names}`
const readNotes = (name: string) => server.request(`execute as '${name}' (select * from notes)`)

describe('A1: statements about users among others', () => {
  test('a user may be made and named in a GRANT in one request', async () => {
    const name = newName()
    await server.sql(`create user '${name}'; grant select on notes to '${name}'`)
    expect((await readNotes(name)).status).toBe(200)
  })

  test('a user may be made after a setting of the same request', async () => {
    const name = newName()
    const { results } = await server.sql(
      `set work_mem = '8MB'; create user '${name}'; show work_mem`,
    )
    expect(results.map(({ command }) => command)).toEqual(['SET', 'CREATE USER', 'SHOW'])
    expect(results[2]?.rows).toEqual([{ work_mem: '8MB' }])
  })

  test('a GRANT that is rolled back gives nothing', async () => {
    const name = newName()
    await server.sql(`create user '${name}'`)
    await server.sql(`begin; grant select on notes to '${name}'; rollback`)
    expect((await readNotes(name)).status).toBe(403)
  })

  test('a GRANT in a transaction counts from its commit on, and REVOKE takes it back', async () => {
    const [first, second] = [newName(), newName()]
    await server.sql(`create user '${first}'; create user '${second}'`)
    const grant = `grant select on notes to '${first}', '${second}'`
    await server.sql(grant, { transaction: true })
    expect((await readNotes(first)).status).toBe(200)
    expect((await readNotes(second)).status).toBe(200)
    await server.sql(`revoke select on notes from '${first}'`)
    expect((await readNotes(first)).status).toBe(403)
    expect((await readNotes(second)).status).toBe(200)
  })

  test('a GRANT to nobody is an error of its own statement', async () => {
    const { status, body } = await server.request(`select 1; grant select on notes to 'nobody'`)
    expect(status).toBe(404)
    expect(body).toMatchObject({ error: { code: 'NOT_FOUND', statement: 1 } })
  })
})

describe('A4: a role that changes', () => {
  test('counts for the key that is in use', async () => {
    const name = newName()
    const key = await server.createUser(name)
    expect((await server.request('create table mine (id int)', { key })).status).toBe(403)
    await server.sql(`alter user '${name}' set role admin`)
    expect((await server.request('create table mine (id int)', { key })).status).toBe(200)
    await server.sql(`alter user '${name}' set role user`)
    expect((await server.request('drop table mine', { key })).status).toBe(403)
  })
})

test('A1: a key that is shown once is in no table, no view and no log of requests', async () => {
  const name = newName()
  const key = await server.createUser(name)
  for (const table of ['system.users', 'system.apikeys', 'system.config'])
    expect(JSON.stringify(await server.sql(`select * from ${table}`))).not.toContain(key)
})

test('K4: a statement that PostgreSQL itself trips over is an error of the caller', async () => {
  const { status, body } = await server.request('select nextval(0::regclass)')
  expect(status).toBe(400)
  expect(body).toMatchObject({ error: { code: 'QUERY_REJECTED', sqlstate: 'XX000' } })
})
