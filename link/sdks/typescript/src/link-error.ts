import { errorCodes, type ErrorCode } from './generated/error-code.js'

/** An error as the server tells it, or why there is no connection. */
export interface LinkError {
  /** The server's code, or `CONNECTION_LOST` where it could not say one. */
  readonly code: string
  readonly message: string
  readonly sqlstate?: string
  readonly detail?: string
  readonly hint?: string
  readonly where?: string
  /** Characters from 1, in the SQL of the request. */
  readonly position?: number
  readonly line?: number
  readonly column?: number
}

/** `source`: the JSON of the field `error` of a message. */
export function readLinkError(source: string): LinkError {
  const fields = parseObject(source)
  const texts = ['sqlstate', 'detail', 'hint', 'where'].filter(
    (name) => typeof fields[name] === 'string',
  )
  const numbers = ['position', 'line', 'column'].filter((name) => typeof fields[name] === 'number')
  return {
    code: textOf(fields['code']) ?? 'INTERNAL',
    message: textOf(fields['message']) ?? 'the server gave no reason',
    ...Object.fromEntries([...texts, ...numbers].map((name) => [name, fields[name]])),
  }
}

/** Whether to try again makes sense; of codes that this client does not know, nothing is known. */
export function isRetryable(code: string): boolean | undefined {
  // Any text may be looked up.
  return Object.hasOwn(errorCodes, code) ? errorCodes[code as ErrorCode].retry : undefined
}

/** The HTTP status that goes with a code; of codes that this client does not know 500. */
export function statusOf(code: string): number {
  return Object.hasOwn(errorCodes, code) ? errorCodes[code as ErrorCode].status : 500
}

function parseObject(source: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(source)
  // An object has string keys and values of any kind; each is checked where it is used.
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
