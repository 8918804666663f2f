/**
 * Units that have not been answered, by serial. No Map: each of its tables points to the one that
 * took its place, so that V8's scavenger keeps what all of them held once one of them is old. With a
 * Map that was 1.2 KiB of each statement and half of the time of a collection (bench 2026-11-26).
 */
import type { PendingUnit } from './pending-unit.js'

const buckets = 1024
const mask = buckets - 1

export class PendingUnits {
  readonly #first = new Array<PendingUnit | undefined>(buckets).fill(undefined)
  #size = 0

  get size(): number {
    return this.#size
  }

  add(unit: PendingUnit): void {
    const bucket = unit.serial & mask
    unit.next = this.#first[bucket]
    this.#first[bucket] = unit
    this.#size += 1
  }

  get(serial: number): PendingUnit | undefined {
    let unit = this.#first[serial & mask]
    while (unit !== undefined && unit.serial !== serial) unit = unit.next
    return unit
  }

  /** The unit that was there. */
  take(serial: number): PendingUnit | undefined {
    const bucket = serial & mask
    let before: PendingUnit | undefined
    let unit = this.#first[bucket]
    while (unit !== undefined && unit.serial !== serial) {
      before = unit
      unit = unit.next
    }
    if (unit === undefined) return undefined
    if (before === undefined) this.#first[bucket] = unit.next
    else before.next = unit.next
    unit.next = undefined
    this.#size -= 1
    return unit
  }

  /** All of them, the oldest first. */
  inOrder(): PendingUnit[] {
    const units: PendingUnit[] = []
    for (let bucket = 0; bucket < buckets; bucket++)
      for (let unit = this.#first[bucket]; unit !== undefined; unit = unit.next) units.push(unit)
    // Serials start again at 2^31: the difference counts, modulo that.
    return units.sort((one, other) => (one.serial - other.serial) << 1)
  }
}
