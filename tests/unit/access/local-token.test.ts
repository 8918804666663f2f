import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openLocalToken, removeLocalToken } from '#src/access/local-token.js'
import { digestOf, isKey } from '#src/catalog/api-key.js'

let dataDir: string
let home: string
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'kalamdb-data-'))
  home = mkdtempSync(join(tmpdir(), 'kalamdb-home-'))
})
afterEach(() => {
  rmSync(dataDir, { recursive: true })
  rmSync(home, { recursive: true })
})

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)
const open = () => openLocalToken({ dataDir, random: randomBytes })

test('A6: writes the same token, readable by its owner alone, to both places', async () => {
  const token = await open()
  await token.announce({ home, port: 2900 })
  const paths = [join(dataDir, 'admin.token'), join(home, '.kalam', 'servers', '2900.token')]
  const texts = paths.map((path) => readFileSync(path, 'utf8'))
  expect(isKey(texts[0] ?? '')).toBe(true)
  expect(texts[1]).toBe(texts[0])
  expect(token.accepts(digestOf(texts[0] ?? ''))).toBe(true)
  expect(paths.map(modeOf)).toEqual(['600', '600'])
  expect(modeOf(join(home, '.kalam'))).toBe('700')
  expect(modeOf(join(home, '.kalam', 'servers'))).toBe('700')
})

test('A6: leaves nothing behind when it is closed, and may be closed twice', async () => {
  const token = await open()
  await token.announce({ home, port: 2900 })
  await token.close()
  await token.close()
  expect(readdirSync(dataDir)).toEqual([])
  expect(readdirSync(join(home, '.kalam', 'servers'))).toEqual([])
})

test('A6: each start has another token, which replaces what a crash left', async () => {
  const path = join(dataDir, 'admin.token')
  writeFileSync(path, 'left', { mode: 0o644 })
  const first = await open()
  const text = readFileSync(path, 'utf8')
  expect(modeOf(path)).toBe('600')
  const second = await open()
  expect(readFileSync(path, 'utf8')).not.toBe(text)
  expect(second.accepts(digestOf(text))).toBe(false)
  expect(readdirSync(dataDir)).toEqual(['admin.token'])
  await first.close()
  expect(second.accepts(digestOf(readFileSync(path, 'utf8')))).toBe(true)
})

test('A6: does not touch a token that another server has written to its place', async () => {
  const token = await open()
  await token.announce({ home, port: 2900 })
  const path = join(home, '.kalam', 'servers', '2900.token')
  writeFileSync(path, 'of another server')
  await token.close()
  expect(readFileSync(path, 'utf8')).toBe('of another server')
})

test('A6: a home that cannot be written is reported, and the token in the data folder stays', async () => {
  const token = await open()
  writeFileSync(join(home, '.kalam'), 'a file, not a folder')
  await expect(token.announce({ home, port: 2900 })).rejects.toThrow(/EEXIST|ENOTDIR/)
  expect(readdirSync(dataDir)).toEqual(['admin.token'])
})

test('A6: what a crash left is removed where there is to be no token', async () => {
  writeFileSync(join(dataDir, 'admin.token'), 'left')
  await removeLocalToken(dataDir)
  await removeLocalToken(dataDir)
  expect(readdirSync(dataDir)).toEqual([])
})
