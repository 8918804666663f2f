/** The command line as people use it: its own process, a real server. F1, F2 (serve, user), F3, A6. */
import { spawn, type ChildProcess } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { copyOfTemplate } from '../support/engine.js'
import { freePort } from '../support/free-port.js'
import { kalam, kalamBin, kalamEnv, type KalamOutcome } from '../support/kalam.js'
import { openTestServer, type TestServer } from '../support/server.js'

/** Smaller than a batch of the command line, so that batches have to be divided. */
const bodyBytesMax = 250_000

let server: TestServer
let home: string
beforeAll(async () => {
  server = await openTestServer({ settings: { 'http.body_bytes_max': bodyBytesMax } })
  home = server.home
})
afterAll(() => server.close())

/** On the server's own machine, as its own user: no key. */
function local(...args: string[]): Promise<KalamOutcome> {
  return kalam(args, { home, env: { KALAM_URL: server.url } })
}

function piped(stdin: string | Uint8Array, ...args: string[]): Promise<KalamOutcome> {
  return kalam(args, { home, env: { KALAM_URL: server.url }, stdin })
}

function writeSql(name: string, sql: string | Uint8Array): string {
  const path = join(home, name)
  writeFileSync(path, sql)
  return path
}

describe('kalam -c (F1)', () => {
  test('prints a table', async () => {
    const { exit, stdout, stderr } = await local('-c', "SELECT 1 AS id, 'milk' AS title")
    expect(stdout).toBe(' id | title\n----+-------\n  1 | milk\n(1 row)\n\n')
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' })
  })

  test('runs several, in the order given, as one session', async () => {
    const file = writeSql('second.sql', "SELECT current_setting('app.step') AS step;")
    const args = ['-c', "SET app.step = 'one'", '-f', file, '-c', 'RESET app.step', '-f', file]
    const { stdout } = await local(...args, '--format', 'csv')
    expect(stdout).toBe('step\r\none\r\n\r\nstep\r\n""\r\n')
  })

  test('json is one document in which every digit is kept', async () => {
    const sql = `SELECT 9007199254740993 AS a, '[1.10,9007199254740993]'::jsonb AS b; SELECT 1 AS c`
    const { stdout } = await local('-c', sql, '--format', 'json')
    expect(JSON.parse(stdout)).toHaveLength(2)
    expect(stdout).toContain('{"a":"9007199254740993","b":[1.10, 9007199254740993]}')
  })

  test('json is a document even when nothing was run, or something failed', async () => {
    expect((await local('-c', '-- nothing', '--format', 'json')).stdout).toBe('[]\n')
    const { exit, stdout } = await local('-c', 'SELECT 1 AS a; SELECT nope', '--format', 'json')
    expect(JSON.parse(stdout)).toMatchObject([{ rows: [{ a: 1 }] }])
    expect(exit).toBe(1)
  })

  test('says what a statement did', async () => {
    const sql =
      'CREATE TABLE did (a int); INSERT INTO did VALUES (1), (2); UPDATE did SET a = 3; DELETE FROM did'
    expect((await local('-c', sql)).stdout).toBe('CREATE TABLE\nINSERT 2\nUPDATE 2\nDELETE 2\n')
    expect((await local('-q', '-c', 'DROP TABLE did')).stdout).toBe('')
  })

  test('--namespace is where unqualified names are looked up', async () => {
    await local('-c', 'CREATE NAMESPACE shop; CREATE TABLE shop.goods (a int)')
    expect((await local('--namespace', 'shop', '-c', 'SELECT * FROM goods')).exit).toBe(0)
    expect((await local('-c', 'SELECT * FROM goods')).exit).toBe(1)
  })

  test('understands the describing commands of the shell', async () => {
    await local('-c', 'CREATE TABLE described (id int PRIMARY KEY)')
    expect((await local('-c', '\\d described')).stdout).toMatch(/id\s+\| integer/)
  })
})

