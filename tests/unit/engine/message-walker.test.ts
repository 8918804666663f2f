import { expect, test } from 'vitest'
import { MessageWalker } from '#src/engine/pglite/message-walker.js'
import { frame } from '../../support/raw-wire-client.js'

const messages = [
  frame('1'),
  frame('D', 'abc'),
  frame('2'),
  frame('D', 'x'.repeat(300)),
  frame('Z', 'I'),
]
const all = Buffer.concat(messages)

/** Where messages begin, found in pieces of so many bytes. */
function startsIn(pieceBytes: number): readonly number[] {
  const walker = new MessageWalker()
  const starts: number[] = []
  for (let from = 0; from < all.length; from += pieceBytes) {
    const piece = all.subarray(from, from + pieceBytes)
    for (let at = 0; at < piece.length; at = walker.skip(piece, at))
      if (walker.isBetween) starts.push(from + at)
  }
  expect(walker.isBetween).toBe(true)
  return starts
}

test('finds every message, however they are cut', () => {
  const starts = messages.map((_, index) => Buffer.concat(messages.slice(0, index)).length)
  for (let pieceBytes = 1; pieceBytes <= all.length; pieceBytes++)
    expect(startsIn(pieceBytes)).toEqual(starts)
})

test('knows of a message that is not all there', () => {
  for (let length = 1; length < 8; length++) {
    const walker = new MessageWalker()
    expect(walker.skip(frame('D', 'abc').subarray(0, length), 0)).toBe(length)
    expect(walker.isBetween).toBe(false)
  }
})
