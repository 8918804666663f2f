/**
 * The Postgres wire beside native PostgreSQL: random messages, Queries of several statements among
 * them, and what each says of them, message for message.
 */
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { countOf, seed } from '../support/counts.js'
import {
  nativePostgresMissing,
  openNativePostgres,
  type NativePostgres,
} from '../support/native-postgres.js'
import { randomFrom, type Random } from '../support/random.js'
import {
  WireClient,
  errorOf,
  frame,
  startupPacket,
  type WireMessage,
} from '../support/raw-wire-client.js'
import { openTestServer, type TestServer } from '../support/server.js'

const missing = nativePostgresMissing()
if (missing !== undefined) console.log(`skipped, the wire against native PostgreSQL: ${missing}`)

interface Sent {
  readonly text: string
  readonly bytes: Buffer
}

const noValues = '\0\0\0\0\0\0'
const query = (sql: string): Sent => ({ text: `Q ${sql}`, bytes: frame('Q', `${sql}\0`) })
const sync: Sent = { text: 'S', bytes: frame('S') }
const parse = (name: string, sql: string): Sent => ({
  text: `P[${name}] ${sql}`,
  bytes: frame('P', `${name}\0${sql}\0\0\0`),
})
const bind = (portal: string, name: string): Sent => ({
  text: `B[${portal},${name}]`,
  bytes: frame('B', `${portal}\0${name}\0${noValues}`),
})
const execute = (portal: string, rowsMax: number): Sent => ({
  text: `E[${portal},${rowsMax}]`,
  bytes: frame('E', `${portal}\0\0\0\0${String.fromCharCode(rowsMax)}`),
})
const named = (tag: 'D' | 'C', target: 'S' | 'P', name: string): Sent => ({
  text: `${tag}${target}[${name}]`,
  bytes: frame(tag, `${target}${name}\0`),
})

/** Nothing of which the answer is another in PostgreSQL 15 than in 18. */
const statements = [
  ...['select 1', 'values (1), (2)', 'select generate_series(1, 5)', 'select * from t order by 1'],
  ...['insert into t values (1)', 'insert into t values (2) returning a', 'delete from t'],
  ...['update t set a = a + 10', 'truncate t', 'copy (select 5) to stdout'],
  ...['select 1 / 0', 'select nope', 'selec', '', 'explain (costs off) select 1'],
  ...['begin', 'begin read only', 'start transaction', 'commit'],
  ...['rollback', 'abort', 'commit and chain', 'rollback and chain'],
  ...['savepoint a', 'savepoint b', 'rollback to a', 'rollback to b', 'release a'],
  ...['insert into u values (1)', 'insert into later values (7)'],
  ...['set constraints all immediate', 'set constraints all deferred'],
  ...['fetch 2 from c', 'move 1 from c', 'move all from c', 'close c'],
  ...['declare h cursor with hold for select generate_series(1, 4)', 'fetch 1 from h', 'close h'],
  ...['close all', "set datestyle = 'german'", "set local datestyle = 'sql, dmy'"],
  ...['show datestyle', 'reset datestyle', 'set transaction read only'],
  ...['discard plans', 'discard all'],
  ...['prepare q as select 42', 'execute q', 'deallocate q', 'deallocate all'],
  ...['listen ch', 'unlisten ch', 'notify ch', "notify ch, 'y'", "select pg_notify('ch', 'x')"],
  ...['create temp table own (a int)', 'insert into own values (9)', 'select * from own'],
  ...['drop table own', 'create table made (a int)', 'drop table if exists made'],
  ...['alter table t add column if not exists b int', 'analyze t', 'do $$begin perform 1; end$$'],
]

/** PostgreSQL 18 makes a pipeline a transaction block after its first statement, 15 does not. */
const statementsOfQueries = [
  ...[...statements, 'lock table t', 'declare c cursor for select generate_series(1, 4)'],
  ...['vacuum t', 'do $$begin commit; end$$'],
]
const names = ['', 's1', 's2', 'q']
const portals = ['', 'p1', 'p2', 'c', 'h']

