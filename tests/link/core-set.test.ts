/** The live set of link/core against a plain one: rows in an array, found by looking at all. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { propertyRuns } from '../support/counts.js'
import { CoreHost, type CoreEvent, type Difference } from './core-host.js'
import { serverFrames, type Change } from './frames.js'

interface Row {
  readonly key: string
  readonly text: string
}

describe('E5: the live set', () => {
  test('rows in any order of changes, told by position', () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.array(change(), { maxLength: 12 }) },
      { weight: 1, arbitrary: fc.array(row(), { maxLength: 40 }).map(distinct) },
    )
    fc.assert(
      fc.property(fc.array(row(), { maxLength: 30 }).map(distinct), fc.array(step), run(false)),
      propertyRuns(300),
    )
  })

  test('rows with places, as the server computes differences', () => {
    const result = fc.array(row(), { maxLength: 40 }).map(distinct)
    fc.assert(
      fc.property(result, fc.array(fc.tuple(result, fc.boolean()), { maxLength: 8 }), runOrdered),
      propertyRuns(300),
    )
  })

  test('rows without a key: equal rows are so many rows', () => {
    const result = fc.array(fc.nat(5), { maxLength: 30 })
    fc.assert(
      fc.property(result, fc.array(fc.tuple(result, fc.boolean()), { maxLength: 8 }), runKeyless),
      propertyRuns(300),
    )
  })

  test('thousands of rows, many chunks', () => {
    const { host, id, shown } = opened({})
    const rows = Array.from({ length: 5_000 }, (_, index) => made(index, index))
    apply(shown, load(host, id, rows))
    const model = [...rows]
    let seed = 1
    const random = (below: number) => (seed = (seed * 48_271) % 0x7fffffff) % below
    for (let frame = 0; frame < 300; frame++) {
      const changes = Array.from({ length: 20 }, (): Change => {
        const key = random(6_000)
        const value = made(key, random(1e6))
        return random(3) === 0 ? ['d', value.key] : ['u', value.key, value.text]
      })
      for (const one of changes) applyPlain(model, one)
      apply(shown, host.receive(serverFrames.changes(id, `a.${frame}`, changes)))
    }
    expect(shown).toEqual(model.map(({ text }) => text))
    expect(host.rows(id)).toEqual(model.map(({ text }) => JSON.parse(text) as unknown))
    expect(host.rows(id, 1000, 3)).toEqual(
      model.slice(1000, 1003).map(({ text }) => JSON.parse(text) as unknown),
    )
  })

  test.each([
    ['the first column', '[0]', (key: number) => `[${key}]`],
    ['another one', '[1]', (key: number) => `["k${key}"]`],
    ['several', '[1,0]', (key: number) => `["k${key}",${key}]`],
    ['all', '[]', undefined],
  ])('rows of any length stay whole while others go; their key: %s', (_, key, keyOf) => {
    const { host, id, shown } = opened({ key })
    // The length of a row takes one, two or three bytes of a frame.
    const lengths = [0, 100, 110, 120, 130, 1_000, 16_380, 20_000]
    const text = (row: number, length: number) =>
      JSON.stringify([row, `k${row}`, 'é'.repeat(length / 2)])
    const rows = Array.from({ length: 64 }, (_row, index) => ({
      text: text(index, lengths[index % lengths.length] ?? 0),
    }))
    apply(shown, load(host, id, rows))
    expect(shown).toEqual(rows.map((row) => row.text))
    for (let index = 0; index < 63; index++) {
      const gone = keyOf?.(index) ?? rows[index]?.text ?? ''
      apply(shown, host.receive(serverFrames.changes(id, `b.${index}`, [['d', gone]])))
      expect(shown).toEqual(rows.slice(index + 1).map((row) => row.text))
      expect(host.rows(id)).toEqual(shown.map((row) => JSON.parse(row) as unknown))
    }
  })

  test('a key of several columns, in the order that the server says', () => {
    const { host, id, shown } = opened({ key: '[2,0]' })
    const rows = ['[1,"a\\"]",[2,"]"]]', '[2,"b",{"x":[3]}]']
    apply(shown, host.receive(serverFrames.rows(id, rows)))
    apply(shown, host.receive(serverFrames.ready(id, 'a.1')))
    const changes: Change[] = [
      ['d', '[[2,"]"],1]'],
      ['u', '[{"x":[3]},2]', '[2,"c",{"x":[3]}]'],
    ]
    apply(shown, host.receive(serverFrames.changes(id, 'a.2', changes)))
    expect(shown).toEqual(['[2,"c",{"x":[3]}]'])
  })
})

function row(): fc.Arbitrary<Row> {
  return fc
    .tuple(fc.nat(30), fc.nat(3), fc.nat(3))
    .map(([key, value, size]) => made(key, value, size))
}

function made(key: number, value: number, size = 0): Row {
  return { key: `[${key}]`, text: JSON.stringify([key, `${'é"]\\'.repeat(size)}${value}`]) }
}

function distinct(rows: readonly Row[]): Row[] {
  return [...new Map(rows.map((one) => [one.key, one])).values()]
}

function change(): fc.Arbitrary<Change> {
  return fc
    .tuple(fc.constantFrom('i', 'u', 'd'), row())
    .map(([operation, { key, text }]) =>
      operation === 'd'
        ? (['d', key] as const)
        : ([operation === 'i' ? 'i' : 'u', key, text] as const),
    )
}

function opened(options: Parameters<typeof serverFrames.subscribed>[1]) {
  const host = new CoreHost().start()
  host.receive(serverFrames.authenticated())
  const id = host.subscribe('SELECT 1')
  host.receive(serverFrames.subscribed(id, options))
  const shown: string[] = []
  return { host, id, shown }
}

function load(host: CoreHost, id: number, rows: readonly { readonly text: string }[]): CoreEvent[] {
  const texts = rows.map(({ text }) => text)
  const half = Math.floor(texts.length / 2)
  return [
    ...host.receive(serverFrames.rows(id, texts.slice(0, half))),
    ...host.receive(serverFrames.rows(id, texts.slice(half))),
    ...host.receive(serverFrames.ready(id, `a.${cursor++}`)),
  ]
}

let cursor = 1_000_000

/** What a host does with what it is told. */
function apply(shown: string[], events: readonly CoreEvent[]): void {
  for (const { kind, words, text, differences } of events) {
    // Rows are lists of values: written again they are the texts that were sent.
    const rows = text.startsWith('[')
      ? (JSON.parse(text) as unknown[]).map((one) => JSON.stringify(one))
      : []
    if (kind === 'rows') shown.splice(words[0], 0, ...rows)
    if (kind === 'changes') applyDifferences(shown, differences, rows)
  }
}

