/** An engine that is closed stays closed, whatever it is doing (K2). */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
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
/** Named to the disk. */
let fault: string
let opened: TestEngine
beforeEach(async () => {
  folder = copyOfTemplate()
  fault = join(folder, '..', 'fault')
  const disk = new URL('../../support/disks/faulty.mjs', import.meta.url)
  disk.searchParams.set('switch', fault)
  const settings = { 'engine.cancel_grace_ms': 200 }
  opened = await openTestEngine({ folder, settings, diskModule: disk.href })
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
  // The one before it wrote nothing more: it hung.
  writeFileSync(fault, 'data-write STANDSTILL')
  await expect.poll(() => existsSync(`${fault}.standstill`), { interval: 1 }).toBe(true)
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
