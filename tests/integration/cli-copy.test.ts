/** COPY on the command line: standard input and output, files with \copy. F1, F2. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { kalam, type KalamOutcome } from '../support/kalam.js'
import { openTestServer, type TestServer } from '../support/server.js'

let server: TestServer
beforeAll(async () => {
  server = await openTestServer()
  await server.sql(`CREATE NAMESPACE app;
    CREATE USER TABLE app.todos (id integer PRIMARY KEY, title text)`)
})
afterAll(() => server.close())
beforeEach(() => server.sql('DELETE FROM app.todos'))

const csv = 'id,title\n1,milk\n2,"tea, green"\n'
const inTodos = 'COPY app.todos FROM STDIN WITH (FORMAT csv, HEADER)'
const outTodos = 'COPY app.todos TO STDOUT WITH (FORMAT csv, HEADER)'

function run(args: readonly string[], stdin?: string): Promise<KalamOutcome> {
  const options = { home: server.home, env: { KALAM_URL: server.url } }
  return kalam(args, stdin === undefined ? options : { ...options, stdin })
}

const pathOf = (name: string): string => join(server.home, name)

describe('COPY behind -c', () => {
  test('reads standard input and writes standard output', async () => {
    expect(await run(['-c', inTodos], csv)).toEqual({ exit: 0, stdout: 'COPY 2\n', stderr: '' })
    expect(await run(['-c', outTodos])).toEqual({ exit: 0, stdout: csv, stderr: '' })
    const json = await run(['--format', 'json', '-c', outTodos])
    expect(json).toEqual({ exit: 0, stdout: csv, stderr: '' })
  })

  test('stands among other statements, with the settings before it', async () => {
    const alice = await server.createUser('alice')
    await server.sql(`INSERT INTO app.todos VALUES (7, 'hers')`, { key: alice })
    const all = 'COPY app.todos (id, title) TO STDOUT'
    const args = ['-c', 'SET row_security = off', '-c', all, '-c', `SELECT 'done' AS x`]
    const { stdout, exit } = await run([...args, '--format', 'csv'])
    expect({ stdout, exit }).toEqual({ stdout: '7\thers\nx\r\ndone\r\n', exit: 0 })
  })

  test('tells what is wrong with the data, and where', async () => {
    const { exit, stderr } = await run(['-c', inTodos], 'id,title\n1,a\nx,b\n')
    expect(exit).toBe(1)
    expect(stderr).toContain('ERROR: invalid input syntax for type integer: "x" (22P02)')
    expect(stderr).toContain('CONTEXT: COPY todos, line 3, column id: "x"')
  })

  test('places an error in the statement as it was written', async () => {
    const sql = 'COPY app.todos TO STDOUT (FORMAT nope)'
    const { stderr } = await run(['-c', 'SET statement_timeout = 0', '-c', sql])
    expect(stderr).toContain(
      `LINE 1: ${sql}\n${' '.repeat('LINE 1: COPY app.todos TO STDOUT ('.length)}^`,
    )
  })

  test('says so when the data breaks off', async () => {
    const failing = `COPY (SELECT 1 / (g - 5000), repeat('x', 1000) FROM generate_series(1, 5001) g) TO STDOUT`
    const { exit, stderr } = await run(['-c', failing])
    expect({ exit, stderr }).toMatchObject({ exit: 3 })
    expect(stderr).toContain('the data broke off')
  })

  test.each([
    [['-f', '-'], `${inTodos};\n1\n`],
    [['-c', `BEGIN; ${outTodos}; COMMIT`], ''],
  ])('%j is refused, with the way to do it', async (args, stdin) => {
    const { exit, stderr } = await run(args, stdin)
    expect(exit).toBe(2)
    expect(stderr).toMatch(/goes behind -c|cannot stand in a transaction/u)
  })
})

describe('\\copy', () => {
  test('reads a file and writes one', async () => {
    writeFileSync(pathOf('in.csv'), csv)
    const [from, to] = [pathOf('in.csv'), pathOf('out file.csv')]
    const came = await run(['-c', `\\copy app.todos from ${from} with (format csv, header)`])
    expect(came).toEqual({ exit: 0, stdout: 'COPY 2\n', stderr: '' })
    const went = await run(['-c', `\\copy (SELECT * FROM app.todos ORDER BY id) to '${to}' csv`])
    expect(went).toEqual({
      exit: 0,
      stdout: '',
      stderr: `${readFileSync(to).length} bytes to ${to}\n`,
    })
    expect(readFileSync(to, 'utf8')).toMatch(/^1,milk,/u)
    const piped = await run(['-c', '\\copy app.todos (title) to stdout'])
    expect(piped.stdout).toBe('milk\ntea, green\n')
  })

  test('leaves a file as it was when there is no data', async () => {
    writeFileSync(pathOf('kept.csv'), 'kept')
    const { exit } = await run(['-c', `\\copy app.nowhere to '${pathOf('kept.csv')}'`])
    expect(exit).toBe(1)
    expect(readFileSync(pathOf('kept.csv'), 'utf8')).toBe('kept')
  })

  test.each([
    ["\\copy app.todos from '/nowhere/x'", 5, 'cannot read /nowhere/x: there is no such file'],
    ["\\copy app.todos from '/tmp'", 5, 'it is a folder'],
    ["\\copy app.todos to '/nowhere/x'", 5, 'cannot write /nowhere/x'],
    ["\\copy app.todos to program 'id'", 2, 'takes no PROGRAM'],
    ['\\copy app.todos', 2, 'usage: \\copy'],
  ])('%s', async (command, exit, message) => {
    const outcome = await run(['-c', command])
    expect(outcome.exit).toBe(exit)
    expect(outcome.stderr).toContain(message)
    expect(existsSync('/nowhere')).toBe(false)
  })
})
