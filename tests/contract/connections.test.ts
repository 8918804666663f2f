/** What the door makes of connections and of heads that two readers may read in two ways. */
import { Agent, request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { errorOf, rawSqlHead, sendRaw } from '../support/http-client.js'
import { openTestServer, type TestServer } from '../support/server.js'

const connectionsMax = 20

let server: TestServer
beforeAll(async () => {
  server = await openTestServer({ settings: { 'http.connections_max': connectionsMax } })
})
afterAll(() => server.close())

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

/** A client that keeps one connection. */
function openClient() {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const ask = () =>
    new Promise<Answer>((resolve, reject) => {
      const asked = request(`${server.url}/health`, { agent }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (piece: string) => (text += piece))
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
        )
      })
      asked.on('error', reject).end()
    })
  return { ask, close: () => agent.destroy() }
}

test('http.connections_max are served, one more is told so and closed, then all is well', async () => {
  const clients = Array.from({ length: connectionsMax }, openClient)
  const askAll = () => Promise.all(clients.map(({ ask }) => ask()))
  // Connections of the native library are counted ten times a second: longer than that.
  const until = performance.now() + 500
  while (performance.now() < until)
    for (const { status } of await askAll()) expect(status).toBe(200)

  const extra = openClient()
  const everyone = [extra, ...clients]
  let refused: Answer | undefined
  await expect
    .poll(
      async () => {
        const answers = await Promise.all(everyone.map(({ ask }) => ask()))
        refused = answers.find(({ status }) => status !== 200)
        return refused?.status
      },
      { interval: 10 },
    )
    .toBe(503)
  expect(refused?.headers).toMatchObject({ connection: 'close', 'retry-after': '1' })
  expect(errorOf({ ...refused, text: refused?.text ?? '' } as never)).toMatchObject({
    code: 'OVERLOADED',
    sqlstate: '53300',
  })
  extra.close()
  await expect.poll(async () => (await askAll()).every(({ status }) => status === 200)).toBe(true)
  for (const { close } of clients) close()
  const next = openClient()
  await expect.poll(async () => (await next.ask()).status).toBe(200)
  next.close()
})

describe('a head that does not say for certain where the body ends is refused', () => {
  const body = '{"sql":"select 1"}'
  const length = `Content-Length: ${body.length}\r\n`
  const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
  test.each([
    ['two lengths', `${length}Content-Length: 3\r\n`, body],
    ['one length twice', `${length}${length}`, body],
    ['a length and an encoding', `${length}Transfer-Encoding: chunked\r\n`, chunked],
    ['two encodings', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n', chunked],
    ['another encoding', 'Transfer-Encoding: gzip, chunked\r\n', chunked],
  ])('%s', async (_name, headers, sent) => {
    const received = await sendRaw(
      server.port,
      [`${rawSqlHead(server)}${headers}\r\n${sent}`],
      () => false,
    )
    // Some the HTTP library refuses by itself, and then not always with an answer.
    expect(received).toMatch(/^(HTTP\/1\.1 400 |$)/)
  })

  test('and one that does is served', async () => {
    const headers = 'Transfer-Encoding: chunked\r\n'
    expect(await sendRaw(server.port, [`${rawSqlHead(server)}${headers}\r\n${chunked}`])).toContain(
      '200 OK',
    )
  })
})