describe('kalam -f (F1)', () => {
  test('runs comments, quotes and many statements', async () => {
    const sql = `-- first; not a statement
      CREATE TABLE quoted (t text); /* a /* nested */ ; */
      INSERT INTO quoted VALUES ('it''s; fine'), ($tag$;$tag$), (E'\\';');
      CREATE FUNCTION one() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END;
      SELECT count(*) AS n FROM quoted`
    const { stdout, exit } = await local('-f', writeSql('quotes.sql', sql), '--format', 'csv')
    expect({ stdout, exit }).toEqual({ stdout: 'n\r\n3\r\n', exit: 0 })
  })

  test('stops at the first error, with file, line, column, caret and hint', async () => {
    const sql =
      "CREATE TABLE placed (a int);\n\n\n/* é */ INSERT INTO placed\n  SELECT '日', nope;\nDROP TABLE placed;"
    const file = writeSql('placed.sql', sql)
    const { exit, stderr } = await local('-f', file)
    expect(stderr.split('\n').slice(0, 3)).toEqual([
      `${file}:5:15: ERROR: column "nope" does not exist (42703)`,
      "LINE 5:   SELECT '日', nope",
      '                       ^',
    ])
    expect(exit).toBe(1)
    expect((await local('-c', 'SELECT * FROM placed')).exit).toBe(0)
  })

  test('finds the place of an error deep inside a batch', async () => {
    const lines = Array.from(
      { length: 300 },
      (_, at) => `INSERT INTO deep VALUES (${at === 250 ? "'x'" : at});`,
    )
    const file = writeSql('deep.sql', ['CREATE TABLE deep (a int);', ...lines].join('\n'))
    expect((await local('-f', file)).stderr).toContain(`${file}:252:26: ERROR`)
    expect((await local('-c', 'SELECT count(*) FROM deep', '--format', 'csv')).stdout).toBe(
      'count\r\n250\r\n',
    )
  })

  test('names the statement where PostgreSQL names no place', async () => {
    const file = writeSql(
      'dup.sql',
      'CREATE TABLE dup (a int PRIMARY KEY);\nINSERT INTO dup VALUES (1);\n  INSERT INTO dup VALUES (1);',
    )
    const { stderr } = await local('-f', file)
    expect(stderr).toContain(`${file}:3:3: ERROR: duplicate key`)
    expect(stderr).toContain('DETAIL: Key (a)=(1) already exists.')
  })

  test('keeps a transaction whole: an error leaves nothing of it', async () => {
    const sql = 'BEGIN; CREATE TABLE whole (a int); SELECT 1; SELECT nope; COMMIT;'
    expect((await local('-f', writeSql('whole.sql', sql))).exit).toBe(1)
    expect((await local('-c', 'SELECT * FROM whole')).exit).toBe(1)
  })

  test('keeps settings and temporary tables over many requests', async () => {
    const sql = `SET search_path = shop2;
      SELECT 1; CREATE SCHEMA shop2; CREATE TABLE things (a int); SELECT 2; INSERT INTO things VALUES (7);
      CREATE TEMP TABLE mine AS SELECT * FROM things; SELECT 3; SELECT * FROM mine`
    const { stdout, stderr } = await local('-q', '-f', writeSql('kept.sql', sql), '--format', 'csv')
    expect({ stdout: stdout.endsWith('a\r\n7\r\n'), stderr }).toEqual({ stdout: true, stderr: '' })
  })

  test('loads more than a request may hold', async () => {
    const insert = `INSERT INTO large VALUES ('${'x'.repeat(100_000)}');\n`
    const file = writeSql('large.sql', `CREATE TABLE large (t text);\n${insert.repeat(30)}`)
    expect((await local('-f', file)).exit).toBe(0)
    const { stdout } = await local('-c', 'SELECT sum(length(t)) AS n FROM large', '--format', 'csv')
    expect(stdout).toBe('n\r\n3000000\r\n')
  })

  test('names the statement that alone is more than a request may hold', async () => {
    const file = writeSql('vast.sql', `SELECT 1;\nSELECT '${'x'.repeat(bodyBytesMax)}'`)
    const { exit, stderr } = await local('-f', file)
    expect(stderr).toContain(`${file}:2:1: ERROR`)
    expect(exit).toBe(1)
  })

  test('a full disk under its output: exit 5', async () => {
    const command = `"${process.execPath}" "${kalamBin}" -c "SELECT 1" > /dev/full`
    const child = spawn('sh', ['-c', command], {
      env: kalamEnv({ home, env: { KALAM_URL: server.url } }),
    })
    const { exit, stderr } = await outcomeOf(child)
    expect(stderr).toContain('cannot write the output')
    expect(exit).toBe(5)
  })

  test('reads standard input, named or not', async () => {
    expect((await piped('SELECT 1 AS a', '-f', '-', '--format', 'csv')).stdout).toBe('a\r\n1\r\n')
    expect((await piped('SELECT 1 AS a;\n', '--format', 'csv')).stdout).toBe('a\r\n1\r\n')
    expect((await piped('SELECT\nnope')).stderr).toContain('stdin:2:1: ERROR')
  })

  test.each([
    ['/nonexistent/x.sql', 'there is no such file'],
    ['/', 'it is a folder'],
  ])('%s cannot be read: exit 5', async (file, reason) => {
    const { exit, stderr } = await local('-f', file)
    expect(exit).toBe(5)
    expect(stderr).toContain(reason)
  })

  test('refuses what is not UTF-8 rather than load damaged text', async () => {
    const file = writeSql('latin1.sql', Buffer.from("SELECT 'caf\xe9'", 'latin1'))
    const { exit, stderr } = await local('-f', file)
    expect(exit).toBe(5)
    expect(stderr).toContain('not UTF-8')
  })
})

