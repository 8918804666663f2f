import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { HeldLock } from '#src/engine/pglite/held-lock.js'

let folder: string
let file: string
const clock = { nowMs: 0 }
const write = (id: string) => writeFileSync(file, JSON.stringify({ id }))
const open = () => new HeldLock({ file, ownerId: 'own' }, () => clock.nowMs)
beforeEach(() => {
  clock.nowMs = 0
  folder = mkdtempSync(join(tmpdir(), 'kalam-lock-'))
  file = join(folder, 'kalam.lock')
  write('own')
})
afterEach(() => rmSync(folder, { recursive: true }))

test('another’s lock is none from the start', () => {
  write('other')
  expect(open).toThrow('the folder lock was lost')
})

test('a lock that was replaced or removed is not held', () => {
  const lock = open()
  expect(lock.isHeld()).toBe(true)
  rmSync(file)
  expect(lock.isHeld()).toBe(false)
  // Another file, whatever it says.
  write('own')
  expect(lock.isHeld()).toBe(false)
})

test('a lock that is put back is held', () => {
  const lock = open()
  renameSync(file, `${file}.stale`)
  expect(lock.isHeld()).toBe(false)
  renameSync(`${file}.stale`, file)
  expect(lock.isHeld()).toBe(true)
})

test('a write looks again once it has not looked for 1 s', () => {
  const lock = open()
  rmSync(file)
  clock.nowMs = 999
  expect(lock.wasHeldLately()).toBe(true)
  clock.nowMs = 1_000
  expect(lock.wasHeldLately()).toBe(false)
})
