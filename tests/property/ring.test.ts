/** Records of any size come whole and in order, however far the reader is behind. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { recordBytesMax, Ring } from '#src/engine/pglite/ring.js'
import { propertyRuns } from '../support/counts.js'

/** Bytes to write, or how many records to read. */
const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.integer({ min: 0, max: recordBytesMax }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 60 }) },
    { weight: 1, arbitrary: fc.integer({ min: -30, max: -1 }) },
  ),
  { minLength: 40, maxLength: 200 },
)

test('what was written is read, once', () => {
  fc.assert(
    fc.property(steps, (taken) => {
      const writer = new Ring()
      const reader = new Ring(writer.buffer)
      const sizes: number[] = []
      let number = 0
      for (const step of taken)
        if (step < 0) for (let read = step; read < 0; read++) readOne(reader, sizes)
        else if (write(writer, number, step)) {
          sizes.push(step)
          number += 1
        } else expect(sizes.length).toBeGreaterThan(0)
      expect(writer.unread).toBe(sizes.length)
      while (sizes.length > 0) readOne(reader, sizes)
      expect(writer.unread).toBe(0)
      expect(reader.peek()).toBeUndefined()

      function readOne(ring: Ring, left: number[]): void {
        const place = ring.peek()
        const size = left.shift()
        expect(place === undefined).toBe(size === undefined)
        if (place === undefined || size === undefined) return
        const first = number - left.length - 1
        expect(ring.numberAt(place)).toBe(first)
        const bytes = ring.bytes.subarray(place, place + size)
        expect(bytes.every((byte) => byte === first % 251)).toBe(true)
        ring.shift()
      }
    }),
    propertyRuns(30),
  )
})

test('a record has a size that it may have', () => {
  const ring = new Ring()
  expect(ring.claim(0, recordBytesMax)).toBeDefined()
  expect(ring.claim(0, recordBytesMax + 1)).toBeUndefined()
})

test('what was claimed is not seen before it is committed', () => {
  const ring = new Ring()
  ring.claim(0, 8)
  expect(ring.peek()).toBeUndefined()
  ring.commit()
  expect(ring.peek()).toBeDefined()
})

function write(ring: Ring, number: number, size: number): boolean {
  const place = ring.claim(number, size)
  if (place === undefined) return false
  ring.bytes.fill(number % 251, place, place + size)
  ring.commit()
  return true
}
