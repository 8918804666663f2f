/** An engine that is closed stays closed, whatever it is doing (K2). */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  copyOfTemplate,
  openTestEngine,
  rowsOf,
  unit,
  type TestEngine,
} from '../../support/engine.js'

let folder: string
let opened: TestEngine
beforeEach(async () => {
  folder = copyOfTemplate()
  opened = await openTestEngine({ folder, settings: { 'engine.cancel_grace_ms': 200 } })
})
afterEach(() => rmSync(join(folder, '..'), { recursive: true, force: true }))

const stuck = () => opened.engine.run(unit('SELECT pg_sleep(600)', { timeoutMs: 30 }))
const ended = (running: Promise<unknown>) => running.catch((error: unknown) => error)

async function expectFreeFolder(): Promise<void> {
  await using again = await openTestEngine({ folder })
  expect(rowsOf(await again.engine.run(unit('SELECT 1')))).toEqual([['1']])
}

test('while its worker ends', async () => {
  const running = ended(stuck())
  await expect.poll(() => opened.engine.status.kind, { interval: 1 }).toBe('restarting')
  await opened.engine.close()
  await running
  expect(opened.engine.status.kind).toBe('closed')
  await expectFreeFolder()
  expect(opened.engine.status.kind).toBe('closed')
})

test('while its new worker starts', async () => {
  const { engine } = opened
  const waiting = ended(stuck().catch(() => engine.run(unit('SELECT 1'))))
  await expect.poll(() => engine.status.kind, { interval: 1 }).toBe('restarting')
  // The old worker ends in some 15 ms, the new one takes some 300 to start.
  const deadline = Date.now() + 100
  await expect.poll(() => Date.now() > deadline, { interval: 5 }).toBe(true)
  expect(engine.status.kind).toBe('restarting')
  await Promise.all([engine.close(), engine.close()])
  expect(await waiting).toMatchObject({ code: 'UNAVAILABLE' })
  await expectFreeFolder()
  expect(engine.status.kind).toBe('closed')
})

test('while a statement runs that cannot be stopped', async () => {
  const running = ended(opened.engine.run(unit('SELECT pg_sleep(600)')))
  await expect.poll(() => opened.engine.counters.unitsRun, { interval: 1 }).toBeGreaterThan(0)
  await opened.engine.close()
  expect(await running).toMatchObject({ code: 'UNAVAILABLE' })
  await expectFreeFolder()
})
