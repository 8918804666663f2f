import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Callers, type CallersOptions } from '#src/access/callers.js'
import { openLocalToken } from '#src/access/local-token.js'
import { randomKey, scramKeys } from '#src/catalog/api-key.js'
import { Users } from '#src/catalog/users.js'
import type { Role } from '#src/dialect/roles.js'
import { openTestCatalog, type TestCatalog } from '../support/catalog.js'

let catalog: TestCatalog
beforeAll(async () => {
  catalog = await openTestCatalog()
})
afterAll(() => catalog.close())

function open(options: Partial<CallersOptions> = {}): Callers {
  return new Callers(catalog.users, { ...optionsOf(), ...options })
}

function optionsOf(): CallersOptions {
  return {
    now: () => catalog.clock.nowMs,
    keysMax: 100,
    requestsPerSecond: 0,
    burstRequests: 1,
    localToken: undefined,
    onKeyRefused: () => undefined,
    onRateLimited: () => undefined,
  }
}

let names = 0
async function create(role: Role = 'user') {
  const name = `c${++names}`
  const { apikey, userId } = await catalog.users.createUser({ name, role, ifNotExists: false })
  return { name, userId, apikey: apikey ?? '' }
}

const unauthorized = { code: 'UNAUTHORIZED', status: 401 }
const unitsRun = () => catalog.engine.counters.unitsRun

describe('A3: a key', () => {
  test('tells who the caller is, and nothing else does', async () => {
    const { name, userId, apikey } = await create()
    const caller = await open().authenticate(apikey)
    const roleOid = (await catalog.users.findByName(name))?.roleOid
    expect(caller).toMatchObject({ name, userId, role: 'user', readOnly: false })
    expect(caller.identity).toEqual({ roleOid, userId, readOnly: false })
    expect(Object.isFrozen(caller) && Object.isFrozen(caller.identity)).toBe(true)
  })

  test('that may only read says so', async () => {
    const { name } = await create()
    const { apikey, keyId } = await catalog.users.createKey({ name, readOnly: true })
    const caller = await open().authenticate(apikey)
    expect(caller).toMatchObject({ keyId, readOnly: true, identity: { readOnly: true } })
  })

  test('that is known costs the engine nothing', async () => {
    const { apikey } = await create()
    const callers = open()
    const first = await callers.authenticate(apikey)
    const before = unitsRun()
    for (let request = 0; request < 100; request++)
      expect(await callers.authenticate(apikey)).toBe(first)
    expect(unitsRun()).toBe(before)
  })

  test('A7: opens many requests at once', async () => {
    const { apikey, userId } = await create()
    const callers = open()
    const found = await Promise.all(Array.from({ length: 50 }, () => callers.authenticate(apikey)))
    expect(found.every((caller) => caller.userId === userId)).toBe(true)
  })
})

