/**
 * Generated queries × generated transactions, of several users at once, with receivers that go away
 * and come back: at each barrier the rows of every receiver are those of a fresh run.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Caller } from '#src/database/database.js'
import { countOf, seed } from '../../support/counts.js'
import type { TestReceiver } from '../../support/live.js'
import { watch } from '../../support/live.js'
import {
  freshRows,
  generateQuery,
  generateTransaction,
  Random,
  worldTables,
  type GeneratedQuery,
} from '../../support/live-world.js'
import { openTestServer, type TestServer } from '../../support/server.js'

const cases = countOf('KALAM_TEST_LIVE_CASES', 500)
const receiversAtOnce = 24
const transactionsPerRound = 5

let server: TestServer
let callers: readonly Caller[]

beforeAll(async () => {
  server = await openTestServer()
  await server.sql(worldTables)
  const keys = [await server.createUser('alice'), await server.createUser('bob')]
  callers = await Promise.all(keys.map((key) => server.database.authenticate(key)))
})
afterAll(() => server.close())

const ran = { well: 0, badly: 0 }

interface Subject {
  readonly query: GeneratedQuery
  readonly caller: Caller
  receiver: TestReceiver
  cases: number
}

test(
  'D2, D3, D5: every receiver has the rows of a fresh run, whatever happened',
  { timeout: 60_000 + cases * 500 },
  async () => {
    console.log(`seed ${seed}, ${cases} cases (KALAM_TEST_SEED, KALAM_TEST_LIVE_CASES)`)
    const random = new Random(seed)
    const subjects: Subject[] = []
    let done = 0
    while (done < cases) {
      while (subjects.length < receiversAtOnce) subjects.push(await newSubject(random))
      for (let count = 0; count < transactionsPerRound; count++) {
        await runTransaction(random)
        if (random.is(0.5)) await reconnect(random.one(subjects))
      }
      for (const subject of subjects) await compare(subject)
      done += subjects.length
      // Some go for good.
      for (let count = random.below(8); count > 0; count--)
        subjects.splice(random.below(subjects.length), 1)[0]?.receiver.close()
    }
    for (const { receiver } of subjects) receiver.close()
    expect(await faults()).toEqual(['0', '0'])
    expect(ran.well).toBeGreaterThan(ran.badly)
  },
)

/** What the auditor of deliveries has found: gaps and duplicates. */
async function faults(): Promise<readonly (string | undefined)[]> {
  const text = await (await fetch(`${server.url}/metrics`)).text()
  return ['gap', 'duplicate'].map(
    (kind) =>
      new RegExp(`^kalamdb_live_faults_total\\{kind="${kind}"\\} (\\d+)$`, 'm').exec(text)?.[1] ??
      '0',
  )
}

async function newSubject(random: Random): Promise<Subject> {
  const query = generateQuery(random)
  const caller = random.one(callers)
  const receiver = await open(query, caller)
  return { query, caller, receiver, cases: 0 }
}

function open(query: GeneratedQuery, caller: Caller, before?: TestReceiver): Promise<TestReceiver> {
  const from = before?.cursor
  const options = { params: query.params, ...(from === undefined ? {} : { from }) }
  return watch(server.database, caller, query.sql, options, before)
}

async function runTransaction(random: Random): Promise<void> {
  const caller = random.one(callers)
  const sql = generateTransaction(random)
  await server.database
    .run(
      caller,
      { sql, parameters: { single: [], each: undefined }, transaction: false },
      new AbortController().signal,
    )
    .then(() => (ran.well += 1))
    // Some are made to fail; what they did is undone.
    .catch(() => (ran.badly += 1))
}

/** Goes away without a word, and comes back with the rows and the cursor that it had. */
async function reconnect(subject: Subject): Promise<void> {
  const { receiver, query, caller } = subject
  if (!receiver.isReady) return
  receiver.close()
  expect(receiver.faults, query.sql).toEqual([])
  subject.receiver = await open(query, caller, receiver)
}

async function compare({ receiver, query, caller }: Subject): Promise<void> {
  const fresh = await freshRows(server.database, caller, query)
  const isSame = () =>
    receiver.isReady && JSON.stringify(receiver.sorted(query.ordered)) === JSON.stringify(fresh)
  await receiver.until(
    `${query.sql} ${JSON.stringify(query.params)} is ${JSON.stringify(fresh)}`,
    () => isSame() || receiver.ended !== undefined,
  )
  expect(receiver.ended, query.sql).toBeUndefined()
  expect(receiver.faults, query.sql).toEqual([])
}
