/** A reply that comes in parts is what it would be whole, however it is cut. */
import * as fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { Spools } from '#src/database/spool.js'
import { KeptRows } from '#src/database/wire/kept-rows.js'
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
  .map((text) =>
    frame(
      'N',
      `SNOTICE\0C${text.length % 2 === 0 ? '00000' : 'KT001'}\0M${text.replaceAll('\0', '')}\0\0`,
    ),
  )
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
    ...{ schemaChanged: () => undefined, lockHeard: () => undefined, beforeReady: () => [] },
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
        statements.flatMap(({ isHidden }, index) => {
          const hides = isHidden ? 'everything' : 'nothing'
          const tagFor = (tag: string) => tag.replace('SELECT', 'CHOOSE')
          const endsQuery = index === statements.length - 1
          return [{ hides }, { hides, tagFor, endsQuery, succeeded: (tag) => ended.push(tag) }]
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
      // The end of the last is told by whoever knows of its commit.
      said.push(parted.withheld ?? Buffer.of())
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
      const noted = notices.filter((message) => message.includes('KT001'))
      expect(parts.noted).toEqual(Buffer.concat(noted))
    }),
    propertyRuns(300),
  )
})

const spools = new Spools({ folder: '', diskBytesMax: 0 })
const left: KeptRows[] = []
afterAll(() => Promise.all(left.map((kept) => kept.close())))

test('to a client that takes its rows in portions', async () => {
  const minuteMs = 60_000
  await fc.assert(
    fc.asyncProperty(rows, fc.integer({ min: 1, max: 4 }), cuts, async (all, count, sizes) => {
      const kept = new KeptRows(spools.open(), minuteMs)
      left.push(kept)
      const isRow = (message: Buffer) => message.toString('latin1', 0, 1) === 'D'
      const messages = [...all, frame('C', 'SELECT 99\0')]
      // Written as it comes from PartedReply: whole messages, long ones in pieces.
      for (const message of messages) {
        const pieces = isRow(message) ? cut(message, sizes) : [message]
        const first = pieces.shift()
        if (first === undefined || first.length < 5) {
          await kept.send(message)
          continue
        }
        let following = message.length - first.length
        await kept.send(first, following)
        for (const piece of pieces) await kept.send(piece, (following -= piece.length))
      }
      kept.end()
      const said: Buffer[] = []
      const say = (bytes: Uint8Array) => {
        said.push(Buffer.from(bytes))
        return undefined
      }
      const wanted: Buffer[] = []
      let inPortion = 0
      for (const message of all) {
        wanted.push(message)
        inPortion += isRow(message) ? 1 : 0
        if (inPortion < count) continue
        wanted.push(frame('s'))
        inPortion = 0
      }
      wanted.push(frame('C', `SELECT ${inPortion}\0`))
      let end = 'more'
      while (end === 'more') end = await kept.say(count, say)
      expect(end).toBe('complete')
      expect(Buffer.concat(said)).toEqual(Buffer.concat(wanted))
    }),
    propertyRuns(200),
  )
})
