/** SC7, E1, E3: link/core and its plain host in a browser, by the module's own bytes. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { coreFolder } from '../link/core-host.js'
import type { BrowserWorld } from './browser-world.js'
import { refuseAtOnce, strictPolicy } from './pages.js'

const corePage = 'tests/browser/pages/core.js'
const vectors = readdirSync(join(coreFolder, 'vectors')).filter((name) => name.endsWith('.json'))

export function coreCases(world: () => BrowserWorld): void {
  describe('SC7: the core', () => {
    test('plays every transcript', async () => {
      const { open, call, keepPicture } = world()
      await open({ module: corePage, title: 'Transcripts' })
      expect(await call('replayAll', vectors)).toEqual(vectors)
      await keepPicture('transcripts')
    })

    test('holds a live query of a real server', async () => {
      const { server, open, call, keepPicture } = world()
      await server.sql(`CREATE NAMESPACE IF NOT EXISTS app;
        CREATE TABLE app.core_todos (id bigint PRIMARY KEY, title text);
        INSERT INTO app.core_todos VALUES (9007199254740993, 'milk')`)
      await open({ module: corePage, title: 'A live query' })
      const sql = 'SELECT id, title FROM app.core_todos ORDER BY id'
      await call('startLive', { url: server.url, apiKey: server.adminKey, sql })
      expect(await call('nextOf', 'rows')).toMatchObject({ text: '[["9007199254740993","milk"]]' })
      await call('nextOf', 'ready')
      await server.sql("INSERT INTO app.core_todos VALUES (1, 'tea')")
      expect(await call('nextOf', 'changes')).toMatchObject({
        text: '[["1","tea"]]',
        differences: [[1, -1, 0]],
      })
      await server.sql("UPDATE app.core_todos SET title = 'oat milk' WHERE id > 1")
      expect(await call('nextOf', 'changes')).toMatchObject({
        text: '[["9007199254740993","oat milk"]]',
        differences: [[2, 1, 1]],
      })
      await server.sql('DELETE FROM app.core_todos WHERE id = 1')
      expect(await call('nextOf', 'changes')).toMatchObject({ differences: [[3, 0, -1]] })
      await keepPicture('live')
    })
  })

  describe('E3: without WebAssembly', () => {
    test('a browser that has none is told so', async () => {
      const { open, call, keepPicture } = world()
      const before = 'delete globalThis.WebAssembly'
      await open({ module: corePage, title: 'A browser without WebAssembly', before })
      expect(await call('failure')).toBe('there is no WebAssembly here')
      await keepPicture('no-webassembly')
    })

    test('a policy that forbids it is named', async () => {
      const { open, call, keepPicture } = world()
      await open({
        module: corePage,
        title: 'A policy without wasm-unsafe-eval',
        policy: strictPolicy,
      })
      expect(await call('failure')).toContain("has to allow 'wasm-unsafe-eval'")
      await keepPicture('blocked')
    })

    test("'wasm-unsafe-eval' is all that a strict policy needs", async () => {
      const { open, call } = world()
      const policy = `${strictPolicy} 'wasm-unsafe-eval'`
      await open({ module: corePage, title: 'A policy with wasm-unsafe-eval', policy })
      expect(await call('failure')).toBeNull()
    })

    test('a browser that refuses to compile at once runs it', async () => {
      const { open, call } = world()
      await open({ module: corePage, title: 'No synchronous compiling', before: refuseAtOnce })
      expect(await call('failure')).toBeNull()
    })
  })
}
