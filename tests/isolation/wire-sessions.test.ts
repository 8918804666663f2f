/**
 * I3, I5: sessions of the Postgres wire know nothing of each other. What a session can leave in the
 * one backend × what happens to it then × the ways in which others look, all over real sockets.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  WireClient,
  cancelOf,
  errorOf,
  frame,
  tagsOf,
  type WireLogin,
  type WireMessage,
} from '../support/raw-wire-client.js'
import { openTestServer, type TestServer, type TestServerOptions } from '../support/server.js'
import { enterSocket, type Received, type TestSocket } from '../support/socket-client.js'
import {
  schemaOfStates,
  sessionStates,
  transactionStates,
  type SessionState,
  type TransactionState,
} from './session-states.js'

/** Nobody waits for its end. */
const endless = 'SELECT count(*) FROM (SELECT generate_series(1, 4000000000)) n'
const pollOptions = { timeout: 20_000, interval: 5 }
/** Far above what a round trip takes, far below what a transaction may be idle for. */
const lockTimeoutMs = 25

/** A client that is in. */
class Session {
  readonly client: WireClient
  readonly #cancel: Uint8Array
  readonly #port: number

  private constructor(client: WireClient, port: number, cancel: Uint8Array) {
    this.client = client
    this.#port = port
    this.#cancel = cancel
  }

  static async enter({ wirePort }: TestServer, login: WireLogin): Promise<Session> {
    const client = await WireClient.connect({ port: wirePort })
    const greeting = await client.logIn(login)
    return new Session(client, wirePort, cancelOf(greeting))
  }

  /** A Query, or messages up to Sync: the first value that comes, or the SQLSTATE. */
  async run(message: string | Uint8Array): Promise<string> {
    this.client.send(typeof message === 'string' ? query(message) : message)
    return answerOf(await this.client.upTo('Z'))
  }

  /** The same, where nothing may fail. */
  async must(message: string | Uint8Array): Promise<void> {
    this.client.send(typeof message === 'string' ? query(message) : message)
    const error = (await this.client.upTo('Z')).find(({ tag }) => tag === 'E')
    if (error === undefined) return
    const sent = typeof message === 'string' ? message : Buffer.from(message).toString()
    throw new Error(`${JSON.stringify(errorOf(error))} for ${JSON.stringify(sent)}`)
  }

  /** The command tags, and SQLSTATEs, in order. */
  async tags(sql: string): Promise<readonly string[]> {
    return (await this.client.query(sql)).flatMap(({ tag, body }) => {
      if (tag === 'C') return [body.toString('utf8', 0, body.length - 1)]
      return tag === 'E' ? [errorOf({ tag, body }).code] : []
    })
  }

