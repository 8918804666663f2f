/** E2, E3: places where WebAssembly or WebSocket are missing, late or forbidden, each in its own process. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTodoServer, type TodoServer } from './server.js'

let todos: TodoServer

beforeAll(async () => {
  todos = await openTodoServer()
})
afterAll(async () => {
  await todos[Symbol.asyncDispose]()
})

const index = fileURLToPath(new URL('../dist/index.js', import.meta.url))
const node = fileURLToPath(new URL('../dist/node.js', import.meta.url))

/** What a script in such a place prints. */
async function run(place: string, entry: string, script: string): Promise<string> {
  const source = `
    ${place}
    const { createClient } = await import(${JSON.stringify(entry)})
    const report = ({ code, message }) => console.log(code, message)
    ${script}`
  const args = ['--input-type=module', '-e', source, todos.server.url, await todos.newKey()]
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 30_000 })
  return stdout.trim()
}

test('the first block of the README runs as it stands', async () => {
  const page = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const [, block = ''] = /```ts\n(.*?)```/su.exec(page) ?? []
  const place = `const [url, apiKey] = process.argv.slice(-2)
    process.env.KALAM_API_KEY = apiKey`
  const script = block
    .replace("import { createClient } from 'kalam-link'", '')
    .replace("'http://127.0.0.1:2900'", 'url')
  const text = await run(place, node, `${script}\nawait live.ready()\nkalam.close()`)
  expect(text).toContain('buy milk')
  expect(text).toContain('true')
})

const create = `
  const [url, apiKey] = process.argv.slice(-2)
  try { createClient({ url, apiKey }); console.log('created') } catch (error) { report(error) }`

test('no WebAssembly', async () => {
  const text = await run('delete globalThis.WebAssembly', node, create)
  expect(text).toMatch(/^WASM_UNSUPPORTED .*kalam-link needs/u)
})

test('WebAssembly that a Content-Security-Policy forbids', async () => {
  const place = `WebAssembly.Module = class { constructor() { throw new WebAssembly.CompileError(
    "Refused to compile or instantiate WebAssembly module") } }`
  expect(await run(place, node, create)).toMatch(/^WASM_BLOCKED .*'wasm-unsafe-eval'/u)
})

test('no WebSocket', async () => {
  const text = await run('delete globalThis.WebSocket', index, create)
  expect(text).toMatch(/^NO_WEBSOCKET /u)
})

const late = `
  const { Module, Instance } = WebAssembly
  const refuse = (Kind) => new Proxy(Kind, { construct() {
    throw new RangeError('WebAssembly.Compile is disallowed on the main thread') } })
  WebAssembly.Module = refuse(Module)
  WebAssembly.Instance = refuse(Instance)`

test('a main thread that may not compile at once: it is compiled meanwhile, and nothing is lost', async () => {
  const script = `
    const [url, apiKey] = process.argv.slice(-2)
    try { createClient({ url }) } catch (error) { console.log(error.code) }
    const client = createClient({ url, apiKey })
    console.log(client.connection.state.status)
    const live = client.live('SELECT 1 AS n')
    const { rows } = await client.query('SELECT 2 AS n')
    console.log(JSON.stringify([rows, await live.ready()]))
    client.close()
    const wrong = createClient({ url, apiKey: 'x' })
    await wrong.connected().catch(report)`
  const lines = (await run(late, node, script)).split('\n')
  expect(lines.slice(0, 3)).toEqual(['CONFIG_API_KEY_MISSING', 'idle', '[[{"n":2}],[{"n":1}]]'])
  expect(lines[3]).toMatch(/^CONFIG_API_KEY_INVALID /u)
})

test('a page that closes its client while the core is compiled', async () => {
  const script = `
    const [url, apiKey] = process.argv.slice(-2)
    const client = createClient({ url, apiKey })
    const asked = client.query('SELECT 1').catch(report)
    client.close()
    await asked
    console.log(client.connection.state.status)`
  const lines = (await run(late, node, script)).split('\n')
  expect(lines[0]).toMatch(/^CLOSED /u)
  expect(lines[1]).toBe('closed')
})

test('a process ends when its client is closed, and lives as long as it is open', async () => {
  const script = `
    const [url, apiKey] = process.argv.slice(-2)
    const client = createClient({ url, apiKey })
    await client.table('app.todos').insert({ title: 'x' }, { optimistic: client.live('SELECT 1 AS title') })
    client.close()`
  expect(await run('', node, script)).toBe('')
})