function applyDifferences(
  shown: string[],
  differences: readonly Difference[],
  rows: string[],
): void {
  for (const [operation, from, to] of differences) {
    if (from >= 0) expect(from).toBeLessThan(shown.length)
    if (from >= 0) shown.splice(from, 1)
    if (operation !== 3) shown.splice(to, 0, rows.shift() ?? '')
  }
  expect(rows).toEqual([])
}

function applyPlain(model: Row[], [operation, key, text]: Change): void {
  const at = model.findIndex((one) => one.key === key)
  if (operation === 'd') {
    if (at >= 0) model.splice(at, 1)
  } else if (at >= 0) model[at] = { key, text }
  else model.push({ key, text })
}

function run(ordered: boolean) {
  return (first: readonly Row[], steps: readonly (readonly Change[] | readonly Row[])[]): void => {
    const { host, id, shown } = opened({ ordered })
    apply(shown, load(host, id, first))
    let model = [...first]
    for (const step of steps) {
      if (isRows(step)) {
        host.receive(serverFrames.reset(id, 'EVALUATED'))
        apply(shown, load(host, id, step))
        model = afterReset(model, step)
      } else {
        for (const one of step) applyPlain(model, one)
        apply(shown, host.receive(serverFrames.changes(id, `a.${cursor++}`, step)))
      }
      expect(shown).toEqual(model.map(({ text }) => text))
      expect(host.core.rowCount(id)).toBe(model.length)
    }
    expect(host.rows(id)).toEqual(model.map(({ text }) => JSON.parse(text) as unknown))
  }
}

