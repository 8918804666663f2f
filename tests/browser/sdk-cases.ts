/** E2 to E6 in a browser: the SDK as a page has it, and each way in which it can go wrong. */
import { describe, expect, test } from 'vitest'
import {
  caseTables,
  goldenCases,
  statementCases,
  type Outcome,
  type StatementCase,
} from '../contract/statement-cases.js'
import { openTestServer } from '../support/server.js'
import type { BrowserWorld } from './browser-world.js'
import { openGate } from './gate.js'
import { refuseAtOnce, strictPolicy } from './pages.js'

const sdkPage = 'tests/browser/pages/sdk.js'
const unknownKey = `kal_${'A'.repeat(43)}`

/** `isWhole`: with values of every type, and with a server that starts anew. */
export const sdkCases =
  ({ isWhole }: { readonly isWhole: boolean }) =>
  (world: () => BrowserWorld): void => {
    describe('E3: the SDK', () => {
      test('statements give what they give through every door', async () => {
        const { server, call, keepPicture } = world()
        await server.sql(caseTables)
        const cases = [...statementCases('browser'), ...(isWhole ? goldenCases() : [])]
        await openClient(world(), 'Statements')
        const outcomes = (await call('runAll', cases)) as readonly Outcome[]
        for (const [index, asked] of cases.entries())
          expect(outcomes[index], asked.name).toMatchObject(expectedOf(asked))
        await keepPicture('statements')
      })

      test('live rows follow what others write, in their order', async () => {
        const { server, call, keepPicture } = world()
        await server.sql(todoTable('live_todos'))
        await openClient(world(), 'Live rows')
        const sql = 'SELECT id, title FROM app.live_todos WHERE id > $1 ORDER BY title'
        expect(await call('watch', sql, [0])).toEqual([milk])
        await server.sql("INSERT INTO app.live_todos VALUES (2, 'jam'), (-1, 'none')")
        expect(await call('has', jsonOf(jam, milk))).toBe('ready')
        await server.sql("UPDATE app.live_todos SET title = 'zest' WHERE id = 2")
        expect(await call('has', jsonOf(milk, { ...jam, title: 'zest' }))).toBe('ready')
        await server.sql('DELETE FROM app.live_todos WHERE id = 1')
        expect(await call('has', jsonOf({ ...jam, title: 'zest' }))).toBe('ready')
        await keepPicture('live-rows')
      })
    })

    describe('E2, E3: what it says when something is missing', () => {
      test.each([
        ['no url', { apiKey: unknownKey }, 'CONFIG_URL_MISSING'],
        ['no key', { url: 'http://127.0.0.1:1' }, 'CONFIG_API_KEY_MISSING'],
        ['no key that can be one', { url: 'http://x', apiKey: 'x' }, 'CONFIG_API_KEY_INVALID'],
      ])('%s', async (title, options, code) => {
        const { open, call, keepPicture } = world()
        await open({ module: sdkPage, title })
        expect(await call('create', options)).toMatchObject({ error: { code } })
        await keepPicture(title.replaceAll(' ', '-'))
      })

      test('no WebAssembly', async () => {
        const before = 'delete globalThis.WebAssembly'
        await openClient(world(), 'No WebAssembly', { before }, 'WASM_UNSUPPORTED')
        await world().keepPicture('sdk-no-webassembly')
      })

      test('a policy without wasm-unsafe-eval', async () => {
        await openClient(world(), 'Blocked', { policy: strictPolicy }, 'WASM_BLOCKED')
        await world().keepPicture('sdk-blocked')
      })

      test('a policy with it is enough', async () => {
        const policy = `${strictPolicy} 'wasm-unsafe-eval'`
        await openClient(world(), 'Not blocked', { policy })
        expect(await world().call('connected')).toEqual({ results: null })
      })

      test('a browser that refuses to compile at once compiles later', async () => {
        await openClient(world(), 'No compiling at once', { before: refuseAtOnce })
        expect(await world().call('run', one)).toMatchObject({ results: [{ rows: [{ n: 1 }] }] })
        await world().keepPicture('sdk-compiles-later')
      })
    })

    describe('E4: a connection that goes', () => {
      test('a key that nobody has is refused for good', async () => {
        const { server, open, call, keepPicture } = world()
        await open({ module: sdkPage, title: 'A wrong key' })
        await call('create', { url: server.url, apiKey: unknownKey })
        expect(await call('reached', 'closed')).toMatchObject({ error: { code: 'UNAUTHORIZED' } })
        expect(await call('run', one)).toMatchObject({ error: { code: 'NOT_CONNECTED' } })
        await keepPicture('wrong-key')
      })

      test('a key that is revoked ends it within moments', async () => {
        const { server, call, keepPicture } = world()
        await openClient(world(), 'A revoked key', {}, undefined, await server.createUser('leaver'))
        await call('reached', 'connected')
        await server.sql("ALTER USER 'leaver' ROTATE APIKEY")
        expect(await call('reached', 'closed')).toMatchObject({
          everConnected: true,
          error: { code: 'UNAUTHORIZED' },
        })
        await keepPicture('revoked-key')
      })

      if (isWhole)
        test('a server that is gone, and comes back with more rows', async () => {
          const { site, open, call, keepPicture } = world()
          const settings = { 'cors.allowed_origins': [site.origin] }
          const first = await openTestServer({ settings })
          await using gate = await openGate(first.port)
          await first.sql(todoTable('kept'))
          await open({ module: sdkPage, title: 'A server that goes and comes' })
          await call('create', {
            url: gate.url,
            // The local token of root is a start's own.
            apiKey: await first.createUser('keeper', 'admin'),
            reconnect: { delayMsMin: 20, delayMsMax: 20 },
          })
          await call('watch', 'SELECT id, title FROM app.kept ORDER BY id')
          await first.stop()
          expect(await call('reached', 'reconnecting')).toMatchObject({ everConnected: true })
          expect(await call('liveStatus')).toBe('stale')
          const hasty = { ...one, options: { mayWait: false } }
          expect(await call('run', hasty)).toMatchObject({ error: { code: 'NOT_CONNECTED' } })
          await keepPicture('server-gone')
          await using again = await openTestServer({ folder: first.folder, settings })
          gate.open(again.port)
          await again.sql("INSERT INTO app.kept VALUES (2, 'jam')")
          expect(await call('has', jsonOf(milk, jam))).toBe('ready')
          expect(await call('run', one)).toMatchObject({ results: [{ rows: [{ n: 1 }] }] })
          await keepPicture('server-restarted')
        })

      test('a night asleep: it goes on where it was, as soon as it wakes up', async () => {
        const { server, open, call, browser, keepPicture } = world()
        await using gate = await openGate(server.port)
        await server.sql(todoTable('asleep'))
        await open({ module: sdkPage, title: 'A night asleep', before: sleeper })
        // After the first attempt in vain, the next one would be in a quarter of an hour or more.
        const reconnect = { delayMsMin: 1_800_000, delayMsMax: 1_800_000 }
        await call('create', { url: gate.url, apiKey: server.adminKey, reconnect })
        await call('watch', 'SELECT id, title FROM app.asleep ORDER BY id')
        gate.shut()
        expect(await call('reached', 'reconnecting')).toMatchObject({ everConnected: true })
        await server.sql("INSERT INTO app.asleep VALUES (2, 'jam')")
        gate.open(server.port)
        await browser.evaluate(`sleep(${8 * 3_600_000})`)
        expect(await call('has', jsonOf(milk, jam))).toBe('ready')
        await keepPicture('night-asleep')
      })
    })
  }

