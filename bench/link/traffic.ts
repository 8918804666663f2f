/** The same rows and changes for every client, as frames of both sub-protocols. */
import { serverFrames, type Change } from '../../tests/link/frames.js'

export interface Traffic {
  /** A snapshot, in frames of 500 rows. */
  readonly snapshot: readonly Frame[]
  readonly changes: readonly Frame[]
  readonly events: number
}

/** A message as it comes out of a socket: Node's gives text as bytes too, a browser's as text. */
export interface Frame {
  readonly binary: Uint8Array
  readonly json: Uint8Array | string
}

export interface TrafficOptions {
  readonly rows: number
  readonly events: number
  readonly eventsPerFrame: number
  /** Of the socket. */
  readonly givesText: boolean
}

const rowsPerFrame = 500

/** Six in ten changes are updates, two are inserts, two deletes. */
export function makeTraffic({ rows, events, eventsPerFrame, givesText }: TrafficOptions): Traffic {
  const messageOf = givesText ? (text: string) => text : utf8
  const random = randomOf(1)
  const ids = Array.from({ length: rows }, (_, index) => index)
  const first = ids.map((id) => rowText(id, 0))
  let next = rows
  const change = (version: number): Change => {
    const kind = random(10)
    if (kind < 6) {
      const id = ids[random(ids.length)] ?? 0
      return ['u', `[${id}]`, rowText(id, version)]
    }
    if (kind < 8) {
      ids.push(next)
      return ['i', `[${next}]`, rowText(next++, version)]
    }
    const at = random(ids.length)
    const id = ids[at] ?? 0
    ids[at] = ids.at(-1) ?? 0
    ids.pop()
    return ['d', `[${id}]`]
  }
  const all = Array.from({ length: events }, (_, index) => change(index))
  return {
    snapshot: pieces(first, rowsPerFrame).map((texts) => ({
      binary: serverFrames.rows(1, texts),
      json: messageOf(`{"type":"rows","id":1,"rows":[${texts.join(',')}]}`),
    })),
    changes: pieces(all, eventsPerFrame).map((list, index) => ({
      binary: serverFrames.changes(1, `a.${index}`, list),
      json: messageOf(
        `{"type":"changes","id":1,"cursor":"a.${index}","changes":[${list.map(changeJson).join(',')}]}`,
      ),
    })),
    events,
  }
}

/** About 100 bytes. */
function rowText(id: number, version: number): string {
  return `[${id},"todo number ${id}, version ${version}",${version % 2 === 0},"2026-11-25T12:00:00.123456Z","${id * 7919}"]`
}

function changeJson([operation, key, row]: Change): string {
  return row === undefined ? `["${operation}",${key}]` : `["${operation}",${key},${row}]`
}

function pieces<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, index) =>
    list.slice(index * size, (index + 1) * size),
  )
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function randomOf(start: number): (below: number) => number {
  let state = start
  return (below) => (state = (state * 48_271) % 0x7fffffff) % below
}
