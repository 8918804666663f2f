/**
 * A3: the key decides who the caller is, whatever SQL, headers or parameters say. Each attempt is
 * judged three times: its answer, what it leaked, and whether the next caller's world and the
 * admin's are as before.
 */
import { createHash, randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  allowedOnManaged,
  forbiddenOnManaged,
  forbiddenStatements,
  forbiddenToAdmins,
  forbiddenToAdminsOnManaged,
  forbiddenToReaders,
  forbiddenToReadersOnManaged,
  singleAttempts,
  type Attempt,
  type Outcome,
} from './escape-cases.js'
import {
  openWorld,
  secrets,
  type Answer,
  type SqlCall,
  type World,
  type WorldKind,
} from './escape-world.js'

const refused = {
  kind: 'denied',
  codes: ['FORBIDDEN', 'STATEMENT_REFUSED'],
} as const satisfies Outcome

/** When and where a forbidden statement is tried. */
interface Moment {
  readonly name: string
  readonly as: Attempt['as']
  readonly call: (sql: string) => SqlCall
  readonly outcome: Outcome
}

const moments: readonly Moment[] = [
  { name: 'alone', as: 'alice', call: (sql) => ({ sql }), outcome: refused },
  {
    name: 'in other clothes',
    as: 'alice',
    call: (sql) => ({ sql: `/* SELECT 1; /* */ */\n${sql.replaceAll(' ', '\n\t')} -- ;` }),
    outcome: refused,
  },
  {
    name: 'in a transaction of the request',
    as: 'alice',
    call: (sql) => ({ sql: `SELECT 1; ${sql}`, transaction: true }),
    outcome: refused,
  },
  {
    name: 'in a transaction of the text',
    as: 'alice',
    call: (sql) => ({ sql: `BEGIN; SAVEPOINT a; ${sql}; COMMIT` }),
    outcome: refused,
  },
  {
    name: 'with an Idempotency-Key',
    as: 'alice',
    call: (sql) => ({ sql, headers: { 'idempotency-key': randomUUID() } }),
    outcome: refused,
  },
  {
    name: 'streamed',
    as: 'alice',
    call: (sql) => ({ sql, headers: { accept: 'application/x-ndjson' } }),
    outcome: { kind: 'denied', codes: ['FORBIDDEN', 'STATEMENT_REFUSED', 'BAD_REQUEST'] },
  },
  {
    name: 'explained',
    as: 'alice',
    call: (sql) => ({ sql: `EXPLAIN ${sql}` }),
    outcome: { kind: 'harmless' },
  },
  { name: 'by a service', as: 'service', call: (sql) => ({ sql }), outcome: refused },
  {
    name: 'by a service for alice',
    as: 'service',
    call: (sql) => ({ sql: `EXECUTE AS 'alice' (${sql})` }),
    outcome: { kind: 'denied', codes: ['FORBIDDEN', 'STATEMENT_REFUSED', 'SYNTAX_ERROR'] },
  },
  {
    name: 'with a read-only key',
    as: 'alice, read-only',
    call: (sql) => ({ sql }),
    outcome: refused,
  },
]

