import { expect, test } from 'vitest'
import { readStartupPacket } from '#adapters/postgres/startup-packet.js'
import {
  cancelRequest,
  gssRequest,
  packet,
  sslRequest,
  startupPacket,
  version30,
} from '../../support/raw-wire-client.js'

/** Without the length, which the reader of frames takes. */
const read = (bytes: Buffer) => readStartupPacket(bytes.subarray(4))

test('tells the packets that open a connection apart', () => {
  expect(read(sslRequest)).toEqual({ kind: 'ssl' })
  expect(read(gssRequest)).toEqual({ kind: 'gss' })
  const secret = Buffer.from([1, 2, 3, 4])
  expect(read(cancelRequest(-5, secret))).toEqual({ kind: 'cancel', processId: -5, secret })
  expect(read(startupPacket({ user: 'ö', database: '' }, version30 + 2))).toEqual({
    kind: 'startup',
    minor: 2,
    parameters: new Map([
      ['user', 'ö'],
      ['database', ''],
    ]),
  })
})

test.each([1, 32, 256])('a secret of %d bytes cancels', (bytes) => {
  expect(read(cancelRequest(1, Buffer.alloc(bytes)))).toMatchObject({ kind: 'cancel' })
})

test.each([0, 257])('a secret of %d bytes is refused', (bytes) => {
  expect(() => read(cancelRequest(1, Buffer.alloc(bytes)))).toThrow('cancel request')
})

test.each([2 << 16, 4 << 16, 0, 0x7fffffff])('protocol %d is refused', (version) => {
  expect(() => read(startupPacket({ user: 'a' }, version))).toThrow(
    expect.objectContaining({ sqlState: '0A000' }) as Error,
  )
})

test.each(['', 'user', 'user\0', 'user\0alice', 'user\0alice\0', 'user\0alice\0\0x', '\0\0'])(
  'parameters %j are refused',
  (text) => {
    expect(() => read(packet(version30, Buffer.from(text)))).toThrow('terminator')
  },
)
