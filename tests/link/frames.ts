/** Frames of kalam.v1.bin as a server sends them, made for tests from docs/protocol.md. */

/** A change as in kalam.v1.json; texts are JSON. */
export type Change =
  | readonly ['i' | 'u', key: string, row: string, at?: number | undefined]
  | readonly ['d', key: string]

export const serverFrames = {
  authenticated({ messageBytesMax = 1_048_576, idleTimeoutMs = 60_000 } = {}) {
    return frame(0x41, 0, ...['u1', 'alice', 'user', '0.1.0'].map(block), varint(messageBytesMax), [
      ...varint(1000),
      ...varint(idleTimeoutMs),
    ])
  },
  subscribed(id: number, options: SubscribedOptions = {}) {
    const { columns = '[{"name":"id","type":"int4"},{"name":"title","type":"text"}]' } = options
    const { key = '[0]', mode = 'follow', ordered = false, resumed = false } = options
    const flags = (ordered ? 1 : 0) | (resumed ? 2 : 0)
    return frame(0x42, flags, varint(id), block(columns), block(key), block(mode))
  },
  rows(id: number, rows: readonly string[]) {
    return frame(0x43, varint(id), varint(rows.length), ...rows.map(block))
  },
  ready(id: number, cursor: string) {
    return frame(0x44, varint(id), block(cursor))
  },
  changes(id: number, cursor: string, changes: readonly Change[]) {
    return frame(0x45, varint(id), block(cursor), varint(changes.length), ...changes.map(changeOf))
  },
  reset(id: number, reason: string) {
    return frame(0x46, varint(id), block(reason))
  },
  unsubscribed(id: number) {
    return frame(0x47, varint(id))
  },
  result(id: number, results: string) {
    return frame(0x48, 0, varint(id), block('0.5'), block(results))
  },
  error(id: number | undefined, error: { readonly code: string; readonly message: string }) {
    const text = block(JSON.stringify(error))
    return id === undefined ? frame(0x49, 0, text) : frame(0x49, 1, varint(id), text)
  },
  pong() {
    return frame(0x4a, 0)
  },
} as const

export interface SubscribedOptions {
  readonly columns?: string
  readonly key?: string
  readonly mode?: string
  readonly ordered?: boolean
  readonly resumed?: boolean
}

export function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
  return [...bytes, rest]
}

function block(text: string): number[] {
  const bytes = new TextEncoder().encode(text)
  return [...varint(bytes.length), ...bytes]
}

function changeOf(change: Change): number[] {
  const [operation, key, row, at] = change
  const code = { i: 1, u: 2, d: 3 }[operation] | (at === undefined ? 0 : 0x80)
  const parts = [[code], block(key), row === undefined ? [] : block(row)]
  return [...parts.flat(), ...(at === undefined ? [] : varint(at))]
}

function frame(...parts: readonly (number | readonly number[])[]): Uint8Array {
  return Uint8Array.from(parts.flat())
}
