/** Whatever a client sends, cut anywhere, is read to the same messages or refused in words. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { FrameReader } from '#adapters/postgres/frame-reader.js'
import { readLoginRequest } from '#adapters/postgres/login-request.js'
import { ScramExchange } from '#adapters/postgres/scram-exchange.js'
import { readStartupPacket } from '#adapters/postgres/startup-packet.js'
import { DbError } from '#src/errors.js'
import { propertyRuns } from '../support/counts.js'
import { frame, packet } from '../support/raw-wire-client.js'

const bound = { bytesMax: 200, name: 'bound' }
const cuts = fc.infiniteStream(fc.integer({ min: 1, max: 40 }))

/** Mostly messages, some of them wrong somewhere. */
const streams = fc
  .array(
    fc.oneof(
      {
        weight: 6,
        arbitrary: fc
          .tuple(fc.constantFrom(...Array.from('QPBDECSHdcfXp')), bytes(60))
          .map(toFrame),
      },
      { weight: 1, arbitrary: bytes(20) },
      {
        weight: 1,
        arbitrary: fc.tuple(fc.constantFrom(...Array.from('QZG\0')), bytes(300)).map(toFrame),
      },
    ),
    { maxLength: 12 },
  )
  .map((parts) => Buffer.concat(parts))

function bytes(maxLength: number): fc.Arbitrary<Buffer> {
  return fc.uint8Array({ maxLength }).map((array) => Buffer.from(array))
}

function toFrame([tag, body]: [string, Buffer]): Buffer {
  return frame(tag, body)
}

interface Read {
  readonly messages: readonly string[]
  readonly refusal: string | undefined
}

/** All messages, or those before the one that is refused; anything but a DbError fails the test. */
function readAll(pieces: readonly Buffer[]): Read {
  const reader = new FrameReader()
  const messages: string[] = []
  try {
    for (const piece of pieces) {
      reader.push(piece)
      for (;;) {
        const message = reader.message(bound)
        if (message === undefined) break
        messages.push(message.toString('hex'))
      }
      expect(reader.bufferedBytes).toBeLessThanOrEqual(bound.bytesMax + piece.length)
    }
    return { messages, refusal: undefined }
  } catch (error) {
    if (!(error instanceof DbError)) throw error
    return { messages, refusal: error.message }
  }
}

function cut(whole: Buffer, sizes: Iterable<number>): Buffer[] {
  const pieces: Buffer[] = []
  let at = 0
  for (const size of sizes) {
    if (at >= whole.length) break
    pieces.push(Buffer.from(whole.subarray(at, at + size)))
    at += size
  }
  return pieces
}

test('I4: messages are the same however the bytes are cut', () => {
  fc.assert(
    fc.property(streams, cuts, (stream, sizes) => {
      expect(readAll(cut(stream, sizes))).toEqual(readAll([Buffer.from(stream)]))
    }),
    propertyRuns(1_000),
  )
})

/** Nothing but a DbError comes out. */
function inWords(read: () => unknown): void {
  try {
    read()
  } catch (error) {
    if (!(error instanceof DbError)) throw error
  }
}

const codes = [80877102, 80877103, 80877104, 0x30000, 0x30002, 0x3ffff, 0x20000]

test('I2: any start-up packet is read or refused in words', () => {
  const words = [
    'user',
    'database',
    'options',
    'replication',
    'client_encoding',
    '_pq_.x',
    '-c a=b',
  ]
  const body = fc.oneof(
    bytes(60),
    fc
      .array(fc.oneof(fc.constantFrom(...words), fc.string({ unit: 'binary', maxLength: 10 })))
      .map((parts) => Buffer.from(`${parts.join('\0')}\0\0`)),
  )
  const code = fc.oneof(fc.constantFrom(...codes), fc.nat({ max: 0xffffffff }))
  fc.assert(
    fc.property(code, body, cuts, (number, rest, sizes) => {
      inWords(() => {
        const reader = new FrameReader()
        for (const piece of cut(packet(number, rest), sizes)) {
          reader.push(piece)
          const found = reader.startupPacket(bound)
          const read = found && readStartupPacket(found)
          if (read?.kind === 'startup') readLoginRequest(read.parameters)
        }
      })
    }),
    propertyRuns(1_000),
  )
})

test('I2: any words of SCRAM are read or refused in words, and none is a proof', () => {
  const parts = [
    'n,,',
    'y,,',
    'p=tls-server-end-point,,',
    'n=,',
    'r=abc',
    'c=biws',
    ',',
    'a=x',
    'm=',
  ]
  const words = fc
    .array(fc.oneof(fc.constantFrom(...parts), fc.string({ unit: 'binary', maxLength: 8 })))
    .map((list) => list.join(''))
  const secrets = { salt: Buffer.alloc(16), iterations: 1, keys: [] }
  fc.assert(
    fc.property(fc.constantFrom('SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS'), words, words, (...said) => {
      const [mechanism, first, final] = said
      inWords(() => {
        const certificateHash = Buffer.alloc(32)
        const exchange = new ScramExchange({ mechanism, certificateHash, secrets, nonce: 'n' })
        exchange.first(first)
        expect(exchange.final(final)).toBeUndefined()
      })
    }),
    propertyRuns(1_000),
  )
})
