/** In a process of its own, whose memory it measures. */
import { expect, test } from 'vitest'
import { eventually, metric, sendOnly } from '../support/http-client.js'
import { openTestServer } from '../support/server.js'

const large = `select repeat('x', 1000) as t from generate_series(1, 300000)`

test('C5: a reader that takes nothing holds nobody, and is left after a while', async () => {
  await using server = await openTestServer({ settings: { 'http.stream_idle_timeout_ms': 500 } })
  const leftStreams = () =>
    metric(server, 'kalamdb_http_requests_total\\{route="/v1/api/sql",status="499"\\}')
  const before = await leftStreams()
  const memoryBefore = process.memoryUsage().rss
  const socket = await sendOnly(
    server,
    JSON.stringify({ sql: large }),
    'Accept: application/x-ndjson\r\n',
  )
  const closed = new Promise((resolve) => socket.once('close', resolve))
  expect((await server.request('select 1')).status).toBe(200)
  // The socket's own buffers are still full: reading them ends in the cut.
  await eventually(async () => (await leftStreams()) === before + 1)
  expect(process.memoryUsage().rss - memoryBefore).toBeLessThan(250 * 1024 * 1024)
  socket.resume()
  await closed
})
