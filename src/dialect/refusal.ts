import type { ErrorCode } from '../protocol/error-code.js'

/** Why a statement may not run: an expected outcome, so a value. */
export interface Refusal {
  readonly code: Extract<ErrorCode, 'STATEMENT_REFUSED' | 'FORBIDDEN'>
  readonly message: string
  readonly hint?: string | undefined
  /** Where, as the byte offset in the text that was parsed; without it, the statement's start. */
  readonly byte?: number | undefined
}

/** Nobody may run it. */
export function refused(message: string, hint?: string): Refusal {
  return { code: 'STATEMENT_REFUSED', message, hint }
}

/** The caller's role is not enough. */
export function forAdmins(name: string, hint?: string): Refusal {
  return { code: 'FORBIDDEN', message: `${name} is for admins`, hint }
}

/** The caller's key may only read. */
export function onlyReads(name: string): Refusal {
  return { code: 'FORBIDDEN', message: `this key may only read: ${name} is not allowed` }
}