describe('A5: is unauthorized:', () => {
  test('an unknown key', async () => {
    await expect(open().authenticate(randomKey(randomBytes))).rejects.toMatchObject(unauthorized)
  })

  test('an unknown key, which costs the engine one look-up in ten seconds', async () => {
    const callers = open()
    const key = randomKey(randomBytes)
    const ask = () => expect(callers.authenticate(key)).rejects.toMatchObject(unauthorized)
    const asked = catalog.clock.nowMs
    try {
      await ask()
      const before = unitsRun()
      catalog.clock.nowMs = asked + 9_999
      await ask()
      expect(unitsRun()).toBe(before)
      catalog.clock.nowMs = asked + 10_000
      await ask()
      expect(unitsRun()).toBe(before + 1)
    } finally {
      catalog.clock.nowMs = asked
    }
  })

  test('only the last auth.key_cache_entries unknown keys are remembered', async () => {
    const callers = open({ keysMax: 2 })
    const keys = [1, 2, 3].map(() => randomKey(randomBytes))
    for (const key of keys) await callers.authenticate(key).catch(() => undefined)
    const before = unitsRun()
    for (const key of keys.slice(1)) await callers.authenticate(key).catch(() => undefined)
    expect(unitsRun()).toBe(before)
    await callers.authenticate(keys[0] ?? '').catch(() => undefined)
    expect(unitsRun()).toBe(before + 1)
  })

  test('an unknown key until it is made, and not after', async () => {
    const { name } = await create()
    const random = (bytes: number) => Buffer.alloc(bytes, 7)
    const key = randomKey(random)
    const users = new Users(catalog.queries, { random, now: () => catalog.clock.nowMs })
    const same = new Callers(users, optionsOf())
    await expect(same.authenticate(key)).rejects.toMatchObject(unauthorized)
    expect((await users.createKey({ name, readOnly: false })).apikey).toBe(key)
    expect(await same.authenticate(key)).toMatchObject({ name })
  })

  test('text that is no key, without asking the engine', async () => {
    const before = unitsRun()
    for (const text of ['', 'kal_', 'x'.repeat(1_000_000), "' or true --", 'kal_\0'])
      await expect(open().authenticate(text)).rejects.toMatchObject(unauthorized)
    expect(unitsRun()).toBe(before)
  })

  test('a key from the moment it expires on, remembered or not', async () => {
    const { name } = await create()
    const { apikey } = await catalog.users.createKey({ name, expires: '1 hour', readOnly: false })
    const callers = open()
    const made = catalog.clock.nowMs
    try {
      catalog.clock.nowMs = made + 3_600_000 - 1
      await callers.authenticate(apikey)
      catalog.clock.nowMs += 1
      await expect(callers.authenticate(apikey)).rejects.toMatchObject(unauthorized)
      await expect(open().authenticate(apikey)).rejects.toMatchObject(unauthorized)
    } finally {
      catalog.clock.nowMs = made
    }
  })

  test('a key that was revoked, from the next request on', async () => {
    const { apikey } = await create()
    const callers = open()
    const { keyId } = await callers.authenticate(apikey)
    await catalog.users.revokeKey(keyId)
    await expect(callers.authenticate(apikey)).rejects.toMatchObject(unauthorized)
  })

  test('a key whose owner was dropped or got another', async () => {
    const callers = open()
    const [dropped, rotated] = [await create(), await create()]
    await callers.authenticate(dropped.apikey)
    await callers.authenticate(rotated.apikey)
    await catalog.users.dropUser(dropped.name, { ifExists: false })
    const { apikey } = await catalog.users.rotateKey(rotated.name)
    await expect(callers.authenticate(dropped.apikey)).rejects.toMatchObject(unauthorized)
    await expect(callers.authenticate(rotated.apikey)).rejects.toMatchObject(unauthorized)
    expect((await callers.authenticate(apikey ?? '')).userId).toBe(rotated.userId)
  })

  test('a key that is revoked while many ask for it, for everybody who asks after', async () => {
    for (let round = 0; round < 20; round++) {
      const { name, apikey } = await create()
      const callers = open()
      const asking = Array.from({ length: 5 }, () => callers.authenticate(apikey))
      const rotating = catalog.users.rotateKey(name)
      const late = Array.from({ length: 5 }, () => callers.authenticate(apikey))
      await Promise.allSettled([...asking, rotating, ...late])
      await expect(callers.authenticate(apikey)).rejects.toMatchObject(unauthorized)
    }
  })
})

describe('I2: a proof by SCRAM', () => {
  const proven = async (callers: Callers, keyId: string, onEnd = () => undefined) =>
    (await callers.enterProven(keyId, onEnd)).caller

  test('is checked with what there is of each key that was not revoked, under one salt', async () => {
    const { name, apikey } = await create()
    const [second, third] = [
      await catalog.users.createKey({ name, readOnly: true }),
      await catalog.users.createKey({ name, readOnly: false }),
    ]
    await catalog.users.revokeKey(third.keyId)
    const callers = open()
    const { salt, iterations, keys } = await callers.scramSecrets(name)
    expect(iterations).toBe(4096)
    const [own, other] = await Promise.all(
      [apikey, second.apikey].map((key) => scramKeys(key, salt)),
    )
    const { keyId } = await callers.authenticate(apikey)
    expect(new Map(keys.map((key) => [key.keyId, key]))).toEqual(
      new Map([
        [keyId, { keyId, ...own }],
        [second.keyId, { keyId: second.keyId, ...other }],
      ]),
    )
    expect((await proven(callers, second.keyId)).readOnly).toBe(true)
    await expect(proven(callers, third.keyId)).rejects.toMatchObject(unauthorized)
  })

  test('of root is that of the local token as well, which no change of keys ends', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'kalam-callers-'))
    const localToken = await openLocalToken({ dataDir, random: randomBytes })
    const callers = open({ localToken })
    const { salt, keys } = await callers.scramSecrets('root')
    const token = readFileSync(join(dataDir, 'admin.token'), 'utf8')
    expect(keys[0]).toEqual({ keyId: 'local', ...(await scramKeys(token, salt)) })
    expect(await proven(callers, 'local')).toMatchObject({ name: 'root', role: 'admin' })
    expect((await open().scramSecrets('root')).keys).toMatchObject([{ keyId: 'nobody' }])
    rmSync(dataDir, { recursive: true })
  })

  test('for a name that nobody has is asked under a salt of its own, the same each time', async () => {
    const { name } = await create()
    const secrets = async (of: string) => open().scramSecrets(of)
    const [known, unknown, again, other] = await Promise.all(
      [name, 'nobody', 'nobody', 'no\0body'].map(secrets),
    )
    // One key to look at, as somebody has who has one; nobody proves it.
    expect(known?.keys).toHaveLength(1)
    expect(unknown).toMatchObject({ iterations: known?.iterations, keys: [{ keyId: 'nobody' }] })
    await expect(proven(open(), 'nobody')).rejects.toMatchObject(unauthorized)
    expect(again).toEqual(unknown)
    const salts = [known, unknown, other].map((one) => Buffer.from(one?.salt ?? []).toString('hex'))
    expect(new Set(salts.map((salt) => salt.length))).toEqual(new Set([32]))
    expect(new Set(salts).size).toBe(3)
  })

  test('holds no longer than its key, and tells its owner when it ends', async () => {
    const { name } = await create()
    const expiring = await catalog.users.createKey({ name, readOnly: false, expires: '1 hour' })
    const { keyId } = await catalog.users.createKey({ name, readOnly: false })
    const callers = open()
    const ended: string[] = []
    await callers.enterProven(keyId, ({ code }) => ended.push(code))
    await catalog.users.revokeKey(keyId)
    expect(ended).toEqual(['UNAUTHORIZED'])
    catalog.clock.nowMs += 3_600_000
    await expect(proven(callers, expiring.keyId)).rejects.toMatchObject({
      ...unauthorized,
      message: 'the API key has expired',
    })
  })
})

