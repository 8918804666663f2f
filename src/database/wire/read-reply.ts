/**
 * From what PostgreSQL answered to a unit to what the client hears of it. Messages are walked by
 * their headers and passed on in the buffer they came in; only what must be changed is copied.
 *
 *   steps of the unit:  parse (ours)  bind    describe   execute
 *   its reply:          1             2       T          D D D C     Z
 *   what is said:                     2       T          D D D C     Z
 */
import {
  advisoryLockState,
  changedSchemaState,
  errorResponse,
  temporaryObjectState,
} from '../../engine/backend-messages.js'
import type { DbError } from '../../errors.js'
import { int32 } from '../../protocol/int32.js'
import {
  commandComplete,
  errorMessage,
  readFields,
  serverTag,
  type TransactionStatus,
} from './server-messages.js'

/** One message of a unit, and what becomes of its answer. */
export interface Step {
  readonly hides: 'nothing' | 'everything' | 'no-data'
  /** The error or notice in the client's words: positions in its text, names that it gave. */
  readonly inClientsWords?: (message: Uint8Array) => Uint8Array
  /** What is said in place of the error that this step is sure to bring. */
  readonly refusal?: DbError
  /** The command tag for the client, where it is not PostgreSQL's. */
  readonly tagFor?: ((tag: string) => string) | undefined
  /** It went well; with PostgreSQL's command tag, if it was an Execute. */
  readonly succeeded?: ((tag: string | undefined) => void) | undefined
  /** It failed, with this error, or was passed over because one before it had. */
  readonly failed?: ((error: DbError | undefined) => void) | undefined
  /** DDL that it does is of no concern to anyone: a table for the time of a COPY. */
  readonly isOnTheWay?: boolean
  /** Of an Execute. */
  readonly does?: Doing
  /** It is the last Execute of a Query: PostgreSQL commits before it says that it has run. */
  readonly endsQuery?: boolean
}

/**
 * What a statement does, as far as its text says: whether its transaction can be given up and begun
 * again with it, and whether it may be said to have been cancelled when it has run.
 *
 *   opens    begins a transaction, or sets what holds in it
 *   reads    changes nothing
 *   changes  what is undone with its transaction
 *   commits  perhaps its transaction, if that is no block
 *   lasts    perhaps something that is not, or it is not known
 */
export type Doing = 'opens' | 'reads' | 'changes' | 'commits' | 'lasts'

export interface ReplyRead {
  /** For the client, in order. */
  readonly pieces: readonly Uint8Array[]
  /** Of ReadyForQuery; undefined if the unit ended in Flush. */
  readonly status: TransactionStatus | undefined
  readonly hasFailed: boolean
  /** How many steps were answered whole. */
  readonly steps: number
  /** CommandComplete of a Query's last statement, which nobody was told yet: its commit is not known. */
  readonly withheld: Uint8Array | undefined
  /** Where the last whole message ends: before the end only in a part of a reply. */
  readonly bytes: number
}

export interface ReadOptions {
  /** The client asked for no ReadyForQuery. */
  readonly hidesReady: boolean
  /** More of the reply, or of the Query, is to come. */
  readonly isPart?: boolean
  /** Of an earlier part. */
  readonly withheld?: Uint8Array | undefined
  /** Called when DDL was done, by a function perhaps. */
  readonly schemaChanged: () => void
  /** Called with what the system schema tells of advisory locks. */
  readonly lockHeard: (text: string) => void
  /** Called when a temporary object was made, by a function perhaps. */
  readonly madeTemporary?: () => void
  /** Called at ReadyForQuery; what else is to be said before it. */
  readonly beforeReady: (status: TransactionStatus, hasFailed: boolean) => readonly Uint8Array[]
}

const headerBytes = 5