describe('options (F1)', () => {
  test.each([
    [['--format', 'csv', 'user', 'list']],
    [['user', '--format', 'csv', 'list']],
    [['user', 'list', '--format', 'csv']],
    [['user', 'list', '--format=csv']],
  ])('stand before or after the command: %j', async (args) => {
    expect((await local(...args)).stdout).toMatch(/^user_id,name,role,apikey,created_at\r\n/)
  })

  test.each([
    [['--nope'], "unknown option '--nope'"],
    [['nope'], 'unknown command: nope'],
    [['SELECT 1'], 'SQL goes behind -c'],
    [['--format', 'xml', '-c', 'SELECT 1'], 'unknown format xml'],
    [['user', 'create'], "missing required argument 'name'"],
    [['user', 'create', 'x', '--role', 'boss'], 'unknown role boss'],
    [['status', '-c', 'SELECT 1'], 'make no sense'],
    [['--url', 'nonsense', 'status'], 'not a server URL'],
    [['--profile', 'nope', 'status'], 'no profile nope'],
  ])('%j is wrong usage: exit 2', async (args, message) => {
    const { exit, stderr } = await local(...args)
    expect(stderr).toContain(message)
    expect(exit).toBe(2)
  })

  test('--help teaches: commands, examples, exit codes', async () => {
    const { exit, stdout } = await local('--help')
    for (const part of ['serve', 'kalam user create alice', 'KALAM_API_KEY', '130  interrupted'])
      expect(stdout).toContain(part)
    expect(exit).toBe(0)
    expect((await local('help', 'serve')).stdout).toContain('--data-dir')
  })

  test('--version is that of the package', async () => {
    const path = fileURLToPath(new URL('../../package.json', import.meta.url))
    const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string }
    expect((await local('--version')).stdout).toBe(`${version}\n`)
  })
})