describe('A4: a role', () => {
  test('that changes counts from the next request on', async () => {
    const { name, apikey } = await create()
    const callers = open()
    const before = await callers.authenticate(apikey)
    await catalog.users.setRole(name, 'admin')
    const after = await callers.authenticate(apikey)
    expect([before.role, after.role]).toEqual(['user', 'admin'])
    expect(after.identity.roleOid).not.toBe(before.identity.roleOid)
  })

  test('of their own is used once a GRANT has named the user', async () => {
    const { name, apikey } = await create()
    const callers = open()
    const before = await callers.authenticate(apikey)
    await catalog.users.roleOfUser(name)
    const after = await callers.authenticate(apikey)
    expect(after.identity.roleOid).not.toBe(before.identity.roleOid)
  })
})

describe('C6: requests per second', () => {
  test('are counted for each key, only when it opens', async () => {
    const [first, second] = [await create(), await create()]
    const callers = open({ requestsPerSecond: 1, burstRequests: 2 })
    await callers.authenticate(first.apikey)
    await callers.authenticate(first.apikey)
    await expect(callers.authenticate(first.apikey)).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      fields: { retryAfterS: 1 },
    })
    await callers.authenticate(second.apikey)
  })
})

describe('A3: EXECUTE AS', () => {
  const roles = ['user', 'service', 'admin'] as const
  const allowed = new Set(['service user', 'admin user', 'admin service'])
  const cases = roles.flatMap((by) => roles.map((target) => ({ by, target })))

  test.each(cases)('by a $by for a $target', async ({ by, target }) => {
    const callers = open()
    const caller = await callers.authenticate((await create(by)).apikey)
    const { name, userId } = await create(target)
    const acting = callers.callerFor(caller, name)
    if (!allowed.has(`${by} ${target}`)) {
      await expect(acting).rejects.toMatchObject({ code: 'FORBIDDEN' })
      return
    }
    const roleOid = (await catalog.users.findByName(name))?.roleOid
    expect(await acting).toEqual({
      ...{ userId, name, role: 'user', keyId: caller.keyId, readOnly: false },
      identity: { userId, roleOid, readOnly: false },
    })
  })

  test('keeps a key that may only read from writing', async () => {
    const service = await create('service')
    const { apikey } = await catalog.users.createKey({ name: service.name, readOnly: true })
    const callers = open()
    const acting = await callers.callerFor(
      await callers.authenticate(apikey),
      (await create()).name,
    )
    expect(acting).toMatchObject({ readOnly: true, identity: { readOnly: true } })
  })

  test('of nobody is not found, and of a dropped user no more', async () => {
    const callers = open()
    const caller = await callers.authenticate((await create('service')).apikey)
    const { name } = await create()
    await callers.callerFor(caller, name)
    const before = unitsRun()
    await callers.callerFor(caller, name)
    expect(unitsRun()).toBe(before)
    await catalog.users.dropUser(name, { ifExists: false })
    for (const nobody of [name, '', 'no\0body'])
      await expect(callers.callerFor(caller, nobody)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('of a user who became an admin is forbidden at once', async () => {
    const callers = open()
    const caller = await callers.authenticate((await create('service')).apikey)
    const { name } = await create()
    await callers.callerFor(caller, name)
    await catalog.users.setRole(name, 'admin')
    await expect(callers.callerFor(caller, name)).rejects.toMatchObject({ code: 'FORBIDDEN' })
  })
})

describe('A6: the token of this machine', () => {
  test('is the admin root, and no other server’s token is', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'kalamdb-token-'))
    const localToken = await openLocalToken({ dataDir, random: randomBytes })
    try {
      const token = readFileSync(join(dataDir, 'admin.token'), 'utf8')
      const caller = await open({ localToken }).authenticate(token)
      expect(caller).toMatchObject({ userId: 'root', name: 'root', role: 'admin', keyId: 'local' })
      await expect(open().authenticate(token)).rejects.toMatchObject(unauthorized)
    } finally {
      await localToken.close()
      rmSync(dataDir, { recursive: true })
    }
  })
})
