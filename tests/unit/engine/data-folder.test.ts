import { mkdtempSync, promises, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createDataFolder } from '#src/engine/pglite/data-folder.js'

let outside: string
beforeEach(() => {
  outside = mkdtempSync(join(tmpdir(), 'kalam-folder-'))
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(outside, { recursive: true })
})

test('K1: the names of new folders are brought to the disk, those of old ones are there', async () => {
  const opened = vi.spyOn(promises, 'open')
  const synced = () => opened.mock.calls.map(([file]) => String(file))
  await createDataFolder(join(outside, 'a', 'b', 'c'))
  expect(synced()).toEqual([join(outside, 'a', 'b'), join(outside, 'a'), outside])
  await createDataFolder(join(outside, 'a', 'b', 'c'))
  expect(synced()).toHaveLength(3)
})
