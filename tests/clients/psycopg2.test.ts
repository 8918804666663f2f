/** I1: psycopg2 of Debian; the checks are in Python, one process for all. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clients, isMissing } from '../support/postgres-clients.js'
import { runProgram } from '../support/run-program.js'
import { openWireServer, type WireServer } from '../support/wire-server.js'

const script = join(import.meta.dirname, 'psycopg2-checks.py')
const names = /^checks = \((.*?)^\)/ms.exec(readFileSync(script, 'utf8'))?.[1]?.match(/\w+/g)

describe.skipIf(isMissing('python', 'psycopg2'))('psycopg2', () => {
  let server: WireServer
  let answers: ReadonlyMap<string, string>
  beforeAll(async () => {
    server = await openWireServer()
    await server.sql(`
      CREATE SCHEMA app;
      CREATE USER TABLE app.todos (id integer PRIMARY KEY, title text NOT NULL)`)
    const { stdout, stderr } = await runProgram(clients.python, [script], { env: server.env })
    expect(stderr).toBe('')
    answers = new Map(
      stdout.split('\n').map((line) => {
        const [name = '', ...rest] = line.split(' ')
        return [name, rest.join(' ')]
      }),
    )
  })
  afterAll(() => server.close())

  test.each(names ?? [])('%s', (name) => {
    expect(answers.get(name)).toBe('ok')
  })
})