describe('users and keys (F2, A1)', () => {
  test('create prints the key once, and it works', async () => {
    const { stdout } = await local('user', 'create', "o'hara")
    const key = /kal_[\w-]{43}/.exec(stdout)?.[0] ?? ''
    const { exit } = await local('--api-key', key, '-c', 'SELECT 1')
    expect(exit).toBe(0)
    expect((await local('user', 'list')).stdout).not.toContain(key)
  })

  test('create again fails, or succeeds quietly if asked to', async () => {
    await local('user', 'create', 'again')
    expect((await local('user', 'create', 'again')).exit).toBe(1)
    const { exit, stdout } = await local('user', 'create', 'again', '--if-not-exists')
    expect({ exit, key: /kal_/.test(stdout) }).toEqual({ exit: 0, key: false })
  })

  test('quiet prints the key and nothing else; json and csv have all of it', async () => {
    expect((await local('-q', 'user', 'create', 'quiet')).stdout).toMatch(/^kal_[\w-]{43}\n$/)
    const [made] = JSON.parse(
      (await local('user', 'create', 'json', '--role', 'service', '--format', 'json')).stdout,
    ) as unknown[]
    expect(made).toMatchObject({
      name: 'json',
      role: 'service',
      apikey: expect.stringMatching(/^kal_/) as string,
    })
    expect((await local('user', 'create', 'csv', '--format', 'csv')).stdout).toMatch(
      /^user_id,name,role,apikey\r\n/,
    )
  })

  test('rotate ends the old key; drop ends them all', async () => {
    const first = (await local('-q', 'user', 'create', 'turning')).stdout.trim()
    const second = (await local('-q', 'user', 'rotate', 'turning')).stdout.trim()
    expect((await local('--api-key', first, '-c', 'SELECT 1')).exit).toBe(4)
    expect((await local('--api-key', second, '-c', 'SELECT 1')).exit).toBe(0)
    await local('user', 'drop', 'turning')
    expect((await local('--api-key', second, '-c', 'SELECT 1')).exit).toBe(4)
    expect((await local('user', 'drop', 'turning')).exit).toBe(1)
    expect((await local('user', 'drop', 'turning', '--if-exists')).exit).toBe(0)
  })

  test('a key can be made, listed and revoked', async () => {
    await local('user', 'create', 'reader')
    const made = await local(
      'key',
      'create',
      'reader',
      '--read-only',
      '--expires',
      '30 days',
      '--format',
      'json',
    )
    const [key] = JSON.parse(made.stdout) as { id: string; apikey: string; read_only: boolean }[]
    expect(key?.read_only).toBe(true)
    expect((await local('key', 'list', '--format', 'csv')).stdout).toContain(key?.id)
    expect((await local('key', 'revoke', key?.id ?? '')).exit).toBe(0)
    expect((await local('--api-key', key?.apikey ?? '', '-c', 'SELECT 1')).exit).toBe(4)
  })

  test('an ordinary user is not allowed: exit 4', async () => {
    const key = (await local('-q', 'user', 'create', 'ordinary')).stdout.trim()
    const { exit, stdout } = await local('--api-key', key, 'user', 'create', 'friend')
    expect({ exit, stdout }).toEqual({ exit: 4, stdout: '' })
  })
})

