import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { CopyPayload } from '#src/database/copy-payload.js'
import { MessageWriter } from '#src/engine/frontend-messages.js'
import { CopyRouter } from '#src/engine/pglite/copy-router.js'
import { propertyRuns } from '../support/counts.js'

/** Messages of a COPY (true) and others, each with its bytes. */
const messages = fc.array(
  fc.tuple(fc.constantFrom(...Array.from('GHdcCZN1E2')), fc.uint8Array({ maxLength: 40 })),
  { maxLength: 30 },
)
const cuts = fc.infiniteStream(fc.integer({ min: 1, max: 9 }))

function encode(tag: string, body: Uint8Array): Buffer {
  const head = Buffer.alloc(5)
  head.write(tag)
  head.writeInt32BE(4 + body.length, 1)
  return Buffer.concat([head, body])
}

function cut(bytes: Buffer, sizes: Iterable<number>): Buffer[] {
  const pieces: Buffer[] = []
  let at = 0
  for (const size of sizes) {
    if (at >= bytes.length) break
    // Each piece has memory of its own, as PGlite's is written over.
    pieces.push(Buffer.from(bytes.subarray(at, at + size)))
    at += size
  }
  return pieces
}

const isCopy = (tag: string): boolean => 'GHdc'.includes(tag)

test('messages are parted, however they are cut', () => {
  fc.assert(
    fc.property(messages, cuts, (sent, sizes) => {
      const found = { copy: [] as Buffer[], reply: [] as Buffer[] }
      const router = new CopyRouter({
        copy: (bytes) => found.copy.push(Buffer.from(bytes)),
        reply: (bytes) => found.reply.push(Buffer.from(bytes)),
      })
      const all = Buffer.concat(sent.map(([tag, body]) => encode(tag, body)))
      for (const piece of cut(all, sizes)) router.route(piece)
      const wanted = (copy: boolean) =>
        Buffer.concat(
          sent.filter(([tag]) => isCopy(tag) === copy).map(([tag, body]) => encode(tag, body)),
        )
      expect(Buffer.concat(found.copy)).toEqual(wanted(true))
      expect(Buffer.concat(found.reply)).toEqual(wanted(false))
    }),
    propertyRuns(500),
  )
})

test('the data of CopyData is taken out, however it is cut', () => {
  fc.assert(
    fc.property(messages, cuts, (sent, sizes) => {
      const payload = new CopyPayload()
      const all = Buffer.concat(sent.map(([tag, body]) => encode(tag, body)))
      const taken = cut(all, sizes).map((piece) => Buffer.from(payload.take(piece)))
      const data = sent.filter(([tag]) => tag === 'd').map(([, body]) => body)
      expect(Buffer.concat(taken)).toEqual(Buffer.concat(data))
    }),
    propertyRuns(500),
  )
})

test('frontend messages of COPY', () => {
  const bytes = new MessageWriter(1).copyData(Buffer.from('1\n')).copyDone().copyFail('no').finish()
  expect(Buffer.from(bytes).toString('latin1')).toBe('d\0\0\0\x061\nc\0\0\0\x04f\0\0\0\x07no\0')
})
