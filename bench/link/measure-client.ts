/** Takes one client through all that is measured; in Node and in a browser. */
import { openClient, type ClientName } from './clients.js'
import { makeTraffic } from './traffic.js'

export interface Times {
  /** A live query whose rows are all read, and one of which a page shows some. */
  readonly readMs: number
  readonly shownMs: number
  /** The first of a client, whose memory is all new, with all that opening the client takes. */
  readonly firstMs: number
  readonly eventMicros: number
  /** Equal for clients that told the same. */
  readonly checksum: number
}

export interface MeasureOptions {
  readonly name: ClientName
  readonly core: WebAssembly.Module
  readonly eventsPerFrame: number
  readonly events: number
  readonly clockMs: () => number
  /** Called before a client is opened that follows changes, and when it has followed all. */
  readonly onRest?: () => void
}

const rows = 10_000
/** The first ones compile what runs. */
const warmUps = 2
/** Of these the second half counts. */
const loads = 20
const rowsShown = 50

export function measureClient(options: MeasureOptions): Times {
  const { name, core, clockMs, onRest } = options
  const traffic = makeTraffic({ ...options, rows, givesText: name === 'text' })
  for (let left = warmUps; left > 0; left--) follow()
  const followed = follow(onRest)
  const client = openClient({ name, core, onChange: ignore })
  return {
    ...followed,
    readMs: timeOf(() => {
      client.open()
      for (const frame of traffic.snapshot) client.snapshot(frame)
    }),
    shownMs: timeOf(() => {
      client.open()
      for (const frame of traffic.snapshot) client.hold(frame)
      client.show(rowsShown)
    }),
    firstMs: timeOf(() => {
      const first = openClient({ name, core, onChange: ignore })
      first.open()
      for (const frame of traffic.snapshot) first.snapshot(frame)
    }),
  }

  function follow(onRest?: () => void): Pick<Times, 'eventMicros' | 'checksum'> {
    onRest?.()
    let checksum = 0
    const onChange = (from: number, to: number, row: readonly unknown[] | undefined) => {
      checksum = (checksum * 31 + from * 7 + to + Number(row?.[0] ?? 0)) % 1_000_000_007
    }
    const client = openClient({ name, core, onChange })
    client.open()
    for (const frame of traffic.snapshot) client.snapshot(frame)
    client.ready()
    const loadedMs = clockMs()
    for (const frame of traffic.changes) client.changes(frame)
    const eventMicros = ((clockMs() - loadedMs) * 1_000) / traffic.events
    onRest?.()
    return { eventMicros, checksum }
  }

  function timeOf(load: () => void): number {
    const times = Array.from({ length: loads }, () => {
      const beginMs = clockMs()
      load()
      return clockMs() - beginMs
    })
    const late = times.slice(loads / 2).sort((a, b) => a - b)
    return late[late.length >> 1] ?? NaN
  }
}

function ignore(): void {
  // What is told was looked at before.
}
