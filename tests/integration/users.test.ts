import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bootstrapKey } from '#src/catalog/bootstrap-key.js'
import { digestOf, scramVerifier } from '#src/catalog/api-key.js'
import { runKalamPlan } from '#src/catalog/kalam-statements.js'
import { writeSettings } from '#src/catalog/settings-table.js'
import type { KnownUser } from '#src/catalog/users.js'
import type { Identity } from '#src/engine/engine.js'
import { openTestCatalog, type TestCatalog } from '../support/catalog.js'

let catalog: TestCatalog
beforeAll(async () => {
  catalog = await openTestCatalog()
})
afterAll(() => catalog.close())

let names = 0
/** A name no other test uses. */
const newName = (prefix = 'u') => `${prefix}${++names}`

const find = (key: string) => catalog.users.findByDigest(digestOf(key))
const identityOf = (user: KnownUser | undefined): Identity => ({
  roleOid: user?.roleOid ?? -1,
  userId: user?.userId ?? '',
  readOnly: false,
})

async function create(role: 'user' | 'service' | 'admin' = 'user') {
  const name = newName()
  const { apikey, userId } = await catalog.users.createUser({ name, role, ifNotExists: false })
  if (apikey === null) throw new Error('a new user has a key')
  return { name, userId, apikey, identity: identityOf(await catalog.users.findByName(name)) }
}

describe('A1: CREATE USER', () => {
  test.each(['user', 'service', 'admin'] as const)('makes a %s with a key', async (role) => {
    const { name, userId, apikey } = await create(role)
    expect(await find(apikey)).toMatchObject({
      readOnly: false,
      expiresAtMs: Infinity,
      user: { userId, name, role },
    })
  })

  test('refuses a name that is taken, and changes nothing', async () => {
    const { name, apikey } = await create()
    const again = catalog.users.createUser({ name, role: 'admin', ifNotExists: false })
    await expect(again).rejects.toMatchObject({ code: 'ALREADY_EXISTS' })
    expect((await find(apikey))?.user.role).toBe('user')
  })

  test('IF NOT EXISTS answers the user who is there, without a key', async () => {
    const { name, userId } = await create()
    const again = await catalog.users.createUser({ name, role: 'admin', ifNotExists: true })
    expect(again).toMatchObject({ userId, name, role: 'user', apikey: null })
  })

  test('of one name at once makes one user', async () => {
    const name = newName()
    const made = await Promise.all(
      Array.from({ length: 8 }, () =>
        catalog.users.createUser({ name, role: 'user', ifNotExists: true }),
      ),
    )
    expect(new Set(made.map(({ userId }) => userId)).size).toBe(1)
    expect(made.filter(({ apikey }) => apikey !== null)).toHaveLength(1)
  })

  test('stores neither the key nor a part that gives it back', async () => {
    const { apikey } = await create()
    const { rows } = await catalog.queries.query('select k::text from kalam.apikeys k')
    const text = JSON.stringify(rows)
    expect(text).not.toContain(apikey.slice(8))
    expect(text).not.toContain(Buffer.from(apikey.slice(4), 'base64url').toString('hex'))
  })

  test('makes keys under one salt, and verifiers that are PostgreSQL’s own', async () => {
    const { name, userId } = await create()
    await catalog.users.createKey({ name, readOnly: false })
    const { rows } = await catalog.queries.query(
      'select scram_verifier from kalam.apikeys where user_id = $1',
      [userId],
    )
    const salts = rows.map(([verifier]) => verifier?.split('$')[1])
    expect(salts).toHaveLength(2)
    expect(salts[0]).toBe(salts[1])
    await catalog.queries.query(`create role scram_probe password 'a key'`)
    const own = await catalog.queries.query(
      `select rolpassword from pg_catalog.pg_authid where rolname = 'scram_probe'`,
    )
    const verifier = own.rows[0]?.[0] ?? ''
    const salt = Buffer.from(/:(.+?)\$/.exec(verifier)?.[1] ?? '', 'base64')
    expect(await scramVerifier('a key', salt)).toBe(verifier)
  })
})

