import {
  backendTag,
  eachMessage,
  errorResponse,
  temporaryObjectState,
  utf8,
} from '../backend-messages.js'
import { int32 } from '../../protocol/int32.js'

/** A NotificationResponse. */
export interface BackendNotification {
  readonly channel: string
  readonly payload: string
}

export interface ReplyContents {
  /** The messages that are for whoever asked. */
  readonly bytes: Uint8Array
  /** A temporary table, view or function was made on the way, by a function or trigger perhaps. */
  readonly madeTemporaryObject: boolean
  readonly notifications: readonly BackendNotification[]
  /** An error says that there was no memory for something. */
  readonly ranOutOfMemory: boolean
}

/** out_of_memory, of PostgreSQL's own memory and of what its processes share. */
const outOfMemoryState = '53200'
const none: readonly BackendNotification[] = []

/** Reads what is for the engine out of an answer; the bytes must be whole messages. */
export function replyContents(bytes: Uint8Array): ReplyContents {
  let madeTemporaryObject = false
  let ranOutOfMemory = false
  let notifications: BackendNotification[] | undefined
  eachMessage(bytes, (tag, start, end) => {
    if (tag === backendTag.notice)
      madeTemporaryObject ||= errorResponse(bytes, start, end).sqlState === temporaryObjectState
    else if (tag === backendTag.notification)
      (notifications ??= []).push(notificationAt(bytes, start, end))
    else if (tag === backendTag.error)
      ranOutOfMemory ||= errorResponse(bytes, start, end).sqlState === outOfMemoryState
  })
  const found = { madeTemporaryObject, ranOutOfMemory }
  if (notifications === undefined) return { ...found, bytes, notifications: none }
  return { ...found, bytes: withoutNotifications(bytes), notifications }
}

/** The process that it names is the one backend, whoever notified. */
function notificationAt(bytes: Uint8Array, start: number, end: number): BackendNotification {
  const channelAt = start + 4
  const channelEnd = bytes.indexOf(0, channelAt)
  return {
    channel: utf8(bytes, channelAt, channelEnd),
    payload: utf8(bytes, channelEnd + 1, end - 1),
  }
}

function withoutNotifications(bytes: Uint8Array): Uint8Array {
  const kept: Uint8Array[] = []
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + int32(bytes, at + 1)
    if (bytes[at] !== backendTag.notification) kept.push(bytes.subarray(at, end))
    at = end
  }
  return Buffer.concat(kept)
}
