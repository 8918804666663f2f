/** What streams keep on the disk until they are read: bounded, and an error past the bound. */
import { expect, test } from 'vitest'
import { openTestServer, type TestServer } from '../support/server.js'

const MiB = 1024 * 1024
/** Rows of 10 kB that do not fit into what waits on the way to a reader. */
const megabytes = (count: number) =>
  `SELECT repeat('x', 10000) AS filler FROM generate_series(1, ${count * 100})`

test('C5: streams together keep to engine.temporary_bytes_max; one too many is told so', async () => {
  await using server = await openTestServer({
    settings: { 'engine.temporary_bytes_max': 48 * MiB, 'http.stream_piece_bytes': 64 * 1024 },
  })
  const key = await server.createUser('alice')
  const alone = await stream(server, key, megabytes(60))
  expect(await alone.json()).toMatchObject({
    error: { code: 'OUT_OF_RESOURCES', sqlstate: '53400' },
  })

  const first = await stream(server, key, megabytes(40))
  const second = await stream(server, key, megabytes(40))
  expect(await second.json()).toMatchObject({ error: { code: 'OUT_OF_RESOURCES' } })
  expect(rowCountOf(await first.text())).toBe(4_000)

  const third = await stream(server, key, megabytes(40))
  expect(rowCountOf(await third.text())).toBe(4_000)
})

function stream(server: TestServer, key: string, sql: string): Promise<Response> {
  return fetch(`${server.url}/v1/api/sql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-api-key': key,
      accept: 'application/x-ndjson',
    },
    body: JSON.stringify({ sql }),
  })
}

/** What the last line says. */
function rowCountOf(lines: string): unknown {
  const last: unknown = JSON.parse(lines.trimEnd().split('\n').at(-1) ?? '')
  return (last as { row_count?: unknown }).row_count
}