function isRows(step: readonly Change[] | readonly Row[]): step is readonly Row[] {
  return step.length > 0 && !Array.isArray(step[0])
}

/** Rows without places stay where they are; new ones come last. */
function afterReset(before: readonly Row[], now: readonly Row[]): Row[] {
  const byKey = new Map(now.map((one) => [one.key, one]))
  const stay = before.flatMap(({ key }) => byKey.get(key) ?? [])
  const known = new Set(before.map(({ key }) => key))
  return [...stay, ...now.filter(({ key }) => !known.has(key))]
}

type NextResult<T> = readonly [result: readonly T[], isReset: boolean]

function runOrdered(first: readonly Row[], results: readonly NextResult<Row>[]): void {
  const { host, id, shown } = opened({ ordered: true, mode: 'evaluated' })
  apply(shown, load(host, id, first))
  let before = first
  for (const [result, isReset] of results) {
    if (isReset) {
      host.receive(serverFrames.reset(id, 'EVALUATED'))
      apply(shown, load(host, id, result))
    } else {
      const changes = differencesOf(before, result)
      apply(shown, host.receive(serverFrames.changes(id, `a.${cursor++}`, changes)))
    }
    before = result
    expect(shown).toEqual(result.map(({ text }) => text))
  }
  expect(host.rows(id)).toEqual(before.map(({ text }) => JSON.parse(text) as unknown))
}

/** Deletes, then updates in place, then what gets a place: any choice of what stays will do. */
function differencesOf(before: readonly Row[], after: readonly Row[]): Change[] {
  const old = new Map(before.map((one, index) => [one.key, { ...one, index }]))
  const now = new Set(after.map(({ key }) => key))
  const deletes = before.filter(({ key }) => !now.has(key)).map(({ key }): Change => ['d', key])
  const inPlace: Change[] = []
  const placed: Change[] = []
  let last = -1
  for (const [at, { key, text }] of after.entries()) {
    const known = old.get(key)
    if (known === undefined) placed.push(['i', key, text, at])
    else if (known.index < last) placed.push(['u', key, text, at])
    else {
      last = known.index
      if (known.text !== text) inPlace.push(['u', key, text])
    }
  }
  return [...deletes, ...inPlace, ...placed]
}

function runKeyless(first: readonly number[], results: readonly NextResult<number>[]): void {
  const { host, id, shown } = opened({ key: '[]', mode: 'evaluated' })
  const rowsOf = (values: readonly number[]) => values.map((value) => ({ text: `[${value}]` }))
  apply(shown, load(host, id, rowsOf(first)))
  let before = [...first]
  for (const [result, isReset] of results) {
    if (isReset) {
      host.receive(serverFrames.reset(id, 'EVALUATED'))
      apply(shown, load(host, id, rowsOf(result)))
    } else {
      const changes = [
        ...without(before, result).map((value): Change => ['d', `[${value}]`]),
        ...without(result, before).map((value): Change => ['i', `[${value}]`, `[${value}]`]),
      ]
      apply(shown, host.receive(serverFrames.changes(id, `a.${cursor++}`, changes)))
    }
    before = [...result]
    expect([...shown].sort()).toEqual(
      rowsOf(result)
        .map(({ text }) => text)
        .sort(),
    )
  }
}

/** What of `values` is left when those of `others` are taken out, each once. */
function without(values: readonly number[], others: readonly number[]): number[] {
  const left = [...others]
  return values.filter((value) => {
    const at = left.indexOf(value)
    if (at >= 0) left.splice(at, 1)
    return at < 0
  })
}
