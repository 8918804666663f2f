/** Changes of one table as changes of a followed query's result. */
import type { Change, Image } from '../changes/change.js'
import type { Sequence } from '../changes/sequence.js'
import type { TextValue } from '../engine/frontend-messages.js'
import { fieldText, rowStarts } from './data-rows.js'
import type { EncodedChange, RowPlace } from './encode-changes.js'
import { systemPlace } from './follow-plan.js'
import type { Decide, ReadColumn } from './predicate.js'

/** A change of the result and the change of the table that made it. */
export interface FollowedChange {
  readonly sequence: Sequence
  readonly change: EncodedChange
}

/** What an image is in the result: a row, or nothing. */
export type JudgeImage = (change: Change, image: Image) => RowPlace | undefined

/** A row that starts to match enters as an insert, one that stops leaves as a delete. */
export function followChange(change: Change, judge: JudgeImage): FollowedChange | undefined {
  const before = change.old && judge(change, change.old)
  const after = change.new && judge(change, change.new)
  const { sequence } = change
  if (before !== undefined && after !== undefined)
    return { sequence, change: { kind: 'u', key: before, row: after, at: undefined } }
  if (after !== undefined)
    return { sequence, change: { kind: 'i', key: after, row: after, at: undefined } }
  if (before === undefined) return undefined
  return { sequence, change: { kind: 'd', key: before, row: undefined, at: undefined } }
}

/** Judges without PostgreSQL: the WHERE in JavaScript, and plain columns. */
export function judgeHere(decide: Decide, targets: readonly number[]): JudgeImage {
  return (change, image) => {
    const read: ReadColumn = (place) => valueAt(change, image, place)
    if (decide(read) !== true) return undefined
    return { frames: dataRow(targets.map(read)), start: 0 }
  }
}

function valueAt(change: Change, image: Image, place: number): TextValue {
  if (place === systemPlace.owner) return change.owner
  if (place === systemPlace.deleted) return 'f'
  return image[place] ?? null
}

/** The images of the changes, for PostgreSQL to judge; the owner is the last of each. */
export function imagesOf(changes: readonly Change[]): {
  readonly json: string
  readonly count: number
} {
  const images = changes.flatMap((change) =>
    [change.old, change.new].flatMap((image) =>
      image === undefined ? [] : [[...image, change.owner]],
    ),
  )
  return { json: JSON.stringify(images), count: images.length }
}

/** Judges by what PostgreSQL answered for `imagesOf(changes)`: rows with the number of their image last. */
export function judgedBy(
  changes: readonly Change[],
  frames: Uint8Array,
  columnCount: number,
): JudgeImage {
  const rowOf = new Map<number, number>()
  for (const start of rowStarts(frames))
    rowOf.set(Number(fieldText(frames, start, columnCount)), start)
  const rows = new Map<Image, RowPlace>()
  let number = 0
  for (const change of changes)
    for (const image of [change.old, change.new]) {
      if (image === undefined) continue
      number += 1
      const start = rowOf.get(number)
      if (start !== undefined) rows.set(image, { frames, start })
    }
  return (_change, image) => rows.get(image)
}

/** A DataRow message. */
function dataRow(values: readonly TextValue[]): Uint8Array {
  let bytes = 7
  for (const value of values) bytes += 4 + (value === null ? 0 : Buffer.byteLength(value))
  const row = Buffer.allocUnsafe(bytes)
  row[0] = 0x44
  row.writeInt32BE(bytes - 1, 1)
  row.writeInt16BE(values.length, 5)
  let at = 7
  for (const value of values) {
    const length = value === null ? -1 : row.write(value, at + 4)
    row.writeInt32BE(length, at)
    at += 4 + Math.max(0, length)
  }
  return row
}
