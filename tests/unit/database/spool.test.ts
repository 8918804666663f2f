/** A spool gives back what was written, at the pace of who reads, and keeps to its bounds. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Spools, type Spool } from '#src/database/spool.js'

const MiB = 1024 * 1024

let folder = ''
let spools: Spools
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'kalam-spool-')), 'spool')
  spools = new Spools({ folder, diskBytesMax: 4 * MiB })
})
afterEach(() => rmSync(join(folder, '..'), { recursive: true, force: true }))

async function readAll(spool: Spool): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of spool) pieces.push(piece)
  return Buffer.concat(pieces)
}

const numbered = (n: number): Buffer => Buffer.alloc(64 * 1024, `${n},`)

test('what is small stays in memory', async () => {
  const spool = spools.open()
  await spool.write(Buffer.from('a'))
  await spool.write(Buffer.alloc(MiB - 1, 'b'))
  spool.end()
  expect(existsSync(folder)).toBe(false)
  expect(await readAll(spool)).toEqual(Buffer.from(`a${'b'.repeat(MiB - 1)}`))
  await spool.close()
})

test('what is large goes through a file that has no name, and comes in order', async () => {
  const spool = spools.open()
  const written = Array.from({ length: 60 }, (_, n) => numbered(n))
  for (const piece of written) await spool.write(Buffer.from(piece))
  spool.end()
  expect(readdirSync(folder)).toEqual([])
  expect(spools.diskBytes).toBe(60 * 64 * 1024 - MiB)
  expect((await readAll(spool)).equals(Buffer.concat(written))).toBe(true)
  await spool.close()
  await spool.close()
  expect(spools.diskBytes).toBe(0)
})

test('a reader beside the writer gets all of it, with little disk', async () => {
  const spool = spools.open()
  const written = Array.from({ length: 300 }, (_, n) => numbered(n))
  const reading = readAll(spool)
  for (const piece of written) await spool.write(Buffer.from(piece))
  spool.end()
  expect((await reading).equals(Buffer.concat(written))).toBe(true)
  await spool.close()
})

test('all together keep to the bound of the disk', async () => {
  const [one, other] = [spools.open(), spools.open()]
  for (const spool of [one, other]) await spool.write(Buffer.alloc(MiB))
  await one.write(Buffer.alloc(3 * MiB))
  await other.write(Buffer.alloc(MiB))
  await expect(other.write(Buffer.alloc(1))).rejects.toMatchObject({
    code: 'OUT_OF_RESOURCES',
    sqlState: '53400',
  })
  await one.close()
  await other.write(Buffer.alloc(1))
  await other.close()
  expect(spools.diskBytes).toBe(0)
})

test('an error reaches the reader, and a close the writer', async () => {
  const failed = spools.open()
  const reading = readAll(failed)
  failed.fail(new Error('the engine is gone'))
  await expect(reading).rejects.toThrow('the engine is gone')
  const closed = spools.open()
  const waiting = readAll(closed)
  await closed.close()
  expect(await waiting).toHaveLength(0)
  await expect(closed.write(Buffer.from('x'))).rejects.toMatchObject({ code: 'CANCELLED' })
  await failed.close()
})
