/** The WebSocket that the package brings for Node 20, against one of `ws`, and its reader alone. */
import { build } from 'esbuild'
import fc from 'fast-check'
import { createServer, type AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { WebSocketServer, type WebSocket } from 'ws'
import { propertyRuns } from '../../../../tests/support/counts.js'
import { within } from '../../../../tests/support/socket-client.js'

interface Message {
  readonly kind: string
  readonly bytes: Uint8Array
}

interface Socket {
  onopen: () => void
  onmessage: (event: { readonly data: Uint8Array }) => void
  onerror: (event: { readonly message: string }) => void
  onclose: (event: { readonly code: number; readonly reason: string }) => void
  send(frame: Uint8Array): void
  close(code?: number): void
}

interface Parts {
  readonly NodeSocket: new (url: string, protocols: readonly string[]) => Socket
  readonly FrameReader: new () => { read(chunk: Uint8Array): readonly Message[] }
}

/** They are inside the package, where nobody but its client gets at them. */
async function partsOfPackage(): Promise<Parts> {
  const folder = fileURLToPath(new URL('../src/', import.meta.url))
  const { outputFiles } = await build({
    stdin: {
      contents: `export { NodeSocket } from './node-socket.js'
        export { FrameReader } from './websocket-frames.js'`,
      ...{ resolveDir: folder, loader: 'ts' },
    },
    ...{ bundle: true, write: false, format: 'esm', external: ['node:*'] },
  })
  const source = Buffer.from(outputFiles[0]?.contents ?? []).toString('base64')
  // It exports these two, by the names that stand in the source.
  return (await import(`data:text/javascript;base64,${source}`)) as Parts
}

const { NodeSocket, FrameReader } = await partsOfPackage()
const server = new WebSocketServer({ port: 0, handleProtocols: () => 'a' })
// It listens on a port.
const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
afterAll(() => server.close())

/** A socket and the server's side of it. */
async function connect(): Promise<{ near: Socket; far: WebSocket }> {
  const far = new Promise<WebSocket>((resolve) => server.once('connection', resolve))
  const near = new NodeSocket(url, ['a'])
  await within('an open socket', new Promise<void>((resolve) => (near.onopen = resolve)))
  return { near, far: await far }
}

function closing(socket: Socket) {
  type Closing = Parameters<Socket['onclose']>[0]
  return within('a close', new Promise<Closing>((resolve) => (socket.onclose = resolve)))
}

describe('a socket', () => {
  test.each([0, 1, 125, 126, 65_535, 65_536, 3_000_000])(
    '%i bytes, there and back',
    async (size) => {
      const { near, far } = await connect()
      const bytes = Uint8Array.from({ length: size }, (_, at) => at % 251)
      far.on('message', (data: Buffer) => far.send(data))
      const back = new Promise<Uint8Array>(
        (resolve) => (near.onmessage = ({ data }) => resolve(data)),
      )
      near.send(bytes)
      expect(Buffer.compare(await within('an echo', back), bytes)).toBe(0)
      near.close()
    },
  )

  test('pings are answered; a close is told with its code and reason', async () => {
    const { near, far } = await connect()
    const pong = new Promise<Buffer>((resolve) => far.once('pong', resolve))
    far.ping('are you there')
    expect(String(await within('a pong', pong))).toBe('are you there')
    const closed = closing(near)
    const answer = new Promise((resolve) => far.once('close', resolve))
    far.close(4401, 'UNAUTHORIZED')
    expect(await closed).toEqual({ code: 4401, reason: 'UNAUTHORIZED' })
    expect(await within('an answer', answer)).toBe(4401)
  })

  test('a connection that breaks is a close, 1006', async () => {
    const { near, far } = await connect()
    const closed = closing(near)
    far.terminate()
    expect(await closed).toEqual({ code: 1006, reason: '' })
  })

  test.each([
    ['HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n', /HTTP 503/u],
    [
      'HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
      /not as a WebSocket/u,
    ],
    ['what\r\n\r\n', /Parse Error/u],
  ])('an answer that is none: %j', async (answer, message) => {
    const odd = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => socket.end(answer))
    }).listen(0)
    await new Promise((resolve) => odd.once('listening', resolve))
    const socket = new NodeSocket(`ws://127.0.0.1:${(odd.address() as AddressInfo).port}`, ['a'])
    let told = ''
    socket.onerror = (event) => (told = event.message)
    expect(await closing(socket)).toEqual({ code: 1006, reason: '' })
    expect(told).toMatch(message)
    odd.close()
  })
})

describe('the reader of frames', () => {
  /** A frame as a server writes it. */
  function frame(opcode: number, bytes: Uint8Array, isFinal: boolean): Uint8Array {
    const { length } = bytes
    const size = length < 126 ? [length] : [126, length >> 8, length & 255]
    return Uint8Array.from([(isFinal ? 0x80 : 0) | opcode, ...size, ...bytes])
  }

  test('any messages, in any fragments, split anywhere, are the same messages', () => {
    const part = fc.uint8Array({ maxLength: 300 })
    const message = fc.array(part, { minLength: 1, maxLength: 3 })
    const property = fc.property(fc.array(message), fc.array(fc.nat(400)), (messages, cuts) => {
      const frames = messages.flatMap((parts) =>
        parts.map((bytes, at) => frame(at === 0 ? 2 : 0, bytes, at === parts.length - 1)),
      )
      const bytes = Buffer.concat(frames)
      const reader = new FrameReader()
      const told: Message[] = []
      let at = 0
      for (const cut of cuts) {
        told.push(...reader.read(bytes.subarray(at, at + cut)))
        at += cut
      }
      told.push(...reader.read(bytes.subarray(at)))
      expect(told.map(({ kind }) => kind)).toEqual(messages.map(() => 'binary'))
      expect(told.map((each) => Buffer.from(each.bytes).toString('hex'))).toEqual(
        messages.map((parts) => Buffer.concat(parts).toString('hex')),
      )
    })
    fc.assert(property, propertyRuns())
  })

  test('any bytes are messages or a fault, and never more than that', () => {
    const property = fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (chunks) => {
      const reader = new FrameReader()
      for (const chunk of chunks)
        if (reader.read(chunk).some(({ kind }) => kind === 'fault')) return
    })
    fc.assert(property, propertyRuns())
  })

  test.each([
    ['a masked frame', [0x82, 0x80]],
    ['a reserved bit', [0xc2, 0]],
    ['an unknown opcode', [0x83, 0]],
    ['a control frame in fragments', [0x09, 0]],
    ['a long control frame', [0x89, 126]],
    ['a fragment of nothing', [0x80, 0]],
    ['a message within a message', [0x02, 0, 0x82, 0]],
    ['a length past all bounds', [0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]],
  ])('%s is a fault', (_name, bytes) => {
    expect(new FrameReader().read(Uint8Array.from(bytes)).at(-1)).toMatchObject({ kind: 'fault' })
  })
})
