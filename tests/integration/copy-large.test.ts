/** COPY of 30 MB each way, and results of the wire, in bounded memory, over slow lines too. C5, C6, C9, I4. */
import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Client, Query } from 'pg'
import { expect, test } from 'vitest'
import { countOf } from '../support/counts.js'
import { copy, copyIn, copyUrl } from '../support/copy-client.js'
import { errorOf } from '../support/http-client.js'
import { openTestServer, type TestServer } from '../support/server.js'
import { openWireServer } from '../support/wire-server.js'

const MiB = 1024 * 1024
const rowBytes = 1000
const rows = 30_000

/** The same bytes again and again: what is in use more is the server's. `onLate` is called near the end. */
async function* lines(onLate: () => Promise<void>): AsyncGenerator<Uint8Array> {
  const piece = Buffer.from(`${'x'.repeat(rowBytes - 1)}\n`.repeat(60))
  for (let sent = 0; sent < rows; sent += 60) {
    yield piece
    // Time for what comes from the socket.
    if (sent % 600 === 0) await setImmediate()
    if (sent === rows - 600) await onLate()
  }
}

async function send(
  server: TestServer,
  sql: string,
  data: AsyncIterable<Uint8Array>,
): Promise<Response> {
  const init: RequestInit & { readonly duplex: 'half' } = {
    method: 'POST',
    headers: { 'x-api-key': server.adminKey },
    body: Readable.toWeb(Readable.from(data)) as ReadableStream<Uint8Array>,
    duplex: 'half',
  }
  return fetch(copyUrl(server, sql), init)
}

setFlagsFromString('--expose-gc')
// The flag makes this function of every new context.
const collectGarbage = runInNewContext('gc') as () => void

/** Memory of buffers in use. */
function bufferBytes(): number {
  collectGarbage()
  return process.memoryUsage().arrayBuffers
}

test('30 MB in and out, in memory that does not grow with it', async () => {
  await using server = await openTestServer()
  await server.sql('CREATE TABLE plain (line text)')
  const start = bufferBytes()
  // V8 gives memory back a little later than it finds that nobody uses it.
  const isBounded = () =>
    expect.poll(() => bufferBytes() - start, { timeout: 8_000 }).toBeLessThan(10 * MiB)
  const sent = await send(server, 'COPY plain FROM STDIN', lines(isBounded))
  expect(await sent.json()).toMatchObject({ results: [{ row_count: rows }] })
  const response = await fetch(copyUrl(server, 'COPY plain TO STDOUT'), {
    method: 'POST',
    headers: { 'x-api-key': server.adminKey },
  })
  // Answered after the COPY has run: all that was not read waits in the spool.
  await server.sql('SELECT 1')
  await isBounded()
  let received = 0
  for await (const piece of response.body ?? []) received += piece.length
  expect(received).toBe(rows * rowBytes)
})

test('a sender who pauses, and a reader who does, hold nobody; what takes too long ends', async () => {
  await using server = await openTestServer({ settings: { 'engine.statement_timeout_ms': 2_000 } })
  await server.sql('CREATE TABLE large (line text)')
  const gate = { open: (): void => undefined }
  const opened = new Promise<void>((resolve) => {
    gate.open = resolve
  })
  async function* paused(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('one\n')
    await opened
    yield Buffer.from('two\n')
  }
  const sending = send(server, 'COPY large FROM STDIN', paused())
  const reading = await fetch(
    copyUrl(server, `COPY (SELECT repeat('x', 1000), generate_series(1, 10000)) TO STDOUT`),
    { method: 'POST', headers: { 'x-api-key': server.adminKey } },
  )
  expect((await server.sql('SELECT count(*)::int AS n FROM large')).rows).toEqual([{ n: 0 }])
  const late = await copy(
    server,
    'COPY (SELECT count(*) FROM (SELECT generate_series(1, 1000000000)) x) TO STDOUT',
  )
  expect([late.status, errorOf(late).code]).toEqual([408, 'STATEMENT_TIMEOUT'])
  // The deadline is the statement's: the line may take as long as it likes.
  gate.open()
  expect((await sending).status).toBe(200)
  expect((await reading.arrayBuffer()).byteLength).toBeGreaterThan(10_000_000)
  expect(await copyIn(server, 'COPY large FROM STDIN', 'three\n')).toBe(1)
  expect((await server.sql('SELECT count(*)::int AS n FROM large')).rows).toEqual([{ n: 3 }])
})

test('a result of the wire that is read late, in memory that does not grow with it', async () => {
  const count = countOf('KALAM_TEST_WIRE_MB', 24) * 1000
  const wire = await openWireServer()
  try {
    const slow = new Client(wire)
    await slow.connect()
    const start = bufferBytes()
    const isBounded = () =>
      expect.poll(() => bufferBytes() - start, { timeout: 8_000 }).toBeLessThan(10 * MiB)
    const query = slow.query(
      new Query(`SELECT repeat('x', 1000) FROM generate_series(1, ${count})`),
    )
    const { stream } = slow.connection
    stream.pause()
    let read = 0
    query.on('row', () => (read += 1))
    const ended = new Promise((resolve, reject) => {
      query.once('end', resolve)
      query.once('error', reject)
    })
    // Answered after the query has run: all that was not read waits in the spool.
    await wire.sql('SELECT 1')
    await isBounded()
    stream.resume()
    await ended
    expect(read).toBe(count)
    await isBounded()
    await slow.end()
  } finally {
    await wire.close()
  }
})
