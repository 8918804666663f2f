/** What the committed module is: its size, its surface, and that these sources make it. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { errorCodes } from '#src/protocol/error-code.js'
import { coreFolder, CoreHost } from './core-host.js'
import { serverFrames } from './frames.js'

/** Of the design; gzip makes a little less than half of it. */
const bytesMax = 12 * 1024

const path = join(coreFolder, 'kalam_core.wasm')

describe('E1: link/core is one module', () => {
  test('it imports nothing', () => {
    expect(WebAssembly.Module.imports(CoreHost.module)).toEqual([])
  })

  test('ABI.md has its exports, all of them', () => {
    const page = readFileSync(join(coreFolder, 'ABI.md'), 'utf8')
    const documented = Array.from(page.matchAll(/^\| `([a-z]\w+)[(`]/gmu), ([, name]) => name)
    const exported = WebAssembly.Module.exports(CoreHost.module).map(({ name }) => name)
    expect(documented.sort()).toEqual(exported.sort())
  })

  test('what it asks for again, the server says may succeed later', () => {
    const page = readFileSync(join(coreFolder, 'ABI.md'), 'utf8')
    const [, list = ''] = /\*\*Asks again\*\*([^.]+)\./u.exec(page) ?? []
    const codes = list.match(/[A-Z]+_?[A-Z]{4,}/gu) ?? []
    const retried = Object.entries(errorCodes).filter(([, { retry }]) => retry)
    expect(codes).toHaveLength(5)
    expect(retried.map(([code]) => code)).toEqual(expect.arrayContaining(codes))
  })

  test(`it has at most ${bytesMax} bytes`, () => {
    expect(readFileSync(path).length).toBeLessThanOrEqual(bytesMax)
  })

  test('its sum stands beside it', () => {
    const sum = createHash('sha256').update(readFileSync(path)).digest('hex')
    expect(readFileSync(`${path}.sha256`, 'utf8')).toBe(`${sum}  kalam_core.wasm\n`)
  })

  test('compiling it again gives the same bytes', async () => {
    const built: unknown = await import(pathToFileURL(join(coreFolder, 'build.js')).href)
    // The script has no types; it gives the module's bytes.
    const { compileCore } = built as { readonly compileCore: () => Promise<Buffer> }
    const sumOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
    expect(sumOf(await compileCore())).toBe(sumOf(readFileSync(path)))
  })

  test('clients do not know of each other', () => {
    const [one, other] = [new CoreHost(), new CoreHost()].map((host) => host.start())
    for (const host of [one, other]) host?.receive(serverFrames.authenticated())
    const id = one?.subscribe('SELECT 1') ?? 0
    one?.receive(serverFrames.subscribed(id))
    one?.receive(serverFrames.rows(id, ['[1,"milk"]']))
    expect(other?.receive(serverFrames.rows(id, ['[2,"tea"]']))).toEqual([])
    expect([one?.core.rowCount(id), other?.core.rowCount(id)]).toEqual([1, 0])
  })

  test('memory is used again: a set that lives long does not grow', () => {
    const host = new CoreHost().start()
    host.receive(serverFrames.authenticated())
    const id = host.subscribe('SELECT 1')
    host.receive(serverFrames.subscribed(id))
    host.receive(serverFrames.ready(id, 'a'))
    const churn = (round: number) => {
      const rows = Array.from({ length: 100 }, (_, key) => `[${key},"${'x'.repeat(round % 50)}"]`)
      const changes = rows.map((row, key) => ['i', `[${key}]`, row] as const)
      host.receive(serverFrames.changes(id, `a.${round}`, changes))
      const deletes = rows.map((_, key) => ['d', `[${key}]`] as const)
      host.receive(serverFrames.changes(id, `b.${round}`, deletes))
    }
    for (let round = 0; round < 60; round++) churn(round)
    const before = host.core.memory.buffer.byteLength
    for (let round = 0; round < 200; round++) churn(round)
    expect(host.core.memory.buffer.byteLength).toBe(before)
  })

  test.each(['[0]', '[1]', '[]'])(
    'memory is used again: snapshots that come again, are broken or dropped; key %s',
    (key) => {
      const host = new CoreHost().start()
      host.receive(serverFrames.authenticated())
      const rows = Array.from({ length: 200 }, (_, index) => `[${index},"${'x'.repeat(index)}"]`)
      const snapshots = (): void => {
        const id = host.subscribe('SELECT 1')
        host.receive(serverFrames.subscribed(id, { key }))
        for (const cursor of ['a', 'b']) {
          host.receive(serverFrames.rows(id, rows.slice(0, 100)))
          host.receive(serverFrames.rows(id, rows.slice(100)))
          host.receive(serverFrames.ready(id, cursor))
          host.receive(serverFrames.reset(id, 'overflow'))
        }
        for (const broken of [['7'], [...rows.slice(50), '7']]) {
          const told = host.receive(serverFrames.rows(id, broken))
          expect(told.map(({ kind }) => kind)).toEqual(['close', 'state'])
          host.core.wake(host.now)
          host.reopen()
          host.receive(serverFrames.authenticated())
          host.receive(serverFrames.subscribed(id, { key }))
        }
        expect(host.core.rowCount(id)).toBe(rows.length)
        host.core.unsubscribe(id, host.now)
      }
      for (let round = 0; round < 5; round++) snapshots()
      const before = host.core.memory.buffer.byteLength
      for (let round = 0; round < 40; round++) snapshots()
      expect(host.core.memory.buffer.byteLength).toBe(before)
    },
  )
})
