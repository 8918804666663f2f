/**
 * B2, SC2: users of one table know nothing of each other. Alice's script, random and curious, runs
 * where nobody else is, where bob works beside her, and where he has thousands of rows: every
 * answer must be the same, byte for byte. `KALAM_TEST_SEED` sets another.
 */
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { countOf, seed } from '../support/counts.js'
import { calls, probes, type Call } from './neighbour-statements.js'
import { openNeighbours } from './neighbour-world.js'

const requests = countOf('KALAM_TEST_NEIGHBOUR_REQUESTS', 250)
/** A server starts in seconds, and answers many requests in one, on a machine that is busy too. */
const timeoutMs = 120_000 + requests * 500
const aliceScript = fc.sample(calls('alice'), { seed, numRuns: requests })
const bobScript = fc.sample(calls('bob'), { seed: seed + 1, numRuns: requests })

/** What alice was answered, call by call, and what bob was. */
interface Transcript {
  readonly alice: readonly Exchange[]
  readonly bob: readonly Exchange[]
  readonly everything: Readonly<Record<'alice' | 'bob', string>>
  readonly bobsId: string
}

interface Exchange {
  readonly call: Call
  readonly answer: string
}

interface Neighbour {
  /** Before alice begins. */
  readonly prepare: readonly Call[]
  /** One beside each of hers. */
  readonly script: readonly Call[]
}

/**
 * What tells of others all the same, and is known to: how much they have or did, never what. Who
 * closes one takes it from this list.
 */
const knownTraces: readonly { readonly trace: string; readonly of: RegExp }[] = [
  {
    trace: 'objects that anybody makes, temporary ones too, are numbered in one row',
    of: /^CREATE TEMP TABLE mine \(id int\); SELECT oid/u,
  },
]

const nobody: Neighbour = { prepare: [], script: [] }
const busy: Neighbour = {
  prepare: [
    { sql: "INSERT INTO list (id, name) VALUES (1, 'a'), (2, 'bob two'), (3, 'b')" },
    {
      sql: "INSERT INTO todo (id, list_id, title) VALUES (1, 1, 'a'), (2, 1, 'bob two'), (9, 2, 'a')",
    },
    { sql: 'DELETE FROM todo WHERE id = 9' },
    { sql: 'CREATE TEMP TABLE his (id int PRIMARY KEY); INSERT INTO his VALUES (1)' },
  ],
  script: bobScript,
}
const large: Neighbour = {
  prepare: [
    { sql: "INSERT INTO list SELECT n, 'bob ' || n FROM generate_series(1, 500) n" },
    {
      sql: `INSERT INTO todo (id, list_id, title, amount, doc)
        SELECT n, n % 500 + 1, 'bob ' || n, 1, '{"a": 1}' FROM generate_series(1, 5000) n`,
    },
    { sql: 'DELETE FROM todo WHERE id % 3 = 0' },
  ],
  script: bobScript.toReversed(),
}

