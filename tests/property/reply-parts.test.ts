/** A reply that comes in parts is what it would be whole, however it is cut. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { PartedReply } from '#src/database/wire/parted-reply.js'
import { readReply, type Step } from '#src/database/wire/read-reply.js'
import { ReplyParts } from '#src/engine/pglite/reply-parts.js'
import { propertyRuns } from '../support/counts.js'
import { frame } from '../support/raw-wire-client.js'

const cuts = fc.infiniteStream(fc.integer({ min: 1, max: 40 }))

function cut(bytes: Buffer, sizes: Iterable<number>): Buffer[] {
  const pieces: Buffer[] = []
  let at = 0
  for (const size of sizes) {
    if (at >= bytes.length) break
    pieces.push(Buffer.from(bytes.subarray(at, at + size)))
    at += size
  }
  return pieces
}

const body = fc.uint8Array({ maxLength: 60 })
const notice = fc
  .string({ maxLength: 30 })
  .map((text) => frame('N', `SNOTICE\0C00000\0M${text.replaceAll('\0', '')}\0\0`))
const row = fc.tuple(fc.constantFrom('D', 'd'), body).map(([tag, bytes]) => frame(tag, bytes))
const rows = fc.array(fc.oneof({ weight: 5, arbitrary: row }, notice), { maxLength: 12 })
/** What a statement is answered, beside what is heard of it. */
const answers = fc.array(
  fc.record({
    description: body,
    rows,
    tag: fc.constantFrom('SELECT 3', 'COPY 1'),
    isHidden: fc.boolean(),
  }),
  { maxLength: 4 },
)

test('to the client', async () => {
  const options = {
    ...{ hidesReady: false, wholeBytesMax: 50 },
    ...{ schemaChanged: () => undefined, beforeReady: () => [] },
  }
  await fc.assert(
    fc.asyncProperty(answers, cuts, async (statements, sizes) => {
      const reply = Buffer.concat(
        statements.flatMap(({ description, rows: all, tag }) => [
          ...[frame('T', description), ...all, frame('C', `${tag}\0`)],
        ]),
      )
      const ended: (string | undefined)[] = []
      const stepsOf = (): Step[] =>
        statements.flatMap(({ isHidden }) => {
          const hides = isHidden ? 'everything' : 'nothing'
          const tagFor = (tag: string) => tag.replace('SELECT', 'CHOOSE')
          return [{ hides }, { hides, tagFor, succeeded: (tag) => ended.push(tag) }]
        })
      const whole = Buffer.concat(readReply(reply, stepsOf(), options).pieces)
      const endedWhole = ended.splice(0)
      const said: Uint8Array[] = []
      let following = 0
      const parted = new PartedReply(stepsOf(), {
        ...options,
        say: (bytes, stillToCome) => {
          if (following > 0) expect(stillToCome).toBe(following - bytes.length)
          following = stillToCome
          said.push(bytes)
          return undefined
        },
      })
      for (const part of cut(reply, sizes)) await parted.take(part)
      expect(Buffer.concat(said)).toEqual(whole)
      expect(following).toBe(0)
      expect(ended).toEqual(endedWhole)
      expect(parted.stepsLeft).toEqual([])
    }),
    propertyRuns(300),
  )
})

test('to the engine, which holds an error and what follows it', () => {
  fc.assert(
    fc.property(answers, fc.array(body, { maxLength: 2 }), cuts, (statements, errors, sizes) => {
      const before = statements.flatMap(({ rows: all, tag }) => [...all, frame('C', `${tag}\0`)])
      const after = errors.flatMap((bytes) => [frame('E', bytes), frame('Z', 'I')])
      const found = { out: [] as Buffer[], held: [] as Buffer[] }
      const parts = new ReplyParts({
        out: (bytes) => found.out.push(Buffer.from(bytes)),
        hold: (bytes) => found.held.push(Buffer.from(bytes)),
      })
      for (const piece of cut(Buffer.concat([...before, ...after]), sizes)) parts.take(piece)
      expect(Buffer.concat(found.out)).toEqual(Buffer.concat(before))
      expect(Buffer.concat(found.held)).toEqual(Buffer.concat(after))
      const notices = before.filter((message) => message.toString('latin1', 0, 1) === 'N')
      expect(parts.noted).toEqual(Buffer.concat(notices))
    }),
    propertyRuns(300),
  )
})
