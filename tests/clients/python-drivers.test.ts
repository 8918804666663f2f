/** I1: psycopg 3 and asyncpg of Debian; the checks are in Python, one process for each caller. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clients, isMissing } from '../support/postgres-clients.js'
import { runProgram } from '../support/run-program.js'
import { libpqEnv, openWireServer, type WireServer } from '../support/wire-server.js'

const script = join(import.meta.dirname, 'python-drivers-checks.py')
const names: readonly string[] =
  /^checks = \((.*?)^\)/ms.exec(readFileSync(script, 'utf8'))?.[1]?.match(/\w+/g) ?? []

/** What each check answered, by its name. */
async function runChecks(
  env: Readonly<Record<string, string>>,
): Promise<ReadonlyMap<string, string>> {
  const { stdout, stderr } = await runProgram(clients.python, [script], { env })
  expect(stderr).toBe('')
  return new Map(
    stdout.split('\n').map((line) => {
      const [name = '', ...rest] = line.split(' ')
      return [name, rest.join(' ')]
    }),
  )
}

describe.skipIf(isMissing('python', 'psycopg3', 'asyncpg'))('psycopg 3 and asyncpg', () => {
  let server: WireServer
  let answers: ReadonlyMap<string, ReadonlyMap<string, string>>
  beforeAll(async () => {
    server = await openWireServer()
    await server.sql(`
      CREATE SCHEMA app;
      CREATE TYPE app.mood AS ENUM ('sad', 'happy');
      CREATE USER TABLE app.todos (id serial PRIMARY KEY, title text NOT NULL, done boolean)`)
    const alice = libpqEnv(await server.createUser('alice'))
    answers = new Map([
      ['an admin', await runChecks(server.env)],
      ['a user', await runChecks(alice)],
    ])
  })
  afterAll(() => server.close())

  test.each(['an admin', 'a user'])('%s', (who) => {
    expect(Object.fromEntries(answers.get(who) ?? [])).toMatchObject(
      Object.fromEntries(names.map((name) => [name, 'ok'])),
    )
  })
})
