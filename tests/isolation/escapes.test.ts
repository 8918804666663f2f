/**
 * A3: the key decides who the caller is, whatever SQL, headers or parameters say. Each attempt is
 * judged three times: its answer, what it leaked, and whether the next caller's world and the
 * admin's are as before.
 */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  forbiddenStatements,
  forbiddenToReaders,
  singleAttempts,
  type Attempt,
  type Outcome,
} from './escape-cases.js'
import { openWorld, secrets, type Answer, type SqlCall, type World } from './escape-world.js'

let world: World
let untouched: string

beforeAll(async () => {
  world = await openWorld()
  await world.restoreAlice()
  untouched = await world.fingerprint()
})
afterAll(() => world.server.close())
beforeEach(() => world.restoreAlice())

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

describe('forbidden at every moment', () => {
  test.each(forbiddenStatements)('%s', async (sql) => {
    for (const { name, as, call, outcome } of moments) {
      const answer = await world.ask(world.keys[as], call(sql))
      judge(answer, outcome, `${name}: ${sql}`)
      expect(await world.fingerprint(), `after, ${name}: ${sql}`).toBe(untouched)
    }
  })
})

describe('a read-only key', () => {
  test.each(forbiddenToReaders)('%s', async (sql) => {
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

describe('one by one', () => {
  test.each(singleAttempts)('$as: $title', async ({ title, as, outcome, ...call }) => {
    const answer = await world.ask(world.keys[as], call)
    judge(answer, outcome, title)
    expect(await world.fingerprint()).toBe(untouched)
  })
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
      world.ask(alice, { sql: "SET TimeZone = 'Asia/Tokyo'; CREATE TEMP TABLE diary (note text)" }),
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
    const { rows } = await world.ask(world.keys.alice, { sql: 'SELECT current_user, kalam.uid()' })
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

async function admin(sql: string): Promise<Answer> {
  const answer = await world.ask(world.keys.admin, { sql })
  if (answer.status !== 200) throw new Error(`${sql}: ${answer.text}`)
  return answer
}