/** Kinds of messages as often as they are to come, of twenty. */
function message(random: Random): Sent {
  const kind = random.below(20)
  if (kind < 4) return parse(random.of(names), random.of(statements))
  if (kind < 8) return bind(random.of(portals), random.of(names))
  if (kind < 11) return execute(random.of(portals), random.of([0, 0, 1, 2]))
  if (kind < 13) {
    const target = random.of(['S', 'P'] as const)
    return named(random.of(['D', 'C']), target, random.of(target === 'S' ? names : portals))
  }
  if (kind < 15) return sync
  if (kind < 16) return { text: 'H', bytes: frame('H') }
  if (kind < 17) return query(random.of(statements))
  const several = Array.from({ length: 2 + random.below(4) }, () => random.of(statementsOfQueries))
  return query(several.join('; '))
}

const schema = `create table t (a int); create table u (a int primary key);
  create table later (a int references u deferrable initially deferred)`
const between = ['rollback', 'discard all', 'truncate t, u, later; drop table if exists made']
const end = 'the end of a round'

/** What is said to messages, and nothing left behind. */
async function answersTo(client: WireClient, sent: readonly Sent[]): Promise<readonly string[]> {
  const last = [sync, query('rollback'), query(`select '${end}'`)]
  client.send(...[...sent, ...last].map(({ bytes }) => bytes))
  const answers: WireMessage[] = []
  do answers.push(await client.next())
  while (!answers.at(-1)?.body.includes(end))
  await client.upTo('Z')
  for (const sql of [...between, 'alter table t drop column if exists b']) await client.query(sql)
  return answers.flatMap(inShort)
}

/** In a failed transaction PostgreSQL has the unnamed portal of the Query that failed, and ours another. */
const alike = new Map([
  ['34000', '25P02'],
  ['55000', '25P02'],
])

/** Of errors the code: their texts have changed since PostgreSQL 15. */
function inShort(said: WireMessage, at: number, all: readonly WireMessage[]): string[] {
  const { tag, body } = said
  // Ours is described before it runs, PostgreSQL's when its first row comes: see ADR 0019.
  if (
    tag === 'N' ||
    (tag === 'T' && all.slice(at + 1).find((next) => next.tag !== 'N')?.tag === 'E')
  )
    return []
  if (tag === 'E') return [`E ${alike.get(errorOf(said).code) ?? errorOf(said).code}`]
  return ['C', 'D', 'S', 'Z'].includes(tag) ? [`${tag} ${body.toString('latin1')}`] : [tag]
}

describe.skipIf(missing !== undefined)('random messages', () => {
  let server: TestServer
  let native: NativePostgres
  beforeAll(async () => {
    ;[server, native] = await Promise.all([
      openTestServer({ settings: { 'postgres_wire.enabled': true } }),
      openNativePostgres(),
    ])
  })
  afterAll(() => Promise.all([server.close(), native.close()]))

  const openOurs = async (): Promise<WireClient> => {
    const client = await WireClient.connect({ port: server.wirePort })
    await client.logIn({ user: 'root', password: server.adminKey })
    return client
  }
  const openTheirs = async (): Promise<WireClient> => {
    const { host, port, user, database } = native
    const client = new WireClient(connect({ path: `${host}/.s.PGSQL.${port}` }))
    client.send(startupPacket({ user, database }))
    await client.upTo('Z')
    return client
  }

  test('are answered as native PostgreSQL answers them', { timeout: 1_800_000 }, async () => {
    await using ours = await openOurs()
    await using theirs = await openTheirs()
    for (const client of [ours, theirs]) await client.query(schema)
    const random = randomFrom(seed)
    for (let left = 100 * countOf('KALAM_TEST_DIFFERENTIAL_FACTOR', 1); left > 0; left--) {
      const sent = Array.from({ length: 3 + random.below(12) }, () => message(random))
      const [said, expected] = await Promise.all([answersTo(ours, sent), answersTo(theirs, sent)])
      expect(said, sent.map(({ text }) => text).join(' · ')).toEqual(expected)
    }
  })
})