/** Every attempt on tables of that kind. */
export function testEscapes(kind: WorldKind): void {
  const isManaged = kind === 'managed'
  const forbidden = isManaged
    ? [
        ...forbiddenStatements.filter((sql) => !allowedOnManaged.includes(sql)),
        ...forbiddenOnManaged,
      ]
    : forbiddenStatements
  const readers = [...forbiddenToReaders, ...(isManaged ? forbiddenToReadersOnManaged : [])]
  const admins = [...forbiddenToAdmins, ...(isManaged ? forbiddenToAdminsOnManaged : [])]
  let world: World
  let untouched: string
  let untouchedForNext: string

  beforeAll(async () => {
    world = await openWorld(kind)
    await world.restoreAlice()
    untouched = await world.fingerprint()
    untouchedForNext = await world.nextCallersFingerprint()
  })
  afterAll(() => world.server.close())
  beforeEach(() => world.restoreAlice())

  describe('forbidden at every moment', () => {
    test.each(forbidden)('%s', async (sql) => {
      for (const { name, as, call, outcome } of moments) {
        const answer = await world.ask(world.keys[as], call(sql))
        judge(answer, outcome, `${name}: ${sql}`)
        const next = await world.nextCallersFingerprint()
        expect(next, `after, ${name}: ${sql}`).toBe(untouchedForNext)
      }
      expect(await world.fingerprint(), `after ${sql}`).toBe(untouched)
    })
  })

  describe('a read-only key', () => {
    test.each(readers)('%s', async (sql) => {
      for (const transaction of [false, true]) {
        const answer = await world.ask(world.keys['alice, read-only'], { sql, transaction })
        judge(
          answer,
          { kind: 'denied', codes: [...refused.codes, 'BAD_REQUEST', 'QUERY_REJECTED'] },
          sql,
        )
      }
      const diary = await world.ask(world.keys.alice, { sql: 'SELECT note FROM diary' })
      expect(diary.rows).toEqual([['alice writes']])
      expect(await world.fingerprint()).toBe(untouched)
    })
  })

  describe('an admin', () => {
    const denied: Outcome = {
      kind: 'denied',
      codes: [...refused.codes, 'QUERY_REJECTED', 'NOT_FOUND', 'SYNTAX_ERROR'],
    }
    test.each(admins)('%s', async (sql) => {
      for (const transaction of [false, true]) {
        const answer = await world.ask(world.keys.admin, { sql, transaction })
        judge(answer, denied, sql)
        expect(await world.fingerprint(), sql).toBe(untouched)
      }
    })
  })

  describe('one by one', () => {
    test.each(singleAttempts)(
      '$as: $title',
      async ({ title, as, outcome, managedOutcome, ...call }) => {
        const answer = await world.ask(world.keys[as], call)
        judge(answer, isManaged ? (managedOutcome ?? outcome) : outcome, title)
        expect(await world.fingerprint()).toBe(untouched)
      },
    )
  })

  describe('what one caller leaves, the next does not find', () => {
    test.each([
      ["SELECT nextval('tickets')", 'SELECT lastval()'],
      ["SELECT nextval('tickets')", "SELECT currval('tickets')"],
      [
        'BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT note FROM diary; COMMIT',
        'BEGIN; FETCH ALL FROM c; COMMIT',
      ],
      ['CREATE TEMP TABLE left_behind (id int)', 'SELECT * FROM left_behind'],
      ['CREATE TEMP TABLE left_behind (id int)', 'SELECT * FROM pg_temp.left_behind'],
      ['BEGIN; SAVEPOINT a', 'ROLLBACK TO a'],
    ])('%s, then %s', async (before, after) => {
      await world.ask(world.keys.bob, { sql: before })
      const answer = await world.ask(world.keys.alice, { sql: after })
      expect(answer.status, answer.text).toBeGreaterThanOrEqual(400)
      expect(await world.fingerprint()).toBe(untouched)
    })
  })

  describe('statements that are shared', () => {
    test.each(['SELECT * FROM vault', 'SELECT * FROM bobs_board', "SELECT nextval('numbers') < 0"])(
      'a plan made for the admin does not serve alice: %s',
      async (sql) => {
        await world.ask(world.keys.admin, { sql: "SELECT setval('numbers', 1)" })
        for (let time = 0; time < 3; time += 1) {
          expect((await world.ask(world.keys.admin, { sql })).status).toBe(200)
          judge(await world.ask(world.keys.alice, { sql }), refused, sql)
        }
        await world.ask(world.keys.admin, { sql: "SELECT setval('numbers', 1)" })
        expect(await world.fingerprint()).toBe(untouched)
      },
    )

    test('callers at once, with one text, each get their own rows', async () => {
      const { alice, bob, service } = world.keys
      const callers = [
        { key: alice, rows: [['alice writes']] },
        { key: bob, rows: [['bob writes']] },
        { key: service, rows: [] },
      ]
      const asked = Array.from({ length: 50 }).flatMap(() =>
        callers.map(async ({ key, rows }) => {
          const answer = await world.ask(key, {
            sql: 'SELECT note FROM diary WHERE id > $1',
            params: [0],
          })
          expect(answer.rows).toEqual(rows)
        }),
      )
      const disturbed = Array.from({ length: 20 }, () =>
        world.ask(alice, {
          sql: "SET TimeZone = 'Asia/Tokyo'; CREATE TEMP TABLE diary (note text)",
        }),
      )
      await Promise.all([...asked, ...disturbed])
      expect(await world.fingerprint()).toBe(untouched)
    })

    test('an Idempotency-Key of another replays nothing of theirs', async () => {
      const call = { sql: 'SELECT note FROM diary', headers: { 'idempotency-key': 'shared-key' } }
      expect((await world.ask(world.keys.bob, call)).rows).toEqual([['bob writes']])
      expect((await world.ask(world.keys.alice, call)).rows).toEqual([['alice writes']])
      expect((await world.ask(world.keys.bob, call)).rows).toEqual([['bob writes']])
    })
  })

  describe('deferred triggers run as the caller at every kind of commit', () => {
    beforeAll(async () => {
      const statements = [
        'CREATE TABLE parcel (id int)',
        'CREATE TABLE carrier (name text, uid text)',
        `CREATE FUNCTION carry() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN INSERT INTO carrier VALUES (current_user, kalam.uid()); RETURN NULL; END $$`,
        `CREATE CONSTRAINT TRIGGER late AFTER INSERT ON parcel DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW EXECUTE FUNCTION carry()`,
        'GRANT INSERT ON parcel, carrier TO user',
      ]
      for (const sql of statements) await admin(sql)
      untouched = await world.fingerprint()
    })

    test.each<[string, Omit<SqlCall, 'sql'>, string]>([
      ['by itself', {}, 'INSERT INTO parcel VALUES (1)'],
      ['in a transaction', { transaction: true }, 'INSERT INTO parcel VALUES (1); SELECT 1'],
      ['in BEGIN … COMMIT', {}, 'BEGIN; INSERT INTO parcel VALUES (1); COMMIT'],
      ['with a key', { headers: { 'idempotency-key': 'carry' } }, 'INSERT INTO parcel VALUES (1)'],
      [
        'with a key, in a transaction',
        { transaction: true, headers: { 'idempotency-key': 'carry-both' } },
        'INSERT INTO parcel VALUES (1); SELECT 1',
      ],
    ])('%s', async (_title, options, sql) => {
      await admin('TRUNCATE carrier')
      const { rows } = await world.ask(world.keys.alice, {
        sql: 'SELECT current_user, kalam.uid()',
      })
      const answer = await world.ask(world.keys.alice, { ...options, sql })
      expect(answer.status, answer.text).toBe(200)
      expect((await admin('SELECT * FROM carrier')).rows).toEqual(rows)
      expect(await world.fingerprint()).toBe(untouched)
    })
  })

  describe('the system’s own SQL inside a caller’s session', () => {
    beforeAll(async () => {
      const statements = [
        'CREATE TABLE trapped (name text)',
        `CREATE FUNCTION trap() RETURNS void LANGUAGE sql AS 'INSERT INTO public.trapped VALUES (current_user)'`,
        `CREATE FUNCTION convert_to(text, text) RETURNS bytea LANGUAGE plpgsql
           AS $$ BEGIN PERFORM public.trap(); RETURN ''; END $$`,
        `CREATE FUNCTION same(oid, oid) RETURNS boolean LANGUAGE plpgsql
           AS $$ BEGIN PERFORM public.trap(); RETURN oideq($1, $2); END $$`,
        'CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = same)',
        "CREATE TYPE mood AS ENUM ('sad', 'glad')",
      ]
      for (const sql of statements) await admin(sql)
      untouched = await world.fingerprint()
    })

    test('does not run functions on the caller’s search_path', async () => {
      const call = {
        sql: "SET LOCAL search_path = public, pg_catalog; SELECT 'sad'::mood",
        transaction: true,
        headers: { 'idempotency-key': 'trap' },
      }
      for (const replayed of [false, true]) {
        const answer = await world.ask(world.keys.admin, call)
        expect(answer.rows, answer.text).toEqual([['sad']])
        expect(answer.text.includes('"replayed":true')).toBe(replayed)
      }
      expect((await admin('SELECT * FROM trapped')).rows).toEqual([])
    })

    test('leaves the caller’s search_path as it was', async () => {
      const answer = await admin(
        "SET search_path = pg_catalog, public; SELECT 'glad'::mood; SHOW search_path",
      )
      expect(answer.rows).toEqual([['pg_catalog, public']])
    })

    test('does not see the caller’s temporary types', async () => {
      const answer = await world.ask(world.keys.alice, {
        sql: `CREATE TEMP TABLE interval (a int); CREATE TEMP TABLE float8 (a int);
              CREATE TEMP TABLE bytea (a int); SELECT 1`,
        transaction: true,
        headers: { 'idempotency-key': 'types' },
      })
      expect(answer.rows, answer.text).toEqual([[1]])
      expect(await world.fingerprint()).toBe(untouched)
    })
  })

  describe('the key alone opens the door', () => {
    const sql = 'SELECT name FROM system.users'

    test('two different keys are refused', async () => {
      const headers = { authorization: `Bearer ${world.keys.bob}` }
      const answer = await world.ask(world.keys.alice, { sql, headers })
      expect(answer.status, answer.text).toBe(400)
    })

    test('what the tables hold of a key is no key', async () => {
      const key = world.keys.bob
      const digest = createHash('sha256').update(key).digest()
      const shown = await world.ask(key, { sql: 'SELECT apikey FROM system.apikeys' })
      const hint = String(shown.rows[0]?.[0]).replace(/[^\w-]/g, '')
      const others = [digest.toString('hex'), digest.toString('base64url'), hint, hint.slice(0, 8)]
      const near = [key.slice(0, -1), `${key}x`, key.toUpperCase(), `kal_${'A'.repeat(43)}`, 'kal_']
      const injected = [
        "' OR '1'='1",
        'root',
        'postgres',
        'null',
        'undefined',
        '{}',
        `${key},${key}`,
      ]
      for (const wrong of [...others, ...near, ...injected])
        expect((await world.ask(wrong, { sql })).status, wrong).toBe(401)
    })

    // uWS closes a connection whose next request comes before the last is answered; what it does
    // answer must be the right caller's.
    test('requests in one packet are each their own caller’s, or closed', async () => {
      const calls = [world.keys.alice, world.keys.bob, world.keys.alice, world.keys.service]
      const answers = await askInOnePacket(calls, sql)
      const names = answers.flatMap((answer) => /"rows":\[\["(\w+)"\]\]/.exec(answer)?.[1] ?? [])
      expect(names).toEqual(['alice', 'bob', 'alice', 'courier'].slice(0, names.length))
      expect(await world.fingerprint()).toBe(untouched)
    })

    test.each(['BEGIN', "SET TimeZone = 'Asia/Tokyo'", 'CREATE TEMP TABLE diary (note text)'])(
      'a caller who leaves in the middle leaves nothing: %s',
      async (first) => {
        const leave = new AbortController()
        const call = { sql: `${first}; SELECT count(*) FROM generate_series(1, 1000000000)` }
        const left = world.ask(world.keys.alice, { ...call, signal: leave.signal })
        const behind = world.ask(world.keys.bob, { sql: 'SELECT note FROM diary' })
        leave.abort()
        await expect(left).rejects.toThrow()
        expect((await behind).rows).toEqual([['bob writes']])
        expect(await world.fingerprint()).toBe(untouched)
      },
    )

    /** Sends all at once over one connection; answers the bodies in the order they came. */
    async function askInOnePacket(keys: readonly string[], text: string): Promise<string[]> {
      const body = JSON.stringify({ sql: text, rows: 'array' })
      const head = `POST /v1/api/sql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n`
      const requests = keys.map(
        (key) => `${head}X-API-KEY: ${key}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      )
      const socket = connect(world.server.port, '127.0.0.1')
      socket.write(requests.join(''))
      let received = ''
      for await (const piece of socket) {
        received += String(piece)
        if (received.split('"took_ms"').length > keys.length) break
      }
      return received.split(/(?=HTTP\/1\.1 )/)
    }
  })

  describe('what an admin’s function leaves behind when a user calls it', () => {
    test.each([
      ['a setting', "PERFORM set_config('TimeZone', 'Asia/Tokyo', false)"],
      ['a search_path', "PERFORM set_config('search_path', 'pg_temp', false)"],
      ['a setting of SET', 'SET work_mem = 64'],
      ['a temporary table', 'CREATE TEMP TABLE diary (note text)'],
      ['a temporary type', 'CREATE TEMP TABLE text (a int)'],
      ['a cursor', "EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT note FROM public.diary'"],
      ['a prepared statement', "EXECUTE 'PREPARE p AS SELECT 1'"],
      ['a seed', 'PERFORM setseed(0.5)'],
    ])('%s', async (_title, body) => {
      await admin(`CREATE OR REPLACE FUNCTION leave() RETURNS int LANGUAGE plpgsql SECURITY DEFINER
        AS $$ BEGIN ${body}; RETURN 1; END $$`)
      const before = await world.fingerprint()
      const answer = await world.ask(world.keys.alice, { sql: 'SELECT leave()' })
      expect(answer.status, answer.text).toBeLessThan(500)
      expect(await world.fingerprint()).toBe(before)
      const note = await world.ask(world.keys.bob, { sql: 'SELECT note FROM diary' })
      expect(note.rows).toEqual([['bob writes']])
      const cursor = await world.ask(world.keys.bob, { sql: 'BEGIN; FETCH c; COMMIT' })
      expect(cursor.status).toBe(400)
      await admin('DROP FUNCTION leave()')
    })
  })

  describe('rights taken away', () => {
    test('REVOKE counts for the very next request', async () => {
      await admin("GRANT SELECT ON vault TO 'alice'")
      const sql = 'SELECT count(*) FROM vault'
      expect((await world.ask(world.keys.alice, { sql })).rows).toEqual([['1']])
      await admin("REVOKE SELECT ON vault FROM 'alice'")
      judge(await world.ask(world.keys.alice, { sql }), refused, sql)
    })

    test('a new user of an old name inherits neither rows nor rights', async () => {
      const first = await admin("CREATE USER 'carol'")
      await admin("GRANT SELECT ON vault TO 'carol'")
      const firstKey = String(first.rows[0]?.[3])
      await world.ask(firstKey, { sql: "INSERT INTO diary (note) VALUES ('first carol')" })
      await admin("DROP USER 'carol'")
      const second = await admin("CREATE USER 'carol'")
      const secondKey = String(second.rows[0]?.[3])
      expect(second.rows[0]?.[0]).not.toBe(first.rows[0]?.[0])
      expect((await world.ask(secondKey, { sql: 'SELECT note FROM diary' })).rows).toEqual([])
      judge(await world.ask(secondKey, { sql: 'TABLE vault' }), refused, 'TABLE vault')
      expect((await world.ask(firstKey, { sql: 'SELECT 1' })).status).toBe(401)
    })
  })

  async function admin(sql: string): Promise<Answer> {
    const answer = await world.ask(world.keys.admin, { sql })
    if (answer.status !== 200) throw new Error(`${sql}: ${answer.text}`)
    return answer
  }
}

/** The answer is as it should be and holds nobody's secret. */
function judge(answer: Answer, outcome: Outcome, attempt: string): void {
  for (const secret of secrets) expect(answer.text, attempt).not.toContain(secret)
  expect(answer.status, `${attempt}: ${answer.text}`).toBeLessThan(500)
  if (outcome.kind === 'denied') {
    expect(outcome.codes, `${attempt}: ${answer.text}`).toContain(answer.code)
  } else if (outcome.kind === 'rows') {
    expect(answer.status, `${attempt}: ${answer.text}`).toBe(200)
    expect(answer.rows, attempt).toEqual(outcome.rows)
  }
}
