/** What a slow client is told waits in a spool, comes in order, and is given back however it ends. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Spools } from '#src/database/spool.js'
import { Outbox } from '#src/database/wire/outbox.js'
import type { WireClient } from '#src/database/wire-session.js'

const MiB = 1024 * 1024

let folder = ''
let spools: Spools
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kalam-outbox-'))
  spools = new Spools({ folder: join(folder, 'spool'), diskBytesMax: 4 * MiB })
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A client that takes what it is told when `take` is called, once for each. */
function slowClient() {
  const heard: Buffer[] = []
  const taking: (() => void)[] = []
  const client: WireClient = {
    send: (bytes) => {
      heard.push(Buffer.from(bytes))
      return new Promise<void>((resolve) => taking.push(resolve))
    },
    async *copyData() {},
    end: () => undefined,
  }
  const take = async (count: number): Promise<void> => {
    for (let taken = 0; taken < count; taken++) {
      await expect.poll(() => taking.length, { interval: 1 }).toBeGreaterThan(0)
      taking.shift()?.()
    }
  }
  return { client, heard, take }
}

const letters = (letter: string, bytes = MiB) => Buffer.alloc(bytes, letter)

test('all comes in order, and is over when the client has taken it', async () => {
  const { client, heard, take } = slowClient()
  const outbox = new Outbox(client, spools)
  expect(outbox.send(Buffer.from('a'))).toBeUndefined()
  expect(outbox.isBehind).toBe(true)
  for (const letter of 'bcd') await outbox.send(letters(letter))
  expect(spools.diskBytes).toBe(2 * MiB)
  const taken = outbox.taken()
  await take(4)
  expect(await taken).toBe(false)
  expect(heard.map((bytes) => `${bytes.toString('latin1', 0, 1)} ${bytes.length}`)).toEqual([
    ...['a 1', `b ${MiB}`, `c ${MiB}`, `d ${MiB}`],
  ])
  expect([outbox.isBehind, spools.diskBytes]).toEqual([false, 0])
})

test('what is dropped ends with a message, and an error comes all the same', async () => {
  const { client, heard, take } = slowClient()
  const outbox = new Outbox(client, spools)
  void outbox.send(Buffer.from('a'))
  // A message of 3 MiB in three pieces, and one more.
  await outbox.send(letters('b'), 2 * MiB)
  await outbox.send(letters('b'), MiB)
  await outbox.send(letters('b'))
  await outbox.send(Buffer.from('c'))
  void outbox.sendLast(Buffer.from('error'))
  await take(1)
  await expect.poll(() => heard.length, { interval: 1 }).toBe(2)
  outbox.drop()
  const taken = outbox.taken()
  await take(4)
  expect(await taken).toBe(true)
  expect(heard.map(({ length }) => length)).toEqual([1, MiB, MiB, MiB, 5])
})

test('a long message has room as a whole or is not begun', async () => {
  const { client } = slowClient()
  const outbox = new Outbox(client, spools)
  void outbox.send(Buffer.from('a'))
  await expect(outbox.send(letters('b'), 4 * MiB)).rejects.toMatchObject({ sqlState: '53400' })
  await outbox.send(letters('b'), 3 * MiB)
  await outbox.close()
  expect(spools.diskBytes).toBe(0)
})

test('a session that ends while its client waits for more gives back the disk', async () => {
  const { client, take } = slowClient()
  const outbox = new Outbox(client, spools)
  void outbox.send(Buffer.from('a'))
  for (const letter of 'bc') await outbox.send(letters(letter))
  await take(3)
  expect(spools.diskBytes).toBe(MiB)
  await outbox.close()
  await outbox.close()
  expect(spools.diskBytes).toBe(0)
})
