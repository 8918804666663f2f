// Copied from src/protocol/socket-binary.ts by scripts/link-protocol.js: change it there.
/**
 * `kalam.v1.bin`: the same messages in binary frames, for readers that want to find rows without
 * parsing JSON. docs/protocol.md has the layout byte by byte.
 */
import { ByteSink } from './byte-sink.js'
import { elementSources } from './json-source.js'
import {
  countMax,
  fault,
  idMax,
  planMessages,
  type AnyMessage,
  type ClientMessage,
  type Fault,
  type FieldPlan,
  type JsonSource,
  type MessagePlan,
  type ServerMessage,
  type Side,
} from './socket-messages.js'

/** Strict: nothing may follow the message. */
export function decodeClientBinary(bytes: Uint8Array): ClientMessage | Fault {
  // The plans are made from the table that the type is made from.
  return decode(bytes, 'client') as ClientMessage | Fault
}

/** Lenient: newer servers may append fields that this client does not know. */
export function decodeServerBinary(bytes: Uint8Array): ServerMessage | Fault {
  return decode(bytes, 'server') as ServerMessage | Fault
}

export function appendBinary(message: ClientMessage | ServerMessage, out: ByteSink): void {
  const plan = plansByKind.get(message.kind)
  if (plan === undefined) throw new Error(`assertion failed: ${message.kind} is a message`)
  out.appendByte(plan.tag)
  if (plan.hasFlags) out.appendByte(flagsOf(message, plan))
  for (const field of plan.fields) {
    const value = fieldOf(message, field)
    if (value !== undefined) appendField(field, value, out)
  }
}

const plans = { client: planMessages('client'), server: planMessages('server') } as const
const plansByKind = new Map([...plans.client, ...plans.server].map((plan) => [plan.kind, plan]))
const plansByTag = new Map([...plans.client, ...plans.server].map((plan) => [plan.tag, plan]))

/** A message's fields are those of its plan. */
function fieldOf(message: object, { name }: FieldPlan): unknown {
  return (message as AnyMessage)[name]
}

function flagsOf(message: object, { fields }: MessagePlan): number {
  let flags = 0
  for (const field of fields) {
    const value = fieldOf(message, field)
    if (field.flagBit !== undefined && value !== undefined && value !== false)
      flags |= field.flagBit
  }
  return flags
}

function appendField({ kind }: FieldPlan, value: unknown, out: ByteSink): void {
  // Each value is of its field's kind: the message's type says so.
  switch (kind) {
    case 'id':
    case 'count':
      appendVarint(value as number, out)
      return
    case 'text':
    case 'json':
      appendBlock(utf8Bytes(value as JsonSource), out)
      return
    case 'flag':
      return
    case 'rows':
      out.append(inFrames(value as JsonSource, frameRows))
      return
    case 'changes':
      out.append(inFrames(value as JsonSource, frameChanges))
  }
}

function appendBlock(bytes: Uint8Array, out: ByteSink): void {
  appendVarint(bytes.length, out)
  out.append(bytes)
}