describe('who one is, and where (F3, A6)', () => {
  test('needs no key on the machine itself', async () => {
    expect((await local('status')).exit).toBe(0)
    expect((await local('-c', 'SHOW USERS')).exit).toBe(0)
  })

  test('without the local token and without a key: exit 4, and how to get one', async () => {
    const stranger = mkdtempSync(join(tmpdir(), 'kalam-stranger-'))
    const { exit, stderr } = await kalam(['-c', 'SELECT 1'], {
      home: stranger,
      env: { KALAM_URL: server.url },
    })
    rmSync(stranger, { recursive: true })
    expect(exit).toBe(4)
    expect(stderr).toContain('Run this as the operating system user that runs the server')
  })

  test('a wrong key: exit 4, and where it came from', async () => {
    const env = { KALAM_URL: server.url, KALAM_API_KEY: 'kal_wrong' }
    const { exit, stderr } = await kalam(['-c', 'SELECT 1'], { home, env })
    expect(exit).toBe(4)
    expect(stderr).toContain('KALAM_API_KEY')
    expect(stderr).not.toContain('kal_wrong')
  })

  test('a profile gives server and key', async () => {
    const other = mkdtempSync(join(tmpdir(), 'kalam-profile-'))
    const key = (await local('-q', 'user', 'create', 'profiled')).stdout.trim()
    const profile = `[profiles.work]\nurl = "${server.url}"\napi_key = "${key}"\nformat = "csv"\n`
    const folder = join(other, '.kalam')
    mkdirSync(folder)
    writeFileSync(join(folder, 'config.toml'), profile)
    chmodSync(join(folder, 'config.toml'), 0o600)
    const { stdout } = await kalam(['--profile', 'work', '-c', 'SELECT 1 AS a'], { home: other })
    rmSync(other, { recursive: true })
    expect(stdout).toBe('a\r\n1\r\n')
  })

  test('no server: exit 3, and how to start one', async () => {
    const { exit, stderr } = await kalam(['-c', 'SELECT 1'], {
      home,
      env: { KALAM_URL: `http://127.0.0.1:${await freePort()}` },
    })
    expect(exit).toBe(3)
    expect(stderr).toContain('kalam serve')
  })
})

describe('ends', () => {
  test('quietly when nobody reads its output', async () => {
    const sql = 'SELECT * FROM generate_series(1, 200000)'
    const child = spawn(
      'sh',
      ['-c', `"${process.execPath}" "${kalamBin}" -c "${sql}" | head -n 1`],
      {
        env: kalamEnv({ home, env: { KALAM_URL: server.url } }),
      },
    )
    const outcome = await outcomeOf(child)
    expect(outcome).toMatchObject({ exit: 0, stderr: '' })
  })

  test('with 130 at Ctrl-C, and the server ends the statement too', async () => {
    const endless =
      'WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r'
    const child = spawn(process.execPath, [kalamBin, '-c', 'SELECT 1', '-c', endless], {
      env: kalamEnv({ home, env: { KALAM_URL: server.url } }),
    })
    // The first result tells that the second statement is on its way.
    child.stdout.once('data', () => child.kill('SIGINT'))
    expect((await outcomeOf(child)).exit).toBe(130)
    expect((await local('-c', 'SELECT 1')).exit).toBe(0)
  })
})

