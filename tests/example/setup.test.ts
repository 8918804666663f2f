/** H1, H2, H3, SC10, SC11: what setup.sh does, once, again, half done before, and without a server. */
import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { kalam } from '../support/kalam.js'
import { openTestServer, type TestServer } from '../support/server.js'
import { countLines, exampleFolder } from './todo-world.js'

const binaries = fileURLToPath(new URL('../../node_modules/.bin', import.meta.url))

let server: TestServer
let folder: string
beforeAll(async () => {
  server = await openTestServer()
})
afterAll(() => server.close())
afterEach(() => rmSync(folder, { recursive: true }))
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kalam-setup-'))
  for (const name of ['setup.sh', 'todo-app.sql']) cpSync(exampleFolder + name, join(folder, name))
})

interface Outcome {
  readonly exit: number
  readonly output: string
}

function setup(env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const PATH = `${binaries}${delimiter}${process.env['PATH'] ?? ''}`
  const options = { env: { PATH, HOME: server.home, KALAM_URL: server.url, ...env } }
  return new Promise((resolve) => {
    execFile('sh', [join(folder, 'setup.sh')], options, (error, stdout, stderr) =>
      resolve({ exit: typeof error?.code === 'number' ? error.code : 0, output: stdout + stderr }),
    )
  })
}

const saved = () => readFileSync(join(folder, '.env.local'), 'utf8')
const keyIn = (text: string) => /^VITE_KALAM_API_KEY=(kal_.{43})$/mu.exec(text)?.[1] ?? 'none'
const keyCount = async () =>
  (await server.sql("SELECT FROM system.apikeys WHERE name = 'todo-app'")).results[0]?.row_count

describe('setup.sh', () => {
  test('makes the table and a key; again, it changes nothing', async () => {
    expect(await setup()).toMatchObject({ exit: 0 })
    const first = saved()
    expect(first).toContain(`VITE_KALAM_URL=${server.url}\n`)
    const key = keyIn(first)
    await server.sql("INSERT INTO app.todos (title) VALUES ('kept')", { key })

    expect(await setup()).toMatchObject({
      exit: 0,
      output: expect.stringContaining('good') as string,
    })
    expect(saved()).toBe(first)
    expect(await keyCount()).toBe(1)
    const { rows } = await server.sql('SELECT id, title, completed FROM app.todos', { key })
    expect(rows).toEqual([{ id: 1, title: 'kept', completed: false }])
  })

  test('goes on where only some of it is there', async () => {
    await server.sql('DROP TABLE app.todos')
    expect(await setup()).toMatchObject({ exit: 0 })
    const key = keyIn(saved())
    expect((await server.sql('SELECT FROM app.todos', { key })).rows).toEqual([])
    // The user was there, without a key that is known here.
    expect(await keyCount()).toBe(2)
  })

  test('takes another key in place of one that is good no more', async () => {
    await setup()
    const old = keyIn(saved())
    await server.sql("DROP USER 'todo-app'")
    expect(await setup()).toMatchObject({ exit: 0 })
    expect(keyIn(saved())).not.toBe(old)
    expect((await server.request('SELECT FROM app.todos', { key: keyIn(saved()) })).status).toBe(
      200,
    )
  })

  test('says what to do when no server answers', async () => {
    const { exit, output } = await setup({ KALAM_URL: 'http://127.0.0.1:9' })
    expect(exit).toBe(1)
    expect(output).toContain('No server answers at http://127.0.0.1:9')
    expect(output).toContain('npm start')
    expect(existsSync(join(folder, '.env.local'))).toBe(false)
  })

  test('says that the key it was given is not accepted', async () => {
    const { exit, output } = await setup({ KALAM_API_KEY: `kal_${'x'.repeat(42)}A` })
    expect(exit).not.toBe(0)
    expect(output).toMatch(/key/u)
    expect(existsSync(join(folder, '.env.local'))).toBe(false)
  })
})

test('E7: the app’s types are those that `kalam types` writes', async () => {
  const env = { KALAM_URL: server.url }
  const { stdout } = await kalam(['types', '--namespace', 'app'], { home: server.home, env })
  const written = (text: string) => text.replace(/^.*\n/u, '').replaceAll('"', "'").trim()
  expect(written(readFileSync(`${exampleFolder}src/schema.ts`, 'utf8'))).toBe(written(stdout))
})

test('H1: the app has fewer than 500 lines', () => {
  const names = readdirSync(exampleFolder + 'src', { recursive: true, encoding: 'utf8' })
  const sources = names.filter((name) => /\.(ts|vue)$/u.test(name)).map((name) => `src/${name}`)
  expect(sources.length).toBeGreaterThan(5)
  expect(countLines([...sources, 'vite.config.ts'])).toBeLessThan(500)
})
