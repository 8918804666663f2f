import { describe, expect, test } from 'vitest'
import { FrameReader } from '#adapters/postgres/frame-reader.js'
import { frame, startupPacket } from '../../support/raw-wire-client.js'

const bound = { bytesMax: 1_000, name: 'a.setting' }

describe('messages', () => {
  const query = frame('Q', 'select 1\0')
  const sync = frame('S')
  const all = Buffer.concat([query, sync, query])

  test('come whole, however the bytes are cut', () => {
    for (let first = 0; first <= all.length; first++)
      for (let second = first; second <= all.length; second++) {
        const reader = new FrameReader()
        const seen: Buffer[] = []
        const parts = [all.subarray(0, first), all.subarray(first, second), all.subarray(second)]
        for (const part of parts) {
          reader.push(Buffer.from(part))
          for (let found = reader.message(bound); found !== undefined;) {
            seen.push(found)
            found = reader.message(bound)
          }
        }
        expect(Buffer.concat(seen)).toEqual(all)
        expect(seen.map((message) => message.length)).toEqual(
          [query, sync, query].map((m) => m.length),
        )
        expect(reader.bufferedBytes).toBe(0)
      }
  })

  test('that were given out stay as they are', () => {
    const reader = new FrameReader()
    const seen: Buffer[] = []
    for (let index = 0; index < 300; index++) {
      const message = frame('Q', `${'x'.repeat(index)}\0`)
      for (const part of [message.subarray(0, 3), message.subarray(3)]) {
        reader.push(Buffer.from(part))
        const found = reader.message(bound)
        if (found !== undefined) seen.push(found)
      }
    }
    expect(seen.map(String)).toEqual(
      Array.from({ length: 300 }, (_, index) => String(frame('Q', `${'x'.repeat(index)}\0`))),
    )
  })

  test.each([
    ['of the most bytes', 1_000 - 4, undefined],
    ['of one more', 1_000 - 3, /a message of 1001 bytes; a\.setting is 1000/u],
  ])('%s', (_, bodyBytes, refusal) => {
    const reader = new FrameReader()
    // The head alone: what is too much is not waited for.
    reader.push(frame('Q', Buffer.alloc(bodyBytes)).subarray(0, 5))
    const read = () => reader.message(bound)
    if (refusal === undefined) expect(read()).toBeUndefined()
    else expect(read).toThrow(refusal)
  })

  test.each([
    ['a length below its own four bytes', Buffer.from([0x51, 0, 0, 0, 3])],
    ['a gigabyte', Buffer.from([0x51, 0x40, 0, 0, 0])],
    ['a negative length', Buffer.from([0x51, 0xff, 0xff, 0xff, 0xff])],
    ['a tag of none, before its length has come', Buffer.from('G')],
  ])('%s is refused', (_, bytes) => {
    const reader = new FrameReader()
    reader.push(bytes)
    expect(() => reader.message(bound)).toThrow(/invalid|bytes/u)
  })
})

describe('a start-up packet', () => {
  test('comes whole, a byte at a time', () => {
    const bytes = startupPacket({ user: 'alice' })
    const reader = new FrameReader()
    const found = Array.from(bytes, (byte) => {
      reader.push(Buffer.of(byte))
      return reader.startupPacket(bound)
    })
    expect(found.filter((packet) => packet !== undefined)).toEqual([bytes.subarray(4)])
    expect(found.at(-1)).toBeDefined()
  })

  test.each([7, 1_001, 0xffffffff])('of %d bytes is refused', (length) => {
    const head = Buffer.alloc(4)
    head.writeUInt32BE(length)
    const reader = new FrameReader()
    reader.push(head)
    expect(() => reader.startupPacket(bound)).toThrow('invalid length of startup packet')
  })

  test.each([8, 1_000])('of %d bytes is waited for', (length) => {
    const head = Buffer.alloc(4)
    head.writeUInt32BE(length)
    const reader = new FrameReader()
    reader.push(head)
    expect(reader.startupPacket(bound)).toBeUndefined()
  })
})
