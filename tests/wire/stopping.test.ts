/** What clients of the Postgres wire hear when the server stops. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeScratchFolder } from '../support/scratch-folder.js'
import { openTestServer, type TestServer } from '../support/server.js'
import { WireClient, errorOf, frame, tagsOf, type WireMessage } from '../support/raw-wire-client.js'

const open = (shutdownTimeoutMs: number, diskModule?: string) =>
  openTestServer({
    ...(diskModule === undefined ? {} : { diskModule }),
    settings: {
      'postgres_wire.enabled': true,
      'server.shutdown_timeout_ms': shutdownTimeoutMs,
    },
  })

async function enter(server: TestServer): Promise<WireClient> {
  const client = await WireClient.connect({ port: server.wirePort })
  await client.logIn({ user: 'root', password: server.adminKey })
  return client
}

const lastError = (messages: readonly WireMessage[]) => {
  const last = messages.at(-1)
  return last && errorOf(last)
}
const shutdown = {
  severity: 'FATAL',
  code: '57P01',
  message: 'terminating connection due to administrator command',
}

test('G1: idle clients are told and ended, what runs may end in its time', async () => {
  await using server = await open(20_000)
  await server.sql('CREATE TABLE lines (a int)')
  const [idle, busy, starting] = [
    await enter(server),
    await enter(server),
    await WireClient.connect({ port: server.wirePort }),
  ]
  busy.send(frame('Q', 'copy lines from stdin\0'))
  expect((await busy.next()).tag).toBe('G')
  const stopping = server.stop()
  expect(lastError(await starting.closed())).toMatchObject({ severity: 'FATAL', code: '57P03' })
  const heard = await idle.closed()
  expect(tagsOf(heard)).toBe('E')
  expect(lastError(heard)).toMatchObject(shutdown)
  // It has its time still.
  busy.send(frame('d', '1\n'), frame('c'))
  const answered = await busy.closed()
  expect(tagsOf(answered)).toBe('CZE')
  expect(lastError(answered)).toMatchObject(shutdown)
  await stopping
})

test('G1: what runs longer is cancelled, and told so', async () => {
  await using server = await open(100)
  const client = await enter(server)
  client.send(frame('Q', 'select count(*) from generate_series(1, 100000000000)\0'))
  const units = async () => {
    const page = await (await fetch(`${server.url}/metrics`)).text()
    return Number(/^kalamdb_wire_units_total (\d+)$/mu.exec(page)?.[1])
  }
  await expect.poll(units, { timeout: 20_000, interval: 5 }).toBe(1)
  const stopping = server.stop()
  const errors = (await client.closed()).filter(({ tag }) => tag === 'E').map(errorOf)
  expect(errors.map(({ code }) => code)).toEqual(['57014', '57P01'])
  expect(errors.at(-1)).toMatchObject(shutdown)
  await stopping
})

test('K2: all clients are ended with the engine, idle ones too: nothing of their sessions is left', async () => {
  const folder = makeScratchFolder('kalam-fault-')
  const fault = join(folder, 'fault')
  const disk = new URL('../support/disks/faulty.mjs', import.meta.url)
  disk.searchParams.set('switch', fault)
  await using server = await open(1_000, disk.href)
  const [listener, fatal] = [await enter(server), await enter(server)]
  await listener.query('listen news')
  writeFileSync(fault, 'wal-sync EIO')
  fatal.send(frame('Q', 'create table lost ()\0'))
  for (const client of [listener, fatal])
    expect(lastError(await client.closed())).toMatchObject({ severity: 'FATAL', code: '57P01' })
  rmSync(folder, { recursive: true })
  await using next = await enter(server)
  expect(tagsOf(await next.query('listen news; notify news'))).toBe('CCAZ')
})
