/**
 * What turns one result into another. Rows are told apart by their key; without one by all their
 * values, and a value that occurs several times is so many rows.
 *
 * Of an ordered result the updates with an `at` are rows that move: they are taken out before the
 * list is applied in its order. Of equal rows the first is meant.
 */
import { isSameRow, rowKey, rowStarts } from './data-rows.js'

export type RowChange =
  /** `row`: where it starts in the old rows. */
  | { readonly kind: 'delete'; readonly row: number }
  /** `row`: where it starts in the new rows. */
  | { readonly kind: 'insert'; readonly row: number; readonly at: number | undefined }
  /** `at`: undefined if it stays where it is. */
  | { readonly kind: 'update'; readonly row: number; readonly at: number | undefined }

export interface DiffOptions {
  /** Columns of the key; none for rows that are their own. */
  readonly key: readonly number[]
  readonly ordered: boolean
}

/** Deletes first, then updates in place, then what gets a place, by place. */
export function diffRows(
  before: Uint8Array,
  after: Uint8Array,
  options: DiffOptions,
): readonly RowChange[] {
  if (Buffer.from(before.buffer, before.byteOffset, before.length).equals(after)) return []
  const pairs = pairRows(before, after, options)
  return options.ordered ? orderedChanges(pairs, options) : unorderedChanges(pairs)
}

interface Pairs {
  readonly before: Uint8Array
  readonly after: Uint8Array
  readonly oldRows: readonly number[]
  readonly newRows: readonly number[]
  /** For each new row the index of the old one that it was; -1 if there was none. */
  readonly source: number[]
  readonly oldKeys: readonly string[]
}

function pairRows(before: Uint8Array, after: Uint8Array, { key }: DiffOptions): Pairs {
  const oldRows = rowStarts(before)
  const newRows = rowStarts(after)
  const oldKeys = oldRows.map((row) => rowKey(before, row, key))
  // From the last: of equal rows the last ones stay, for the first ones are taken out.
  const byKey = new Map<string, number[]>()
  for (const [index, rowsKey] of oldKeys.entries()) {
    const known = byKey.get(rowsKey)
    if (known === undefined) byKey.set(rowsKey, [index])
    else known.push(index)
  }
  const source = new Array<number>(newRows.length).fill(-1)
  for (let index = newRows.length - 1; index >= 0; index--)
    source[index] = byKey.get(rowKey(after, newRows[index] ?? 0, key))?.pop() ?? -1
  return { before, after, oldRows, newRows, source, oldKeys }
}

function unorderedChanges(pairs: Pairs): RowChange[] {
  const { newRows, source } = pairs
  const updates: RowChange[] = []
  const inserts: RowChange[] = []
  for (const [index, row] of newRows.entries()) {
    const from = source[index] ?? -1
    if (from < 0) inserts.push({ kind: 'insert', row, at: undefined })
    else if (isChanged(pairs, from, row)) updates.push({ kind: 'update', row, at: undefined })
  }
  return [...deletes(pairs, new Set(source)), ...updates, ...inserts]
}

function orderedChanges(pairs: Pairs, { key }: DiffOptions): RowChange[] {
  const { newRows, source } = pairs
  const staying = longestIncreasing(source)
  if (key.length === 0) takeOutFirstOfEqual(pairs, staying)
  const updates: RowChange[] = []
  const placed: RowChange[] = []
  const kept = new Set<number>()
  for (const [at, row] of newRows.entries()) {
    const from = source[at] ?? -1
    const stays = staying.has(at)
    // Equal rows are one another: one that moves is deleted and inserted.
    if (from >= 0 && (stays || key.length > 0)) kept.add(from)
    if (from < 0 || (!stays && key.length === 0)) placed.push({ kind: 'insert', row, at })
    else if (!stays) placed.push({ kind: 'update', row, at })
    else if (isChanged(pairs, from, row)) updates.push({ kind: 'update', row, at: undefined })
  }
  return [...deletes(pairs, kept), ...updates, ...placed]
}

/** Of equal rows the first is taken out: those before one that goes must go too. */
function takeOutFirstOfEqual({ source, oldKeys }: Pairs, staying: Set<number>): void {
  const lastGone = new Map<string, number>()
  for (const [at, from] of source.entries()) {
    const key = oldKeys[from]
    if (key === undefined || staying.has(at)) continue
    lastGone.set(key, Math.max(from, lastGone.get(key) ?? -1))
  }
  for (const [at, from] of source.entries())
    if (from < (lastGone.get(oldKeys[from] ?? '') ?? -1)) staying.delete(at)
}

function deletes({ oldRows }: Pairs, kept: ReadonlySet<number>): RowChange[] {
  return oldRows.flatMap((row, index) => (kept.has(index) ? [] : [{ kind: 'delete', row }]))
}

function isChanged({ before, after, oldRows }: Pairs, from: number, row: number): boolean {
  return !isSameRow(before, oldRows[from] ?? 0, after, row)
}

/** Places of a longest run of growing numbers, those below 0 left out: they need not move. */
function longestIncreasing(numbers: readonly number[]): Set<number> {
  // tails[n]: place of the smallest number that a run of n + 1 can end in.
  const tails: number[] = []
  const before = new Array<number>(numbers.length).fill(-1)
  for (const [place, number] of numbers.entries()) {
    if (number < 0) continue
    const length = firstNotBelow(tails, numbers, number)
    before[place] = tails[length - 1] ?? -1
    tails[length] = place
  }
  const places = new Set<number>()
  for (let place = tails.at(-1) ?? -1; place >= 0; place = before[place] ?? -1) places.add(place)
  return places
}

function firstNotBelow(
  tails: readonly number[],
  numbers: readonly number[],
  number: number,
): number {
  let low = 0
  let high = tails.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((numbers[tails[middle] ?? 0] ?? 0) < number) low = middle + 1
    else high = middle
  }
  return low
}