describe('A1: keys', () => {
  test('expire when they were said to, by the clock', async () => {
    const { name } = await create()
    const key = await catalog.users.createKey({ name, expires: '30 days', readOnly: true })
    const found = await find(key.apikey)
    expect(found?.expiresAtMs).toBe(catalog.clock.nowMs + 30 * 24 * 3_600_000)
    expect(found?.readOnly).toBe(true)
    expect(key.expiresAt).toBe('2026-12-23 00:00:00+00')
  })

  test.each(['0 s', '-1 day', '1 month -40 days'])('cannot expire after %s', async (expires) => {
    const { name } = await create()
    const made = catalog.users.createKey({ name, expires, readOnly: false })
    await expect(made).rejects.toMatchObject({ code: 'QUERY_REJECTED', sqlState: '22023' })
  })

  test.each(['soon', '', "1 day'; drop table kalam.users; --"])(
    'cannot expire after %j, which is no time',
    async (expires) => {
      const { name } = await create()
      const made = catalog.users.createKey({ name, expires, readOnly: false })
      await expect(made).rejects.toMatchObject({ sqlState: '22007' })
    },
  )

  test('of several, one is revoked by its id, for good', async () => {
    const { name, apikey, userId } = await create()
    const second = await catalog.users.createKey({ name, readOnly: false })
    const revoked = await catalog.users.revokeKey(second.keyId)
    expect(revoked).toEqual({ keyId: second.keyId, userId, name })
    expect(await find(second.apikey)).toBeUndefined()
    expect(await find(apikey)).toBeDefined()
    expect(await catalog.users.revokeKey(second.keyId)).toEqual(revoked)
  })

  test.each(['', 'x', "'"])('with the id %j are not found', async (id) => {
    await expect(catalog.users.revokeKey(id)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('are all replaced by ROTATE APIKEY', async () => {
    const { name, apikey, userId } = await create('service')
    const second = await catalog.users.createKey({ name, readOnly: true })
    const rotated = await catalog.users.rotateKey(name)
    expect(rotated).toMatchObject({ userId, name, role: 'service' })
    expect(await find(apikey)).toBeUndefined()
    expect(await find(second.apikey)).toBeUndefined()
    expect((await find(rotated.apikey ?? ''))?.user.userId).toBe(userId)
  })
})

describe('A1: DROP USER', () => {
  test('ends the keys, and a new user of the name inherits nothing', async () => {
    const { name, userId, apikey } = await create()
    expect(await catalog.users.dropUser(name, { ifExists: false })).toMatchObject({ userId, name })
    expect(await find(apikey)).toBeUndefined()
    const again = await catalog.users.createUser({ name, role: 'user', ifNotExists: true })
    expect(again.userId).not.toBe(userId)
    expect(again.apikey).not.toBeNull()
    expect(await find(apikey)).toBeUndefined()
  })

  test('takes the grants and the PostgreSQL role of the user away', async () => {
    const { name, identity } = await create()
    const table = newName('granted_')
    await catalog.queries.query(`create table public.${table} (id integer)`)
    const role = await catalog.users.roleOfUser(name)
    await catalog.queries.query(`grant select on public.${table} to ${role}`)
    const own = identityOf(await catalog.users.findByName(name))
    expect((await catalog.as(own, `select * from ${table}`)).rows).toEqual([])
    await expect(catalog.as(identity, `select * from ${table}`)).rejects.toMatchObject({
      sqlState: '42501',
    })

    await catalog.users.dropUser(name, { ifExists: false })
    const left = await catalog.queries.query('select 1 from pg_roles where rolname = $1', [role])
    expect(left.rows).toEqual([])
    await catalog.users.createUser({ name, role: 'user', ifNotExists: false })
    const heir = identityOf(await catalog.users.findByName(name))
    await expect(catalog.as(heir, `select * from ${table}`)).rejects.toMatchObject({
      sqlState: '42501',
    })
  })

  test('of nobody is an error, or nothing with IF EXISTS', async () => {
    const name = newName()
    const drop = catalog.users.dropUser(name, { ifExists: false })
    await expect(drop).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await catalog.users.dropUser(name, { ifExists: true })).toBeUndefined()
  })

  test('does not end root, who stays an admin', async () => {
    const drop = catalog.users.dropUser('root', { ifExists: true })
    await expect(drop).rejects.toMatchObject({ code: 'FORBIDDEN' })
    const demote = catalog.users.setRole('root', 'user')
    await expect(demote).rejects.toMatchObject({ code: 'FORBIDDEN' })
    expect(await catalog.users.setRole('root', 'admin')).toMatchObject({ role: 'admin' })
  })
})

describe('A4: roles', () => {
  test('change for the next statement, with a PostgreSQL role of their own too', async () => {
    const { name, identity: user } = await create()
    expect(await catalog.as(user, 'select current_user')).toMatchObject({ rows: [['kalam_user']] })
    const role = await catalog.users.roleOfUser(name)
    expect(await catalog.users.roleOfUser(name)).toBe(role)
    await catalog.users.setRole(name, 'service')
    const service = identityOf(await catalog.users.findByName(name))
    const member = `select current_user, pg_has_role('kalam_service', 'usage'), kalam.is_admin()`
    expect((await catalog.as(service, member)).rows).toEqual([[role, 't', 'f']])
    await catalog.users.setRole(name, 'user')
    expect((await catalog.as(service, member)).rows).toEqual([[role, 'f', 'f']])
    await catalog.users.setRole(name, 'admin')
    const admin = identityOf(await catalog.users.findByName(name))
    expect((await catalog.as(admin, member)).rows).toEqual([['kalam_admin', 't', 't']])
  })

  test('of nobody cannot be changed or named', async () => {
    const name = newName()
    const notFound = { code: 'NOT_FOUND' }
    await expect(catalog.users.setRole(name, 'admin')).rejects.toMatchObject(notFound)
    await expect(catalog.users.roleOfUser(name)).rejects.toMatchObject(notFound)
    await expect(catalog.users.rotateKey(name)).rejects.toMatchObject(notFound)
    for (const nobody of [name, '', 'a\0b'])
      await expect(
        catalog.users.createKey({ name: nobody, readOnly: false }),
      ).rejects.toMatchObject(notFound)
  })
})

describe('B12: the system views', () => {
  test('show a user themselves and nobody else', async () => {
    const { name, userId, identity, apikey } = await create()
    const shown = await catalog.as(identity, 'select user_id, name, role, apikey from system.users')
    expect(shown.rows).toEqual([[userId, name, 'user', `${apikey.slice(0, 8)}…`]])
    const keys = await catalog.as(identity, 'select distinct user_id from system.apikeys')
    expect(keys.rows).toEqual([[userId]])
    expect((await catalog.as(identity, 'select * from system.config')).rows).toEqual([])
  })

  test('show admins everybody, and no dropped user or revoked key', async () => {
    const { identity, userId } = await create('admin')
    const gone = await create()
    await catalog.users.dropUser(gone.name, { ifExists: false })
    const { rows } = await catalog.as(identity, 'select user_id from system.users')
    const ids = rows.flat()
    expect(ids).toContain('root')
    expect(ids).toContain(userId)
    expect(ids).not.toContain(gone.userId)
    const keys = await catalog.as(identity, 'select user_id from system.apikeys')
    expect(keys.rows.flat()).not.toContain(gone.userId)
  })

  test('show the settings in use, in their order, after every start', async () => {
    const { identity } = await create('admin')
    const row = (key: string, value: string) => ({
      ...{ key, value, default: '1', unit: 'ms', origin: 'default' },
      ...{ variable: key.toUpperCase(), description: 'What it does.' },
    })
    await writeSettings(catalog.queries, [row('b', '1'), row('a', '2')])
    await writeSettings(catalog.queries, [row('c', '3'), row('b', '4')])
    const { rows, columns } = await catalog.as(identity, 'select * from system.config')
    expect(columns.map(({ name }) => name)).toEqual([
      ...['key', 'value', 'default', 'unit', 'origin', 'variable', 'description'],
    ])
    expect(rows.map(([key, value]) => [key, value])).toEqual([
      ['c', '3'],
      ['b', '4'],
    ])
  })

  test('show namespaces, tables and columns that the caller may use', async () => {
    const { identity: admin } = await create('admin')
    const { identity: user } = await create()
    const namespace = newName('ns')
    await catalog.as(admin, `create schema ${namespace}`)
    await catalog.as(
      admin,
      `create table ${namespace}.open (id int primary key, n text default 'x')`,
    )
    await catalog.as(admin, `create table ${namespace}.shut (id int)`)
    await catalog.as(admin, `create view ${namespace}.seen as select id from ${namespace}.shut`)
    await catalog.as(admin, `grant select (id) on ${namespace}.open to kalam_user`)
    const tables = `select name, kind from system.tables where namespace = '${namespace}' order by 1`
    expect((await catalog.as(user, tables)).rows).toEqual([['open', 'table']])
    expect((await catalog.as(admin, tables)).rows).toEqual([
      ['open', 'table'],
      ['seen', 'view'],
      ['shut', 'table'],
    ])
    const namespaces = await catalog.as(user, 'select name from system.namespaces')
    expect(namespaces.rows.flat()).toContain(namespace)
    const hidden = ['kalam', 'system', 'pg_catalog', 'information_schema', 'pg_toast']
    for (const name of hidden) expect(namespaces.rows.flat()).not.toContain(name)
    const described = await catalog.as(
      admin,
      `select position, name, type, nullable, primary_key, default_value from system.columns
        where namespace = '${namespace}' and table_name = 'open' order by 1`,
    )
    expect(described.rows).toEqual([
      ['1', 'id', 'integer', 'f', 't', null],
      ['2', 'n', 'text', 't', 'f', `'x'::text`],
    ])
  })
})

describe('A1: the configured key', () => {
  const key = (letter: string) => `kal_${letter.repeat(42)}A`
  const now = () => catalog.clock.nowMs

  test('opens the door for root, until it is taken away', async () => {
    const options = { name: 'root', apikey: key('a'), now }
    expect(await bootstrapKey(catalog.queries, options)).toBe('accepted')
    expect(await bootstrapKey(catalog.queries, options)).toBe('accepted')
    expect((await find(key('a')))?.user.role).toBe('admin')
    expect(await bootstrapKey(catalog.queries, { ...options, apikey: key('b') })).toBe('accepted')
    expect(await find(key('a'))).toBeUndefined()
    expect(await bootstrapKey(catalog.queries, { ...options, apikey: '' })).toBe('none')
    expect(await find(key('b'))).toBeUndefined()
    expect(await bootstrapKey(catalog.queries, { ...options, apikey: key('b') })).toBe('accepted')
  })

  test('makes its admin, and stays revoked once somebody revoked it', async () => {
    const name = newName('boot')
    const options = { name, apikey: key('c'), now }
    expect(await bootstrapKey(catalog.queries, options)).toBe('accepted')
    const found = await find(key('c'))
    expect(found?.user).toMatchObject({ name, role: 'admin' })
    await catalog.users.revokeKey(found?.keyId ?? '')
    expect(await bootstrapKey(catalog.queries, options)).toBe('revoked')
    expect(await find(key('c'))).toBeUndefined()
    expect(await bootstrapKey(catalog.queries, { ...options, apikey: key('d') })).toBe('accepted')
    expect(await bootstrapKey(catalog.queries, options)).toBe('revoked')
  })

  test('is refused for a user who is no admin, and if it is the key of another', async () => {
    const { name, apikey } = await create()
    const plain = bootstrapKey(catalog.queries, { name, apikey: key('d'), now })
    await expect(plain).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    const taken = bootstrapKey(catalog.queries, { name: 'root', apikey, now })
    await expect(taken).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    expect((await find(apikey))?.user.name).toBe(name)
  })
})

describe('A1: the statements', () => {
  const place = { start: 0, end: 0, position: 1, line: 1, column: 1 }

  test('answer with the columns of docs/sql.md', async () => {
    const name = newName()
    const created = await runKalamPlan(catalog.users, {
      ...{ kind: 'create-user', place, name, role: 'user', ifNotExists: false },
    })
    expect(created.command).toBe('CREATE USER')
    expect(columnsOf(created)).toEqual(['user_id', 'name', 'role', 'apikey'])
    const changed = await runKalamPlan(catalog.users, {
      ...{ kind: 'alter-user-role', place, name, role: 'service' },
    })
    expect(changed.rows).toEqual([[created.rows[0]?.[0], name, 'service']])
    const rotated = await runKalamPlan(catalog.users, { kind: 'rotate-key', place, name })
    expect(columnsOf(rotated)).toEqual(['user_id', 'name', 'role', 'apikey'])
    const key = await runKalamPlan(catalog.users, {
      ...{ kind: 'create-key', place, name, expires: '1 day', readOnly: true },
    })
    const keyColumns = ['id', 'user_id', 'name', 'apikey', 'read_only', 'expires_at']
    expect(columnsOf(key)).toEqual(keyColumns)
    expect(key.rows[0]?.slice(4)).toEqual(['t', '2026-11-24 00:00:00+00'])
    const id = key.rows[0]?.[0] ?? ''
    const revoked = await runKalamPlan(catalog.users, { kind: 'revoke-key', place, id })
    expect(columnsOf(revoked)).toEqual(['id', 'user_id', 'name'])
    const drop = { kind: 'drop-user', place, name, ifExists: true } as const
    expect((await runKalamPlan(catalog.users, drop)).rows).toHaveLength(1)
    expect((await runKalamPlan(catalog.users, drop)).rows).toHaveLength(0)
  })

  const columnsOf = ({ columns }: Awaited<ReturnType<typeof runKalamPlan>>) =>
    columns.map(({ name }) => name)
})
