/** I3: advisory locks are between sessions, as migration tools use them. */
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { openWireServer, type WireLogin, type WireServer } from '../support/wire-server.js'

let server: WireServer
const open: Client[] = []
beforeAll(async () => {
  server = await openWireServer()
})
afterEach(() => Promise.all(open.splice(0).map((client) => client.end())))
afterAll(() => server.close())

const connect = async (login: WireLogin = server): Promise<Client> => {
  const { host, port, user, password, database } = login
  const client = new Client({ host, port, user, password, database })
  await client.connect()
  open.push(client)
  return client
}
const ask = async (client: Client, call: string): Promise<unknown> => {
  const { rows } = await client.query<unknown[]>({ text: `SELECT ${call}`, rowMode: 'array' })
  return rows[0]?.[0]
}

test('one session has a lock until it gives it back as often as it took it', async () => {
  const [a, b] = [await connect(), await connect()]
  expect(await ask(a, 'pg_try_advisory_lock(7)')).toBe(true)
  expect(await ask(a, 'pg_try_advisory_lock(7)')).toBe(true)
  expect(await ask(b, 'pg_try_advisory_lock(7)')).toBe(false)
  expect(await ask(b, 'pg_try_advisory_lock(7, 7)')).toBe(true)
  await expect(ask(b, 'pg_advisory_lock(7)')).rejects.toMatchObject({ code: '55P03' })
  expect(await ask(a, 'pg_advisory_unlock(7)')).toBe(true)
  expect(await ask(b, 'pg_try_advisory_lock(7)')).toBe(false)
  expect(await ask(a, 'pg_advisory_unlock(7)')).toBe(true)
  expect(await ask(a, 'pg_advisory_unlock(7)')).toBe(false)
  expect(await ask(b, 'pg_try_advisory_lock(7)')).toBe(true)
})

test('shared ones are for many, and keep out who wants it alone', async () => {
  const [a, b] = [await connect(), await connect()]
  expect(await ask(a, 'pg_try_advisory_lock_shared(8)')).toBe(true)
  expect(await ask(b, 'pg_try_advisory_lock_shared(8)')).toBe(true)
  expect(await ask(b, 'pg_try_advisory_lock(8)')).toBe(false)
  await ask(a, 'pg_advisory_unlock_shared(8)')
  expect(await ask(b, 'pg_try_advisory_lock(8)')).toBe(true)
})

test('those of a transaction end with it; a rollback keeps those of the session', async () => {
  const [a, b] = [await connect(), await connect()]
  await a.query('BEGIN')
  expect(await ask(a, 'pg_try_advisory_xact_lock(9)')).toBe(true)
  await ask(a, 'pg_advisory_lock(10)')
  await a.query('ROLLBACK')
  expect(await ask(b, 'pg_try_advisory_lock(9)')).toBe(true)
  expect(await ask(b, 'pg_try_advisory_lock(10)')).toBe(false)
})

test('they end with their session, and with DISCARD ALL; others keep theirs', async () => {
  const [a, b, c] = [await connect(), await connect(), await connect()]
  await ask(a, 'pg_advisory_lock(11)')
  await ask(c, 'pg_advisory_lock(12)')
  await a.query('DISCARD ALL')
  expect(await ask(b, 'pg_try_advisory_lock(11)')).toBe(true)
  expect(await ask(b, 'pg_try_advisory_lock(12)')).toBe(false)
  await open.pop()?.end()
  const deadlineMs = performance.now() + 10_000
  while ((await ask(b, 'pg_try_advisory_lock(12)')) !== true)
    expect(performance.now()).toBeLessThan(deadlineMs)
})

test('a user holds up nobody but themselves, and speaks for no other session', async () => {
  const alice = await server.createUser('alice')
  const [root, mine, other] = [await connect(), await connect(alice), await connect(alice)]
  expect(await ask(mine, 'pg_try_advisory_lock(13)')).toBe(true)
  expect(await ask(other, 'pg_try_advisory_lock(13)')).toBe(false)
  expect(await ask(root, 'pg_try_advisory_lock(13)')).toBe(true)
  await expect(ask(other, 'kalam.pg_advisory_unlock(1, 13)')).rejects.toMatchObject({
    message: expect.stringContaining('belong to the system') as string,
  })
})