  /** Begins a statement that does not end by itself, and ends it by CancelRequest. */
  async cancelled(sql = endless): Promise<string> {
    const outcome = this.run(sql)
    const progress = { hasEnded: false }
    void outcome.catch(() => undefined).finally(() => (progress.hasEnded = true))
    // One that comes before the statement does nothing.
    while (!progress.hasEnded) {
      await using canceller = await WireClient.connect({ port: this.#port })
      canceller.send(this.#cancel)
      await canceller.closed()
    }
    return outcome
  }
}

const query = (sql: string) => frame('Q', `${sql}\0`)
const sync = frame('S')
const flush = frame('H')
const parse = (sql: string, name = '') => frame('P', `${name}\0${sql}\0\0\0`)
const bind = (name = '') => frame('B', `\0${name}\0\0\0\0\0\0\0`)
const execute = frame('E', '\0\0\0\0\0')

function answerOf(messages: readonly WireMessage[]): string {
  const error = messages.find(({ tag }) => tag === 'E')
  if (error !== undefined) return errorOf(error).code
  const heard = messages.filter(({ tag }) => tag === 'A').map(channelOf)
  if (heard.length > 0) return [...new Set(heard)].join()
  const row = messages.find(({ tag }) => tag === 'D' || tag === 'd')
  return row === undefined ? 'no row' : firstValueOf(row)
}

function firstValueOf({ tag, body }: WireMessage): string {
  if (tag === 'D') return body.toString('utf8', 6, 6 + body.readInt32BE(2))
  return body.toString('utf8').split(/[\t\n]/u)[0] ?? ''
}

/** Of a NotificationResponse: after the process id. */
function channelOf({ body }: WireMessage): string {
  return body.toString('utf8', 4, body.indexOf(0, 4))
}

/** The ways in which sessions look. */
const ways = {
  query: (sql: string) => query(sql),
  extended: (sql: string) => Buffer.concat([parse(sql), bind(), frame('D', 'P\0'), execute, sync]),
  copy: (sql: string) => query(`COPY (${sql}) TO STDOUT`),
} as const
type Way = keyof typeof ways

const isCopied = (sql: string) => sql.startsWith('SELECT')

type Seen = Readonly<Partial<Record<Way | 'http', string>>>

/** Cut after each test, for none to hold the engine after one that fails. */
const passing: Session[] = []
afterEach(() => {
  for (const { client } of passing.splice(0)) client.cut()
})

/** Who looks: a session for each way, and HTTP. */
interface Onlookers {
  readonly patient: Readonly<Record<Way, Session>>
  /** They wait for the engine for `lockTimeoutMs`, no longer. */
  readonly impatient: Readonly<Record<Way, Session>>
}

interface World {
  readonly server: TestServer
  readonly onlookers: Onlookers
  enter(): Promise<Session>
  /** All that others are answered. */
  look(sql: string): Promise<Seen>
  lookImpatiently(sql: string): Promise<Seen>
  close(): Promise<void>
}

async function openWorld(options: TestServerOptions): Promise<World> {
  const server = await openTestServer({
    settings: { 'postgres_wire.enabled': true, ...options.settings },
  })
  await server.sql(`${schemaOfStates}; CREATE NAMESPACE app;
    CREATE USER TABLE app.todos (id int PRIMARY KEY, title text)`)
  const key = await server.createUser('alice')
  await server.sql(`INSERT INTO app.todos VALUES (1, 'of alice')`, { key })
  const enter = () => Session.enter(server, { user: 'root', password: server.adminKey })
  const enterEach = async () => {
    const [first, second, third] = await Promise.all([enter(), enter(), enter()])
    return { query: first, extended: second, copy: third }
  }
  const onlookers = { patient: await enterEach(), impatient: await enterEach() }
  for (const session of Object.values(onlookers.impatient))
    await session.must(`SET lock_timeout = ${lockTimeoutMs}`)
  return {
    ...{ server, onlookers },
    enter: async () => {
      const session = await enter()
      passing.push(session)
      return session
    },
    look: async (sql) => {
      const http = isCopied(sql) ? overHttp(server, sql) : undefined
      const seen = await lookedAt(onlookers.patient, sql)
      return http === undefined ? seen : { ...seen, http: await http }
    },
    lookImpatiently: (sql) => lookedAt(onlookers.impatient, sql),
    close: () => server.close(),
  }
}

async function lookedAt(sessions: Readonly<Record<Way, Session>>, sql: string): Promise<Seen> {
  const [first, second, third] = await Promise.all([
    sessions.query.run(ways.query(sql)),
    sessions.extended.run(ways.extended(sql)),
    isCopied(sql) ? sessions.copy.run(ways.copy(sql)) : undefined,
  ])
  return { query: first, extended: second, ...(third === undefined ? {} : { copy: third }) }
}

async function overHttp(server: TestServer, sql: string): Promise<string> {
  const { body } = await server.request(sql, { rows: 'array' })
  if (body.error !== undefined) return body.error.sqlstate ?? body.error.code
  const [row] = body.results?.at(-1)?.rows ?? []
  return String(Object.values(row ?? {})[0])
}

/** All sessions that look at this are answered the same. */
function everySession(sql: string, answer: string): Seen {
  const same = { query: answer, extended: answer }
  return isCopied(sql) ? { ...same, copy: answer } : same
}

/** And so is HTTP. */
function everybody(sql: string, answer: string): Seen {
  const same = everySession(sql, answer)
  return isCopied(sql) ? { ...same, http: answer } : same
}

let world: World
/** It leaves the same as the session under test, with other values. */
let other: Session
beforeAll(async () => {
  world = await openWorld({
    settings: {
      // Longer than a request waits: who waits for one that ended by itself is told 55P03.
      'engine.lease_wait_ms': 10_000,
      'engine.idle_transaction_timeout_ms': 30_000,
      'engine.transaction_timeout_ms': 60_000,
    },
  })
  other = await world.enter()
  passing.pop()
})
afterAll(() => world.close())

async function figure(name: string): Promise<number> {
  const page = await (await fetch(`${world.server.url}/metrics`)).text()
  const [, value = '0'] = new RegExp(`^kalamdb_${name} (\\d+)$`, 'mu').exec(page) ?? []
  return Number(value)
}

/** `endless` runs. */
async function startEndless({ client }: Session): Promise<void> {
  const before = await figure('wire_units_total')
  client.send(query(endless))
  await expect.poll(() => figure('wire_units_total'), pollOptions).toBeGreaterThan(before)
}

interface Moment {
  readonly name: string
  readonly happen: (session: Session) => Promise<void> | void
  /** What the session has of its own afterwards. */
  readonly has: 'all' | 'nothing' | 'gone'
}

const moments: readonly Moment[] = [
  { name: 'it is idle', happen: () => undefined, has: 'all' },
  {
    name: 'a later transaction failed',
    happen: async (session) => {
      await session.must('BEGIN')
      expect(await session.run('SELECT 1/0')).toBe('22012')
      await session.must('ROLLBACK')
    },
    has: 'all',
  },
  {
    name: 'a CancelRequest ended its statement',
    happen: async (session) => expect(await session.cancelled()).toBe('57014'),
    has: 'all',
  },
  {
    name: 'it was cut',
    happen: ({ client }) => client.cut(),
    has: 'gone',
  },
  {
    name: 'it was cut while a statement ran',
    happen: async (session) => {
      await startEndless(session)
      session.client.cut()
    },
    has: 'gone',
  },
  { name: 'DISCARD ALL', happen: (session) => session.must('DISCARD ALL'), has: 'nothing' },
]

describe.each(sessionStates)('I3: $name', (state) => {
  test.each(moments)('is nobody else’s: $name', async ({ happen, has }) => {
    const session = await world.enter()
    await other.must('DISCARD ALL')
    await other.must(state.leave('others'))
    await session.must(state.leave('mine'))
    await happen(session)
    expect(await world.look(state.look)).toEqual(everybody(state.look, state.none))
    expect(await other.run(state.look)).toBe(state.own.others)
    if (has !== 'gone')
      expect(await session.run(state.look)).toBe(has === 'all' ? state.own.mine : state.none)
  })
})

interface End {
  readonly name: string
  /** Before others look. */
  readonly before?: (session: Session) => Promise<void>
  readonly happen: (session: Session) => Promise<void> | void
  readonly has: 'committed' | 'rolled back' | 'gone'
  /** Others are not to be answered while the transaction is open. */
  readonly isWaitedFor: boolean
}

const ends: readonly End[] = [
  {
    name: 'open, then COMMIT',
    happen: (session) => session.must('COMMIT'),
    has: 'committed',
    isWaitedFor: true,
  },
  {
    name: 'failed, then ROLLBACK',
    before: async (session) => expect(await session.run('SELECT 1/0')).toBe('22012'),
    happen: (session) => session.must('ROLLBACK'),
    has: 'rolled back',
    isWaitedFor: true,
  },
  {
    name: 'hit by a CancelRequest, then ROLLBACK',
    before: async (session) => expect(await session.cancelled()).toBe('57014'),
    happen: (session) => session.must('ROLLBACK'),
    has: 'rolled back',
    isWaitedFor: false,
  },
  { name: 'cut', happen: ({ client }) => client.cut(), has: 'gone', isWaitedFor: false },
]

interface LeftOpen extends TransactionState {
  /** What its own session is answered after the transaction, by its end. */
  readonly own: Readonly<Record<'committed' | 'rolled back', string>>
}

const leftOpen: readonly LeftOpen[] = [
  ...sessionStates.map((state) => leftInTransaction(state)),
  ...transactionStates.map((state) => ({
    ...state,
    own: { committed: state.committed ?? state.none, 'rolled back': state.none },
  })),
]

function leftInTransaction(state: SessionState): LeftOpen {
  const { name, look, none, own, outlivesRollback = false } = state
  return {
    ...{ name, look, none, begin: 'BEGIN', leave: state.leave('mine') },
    own: { committed: own.mine, 'rolled back': outlivesRollback ? own.mine : none },
  }
}

describe.each(leftOpen)('I3: in a transaction, $name', (state) => {
  beforeAll(() => other.must('DISCARD ALL'))

  test.each(ends)('holds others up and no more: $name', async (end) => {
    const session = await world.enter()
    await session.must(state.begin)
    await session.must(state.leave)
    await end.before?.(session)
    const waiting = world.look(state.look)
    if (end.isWaitedFor)
      expect(await world.lookImpatiently(state.look)).toEqual(everySession(state.look, '55P03'))
    await end.happen(session)
    const answer = end.has === 'committed' ? (state.committed ?? state.none) : state.none
    expect(await waiting).toEqual(everybody(state.look, answer))
    if (end.has !== 'gone') expect(await session.run(state.look)).toBe(state.own[end.has])
    if (end.has === 'committed' && state.undo !== undefined) await other.must(state.undo)
  })
})

describe('I3: when the engine’s deadline ends a transaction', () => {
  let brief: World
  const codes: string[] = []
  beforeAll(async () => {
    brief = await openWorld({ settings: { 'engine.idle_transaction_timeout_ms': 700 } })
    const inAndOutside = await brief.enter()
    for (const state of sessionStates) await inAndOutside.must(state.leave('mine'))
    const inside = await brief.enter()
    for (const session of [inAndOutside, inside]) {
      await session.must('BEGIN')
      if (session === inside)
        for (const { leave } of transactionStates)
          // The first statement of a transaction alone may say how it is isolated.
          if (!String(leave).startsWith('SET TRANSACTION')) await session.must(leave)
      // For whoever waits.
      await overHttp(brief.server, 'SELECT 1')
      const [last] = await session.client.closed()
      if (last !== undefined) codes.push(`${errorOf(last).severity} ${errorOf(last).code}`)
    }
  })
  afterAll(() => brief.close())

  test('its session is told why', () => {
    expect(codes).toEqual(['FATAL 25P03', 'FATAL 25P03'])
  })

  test.each([...sessionStates, ...transactionStates])('$name is gone with it', async (state) => {
    expect(await brief.look(state.look)).toEqual(everybody(state.look, state.none))
  })
})

test('I3: deadlines end one’s own transaction and one’s own wait, and nobody else’s', async () => {
  const own = await openWorld({
    settings: { 'engine.lease_wait_ms': 1000, 'engine.idle_transaction_timeout_ms': 4000 },
  })
  try {
    const session = await own.enter()
    await session.must('SET idle_in_transaction_session_timeout = 100')
    await session.must('BEGIN; INSERT INTO plain VALUES (1)')
    const count = 'SELECT count(*)::text FROM plain'
    const seen = own.look(count)
    seen.catch(() => undefined)
    const [last] = await session.client.closed()
    expect(last && errorOf(last)).toMatchObject({ severity: 'FATAL', code: '25P03' })
    expect(await seen).toEqual(everybody(count, '0'))
    // What the tables are must be asked anew: that is waited for as the engine is.
    const [ddl, impatient] = [await own.enter(), await own.enter()]
    await ddl.must('BEGIN; CREATE TABLE half (id int)')
    const cancelled = impatient.cancelled(count)
    expect(await overHttp(own.server, count)).toBe('55P03')
    expect(await cancelled).toBe('57014')
    ddl.client.cut()
  } finally {
    await own.close()
  }
})

test.each(['BEGIN', 'BEGIN; CREATE TABLE app.held (id int)'])(
  'I4: a CancelRequest ends the wait for another’s transaction: %s',
  async (begin) => {
    const holder = await world.enter()
    const waiting = await world.enter()
    await holder.must(begin)
    expect(await waiting.cancelled('SELECT count(*) FROM app.todos')).toBe('57014')
    await holder.must('ROLLBACK')
    expect(await waiting.run('SELECT count(*)::text FROM app.todos')).toBe('0')
  },
)

describe('I3: an advisory lock', () => {
  interface Lock {
    readonly name: string
    readonly call: string
    readonly begin?: string
  }
  const locks: readonly Lock[] = [
    { name: 'of a session', call: 'pg_advisory_lock' },
    { name: 'that was tried', call: 'pg_try_advisory_lock' },
    { name: 'that is shared', call: 'pg_advisory_lock_shared' },
    { name: 'of a session, taken in a transaction', call: 'pg_advisory_lock', begin: 'BEGIN' },
    { name: 'of a transaction', call: 'pg_advisory_xact_lock', begin: 'BEGIN' },
    { name: 'of a transaction, tried', call: 'pg_try_advisory_xact_lock', begin: 'BEGIN' },
  ]
  const isOfTransaction = ({ call }: Lock) => call.includes('_xact_')
  const happenings: readonly {
    readonly name: string
    readonly happen: (session: Session) => Promise<void> | void
    readonly keeps: (lock: Lock) => boolean
    /** Not in the turn of whoever looks next. */
    readonly isLater?: boolean
  }[] = [
    {
      name: 'COMMIT',
      happen: (session) => session.must('COMMIT'),
      keeps: (lock) => !isOfTransaction(lock),
    },
    {
      name: 'an error and ROLLBACK',
      happen: async (session) => {
        await session.run('SELECT 1/0')
        await session.must('ROLLBACK')
      },
      keeps: (lock) => !isOfTransaction(lock),
    },
    {
      name: 'a CancelRequest and ROLLBACK',
      happen: async (session) => {
        expect(await session.cancelled()).toBe('57014')
        await session.must('ROLLBACK')
      },
      keeps: (lock) => !isOfTransaction(lock),
    },
    {
      name: 'the cut of its session',
      happen: ({ client }) => client.cut(),
      keeps: () => false,
      isLater: true,
    },
    {
      name: 'DISCARD ALL',
      happen: async (session) => {
        await session.must('COMMIT')
        await session.must('DISCARD ALL')
      },
      keeps: () => false,
    },
  ]
  let lastKey = 0

  describe.each(locks)('$name', (lock) => {
    test.each(happenings)('after $name', async ({ happen, keeps, isLater = false }) => {
      const key = ++lastKey
      const onlooker = world.onlookers.patient.extended
      const tried = () => onlooker.run(ways.extended(`SELECT pg_try_advisory_lock(${key})`))
      const session = await world.enter()
      if (lock.begin !== undefined) await session.must(lock.begin)
      await session.must(`SELECT ${lock.call}(${key})`)
      await happen(session)
      const expected = keeps(lock) ? 'f' : 't'
      if (isLater) await expect.poll(tried, pollOptions).toBe(expected)
      else expect(await tried()).toBe(expected)
      await onlooker.must('SELECT pg_advisory_unlock_all()')
    })
  })

  test.each(['', 'named'])(
    'is waited for by what was prepared before a Flush: "%s"',
    async (name) => {
      const [holder, session] = [await world.enter(), await world.enter()]
      const key = ++lastKey
      await holder.must(`SELECT pg_advisory_lock(${key})`)
      session.client.send(parse(`SELECT pg_advisory_lock(${key})`, name), flush)
      expect((await session.client.next()).tag).toBe('1')
      session.client.send(bind(name), execute, sync)
      const waiting = `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`
      await expect.poll(() => holder.run(waiting), pollOptions).toBe('1')
      await holder.must('SELECT pg_advisory_unlock_all()')
      expect(tagsOf(await session.client.upTo('Z'))).toBe('2DCZ')
      expect(await holder.run(`SELECT pg_try_advisory_lock(${key})`)).toBe('f')
      // It is prepared still.
      if (name !== '')
        expect(await session.run(Buffer.concat([bind(name), execute, sync]))).toBe('')
    },
  )
})

describe('I3: the one backend’s own', () => {
  test.each(['pg_prepared_statements', 'pg_cursors', 'pg_listening_channels()'])(
    '%s, of all sessions, are for nobody',
    async (list) => {
      const count = `SELECT count(*)::text FROM ${list}`
      expect(await world.look(count)).toEqual(everybody(count, '42501'))
    },
  )

  test('temporary schemas open their tables to their session alone', async () => {
    const session = await world.enter()
    await session.must(`CREATE TEMP TABLE by_schema AS SELECT 'mine'::text AS whose`)
    const schema = await session.run(
      `SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = 'by_schema'`,
    )
    const look = `SELECT whose FROM ${schema}.by_schema`
    expect(await session.run(look)).toBe('mine')
    expect(Object.values(await world.look(look))).not.toContain('mine')
    expect(await session.run(look)).toBe('mine')
  })

  test('a temporary table hides a managed one of its name from its session alone', async () => {
    const session = await world.enter()
    await session.must('CREATE TEMP TABLE kept (a int, b int)')
    const count = 'SELECT count(*)::text FROM kept INCLUDE DELETED'
    expect(await world.look(count)).toEqual(everybody(count, '1'))
    expect(await session.run('INSERT INTO kept VALUES (1, 2) RETURNING b')).toBe('2')
    expect(await session.run(count)).toBe('0A000')
    await world.server.sql('CREATE TABLE public.another ()')
    expect(await session.run(count)).toBe('0A000')
    await session.must('DROP TABLE kept')
    expect(await session.run(count)).toBe('1')
  })

  // Statistics hold values, and all users have their temporary tables as one role.
  test('ANALYZE passes over temporary tables of others', async () => {
    const session = await world.enter()
    await session.must(`CREATE TEMP TABLE analysed AS SELECT 'mine'::text AS whose`)
    expect(await session.run('SELECT whose FROM analysed')).toBe('mine')
    await other.must('ANALYZE')
    const look = `SELECT count(*)::text FROM pg_stats WHERE tablename = 'analysed'`
    expect(await world.look(look)).toEqual(everybody(look, '0'))
    await session.must('INSERT INTO analysed VALUES (NULL); ANALYZE')
    expect(await session.run(look)).toBe('1')
    expect(await session.run('SELECT count(*)::text FROM analysed')).toBe('2')
  })

  test('random numbers that one has seeded are not foretold to another', async () => {
    const session = await world.enter()
    const seeded = async () => {
      await session.must('SELECT setseed(0.5)')
      return session.run('SELECT random()::text')
    }
    const first = await seeded()
    expect(await seeded()).toBe(first)
    await session.must('SELECT setseed(0.5)')
    const look = 'SELECT random()::text'
    expect(Object.values(await world.look(look))).not.toContain(first)
    expect(await session.run(look)).toBe(first)
    await world.server.sql('SELECT setseed(0.5)')
    expect(Object.values(await world.look(look))).not.toContain(first)
    const seededOverHttp = await overHttp(world.server, `SELECT setseed(0.5); ${look}`)
    expect(seededOverHttp).toBe(first)
    expect(Object.values(await world.look(look))).not.toContain(first)
  })
})

describe('I3: messages of two sessions that take turns', () => {
  test.each([
    ['the unnamed statement', ''],
    ['one name', 'same'],
  ])('%s is another in each', async (_title, name) => {
    const [one, two] = [await world.enter(), await world.enter()]
    const run = Buffer.concat([bind(name), execute, sync])
    await one.must(Buffer.concat([parse(`SELECT 'one'`, name), sync]))
    await two.must(Buffer.concat([parse(`SELECT 'two'`, name), sync]))
    for (let turn = 0; turn < 2; turn++) {
      expect(await one.run(run)).toBe('one')
      expect(await two.run(run)).toBe('two')
      await world.look('SELECT 1::text')
    }
  })

  test('Parse while another is between Parse and Sync is taken at once, and meant', async () => {
    const [one, two] = [await world.enter(), await world.enter()]
    one.client.send(parse(`SELECT 'one'`), flush)
    expect((await one.client.next()).tag).toBe('1')
    two.client.send(parse(`SELECT 'two'`), sync)
    expect(tagsOf(await two.client.upTo('Z'))).toBe('1Z')
    two.client.send(bind(), execute, sync)
    expect(await one.run(Buffer.concat([bind(), execute, sync]))).toBe('one')
    expect(answerOf(await two.client.upTo('Z'))).toBe('two')
  })

  test('who is cut between Bind and Sync leaves nothing, and the engine', async () => {
    const session = await world.enter()
    session.client.send(parse('INSERT INTO plain VALUES (1)'), bind(), execute, flush)
    expect(tagsOf(await session.client.upTo('C'))).toBe('12C')
    const count = 'SELECT count(*)::text FROM plain'
    expect(await world.lookImpatiently(count)).toEqual(everySession(count, '55P03'))
    session.client.cut()
    expect(await world.look(count)).toEqual(everybody(count, '0'))
  })

  test('a COPY in a transaction that is cut leaves nothing, and the engine', async () => {
    const session = await world.enter()
    await session.must('BEGIN')
    session.client.send(query('COPY plain FROM STDIN'), frame('d', '1\n'))
    expect((await session.client.next()).tag).toBe('G')
    const count = 'SELECT count(*)::text FROM plain'
    const waiting = world.look(count)
    session.client.cut()
    expect(await waiting).toEqual(everybody(count, '0'))
  })
})

describe('I5: who asks', () => {
  const enter = async (user: string) =>
    Session.enter(world.server, { user, password: await world.server.createUser(user) })

  test('has rows of their own, deletes and recovers those alone', async () => {
    const [bob, carol] = [await enter('bob'), await enter('carol')]
    const titles = `SELECT coalesce(string_agg(title, ',' ORDER BY id), '') FROM app.todos`
    for (const [session, name] of [
      [bob, 'bob'],
      [carol, 'carol'],
    ] as const)
      await session.must(`INSERT INTO app.todos VALUES (1, '${name} one'), (2, '${name} two')`)
    expect(await bob.tags(`UPDATE app.todos SET title = 'bob three' WHERE id = 1`)).toEqual([
      'UPDATE 1',
    ])
    expect(await carol.tags('DELETE FROM app.todos')).toEqual(['DELETE 2'])
    for (const way of Object.values(ways)) {
      expect(await bob.run(way(titles))).toBe('bob three,bob two')
      expect(await carol.run(way(titles))).toBe('')
    }
    expect(await bob.tags('UNDELETE FROM app.todos')).toEqual(['UNDELETE 0'])
    expect(await carol.tags('UNDELETE FROM app.todos WHERE id = 2')).toEqual(['UNDELETE 1'])
    expect(await carol.run(titles)).toBe('carol two')
    expect(await bob.run('SET row_security = off')).toBe('42501')
  })

  test('is the same after EXECUTE AS, in a pipeline, a transaction and after its error', async () => {
    const session = await world.enter()
    const uid = 'SELECT kalam.uid()'
    const own = await session.run(uid)
    const asAlice = `EXECUTE AS 'alice' (SELECT title FROM app.todos)`
    expect(await session.run(asAlice)).toBe('of alice')
    expect(await session.run(uid)).toBe(own)
    session.client.send(parse(asAlice), bind(), execute, parse(uid), bind(), execute, sync)
    const rows = (await session.client.upTo('Z')).filter(({ tag }) => tag === 'D')
    expect(rows.map(firstValueOf)).toEqual(['of alice', own])
    await session.must('BEGIN')
    expect(await session.run(asAlice)).toBe('of alice')
    expect(await session.run(uid)).toBe(own)
    expect(await session.run(`EXECUTE AS 'alice' (SELECT 1/0)`)).toBe('22012')
    await session.must('ROLLBACK')
    expect(await session.run(uid)).toBe(own)
    expect(await session.run('SELECT count(*)::text FROM app.todos')).toBe('0')
  })
})

describe('I5: a live query over the socket', () => {
  async function follow(socket: TestSocket, sql: string): Promise<void> {
    socket.send({ type: 'subscribe', id: 1, sql })
    await socket.nextOf('ready')
  }

  async function changes(socket: TestSocket, count: number): Promise<readonly unknown[]> {
    const all: unknown[] = []
    while (all.length < count) {
      const message: Received = await socket.nextOf('changes')
      all.push(...(message['changes'] as unknown[]))
    }
    return all
  }

  test('sees all that is written over the wire, once and in order', async () => {
    const session = await world.enter()
    await session.must(`CREATE SHARED TABLE app.watched (id int PRIMARY KEY, title text)`)
    await using socket = await enterSocket(world.server)
    await follow(socket, 'SELECT id, title FROM app.watched')
    expect(await session.tags(`INSERT INTO app.watched VALUES (1, 'a')`)).toEqual(['INSERT 0 1'])
    await session.must(`BEGIN`)
    await session.must(`INSERT INTO app.watched VALUES (9, 'never')`)
    await session.must('ROLLBACK')
    expect(await session.tags(`UPDATE app.watched SET title = 'b'`)).toEqual(['UPDATE 1'])
    expect(await session.tags('DELETE FROM app.watched')).toEqual(['DELETE 1'])
    expect(await session.tags('UNDELETE FROM app.watched')).toEqual(['UNDELETE 1'])
    await session.must(
      Buffer.concat([query('COPY app.watched FROM STDIN'), frame('d', '2\tc\n'), frame('c')]),
    )
    await session.must('BEGIN')
    await session.must(`INSERT INTO app.watched VALUES (3, 'd')`)
    await session.must('COMMIT')
    await session.must('DELETE FROM app.watched WHERE id < 3')
    expect(await session.tags('TRUNCATE app.watched')).toEqual(['TRUNCATE TABLE'])
    await session.must(`INSERT INTO app.watched VALUES (4, 'e')`)
    expect(await changes(socket, 10)).toEqual([
      ['i', [1], [1, 'a']],
      ['u', [1], [1, 'b']],
      ['d', [1]],
      ['i', [1], [1, 'b']],
      ['i', [2], [2, 'c']],
      ['i', [3], [3, 'd']],
      ['d', [1]],
      ['d', [2]],
      ['d', [3]],
      ['i', [4], [4, 'e']],
    ])
  })

  test('of a USER table sees what its own user writes', async () => {
    const key = await world.server.createUser('dora')
    const session = await Session.enter(world.server, { user: 'dora', password: key })
    await using socket = await enterSocket(world.server, { key })
    await follow(socket, 'SELECT id FROM app.todos')
    await other.must(`DISCARD ALL`)
    await other.must(`INSERT INTO app.todos VALUES (70, 'of root')`)
    await session.must(`INSERT INTO app.todos VALUES (71, 'of dora')`)
    expect(await session.tags('DELETE FROM app.todos')).toEqual(['DELETE 1'])
    expect(await changes(socket, 2)).toEqual([
      ['i', [71], [71]],
      ['d', [71]],
    ])
    await other.must('DELETE FROM app.todos')
  })
})

test('I3: nothing of all who came is left', async () => {
  await other.must('DISCARD ALL')
  const temporary = `SELECT count(*)::text FROM pg_class WHERE relpersistence = 't'`
  await expect.poll(() => other.run(temporary), pollOptions).toBe('0')
})