function appendVarint(value: number, out: ByteSink): void {
  let rest = value
  while (rest >= 0x80) {
    out.appendByte((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  out.appendByte(rest)
}

function utf8Bytes(source: JsonSource): Uint8Array {
  return typeof source === 'string' ? encoder.encode(source) : source
}

const encoder = new TextEncoder()
const lenientDecoder = new TextDecoder()

/** Bodies are shared by the sockets of a group: each is taken apart once and kept as long as it lives. */
const framed = new WeakMap<Uint8Array, Uint8Array>()

function inFrames(source: JsonSource, frame: (text: string) => Uint8Array): Uint8Array {
  if (typeof source === 'string') return frame(source)
  const known = framed.get(source)
  if (known !== undefined) return known
  const made = frame(lenientDecoder.decode(source))
  framed.set(source, made)
  return made
}

function frameRows(text: string): Uint8Array {
  const rows = elementSources(text)
  const out = new ByteSink(text.length + firstBytes)
  appendVarint(rows.length, out)
  for (const row of rows) appendBlock(encoder.encode(row), out)
  return out.view()
}

const operations = ['', 'i', 'u', 'd'] as const
/** Set in the byte of the operation when the change has a place. */
const hasPlace = 0x80

function frameChanges(text: string): Uint8Array {
  const changes = elementSources(text)
  const out = new ByteSink(text.length + firstBytes)
  appendVarint(changes.length, out)
  for (const change of changes) frameChange(elementSources(change), out)
  return out.view()
}

/** Enough for a list of short rows that its memory need not grow. */
const firstBytes = 16

function frameChange(parts: readonly string[], out: ByteSink): void {
  const [operation = '""', key = 'null', row, at] = parts
  const code = operations.findIndex((name) => name !== '' && operation === `"${name}"`)
  out.appendByte(code | (at === undefined ? 0 : hasPlace))
  appendBlock(encoder.encode(key), out)
  if (row !== undefined) appendBlock(encoder.encode(row), out)
  if (at !== undefined) appendVarint(Number(at), out)
}

function decode(bytes: Uint8Array, side: Side): AnyMessage | Fault {
  if (bytes.length === 0) return fault('the message is empty')
  const reader = new Reader(bytes)
  const tag = reader.byte()
  const plan = plansByTag.get(tag)
  if (plan === undefined || !plans[side].includes(plan)) return fault(`unknown message ${tag}`)
  const flags = plan.hasFlags ? reader.byte() : 0
  if (side === 'client' && flags > allFlags(plan)) return fault(`${plan.kind}: unknown flags`)
  const message: Record<string, unknown> = { kind: plan.kind }
  for (const field of plan.fields) {
    const isThere = field.flagBit === undefined || (flags & field.flagBit) !== 0
    if (field.kind === 'flag') message[field.name] = isThere
    else if (isThere) message[field.name] = readField(field, reader)
  }
  if (reader.isBroken) return fault(`${plan.kind}: the message is cut off or not UTF-8`)
  if (side === 'client' && !reader.isAtEnd) return fault(`${plan.kind}: bytes follow the message`)
  // It has the field that every message has.
  return message as AnyMessage
}

function allFlags({ fields }: MessagePlan): number {
  return fields.reduce((flags, { flagBit }) => flags | (flagBit ?? 0), 0)
}

function readField({ kind }: FieldPlan, reader: Reader): unknown {
  switch (kind) {
    case 'id':
      return reader.varint(idMax)
    case 'count':
      return reader.varint(countMax)
    case 'text':
      return reader.text()
    case 'json':
      return encoder.encode(reader.text())
    case 'rows':
      return encoder.encode(readRows(reader))
    case 'changes':
      return encoder.encode(readChanges(reader))
    case 'flag':
      return true
  }
}

function readRows(reader: Reader): string {
  const rows: string[] = []
  for (let left = reader.varint(countMax); left > 0 && !reader.isBroken; left--)
    rows.push(reader.text())
  return `[${rows.join(',')}]`
}

function readChanges(reader: Reader): string {
  const changes: string[] = []
  for (let left = reader.varint(countMax); left > 0 && !reader.isBroken; left--)
    changes.push(readChange(reader))
  return `[${changes.join(',')}]`
}

function readChange(reader: Reader): string {
  const code = reader.byte()
  const operation = operations[code & ~hasPlace]
  if (operation === undefined || operation === '') reader.break()
  const parts = [`"${operation ?? ''}"`, reader.text()]
  if (operation !== 'd') parts.push(reader.text())
  if ((code & hasPlace) !== 0) parts.push(String(reader.varint(countMax)))
  return `[${parts.join(',')}]`
}

/** Reads within bounds; after the first thing that is not there it is broken and reads zeros. */
class Reader {
  readonly #bytes: Uint8Array
  #at = 0
  isBroken = false

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  break(): void {
    this.isBroken = true
  }

  byte(): number {
    const value = this.isBroken ? undefined : this.#bytes[this.#at]
    if (value === undefined) this.break()
    this.#at += 1
    return value ?? 0
  }

  varint(max: number): number {
    let value = 0
    let scale = 1
    for (let bytes = 0; bytes < varintBytesMax; bytes++) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      scale *= 0x80
      if (byte < 0x80) break
      if (bytes === varintBytesMax - 1) this.break()
    }
    if (value > max) this.break()
    return this.isBroken ? 0 : value
  }

  text(): string {
    const length = this.varint(countMax)
    if (length > this.#bytes.length - this.#at) this.break()
    if (this.isBroken) return ''
    const start = this.#at
    this.#at += length
    try {
      return strictDecoder.decode(this.#bytes.subarray(start, this.#at))
    } catch {
      this.break()
      return ''
    }
  }
}

/** 7 bits each: 56 hold all counts. */
const varintBytesMax = 8
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