describe('kalam serve (F2)', () => {
  test('starts, serves, and frees its folder at SIGTERM', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kalam-serve-'))
    const [port, wirePort] = [await freePort(), await freePort()]
    for (let round = 0; round < 2; round += 1) {
      const serving = spawn(
        process.execPath,
        [
          kalamBin,
          'serve',
          '--port',
          String(port),
          '--data-dir',
          join(folder, 'data'),
          '--set',
          'log.level=warn',
          '--set',
          'postgres_wire.enabled=true',
          '--set',
          `postgres_wire.port=${wirePort}`,
        ],
        { env: kalamEnv({ home: folder }), cwd: folder },
      )
      const listens = `KalamDB listens at http://127.0.0.1:${port}`
      await said(
        serving,
        `${listens}\n  psql:       psql 'postgres://NAME@127.0.0.1:${wirePort}/kalamdb'\n`,
      )
      const token = join(folder, '.kalam', 'servers', `${port}.token`)
      expect(statSync(token).mode & 0o777).toBe(0o600)
      const env = { KALAMDB_SERVER_PORT: String(port) }
      const sql = 'CREATE TABLE IF NOT EXISTS rounds (a int); INSERT INTO rounds VALUES (1)'
      expect(await kalam(['-q', '-c', sql], { home: folder, env })).toMatchObject({
        exit: 0,
        stderr: '',
      })
      const { stdout } = await kalam(['-c', 'SELECT count(*) FROM rounds', '--format', 'csv'], {
        home: folder,
        env,
      })
      expect(stdout).toBe(`count\r\n${round + 1}\r\n`)
      serving.kill('SIGTERM')
      expect((await outcomeOf(serving)).exit).toBe(0)
      expect(existsSync(token)).toBe(false)
    }
    rmSync(folder, { recursive: true })
  })

  test.each([
    [['--port', 'x'], 'server.port'],
    [['--set', 'nope.key=1'], 'nope.key'],
    [['--set', 'nonsense'], 'section.key=value'],
    [['--config', '/nonexistent.toml'], '/nonexistent.toml'],
  ])('%j stops the start: exit 2', async (args, message) => {
    const { exit, stderr } = await kalam(['serve', ...args], { home })
    expect(stderr).toContain(message)
    expect(exit).toBe(2)
  })

  test('ends in good order at SIGTERM while it starts', async () => {
    const folder = copyOfTemplate()
    const locked = changeOf(folder, 'kalam.lock')
    const args = ['serve', '--port', '0', '--data-dir', folder]
    const serving = spawn(process.execPath, [kalamBin, ...args], { env: kalamEnv({ home }) })
    const outcome = outcomeOf(serving)
    await locked
    serving.kill('SIGTERM')
    expect(await outcome).toMatchObject({
      exit: 0,
      stderr: expect.stringContaining('SIGTERM: finishing') as string,
    })
    expect(existsSync(join(folder, 'kalam.lock'))).toBe(false)
    rmSync(join(folder, '..'), { recursive: true })
  })

  test('tells in a container what to type outside of it', async () => {
    const folder = copyOfTemplate()
    const args = ['serve', '--port', '0', '--data-dir', folder]
    const env = { KALAM_CONTAINER: 'docker', HOSTNAME: '0123456789ab' }
    const serving = spawn(process.execPath, [kalamBin, ...args], { env: kalamEnv({ home, env }) })
    const outcome = outcomeOf(serving)
    await said(serving, 'stop:')
    serving.kill('SIGTERM')
    expect((await outcome).stderr).toContain(
      '  first key:  docker exec 0123456789ab kalam user create NAME\n' +
        '  shell:      docker exec -it 0123456789ab kalam\n' +
        '  stop:       docker stop 0123456789ab\n',
    )
    rmSync(join(folder, '..'), { recursive: true })
  })

  test('says so when the folder is in use: exit 3', async () => {
    const args = ['serve', '--port', '0', '--data-dir', server.folder]
    const { exit, stderr } = await kalam(args, { home })
    expect(stderr).toContain('the server did not start')
    expect(exit).toBe(3)
  })
})

/** Resolves when an entry of the folder comes, goes or changes. */
function changeOf(folder: string, name: string): Promise<void> {
  return new Promise((resolve) => {
    const watcher = watch(folder, (_kind, changed) => {
      if (changed !== name) return
      watcher.close()
      resolve()
    })
  })
}

/** Resolves when the process has printed the text. */
function said(child: ChildProcess, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let heard = ''
    const listen = (bytes: Buffer) => {
      heard += String(bytes)
      if (heard.includes(text)) resolve()
    }
    child.stdout?.on('data', listen)
    child.stderr?.on('data', listen)
    child.on('close', () => reject(new Error(`ended before it said ${text}: ${heard}`)))
  })
}

function outcomeOf(child: ChildProcess): Promise<KalamOutcome> {
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (bytes: Buffer) => (stdout += String(bytes)))
  child.stderr?.on('data', (bytes: Buffer) => (stderr += String(bytes)))
  return new Promise((resolve) => {
    child.on('close', (code) => resolve({ exit: code ?? -1, stdout, stderr }))
  })
}
