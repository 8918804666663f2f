/** I1: psycopg2 of Debian; the checks are in Python, one process for all. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clients, isMissing } from '../support/postgres-clients.js'
import { runProgram } from '../support/run-program.js'
import { libpqEnv, openWireServer, type WireServer } from '../support/wire-server.js'

const script = join(import.meta.dirname, 'psycopg2-checks.py')
const names: readonly string[] =
  /^checks = \((.*?)^\)/ms.exec(readFileSync(script, 'utf8'))?.[1]?.match(/\w+/g) ?? []
/** Those that make no tables. */
const ofUsers = [
  ...['values', 'server_side_cursors', 'two_named_cursors', 'notifications', 'cancelling', 'pools'],
  'settings_and_info',
]

/** What each check answered, by its name. */
async function runChecks(
  { server }: WireServer,
  env: Readonly<Record<string, string>>,
  wanted: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const args = [script, `${server.url}/metrics`, ...wanted]
  const { stdout, stderr } = await runProgram(clients.python, args, { env })
  expect(stderr).toBe('')
  return new Map(
    stdout.split('\n').map((line) => {
      const [name = '', ...rest] = line.split(' ')
      return [name, rest.join(' ')]
    }),
  )
}

describe.skipIf(isMissing('python', 'psycopg2'))('psycopg2', () => {
  let server: WireServer
  let asRoot: ReadonlyMap<string, string>
  let asUser: ReadonlyMap<string, string>
  beforeAll(async () => {
    server = await openWireServer()
    await server.sql(`
      CREATE SCHEMA app;
      CREATE USER TABLE app.todos (id integer PRIMARY KEY, title text NOT NULL)`)
    asRoot = await runChecks(server, server.env, names)
    asUser = await runChecks(server, libpqEnv(await server.createUser('alice')), ofUsers)
  })
  afterAll(() => server.close())

  test.each(names)('%s', (name) => {
    expect(asRoot.get(name)).toBe('ok')
  })

  test.each(ofUsers)('%s, as a user', (name) => {
    expect(asUser.get(name)).toBe('ok')
  })
})
