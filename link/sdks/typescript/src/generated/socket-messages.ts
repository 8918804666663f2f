// Copied from src/protocol/socket-messages.ts by scripts/link-protocol.js: change it there.
/**
 * The messages of the WebSocket, as one table: what they are called, what they carry, and their
 * places in the binary frames. Both codecs and the types are made from it; docs/protocol.md
 * explains it. A change that an old client or server would misread needs a new PROTOCOL_VERSION
 * and new sub-protocols; a test pins the table's hash beside it.
 */

/** Version 1: 2026-11. */
export const PROTOCOL_VERSION = 1

/** What is asked for in `Sec-WebSocket-Protocol`. */
export const subProtocols = { json: 'kalam.v1.json', binary: 'kalam.v1.bin' } as const

export type Encoding = keyof typeof subProtocols

/**
 * What a field holds. `id`: 0 to 2³²−1, chosen by the client. `count`: 0 to 2⁵³−1. `flag`: left
 * out when false. `json`: JSON text that the codecs pass on unread. `rows` and `changes`: JSON
 * lists that binary frames take apart, so that a reader needs no JSON parser to find a row.
 */
export type FieldKind = 'id' | 'count' | 'text' | 'flag' | 'json' | 'rows' | 'changes'

/** A kind; `?` says that the field may be left out. */
type FieldSpec = FieldKind | `${Exclude<FieldKind, 'flag'>}?`

interface MessageSpec {
  /** First byte of its binary frame. */
  readonly tag: number
  /** In the order of the binary frame. */
  readonly fields: Readonly<Record<string, FieldSpec>>
}

export const clientMessages = {
  /** The first message, once. */
  authenticate: { tag: 0x01, fields: { key: 'text', user_id: 'text?' } },
  subscribe: {
    tag: 0x02,
    fields: {
      id: 'id',
      sql: 'text',
      params: 'json?',
      namespace: 'text?',
      from: 'text?',
      from_id: 'text?',
    },
  },
  unsubscribe: { tag: 0x03, fields: { id: 'id' } },
  query: {
    tag: 0x04,
    fields: {
      id: 'id',
      sql: 'text',
      params: 'json?',
      namespace: 'text?',
      rows: 'text?',
      transaction: 'flag',
      idempotency_key: 'text?',
    },
  },
  ping: { tag: 0x05, fields: { id: 'id?' } },
} as const satisfies Record<string, MessageSpec>

export const serverMessages = {
  authenticated: {
    tag: 0x41,
    fields: {
      user_id: 'text',
      name: 'text',
      role: 'text',
      read_only: 'flag',
      version: 'text',
      message_bytes_max: 'count',
      subscriptions_max: 'count',
      idle_timeout_ms: 'count',
    },
  },
  subscribed: {
    tag: 0x42,
    fields: {
      id: 'id',
      columns: 'json',
      key: 'json',
      mode: 'text',
      ordered: 'flag',
      resumed: 'flag',
    },
  },
  rows: { tag: 0x43, fields: { id: 'id', rows: 'rows' } },
  ready: { tag: 0x44, fields: { id: 'id', cursor: 'text' } },
  changes: { tag: 0x45, fields: { id: 'id', cursor: 'text', changes: 'changes' } },
  reset: { tag: 0x46, fields: { id: 'id', reason: 'text' } },
  unsubscribed: { tag: 0x47, fields: { id: 'id' } },
  result: { tag: 0x48, fields: { id: 'id', took_ms: 'json', replayed: 'flag', results: 'json' } },
  error: { tag: 0x49, fields: { id: 'id?', error: 'json' } },
  pong: { tag: 0x4a, fields: { id: 'id?' } },
} as const satisfies Record<string, MessageSpec>

/** JSON text; bytes are UTF-8. Encoders take either; each decoder gives the one it reads. */
export type JsonSource = string | Uint8Array

interface ValueOf {
  readonly id: number
  readonly count: number
  readonly text: string
  readonly flag: boolean
  readonly json: JsonSource
  readonly rows: JsonSource
  readonly changes: JsonSource
}

type KindOf<S> = S extends `${infer K}?` ? K : S
type Value<S> = KindOf<S> extends FieldKind ? ValueOf[KindOf<S>] : never
type OptionalNames<F> = { [N in keyof F]: F[N] extends `${string}?` ? N : never }[keyof F]

type FieldsOf<F> = { readonly [N in Exclude<keyof F, OptionalNames<F>>]: Value<F[N]> } & {
  readonly [N in OptionalNames<F>]?: Value<F[N]> | undefined
}

type MessageOf<T extends Record<string, MessageSpec>> = {
  [K in keyof T]: { readonly kind: K } & FieldsOf<T[K]['fields']>
}[keyof T]

export type ClientMessage = MessageOf<typeof clientMessages>
export type ServerMessage = MessageOf<typeof serverMessages>
export type Side = 'client' | 'server'

/** Why bytes are no message. */
export interface Fault {
  readonly kind: 'fault'
  readonly reason: string
}

export interface FieldPlan {
  readonly name: string
  readonly kind: FieldKind
  readonly isOptional: boolean
  /** Its bit in the byte of flags; undefined for fields that are always there. */
  readonly flagBit: number | undefined
}

/** A message of the table, ready for the codecs. */
export interface MessagePlan {
  readonly kind: string
  readonly tag: number
  readonly fields: readonly FieldPlan[]
  /** Whether its binary frame has a byte of flags. */
  readonly hasFlags: boolean
}

/** A message as the codecs see it: its fields by name. */
export type AnyMessage = Readonly<Record<string, unknown>> & { readonly kind: string }

export function planMessages(side: Side): readonly MessagePlan[] {
  const table: Record<string, MessageSpec> = side === 'client' ? clientMessages : serverMessages
  return Object.entries(table).map(([kind, { tag, fields }]) => {
    const plans = planFields(fields)
    return {
      kind,
      tag,
      fields: plans,
      hasFlags: plans.some(({ flagBit }) => flagBit !== undefined),
    }
  })
}

function planFields(fields: MessageSpec['fields']): readonly FieldPlan[] {
  let nextBit = 1
  return Object.entries(fields).map(([name, spec]) => {
    const isOptional = spec.endsWith('?')
    // What is left of a spec without its mark is a kind.
    const kind = (isOptional ? spec.slice(0, -1) : spec) as FieldKind
    const isFlagged = isOptional || kind === 'flag'
    const flagBit = isFlagged ? nextBit : undefined
    if (isFlagged) nextBit *= 2
    return { name, kind, isOptional, flagBit }
  })
}

export const idMax = 2 ** 32 - 1
export const countMax = Number.MAX_SAFE_INTEGER

export function fault(reason: string): Fault {
  return { kind: 'fault', reason }
}
