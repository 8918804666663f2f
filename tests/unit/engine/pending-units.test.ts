import { expect, test } from 'vitest'
import type { PendingUnit } from '#src/engine/pglite/pending-unit.js'
import { PendingUnits } from '#src/engine/pglite/pending-units.js'

// The table looks at nothing else of a unit.
const unit = (serial: number) => ({ serial, next: undefined }) as unknown as PendingUnit
const serials = (units: PendingUnits) => units.inOrder().map(({ serial }) => serial)

test('finds, takes and lists those of one bucket too', () => {
  const units = new PendingUnits()
  for (const serial of [3, 1027, 2051, 4]) units.add(unit(serial))
  expect(serials(units)).toEqual([3, 4, 1027, 2051])
  expect(units.take(1027)?.serial).toBe(1027)
  expect(units.take(1027)).toBeUndefined()
  expect(units.get(2051)?.serial).toBe(2051)
  expect(units.get(3)?.next).toBeUndefined()
  expect(serials(units)).toEqual([3, 4, 2051])
  expect(units.size).toBe(3)
})

test('lists the oldest first where serials start again', () => {
  const units = new PendingUnits()
  for (const serial of [2, 0x7fffffff, 1, 0x7ffffffe]) units.add(unit(serial))
  expect(serials(units)).toEqual([0x7ffffffe, 0x7fffffff, 1, 2])
})