describe('what alice is answered', () => {
  let alone: Transcript
  let others: readonly (readonly [string, Transcript])[]
  beforeAll(async () => {
    alone = await live(nobody, aliceScript)
    others = [
      ['beside a busy bob', await live(busy, aliceScript)],
      ['beside a large bob', await live(large, aliceScript)],
    ]
    console.log(
      `neighbours: ${requests} random requests and ${probes.length} probes twice, in 3 worlds; seed ${seed}`,
    )
  }, timeoutMs)

  test('is the same, whoever else is there', () => {
    const all = others.map(([where, transcript]) => [
      where,
      differences(alone.alice, transcript.alice),
    ])
    expect(all, `seed ${seed}`).toEqual(others.map(([where]) => [where, []]))
  })

  test('leaves her with the same rows', () => {
    for (const [, { everything }] of others) expect(everything.alice).toBe(alone.everything.alice)
  })

  test('holds nothing of bob', () => {
    for (const [where, { alice, bobsId }] of others) {
      for (const { call, answer } of alice) {
        expect(answer, `${where}: ${call.sql}`).not.toContain(bobsId)
        expect(answer, `${where}: ${call.sql}`).not.toContain('<id of bob>')
        if (!call.sql.includes('bob')) expect(answer, `${where}: ${call.sql}`).not.toContain('bob')
      }
    }
  })

  test('includes successes and errors of all sorts', () => {
    const states = alone.alice.map(({ answer }) => /"sqlstate":"(\w+)"/u.exec(answer)?.[1] ?? 'ok')
    expect(states.filter((state) => state === 'ok').length).toBeGreaterThan(requests / 3)
    for (const state of ['23505', '23503', '23514', '42501', '22P02'])
      expect(states, `seed ${seed}`).toContain(state)
  })

  test('bob, too, is answered as if he were alone', { timeout: timeoutMs }, async () => {
    const beside = others[0]?.[1]
    const bobAlone = await live(busy, [])
    expect(differences(bobAlone.bob, beside?.bob ?? []), `seed ${seed}`).toEqual([])
    expect(beside?.everything.bob).toBe(bobAlone.everything.bob)
  })
})

/** A day beside that neighbour. Requests of both are under way at the same time. */
async function live(neighbour: Neighbour, script: readonly Call[]): Promise<Transcript> {
  const world = await openNeighbours()
  try {
    const alice: Exchange[] = []
    const bob: Exchange[] = []
    const askBob = async (call: Call | undefined) => {
      if (call !== undefined) bob.push({ call, answer: await world.ask('bob', call) })
    }
    const askAlice = async (call: Call | undefined) => {
      if (call !== undefined) alice.push({ call, answer: await world.ask('alice', call) })
    }
    const probeAll = async () => {
      if (script.length > 0) for (const sql of probes) await askAlice({ sql })
    }
    for (const call of neighbour.prepare) await askBob(call)
    for (let index = 0; index < requests; index += 1) {
      if (index === requests / 2) {
        await probeAll()
        await world.server.sql('ANALYZE; VACUUM todo')
      }
      await Promise.all([askBob(neighbour.script[index]), askAlice(script[index])])
    }
    await probeAll()
    if (script.length > 0) {
      for (const sql of await world.catalogProbes())
        alice.push({ call: { sql }, answer: rowsSorted(await world.ask('alice', { sql })) })
    }
    const everything = {
      alice: await world.everythingOf('alice'),
      bob: await world.everythingOf('bob'),
    }
    return { alice, bob, everything, bobsId: world.bobsId }
  } finally {
    await world.close()
  }
}

/** Of catalogs, whose rows have no order that every column allows to ask for. */
function rowsSorted(answer: string): string {
  const rows = /"rows":(\[.*\]),"row_count"/u.exec(answer)?.[1]
  if (rows === undefined) return answer
  const sorted = (JSON.parse(rows) as unknown[]).map((row) => JSON.stringify(row)).sort()
  return answer.replace(rows, () => `[${sorted.join(',')}]`)
}

const shownMax = 20
const contextLength = 160

/** The first calls that were answered otherwise, with the place where the answers part. */
function differences(expected: readonly Exchange[], actual: readonly Exchange[]): unknown[] {
  expect(actual.length).toBe(expected.length)
  return expected
    .flatMap(({ call, answer }, index) => {
      const other = actual[index]?.answer ?? ''
      const isKnown = knownTraces.some(({ of }) => of.test(call.sql))
      if (answer === other || isKnown) return []
      const parts = Array.from(answer).findIndex((letter, at) => letter !== other[at])
      const from = Math.max(0, parts - contextLength / 2)
      const near = (text: string) => text.slice(from, from + contextLength)
      return [{ call: JSON.stringify(call), alone: near(answer), beside: near(other) }]
    })
    .slice(0, shownMax)
}
