/** The interactive shell in a pseudo-terminal, against a real server. F1. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test } from 'vitest'
import { openTestServer, type TestServer } from '../support/server.js'
import { hasTerminal, openTerminal, type Terminal } from '../support/terminal.js'

if (!hasTerminal) console.log('skipped: the shell tests need `script` of util-linux')

const ready = 'kalam=> '

describe.skipIf(!hasTerminal)('the shell (F1)', () => {
  let server: TestServer
  let home: string
  let terminal: Terminal
  beforeAll(async () => {
    server = await openTestServer()
    await server.sql('CREATE TABLE todos (id int PRIMARY KEY, title text)')
    await server.sql("INSERT INTO todos VALUES (1, 'milk')")
  })
  afterAll(() => server.close())
  beforeEach(async () => {
    home = mkdtempSync(join(tmpdir(), 'kalam-shell-'))
    const env = { KALAM_URL: server.url, KALAM_API_KEY: server.adminKey }
    terminal = openTerminal([], { home, env })
    await terminal.until(ready)
  })
  afterEach(async () => {
    await terminal[Symbol.asyncDispose]()
    rmSync(home, { recursive: true })
  })

  /** Types a line and answers what is shown until the next prompt. */
  async function line(text: string, prompt = ready): Promise<string> {
    terminal.type(`${text}\r`)
    await terminal.until('\n')
    return terminal.until(prompt)
  }

  test('runs a statement of several lines, and shows errors without leaving', async () => {
    await line('SELECT id,', 'kalam-> ')
    expect(await line('title FROM todos;')).toContain('1 | milk')
    const error = await line('SELECT nope;')
    expect(error).toContain('ERROR: column "nope" does not exist (42703)')
    expect(error).toContain('LINE 1: SELECT nope')
    expect(await line('SELECT 1 AS one; SELECT 2 AS two;')).toMatch(/one[^]*two/)
  })

  test('\\copy writes and reads a file, and says what is wrong', async () => {
    const file = join(home, 'todos.csv')
    expect(await line(`\\copy todos to '${file}' csv`)).toContain(`7 bytes to ${file}`)
    expect(readFileSync(file, 'utf8')).toBe('1,milk\n')
    expect(await line(`\\copy todos from '${file}' csv`)).toContain('(23505)')
    expect(await line('COPY todos FROM STDIN;')).toContain('goes behind -c')
    expect(await line('COPY todos TO STDOUT;')).toContain('1\tmilk')
  })

  test('holds a transaction back and sends it whole', async () => {
    expect(await line('BEGIN;', 'kalam*> ')).toContain('sent as a whole')
    await line("INSERT INTO todos VALUES (2, 'held');", 'kalam*> ')
    expect((await server.sql('SELECT count(*)::int AS n FROM todos')).rows).toEqual([{ n: 1 }])
    expect(await line('ROLLBACK;')).toMatch(/BEGIN\s+INSERT 1\s+ROLLBACK/)
    expect((await server.sql('SELECT count(*)::int AS n FROM todos')).rows).toEqual([{ n: 1 }])
  })

  test('keeps what SET says for the session', async () => {
    await line("SET TimeZone = 'Asia/Tokyo';")
    expect(await line('SHOW TimeZone;')).toContain('Asia/Tokyo')
  })

  test('Ctrl-C forgets what was typed, a held transaction too', async () => {
    terminal.type('SELECT 1,')
    terminal.type('\x03')
    await terminal.until('^C')
    await terminal.until(ready)
    await line('BEGIN;', 'kalam*> ')
    terminal.type('\x03')
    await terminal.until(ready)
    expect(await line('SELECT 3 AS three;')).toContain('three')
  })

  test('D9: SUBSCRIBE TO shows rows as they change, until Ctrl-C', async () => {
    terminal.type('SUBSCRIBE TO todos WHERE id > 10;\r')
    await terminal.until('(0 rows)')
    await server.sql("INSERT INTO todos VALUES (11, 'live')")
    await terminal.until('+ 11 | live')
    await server.sql('DELETE FROM todos WHERE id = 11')
    await terminal.until('- 11 |')
    terminal.type('\x03')
    await terminal.until(ready)
    expect(await line('SUBSCRIBE TO SELECT now();')).toContain('ERROR')
    expect(await line('SELECT 4 AS four;')).toContain('four')
  })

  test('Ctrl-C cancels what is running', async () => {
    terminal.type(
      'WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r;\r',
    )
    await terminal.until('\n')
    terminal.type('\x03')
    await terminal.until('cancelled')
    await terminal.until(ready)
    expect(await line('SELECT 1 AS again;')).toContain('again')
  })

  test.each(['\x04', '\\q\r', 'exit\r', 'quit\r'])('%j leaves with 0', async (keys) => {
    terminal.type(keys)
    expect(await terminal.ended).toBe(0)
  })

  test('meta commands', async () => {
    expect(await line('\\?')).toContain('\\timing')
    expect(await line('\\dt')).toContain('todos')
    expect(await line('\\d todos')).toMatch(/title\s+\| text/)
    expect(await line('\\dn')).toContain('public')
    expect(await line('\\du')).toContain('root')
    expect(await line('\\conninfo')).toContain(server.url)
    expect(await line('\\nope')).toContain('unknown command')
    expect(await line('\\format')).toContain('usage')
  })

  test('\\x, \\timing and \\format change what is shown', async () => {
    await line('\\x')
    expect(await line('SELECT 1 AS a;')).toContain('-[ RECORD 1 ]')
    await line('\\timing')
    expect(await line('SELECT 1 AS a;')).toMatch(/Time: [\d.]+ ms/)
    await line('\\format json')
    expect(await line('SELECT 1 AS a;')).toContain('"rows":[{"a":1}]')
  })

  test('\\i runs a file, and says where it fails', async () => {
    const file = join(home, 'a.sql')
    writeFileSync(file, 'SELECT 5 AS five;\nSELECT nope;')
    const shown = await line(`\\i ${file}`)
    expect(shown).toContain('five')
    expect(shown).toContain(`${file}:2:8: ERROR`)
    expect(await line('\\i /nonexistent')).toContain('no such file')
  })

  test('\\watch repeats until Ctrl-C', async () => {
    await line('SELECT 7 AS seven;')
    terminal.type('\\watch 0.1\r')
    await terminal.until('(1 row)')
    await terminal.until('(1 row)')
    terminal.type('\x03')
    await terminal.until(ready)
  })

  test('\\c talks to another server, and stays if there is none', async () => {
    expect(await line('\\c http://127.0.0.1:9')).toContain('cannot reach')
    expect(await line('SELECT 1 AS here;')).toContain('here')
    expect(await line(`\\c ${server.url}`)).toContain('KalamDB')
  })

  test('Tab completes keywords and names', async () => {
    terminal.type('SELECT title FROM tod\t')
    await terminal.until('todos')
    terminal.type(';\r')
    expect(await terminal.until(ready)).toContain('milk')
  })

  test('the history is kept for the next time, without lines that hold a key', async () => {
    await line('SELECT 1 AS kept;')
    await line("SELECT 'kal_abcdefghijklmnopqrstuvwxyz';")
    terminal.type('\\q\r')
    await terminal.ended
    const path = join(home, '.kalam', 'history')
    expect(existsSync(path)).toBe(true)
    expect(readFileSync(path, 'utf8')).toBe('SELECT 1 AS kept;\n\\q\n')
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  test('the arrow up never brings a key back', async () => {
    await line('SELECT 1 AS kept;')
    await line("SELECT 'kal_abcdefghijklmnopqrstuvwxyz' AS gone;")
    terminal.type('\x1b[A\r')
    expect(await terminal.until('(1 row)')).toContain('kept')
  })
})
