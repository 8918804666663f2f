// Copied from src/protocol/socket-json.ts by scripts/link-protocol.js: change it there.
/** `kalam.v1.json`: a message is a JSON object in a text frame; `type` names it. */
import type { ByteSink } from './byte-sink.js'
import { memberSources } from './json-source.js'
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
} from './socket-messages.js'

/** Strict: what is not known is refused by name, so that a typo never means something else. */
export function decodeClientJson(text: string): ClientMessage | Fault {
  // The plans are made from the table that the type is made from.
  return decode(text, { plans: clientPlans, isStrict: true }) as ClientMessage | Fault
}

/** Lenient: newer servers may send fields that this client does not know. */
export function decodeServerJson(text: string): ServerMessage | Fault {
  return decode(text, { plans: serverPlans, isStrict: false }) as ServerMessage | Fault
}

export function encodeClientJson(message: ClientMessage): string {
  const fields = planOf(clientPlans, message).fields.flatMap((field) => {
    const value = fieldOf(message, field)
    return isLeftOut(value) ? [] : [`,${JSON.stringify(field.name)}:${scalarJson(field, value)}`]
  })
  return `{"type":${JSON.stringify(message.kind)}${fields.join('')}}`
}

/** Appends the message. Rows and other JSON are copied as they are. */
export function appendServerJson(message: ServerMessage, out: ByteSink): void {
  const { fields } = planOf(serverPlans, message)
  out.appendText(`{"type":"${message.kind}"`)
  for (const field of fields) {
    const value = fieldOf(message, field)
    if (isLeftOut(value)) continue
    out.appendText(`,"${field.name}":`)
    if (value instanceof Uint8Array) out.append(value)
    else out.appendText(scalarJson(field, value))
  }
  out.appendText('}')
}

type PlansByKind = ReadonlyMap<string, MessagePlan>
const clientPlans: PlansByKind = byKind(planMessages('client'))
const serverPlans: PlansByKind = byKind(planMessages('server'))

function byKind(plans: readonly MessagePlan[]): PlansByKind {
  return new Map(plans.map((plan) => [plan.kind, plan]))
}

function planOf(plans: PlansByKind, { kind }: { readonly kind: string }): MessagePlan {
  const plan = plans.get(kind)
  if (plan === undefined) throw new Error(`assertion failed: ${kind} is a message`)
  return plan
}

/** A message's fields are those of its plan. */
function fieldOf(message: object, { name }: FieldPlan): unknown {
  return (message as AnyMessage)[name]
}

function isLeftOut(value: unknown): boolean {
  return value === undefined || value === false
}

function scalarJson({ kind }: FieldPlan, value: unknown): string {
  switch (kind) {
    case 'id':
    case 'count':
    case 'flag':
      return String(value)
    case 'text':
      return JSON.stringify(value)
    case 'json':
    case 'rows':
    case 'changes':
      // Of these kinds alone.
      return jsonText(value as JsonSource)
  }
}

/** JSON source as text. */
export function jsonText(source: JsonSource): string {
  return typeof source === 'string' ? source : new TextDecoder().decode(source)
}

interface Reading {
  readonly plans: PlansByKind
  readonly isStrict: boolean
}

function decode(text: string, { plans, isStrict }: Reading): AnyMessage | Fault {
  const parsed = parseObject(text)
  if (typeof parsed === 'string') return fault(parsed)
  const { type } = parsed
  if (typeof type !== 'string') return fault('"type" is missing; it must be a string')
  const plan = plans.get(type)
  if (plan === undefined) return fault(`unknown message ${quoted(type)}`)
  const sources = plan.fields.some(isSource) ? memberSources(text) : noSources
  const unknown = isStrict ? Object.keys(parsed).find((name) => !isKnown(plan, name)) : undefined
  if (unknown !== undefined) return fault(`${type}: unknown field ${quoted(unknown)}`)
  const message: Record<string, unknown> = { kind: type }
  for (const field of plan.fields) {
    const value = readField(
      field,
      Object.hasOwn(parsed, field.name) ? parsed[field.name] : undefined,
    )
    if (value === invalid) return fault(`${type}: "${field.name}" must be ${expected(field)}`)
    if (value !== undefined) message[field.name] = isSource(field) ? sources.get(field.name) : value
  }
  // It has the field that every message has.
  return message as AnyMessage
}

const noSources: ReadonlyMap<string, string> = new Map()

/** The object, or why there is none. */
function parseObject(text: string): Readonly<Record<string, unknown>> | string {
  try {
    const value: unknown = JSON.parse(text)
    // An object has string keys and values of any kind; each is checked where it is read.
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>
    return 'a message must be a JSON object like {"type": "ping"}'
  } catch (cause) {
    return `the message is not JSON: ${cause instanceof Error ? cause.message : ''}`
  }
}

function isSource({ kind }: FieldPlan): boolean {
  return kind === 'json' || kind === 'rows' || kind === 'changes'
}

function isKnown({ fields }: MessagePlan, name: string): boolean {
  return name === 'type' || fields.some((field) => field.name === name)
}

const invalid = Symbol('invalid')

function readField({ kind, isOptional }: FieldPlan, value: unknown): unknown {
  if (value === undefined) {
    if (kind === 'flag') return false
    return isOptional ? undefined : invalid
  }
  switch (kind) {
    case 'id':
      return isWhole(value, idMax) ? value : invalid
    case 'count':
      return isWhole(value, countMax) ? value : invalid
    case 'text':
      return typeof value === 'string' ? value : invalid
    case 'flag':
      return typeof value === 'boolean' ? value : invalid
    case 'rows':
    case 'changes':
      return Array.isArray(value) ? value : invalid
    case 'json':
      return value
  }
}

function isWhole(value: unknown, max: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max
}

function expected({ kind }: FieldPlan): string {
  return {
    id: `a whole number from 0 to ${idMax}`,
    count: `a whole number from 0 to ${countMax}`,
    text: 'a string',
    flag: 'true or false',
    json: 'there',
    rows: 'a list',
    changes: 'a list',
  }[kind]
}

function quoted(name: string): string {
  return JSON.stringify(name.slice(0, 64))
}
