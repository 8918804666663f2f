/** What clients of the Postgres wire hear when the server stops. */
import { expect, test } from 'vitest'
import { openTestServer } from '../support/server.js'
import { WireClient, errorOf, frame, tagsOf, type WireMessage } from '../support/raw-wire-client.js'

const shutdown = { severity: 'FATAL', code: '57P01' }
const lastError = (messages: readonly WireMessage[]) => {
  const last = messages.at(-1)
  return last && errorOf(last)
}

test('G1: idle clients are told, what runs may end in its time, the rest is cancelled', async () => {
  await using server = await openTestServer({
    settings: { 'postgres_wire.enabled': true, 'server.shutdown_timeout_ms': 2_000 },
  })
  const connect = () => WireClient.connect({ port: server.wirePort })
  const enter = async () => {
    const client = await connect()
    await client.logIn({ user: 'root', password: server.adminKey })
    return client
  }
  const [idle, short, long, starting] = [
    await enter(),
    await enter(),
    await enter(),
    await connect(),
  ]
  const units = async () => {
    const page = await (await fetch(`${server.url}/metrics`)).text()
    return Number(/^kalamdb_wire_units_total (\d+)$/mu.exec(page)?.[1])
  }
  short.send(frame('Q', 'select count(*) from generate_series(1, 2000000)\0'))
  await expect.poll(units, { timeout: 20_000, interval: 5 }).toBe(1)
  long.send(frame('Q', 'select count(*) from generate_series(1, 100000000000)\0'))
  await expect.poll(units, { timeout: 20_000, interval: 5 }).toBe(2)
  const stopping = server.stop()
  expect(lastError(await starting.closed())).toMatchObject({ severity: 'FATAL', code: '57P03' })
  const heard = await idle.closed()
  expect(tagsOf(heard)).toBe('E')
  expect(lastError(heard)).toMatchObject({
    ...shutdown,
    message: 'terminating connection due to administrator command',
  })
  const answered = await short.closed()
  expect(tagsOf(answered)).toBe('TDCZE')
  expect(lastError(answered)).toMatchObject(shutdown)
  const cancelled = await long.closed()
  expect(lastError(cancelled)).toMatchObject(shutdown)
  expect(
    cancelled.some((message) => message.tag === 'E' && errorOf(message).code === '57014'),
  ).toBe(true)
  await stopping
})