const milk = { id: 1, title: 'milk' }
const jam = { id: 2, title: 'jam' }
const one = { statements: [{ sql: 'SELECT 1 AS n' }] }

/** Clocks jump, then the browser says that the network is back. */
const sleeper = `
  const now = Date.now
  let sleptMs = 0
  Date.now = () => now() + sleptMs
  globalThis.sleep = (ms) => {
    sleptMs += ms
    dispatchEvent(new Event('online'))
  }`

function todoTable(name: string): string {
  return `CREATE NAMESPACE IF NOT EXISTS app;
    CREATE TABLE app.${name} (id int PRIMARY KEY, title text);
    INSERT INTO app.${name} VALUES (1, 'milk')`
}

function jsonOf(...rows: readonly object[]): string {
  return JSON.stringify(rows)
}

function expectedOf({ results, error }: StatementCase): object {
  return results === undefined ? { error } : { results }
}

/** Shows the page with a client of the world's server, which throws `code` if there is one. */
async function openClient(
  { server, open, call }: BrowserWorld,
  title: string,
  more: { readonly policy?: string; readonly before?: string } = {},
  code?: string,
  apiKey = server.adminKey,
): Promise<void> {
  await open({ module: sdkPage, title, ...more })
  const outcome = await call('create', { url: server.url, apiKey })
  expect(outcome).toMatchObject(code === undefined ? { results: null } : { error: { code } })
}