export function readReply(
  reply: Uint8Array,
  steps: readonly Step[],
  options: ReadOptions,
): ReplyRead {
  const { hidesReady, beforeReady, schemaChanged, madeTemporary, lockHeard, isPart } = options
  let { withheld } = options
  const pieces: Uint8Array[] = []
  let keptFrom = 0
  const replace = (start: number, end: number, by?: Uint8Array): void => {
    if (start > keptFrom) pieces.push(reply.subarray(keptFrom, start))
    if (by !== undefined) pieces.push(by)
    keptFrom = end
  }
  let next = 0
  /** Where a Query's last CommandComplete stands, as long as it may stay there. */
  let commandAt = -1
  let status: TransactionStatus | undefined
  let hasFailed = false
  let at = 0
  while (at + headerBytes <= reply.length) {
    const tag = reply[at] ?? 0
    const end = at + 1 + int32(reply, at + 1)
    if (end > reply.length) break
    const step = steps[next]
    // What the commit says comes before it; mostly that is nothing.
    if (commandAt >= 0 && tag !== serverTag.readyForQuery) {
      withheld = reply.subarray(commandAt, at)
      replace(commandAt, at)
      commandAt = -1
    }
    switch (tag) {
      case serverTag.parseComplete:
      case serverTag.bindComplete:
      case serverTag.closeComplete:
      case serverTag.rowDescription:
      case serverTag.noData:
      case serverTag.emptyQuery:
        if (hides(step, tag)) replace(at, end)
        next += 1
        step?.succeeded?.(undefined)
        break
      case serverTag.portalSuspended:
        next += 1
        step?.succeeded?.(undefined)
        break
      case serverTag.dataRow:
        if (step?.hides === 'everything') replace(at, end)
        break
      case serverTag.commandComplete: {
        const command = ascii(reply, at + headerBytes, end - 1)
        const said = step?.tagFor?.(command)
        const isOther = said !== undefined && said !== command
        if (hides(step, tag)) replace(at, end)
        else if (step?.endsQuery === true) {
          if (isOther || isPart === true) {
            replace(at, end)
            withheld = isOther ? commandComplete(said) : reply.subarray(at, end)
          } else commandAt = at
        } else if (isOther) replace(at, end, commandComplete(said))
        next += 1
        step?.succeeded?.(command)
        break
      }
      case serverTag.error: {
        const message = reply.subarray(at, end)
        const { refusal, inClientsWords } = step ?? {}
        withheld = undefined
        if (refusal !== undefined) replace(at, end, errorMessage(refusal))
        else replace(at, end, inClientsWords?.(message) ?? message)
        hasFailed = true
        const cause = refusal ?? errorResponse(reply, at + headerBytes, end)
        failEach(steps.slice(next), cause)
        next = steps.length
        break
      }
      case serverTag.notice: {
        const state = stateOf(reply, at + headerBytes, end)
        if (state === changedSchemaState && step?.isOnTheWay !== true) schemaChanged()
        if (state === advisoryLockState)
          lockHeard(errorResponse(reply, at + headerBytes, end).message)
        if (state === temporaryObjectState && step?.isOnTheWay !== true) madeTemporary?.()
        if (isOurs(state, reply.subarray(at + headerBytes, end))) replace(at, end)
        else if (step?.inClientsWords !== undefined)
          replace(at, end, step.inClientsWords(reply.subarray(at, end)))
        break
      }
      case serverTag.parameterStatus:
      case serverTag.notification:
        // The client hears of settings and notifications of its session, by another way.
        replace(at, end)
        break
      case serverTag.readyForQuery:
        status = statusAt(reply, at + headerBytes)
        if (withheld !== undefined) replace(at, at, withheld)
        withheld = undefined
        for (const message of beforeReady(status, hasFailed)) replace(at, at, message)
        if (hidesReady) replace(at, end)
        break
      default:
        // ParameterDescription before its RowDescription, COPY.
        if (step?.hides === 'everything') replace(at, end)
    }
    at = end
  }
  replace(at, at, isPart === true ? undefined : withheld)
  return { pieces, status, hasFailed, steps: next, bytes: at, withheld }
}

/** A notice by which the system tells itself something, or that its own functions brought about. */
function isOurs(state: string, fields: Uint8Array): boolean {
  if (ownStates.has(state)) return true
  const context = readFields(fields, 0, fields.length).get('W') ?? ''
  const [, innermost] = /^PL\/pgSQL function (\S+)/m.exec(context) ?? []
  return innermost?.startsWith('kalam.') === true
}

const ownStates: ReadonlySet<string> = new Set([
  ...[changedSchemaState, temporaryObjectState, advisoryLockState],
])

/** The first is the one that failed. The last is told first: each takes back what it did after those. */
export function failEach(steps: readonly Step[], error: DbError): void {
  for (let index = steps.length - 1; index >= 0; index--)
    steps[index]?.failed?.(index === 0 ? error : undefined)
}

function hides(step: Step | undefined, tag: number): boolean {
  if (step === undefined || step.hides === 'nothing') return false
  return step.hides !== 'no-data' || tag === serverTag.noData
}

function statusAt(reply: Uint8Array, at: number): TransactionStatus {
  const status = String.fromCharCode(reply[at] ?? 0)
  return status === 'T' || status === 'E' ? status : 'I'
}

/** The SQLSTATE among the fields of an error or notice. */
function stateOf(reply: Uint8Array, start: number, end: number): string {
  for (let at = start; at < end && reply[at] !== 0; at = reply.indexOf(0, at) + 1)
    if (reply[at] === fieldCode) return ascii(reply, at + 1, reply.indexOf(0, at))
  return ''
}

const fieldCode = 0x43

function ascii(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at] ?? 0)
  return text
}
